//! Answers that are not JSON: text as it comes, bytes of a known class, and none at all.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use model::{Encoding, Lane, Layout, LayoutFault, Piece, Usable};

use super::body::{BYTE_ORDER_MARK, BodyLayout};
use super::opaque;
use crate::catalogue::AnswerShape;

/// How much white space is skipped in search of a text's first character.
const SNIFF: usize = 256;

/// Text of one lane, in any chunking. Text that begins like JSON or like server-sent events is held and
/// read as such, for its reader may do so whatever its content type: only there are escapes seen for
/// what they spell, and pieces of one text joined.
pub(crate) struct TextLayout {
    state: State,
    usable: Arc<dyn Usable>,
    limit: usize,
}

enum State {
    Begin(BytesMut),
    Json(Box<BodyLayout>),
    Text,
    /// It holds NUL: no text after all, from there on.
    Binary,
}

impl TextLayout {
    /// `limit` bounds what is held if the text turns out to be JSON.
    pub(crate) fn new(usable: Arc<dyn Usable>, limit: usize) -> Self {
        Self { state: State::Begin(BytesMut::new()), usable, limit }
    }

    fn text(&mut self, mut bytes: Bytes, out: &mut Vec<Piece>) {
        let nul = memchr::memchr(0, &bytes);
        let binary = nul.map(|nul| bytes.split_off(nul));
        if !bytes.is_empty() {
            out.push(Piece::Text { lane: Lane(0), encoding: Encoding::Plain, raw: bytes });
        }
        if let Some(binary) = binary {
            out.push(Piece::End { lane: Lane(0), before: Bytes::new(), after: Bytes::new() });
            out.extend(opaque("opaque.binary", binary));
            self.state = State::Binary;
        }
    }
}

impl Layout for TextLayout {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        match &mut self.state {
            State::Begin(held) => {
                held.extend_from_slice(&bytes);
                let all = held.clone().freeze();
                match looks(&all) {
                    Looks::Unclear if all.len() < SNIFF => {}
                    Looks::Structured => {
                        let shape = AnswerShape::Foreign;
                        let mut body = BodyLayout::new(shape, Arc::clone(&self.usable), false, self.limit);
                        body.push(all, out)?;
                        self.state = State::Json(Box::new(body));
                    }
                    _ => {
                        self.state = State::Text;
                        self.text(all, out);
                    }
                }
            }
            State::Json(body) => body.push(bytes, out)?,
            State::Text => self.text(bytes, out),
            State::Binary => out.extend(opaque("opaque.binary", bytes)),
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        if let State::Json(body) = &mut self.state {
            return body.finish(out);
        }
        if let State::Begin(held) = &mut self.state {
            let all = held.split().freeze();
            self.text(all, out);
        }
        out.push(Piece::End { lane: Lane(0), before: Bytes::new(), after: Bytes::new() });
        Ok(())
    }
}

enum Looks {
    /// More must arrive.
    Unclear,
    /// Like JSON or server-sent events.
    Structured,
    Plain,
}

fn looks(bytes: &[u8]) -> Looks {
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes).trim_ascii_start();
    let fields = [&b"data:"[..], b"event:", b"id:", b"retry:"];
    match text.first() {
        None => Looks::Unclear,
        Some(b'{' | b'[' | b'"' | b':') => Looks::Structured,
        _ if fields.iter().any(|field| text.starts_with(field)) => Looks::Structured,
        _ if fields.iter().any(|field| field.starts_with(text)) => Looks::Unclear,
        _ if BYTE_ORDER_MARK.starts_with(bytes) => Looks::Unclear,
        _ => Looks::Plain,
    }
}

/// Bytes whose class their content type tells, passed on as they come.
pub(crate) struct OpaqueLayout(pub(crate) &'static str);

impl Layout for OpaqueLayout {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        if !bytes.is_empty() {
            out.extend(opaque(self.0, bytes));
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        Ok(())
    }
}

/// An answer that has no body.
pub(crate) struct EmptyLayout;

impl Layout for EmptyLayout {
    fn push(&mut self, bytes: Bytes, _out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        if bytes.is_empty() {
            return Ok(());
        }
        Err(LayoutFault::Malformed("a body where there can be none".to_owned()))
    }

    fn finish(&mut self, _out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        Ok(())
    }
}

/// A stream the resource refuses.
pub(crate) struct RefusedLayout(pub(crate) String);

impl Layout for RefusedLayout {
    fn push(&mut self, _bytes: Bytes, _out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        Err(LayoutFault::Unknown(self.0.clone()))
    }

    fn finish(&mut self, _out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        Err(LayoutFault::Unknown(self.0.clone()))
    }
}
