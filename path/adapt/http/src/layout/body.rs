//! Whole bodies: held to their end, then laid out as JSON, or else as text.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use model::{Encoding, Lane, Layout, LayoutFault, Piece, Usable, Usage};

use super::fields::{Fields, not_json};
use super::form;
use super::framing::Framing;
use super::held::HeldStream;
use super::kept::Kept;
use super::marks::{self, Step, Treat};
use super::opaque;
use crate::catalogue::AnswerShape;
use crate::json::{Flaw, JsonFault, Node, lenient_json};

/// Holds a body and lays it out at its end.
pub(crate) struct BodyLayout {
    shape: AnswerShape,
    usable: Arc<dyn Usable>,
    /// Whether the status says the answer is what was asked for.
    succeeded: bool,
    fields: Fields,
    held: Kept,
    usage: Option<Usage>,
}

impl BodyLayout {
    /// `limit` bounds the body, in bytes.
    pub(crate) fn new(shape: AnswerShape, usable: Arc<dyn Usable>, succeeded: bool, limit: usize) -> Self {
        let fields = Fields::default();
        Self { shape, usable, succeeded, fields, held: Kept::within(limit), usage: None }
    }

    /// The same, hiding these fields.
    pub(crate) fn hiding(self, fields: Fields) -> Self {
        Self { fields, ..self }
    }

    fn lay(&mut self, raw: &Bytes, root: &Node<'_>, out: &mut Vec<Piece>) {
        let mut marks = Vec::new();
        form::read_usage(root, &mut self.usage);
        let shape = self.shape;
        let mut ask = |path: &[Step<'_>], node: &Node<'_>| match shape {
            AnswerShape::Events => form::words(path, node),
            AnswerShape::Foreign => Treat::Whole,
            AnswerShape::Models | AnswerShape::Progress | AnswerShape::Data => form::data(path, node),
        };
        marks::walk_around(root, self.fields.marks(root, false), &mut ask, &mut marks);
        marks::emit(raw, marks, out);
    }
}

impl BodyLayout {
    /// A stream under another content type.
    fn stream(&mut self, framing: Framing, raw: &Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        let mut stream = HeldStream::new(framing, raw.len()).hiding(std::mem::take(&mut self.fields));
        stream.push(raw.clone(), out)?;
        stream.finish(out)
    }
}

impl Layout for BodyLayout {
    fn push(&mut self, bytes: Bytes, _out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        self.held.push(&bytes)
    }

    fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        let mut raw = self.held.take();
        if raw.starts_with(BYTE_ORDER_MARK) {
            // Clients skip it, and read what follows.
            out.push(Piece::Syntax(raw.split_to(BYTE_ORDER_MARK.len())));
        }
        if raw.is_empty() {
            return Ok(());
        }
        let is_list = self.shape == AnswerShape::Models && self.succeeded;
        match lenient_json(&raw) {
            Ok(root) if is_list => {
                let Some(pruned) = prune(&raw, &root, &*self.usable) else {
                    return Err(LayoutFault::Malformed("the list of models is of no known form".to_owned()));
                };
                if let Ok(root) = lenient_json(&pruned) {
                    self.lay(&pruned, &root, out);
                }
            }
            Ok(root) => self.lay(&raw, &root, out),
            Err(_) if is_list => {
                return Err(LayoutFault::Malformed("the list of models is not JSON".to_owned()));
            }
            // Beyond what can be read, escapes can't be seen: passing it as text would hide values.
            Err(JsonFault { flaw: Flaw::TooDeep | Flaw::TooMany | Flaw::TooLong, at }) => {
                return Err(LayoutFault::Malformed(format!("JSON beyond what is read here, at byte {at}")));
            }
            Err(_) if is_lines(&raw) => self.stream(Framing::Lines, &raw, out)?,
            Err(_) if is_events(&raw) => self.stream(Framing::Sse, &raw, out)?,
            Err(_) if self.fields.any() => return Err(not_json()),
            Err(_) => text(raw, out),
        }
        Ok(())
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

/// A byte order mark in UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a body is server-sent events and nothing else, whatever its content type. A text in which
/// some lines only look so is none: read line by line, a value of several lines would be missed.
fn is_events(raw: &Bytes) -> bool {
    let fields = [&b"data:"[..], b"event:", b"id:", b"retry:", b":"];
    let mut lines = raw.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty());
    lines.all(|line| fields.iter().any(|field| line.starts_with(field)))
}

/// Whether a body is JSON texts, one a line, whatever its content type.
fn is_lines(raw: &Bytes) -> bool {
    let mut lines = raw.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    lines.all(|line| line.starts_with(b"{") && lenient_json(line).is_ok())
}

/// A body that is no JSON. In UTF-16 and the like no pattern can be found, so it is not text here.
fn text(raw: Bytes, out: &mut Vec<Piece>) {
    if memchr::memchr(0, &raw).is_some() {
        out.extend(opaque("opaque.binary", raw));
        return;
    }
    let lane = Lane(0);
    out.push(Piece::Text { lane, encoding: Encoding::Plain, raw });
    out.push(Piece::End { lane, before: Bytes::new(), after: Bytes::new() });
}

/// The list without the models the caller may not use: entries of `data` and `models`, told by the
/// first of `id`, `model` and `name` they have. An entry without any is left out. None if there is no
/// list.
fn prune(raw: &Bytes, root: &Node<'_>, usable: &dyn Usable) -> Option<Bytes> {
    let mut out = BytesMut::with_capacity(raw.len());
    let mut at = 0;
    let copy = |to: usize, out: &mut BytesMut, from: usize| {
        out.extend_from_slice(raw.get(from..to).unwrap_or_default());
    };
    let lists = root.members().iter().filter(|member| matches!(&*member.key, "data" | "models"));
    let mut lists = lists.peekable();
    lists.peek()?;
    for list in lists {
        let items = list.node.items();
        let (Some(first), Some(last)) = (items.first(), items.last()) else { continue };
        let may = |item: &&Node<'_>| {
            let name = ["id", "model", "name"].iter().find_map(|key| item.get(key)).and_then(Node::text);
            name.is_some_and(|name| usable.may_use(name))
        };
        let kept: Vec<_> = items.iter().filter(may).collect();
        if kept.len() == items.len() {
            continue;
        }
        copy(first.span().start, &mut out, at);
        for (place, item) in kept.into_iter().enumerate() {
            if place > 0 {
                out.extend_from_slice(b",");
            }
            copy(item.span().end, &mut out, item.span().start);
        }
        at = last.span().end;
    }
    copy(raw.len(), &mut out, at);
    Some(out.freeze())
}
