//! Streams of unknown shape: held whole, because only at the end is it known which text was the last of
//! its kind.
//!
//! Every string is taken to continue the one at the same place of the message before, which masks too
//! much rather than too little: a value cut over many messages is found whichever field carries it.

use std::collections::HashMap;

use bytes::Bytes;
use model::{Encoding, Lane, Layout, LayoutFault, Piece};

use super::fields::{Fields, not_json};
use super::framing::{Framing, Message, Splitter};
use super::kept::Kept;
use super::lanes::{Closes, Lanes};
use super::marks::{self, Kind, LaneUse, Mark};
use super::stream::by_place;
use crate::json::lenient_json;

/// Holds a stream and lays it out at its end.
#[derive(Debug)]
pub(crate) struct HeldStream {
    framing: Framing,
    fields: Fields,
    held: Kept,
}

impl HeldStream {
    /// `limit` bounds the whole stream, in bytes.
    pub(crate) fn new(framing: Framing, limit: usize) -> Self {
        Self { framing, fields: Fields::default(), held: Kept::within(limit) }
    }

    /// The same, hiding these fields.
    pub(crate) fn hiding(self, fields: Fields) -> Self {
        Self { fields, ..self }
    }

    fn marks(&mut self, message: &Message, raw: &Bytes) -> Result<Vec<Mark>, LayoutFault> {
        let data = message.joined(raw);
        let mut marks = Vec::new();
        match lenient_json(&data) {
            Ok(root) => {
                let hidden = self.fields.marks(&root, true);
                marks::walk_around(&root, hidden, &mut |path, node| by_place(path, node), &mut marks);
            }
            Err(_) if self.fields.any() && !data.trim_ascii().is_empty() && data != "[DONE]" => {
                return Err(not_json());
            }
            Err(_) => {
                // Lines of plain data continue each other.
                let mut at = 0;
                for line in &message.data {
                    let lane = LaneUse { key: "data".to_owned(), group: String::new(), template: None };
                    marks.push(Mark { range: at..at + line.len(), kind: Kind::Use(lane) });
                    at += line.len() + 1;
                }
            }
        }
        Ok(marks)
    }
}

impl Layout for HeldStream {
    fn push(&mut self, bytes: Bytes, _out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        self.held.push(&bytes)
    }

    fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        let mut splitter = Splitter::new(self.framing, usize::MAX);
        splitter.push(&self.held.take());
        let (mut lanes, mut last) = (Lanes::default(), HashMap::<Lane, usize>::new());
        let mut first = true;
        loop {
            let next = splitter.next()?;
            let is_last = next.is_none();
            let raw = next.unwrap_or_else(|| splitter.rest());
            let message = Message::parse(self.framing, &raw, std::mem::take(&mut first));
            let mut marks = self.marks(&message, &raw)?;
            let is_json = lenient_json(&message.joined(&raw)).is_ok();
            lanes.settle(&mut marks, &Closes::Nothing)?;
            let begin = out.len();
            marks::emit(&raw, message.place(marks)?, out);
            for (at, piece) in out.iter_mut().enumerate().skip(begin) {
                if let Piece::Text { lane, encoding, .. } = piece {
                    if !is_json {
                        *encoding = Encoding::Plain;
                    }
                    last.insert(*lane, at);
                }
            }
            if is_last {
                break;
            }
        }
        end_at(last, out);
        Ok(())
    }
}

/// Ends each lane right after its last text.
fn end_at(last: HashMap<Lane, usize>, out: &mut Vec<Piece>) {
    let ends: HashMap<usize, Lane> = last.into_iter().map(|(lane, at)| (at, lane)).collect();
    let pieces = std::mem::take(out);
    for (at, piece) in pieces.into_iter().enumerate() {
        out.push(piece);
        if let Some(lane) = ends.get(&at) {
            out.push(Piece::End { lane: *lane, before: Bytes::new(), after: Bytes::new() });
        }
    }
}
