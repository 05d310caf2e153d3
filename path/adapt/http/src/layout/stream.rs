//! Streams of a known shape: each message is laid out as soon as it is whole.

use std::collections::HashMap;

use bytes::Bytes;
use model::{Encoding, Layout, LayoutFault, Piece, Usage};

use super::fields::Fields;
use super::form::{self, Form};
use super::framing::{ASIDE, Framing, Message, Splitter};
use super::lanes::{Closes, Lanes};
use super::marks::{self, Kind, Mark, Treat};
use crate::json::{Node, lenient_json};

/// Up to so many keys of an object are compared without sorting them.
const FEW: usize = 12;

/// What the messages of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Messages {
    /// Runs of a model's words.
    Words,
    /// Complete one by one.
    Complete,
}

/// Lays out a stream of server-sent events or JSON lines.
///
/// Text a lane holds back comes out before the message that ends it (`finish_reason`,
/// `content_block_stop`, `done`), inside that message where it has text of the lane itself, and never
/// after it.
#[derive(Debug)]
pub(crate) struct StreamLayout {
    framing: Framing,
    messages: Messages,
    splitter: Splitter,
    lanes: Lanes,
    fields: Fields,
    /// Texts that messages may repeat, as they were in the last one, and whether they do.
    so_far: HashMap<String, (String, Option<bool>)>,
    usage: Option<Usage>,
    /// Something came that clients leave out.
    aside: bool,
    /// No message has come yet.
    first: bool,
}

impl StreamLayout {
    /// `limit` bounds one message, in bytes.
    pub(crate) fn new(framing: Framing, messages: Messages, limit: usize) -> Self {
        Self {
            framing,
            messages,
            splitter: Splitter::new(framing, limit),
            lanes: Lanes::default(),
            fields: Fields::default(),
            so_far: HashMap::new(),
            usage: None,
            aside: false,
            first: true,
        }
    }

    /// The same, hiding these fields.
    pub(crate) fn hiding(self, fields: Fields) -> Self {
        Self { fields, ..self }
    }

    fn message(&mut self, raw: &Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        let message = Message::parse(self.framing, raw, std::mem::take(&mut self.first));
        let data = message.joined(raw);
        let mut marks = Vec::new();
        if data.trim_ascii() == b"[DONE]" {
            self.end_all(out);
        } else if !data.trim_ascii().is_empty() {
            marks = self.json(&data, out)?;
        }
        let marks = message.place(marks)?;
        self.aside |= marks.iter().any(|mark| matches!(mark.kind, Kind::Text { lane: ASIDE, .. }));
        marks::emit(raw, marks, out);
        Ok(())
    }

    fn json(&mut self, data: &[u8], out: &mut Vec<Piece>) -> Result<Vec<Mark>, LayoutFault> {
        let root = lenient_json(data).map_err(|fault| {
            LayoutFault::Malformed(format!("a message of the stream is not JSON, {fault}"))
        })?;
        if says_twice(&root) {
            // Clients keep one of the two texts, and join it to what came before.
            return Err(LayoutFault::Malformed("a key stands twice in a message of the stream".to_owned()));
        }
        form::read_usage(&root, &mut self.usage);
        let mut marks = Vec::new();
        let hidden = self.fields.marks(&root, true);
        if self.messages == Messages::Complete {
            marks::walk_around(&root, hidden, &mut |path, node| form::data(path, node), &mut marks);
            return Ok(marks);
        }
        let Some(form) = Form::of(&root) else {
            marks::walk_around(&root, hidden, &mut |path, node| form::words(path, node), &mut marks);
            // A text in a message of no known form could be one piece of a longer one.
            return if marks.is_empty() {
                Ok(marks)
            } else {
                Err(LayoutFault::Unknown("a message of no known form in a model's answer".to_owned()))
            };
        };
        marks::walk_around(&root, hidden, &mut |path, node| form.treat(&root, path, node), &mut marks);
        if form == Form::Sglang {
            self.repeated(&root, &mut marks, out)?;
        }
        for (lane, template) in self.lanes.settle(&mut marks, &form.closes(&root))? {
            let (before, after) = self.framing.message(template);
            out.push(Piece::End { lane, before, after });
        }
        Ok(marks)
    }

    /// A message that repeats the text of the one before it, and adds to it, is masked by itself: of what
    /// could still become a value, nothing goes out before the message that settles it.
    fn repeated(
        &mut self,
        root: &Node<'_>,
        marks: &mut [Mark],
        out: &mut Vec<Piece>,
    ) -> Result<(), LayoutFault> {
        let key = form::sglang::key(root);
        let text = root.get("text").and_then(Node::text).unwrap_or_default();
        let (before, repeats) = self.so_far.entry(key.clone()).or_default();
        let again = form::sglang::repeats(root, before);
        match repeats {
            None if before.is_empty() => {}
            None => {
                *repeats = Some(again);
                if again {
                    out.extend(self.lanes.forget(&key).map(|lane| Piece::Forget { lane }));
                }
            }
            Some(true) if !text.starts_with(before.as_str()) => {
                return Err(LayoutFault::Malformed("a text does not repeat what came before it".to_owned()));
            }
            Some(_) => {}
        }
        if *repeats == Some(true) {
            let last = form::sglang::closes(root) != Closes::Nothing;
            for mark in
                marks.iter_mut().filter(|mark| matches!(&mark.kind, Kind::Use(lane) if lane.key == key))
            {
                mark.kind = if last { Kind::Whole(Encoding::JsonString) } else { Kind::SoFar };
            }
        }
        if *repeats != Some(false) {
            text.clone_into(before);
        }
        Ok(())
    }

    /// Ends every open lane, each with a message of its own.
    fn end_all(&mut self, out: &mut Vec<Piece>) {
        for (lane, template) in self.lanes.close(&Closes::All) {
            let (before, after) = template.map_or_else(Default::default, |t| self.framing.message(t));
            out.push(Piece::End { lane, before, after });
        }
    }
}

impl Layout for StreamLayout {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        self.splitter.push(&bytes);
        while let Some(message) = self.splitter.next()? {
            self.message(&message, out)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        let rest = self.splitter.rest();
        if !rest.is_empty() {
            // What broke off inside a message is no JSON, and cuts the answer.
            self.message(&rest, out)?;
        }
        if !rest.trim_ascii().is_empty() && self.lanes.any_open() {
            out.push(Piece::Syntax(Bytes::from_static(self.framing.terminator().as_bytes())));
        }
        self.end_all(out);
        if self.aside {
            out.push(Piece::Forget { lane: ASIDE });
        }
        Ok(())
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

/// Whether some object has a key twice.
fn says_twice(node: &Node<'_>) -> bool {
    let members = node.members();
    let twice = if members.len() <= FEW {
        (1..).zip(members).any(|(next, one)| members.iter().skip(next).any(|other| other.key == one.key))
    } else {
        let mut keys: Vec<&str> = members.iter().map(|member| &*member.key).collect();
        keys.sort_unstable();
        keys.windows(2).any(|pair| pair.first() == pair.last())
    };
    twice || members.iter().any(|member| says_twice(&member.node)) || node.items().iter().any(says_twice)
}

/// What becomes of a value when every string of a stream may continue the one at the same place.
pub(super) fn by_place(path: &[marks::Step<'_>], node: &crate::json::Node<'_>) -> Treat {
    let is_kind = matches!(path.last(), Some(marks::Step::Key(key)) if form::is_kind(key));
    if is_kind || node.text().is_none() {
        return Treat::Whole;
    }
    Treat::Lane(marks::LaneUse { key: format!("{path:?}"), group: String::new(), template: None })
}
