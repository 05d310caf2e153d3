//! The bodies beside the leaves: read once, in order, as far as each leaf says that it covers them.

use std::collections::{BTreeMap, HashMap};

use model::ExchangeId;

use crate::audit::walk::{Step, Walk};
use crate::audit::{Flaw, Notes};
use crate::body::{Body, Direction};
use crate::digest::{Chain, sha256};
use crate::frame::Frame;
use crate::leaf::{Digest, Span};
use crate::recover::{exchange, mark};
use crate::segment::Position;

/// What the frames of one exchange come to so far.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) request: Chain,
    pub(super) response: Chain,
    /// The next number in its sequence is at least this.
    sequence: u64,
    /// The leaf that opened it.
    pub(super) leaf: Option<u64>,
    pub(super) parts: u64,
}

impl Heard {
    fn take(&mut self, body: &Body, payload: [u8; 32]) -> Result<(), &'static str> {
        if body.sequence < self.sequence {
            return Err("a frame comes out of its exchange's sequence");
        }
        self.sequence = body.sequence.saturating_add(1);
        let mark = mark(body, payload);
        let chain = match mark.direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
            Direction::Unspecified => return Err("a frame has no direction"),
        };
        chain.push(&mark.digest, mark.bytes);
        Ok(())
    }

    /// Whether the frames are those that a leaf states.
    pub(super) fn fits(&self, request: Option<&Digest>, response: Option<&Digest>) -> bool {
        let same =
            |stated: Option<&Digest>, chain: &Chain| stated.is_none_or(|d| Chain::from_message(d) == *chain);
        same(request, &self.request) && same(response, &self.response)
    }
}

/// The bodies of one retention class.
pub(super) struct Bodies {
    walk: Walk,
    node: [u8; 16],
    /// Segments that are not there, and whether a leaf says that they were dropped.
    missing: BTreeMap<u64, Option<u64>>,
    pub(super) frames: u64,
    /// The leaf that is looked at.
    leaf: u64,
}

impl Bodies {
    pub(super) fn new(walk: Walk, node: [u8; 16]) -> Self {
        Self { walk, node, missing: BTreeMap::new(), frames: 0, leaf: 0 }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.walk.bytes()
    }

    /// Reads on to the end of what leaf `leaf` covers.
    pub(super) fn reach(
        &mut self,
        span: &Span,
        leaf: u64,
        open: &mut HashMap<ExchangeId, Heard>,
        notes: &mut Notes,
    ) -> Result<(), Flaw> {
        self.leaf = leaf;
        let end = Position { segment: span.end_segment, offset: span.end_offset };
        while self.walk.position() < end {
            if self.walk.position().segment >= end.segment && self.missing.contains_key(&end.segment) {
                return Ok(());
            }
            let next = self.walk.position().segment.saturating_add(1);
            match self.walk.next()? {
                Step::Segment(header) if header.node != self.node => {
                    return Err(self
                        .walk
                        .flaw_at(self.walk.position(), "the segment is another node's")
                        .of(leaf));
                }
                Step::Segment(_) => {}
                Step::Frame(at, frame) => self.take(at, frame, open)?,
                Step::Remains(damage) => {
                    let at = self.walk.position();
                    if at.segment >= end.segment {
                        let problem = format!(
                            "{}, where a leaf says that frames go on to byte {}",
                            damage.fault, end.offset
                        );
                        return Err(self.walk.flaw_at(at, problem).of(leaf));
                    }
                    notes.remains(&damage);
                }
                Step::End if self.walk.has(next) => self.walk.look()?,
                Step::End if next <= end.segment => self.pass_missing(next, end.segment),
                Step::End => {
                    let problem = format!(
                        "the file ends here, where a leaf says that frames go on to byte {}",
                        end.offset
                    );
                    return Err(self.walk.flaw_at(self.walk.position(), problem).of(leaf));
                }
            }
        }
        Ok(())
    }

    /// Notes segments from `next` on that are not there, up to the first that is.
    fn pass_missing(&mut self, next: u64, end: u64) {
        let mut number = next;
        while number <= end && !self.walk.has(number) {
            self.missing.entry(number).or_insert(Some(self.leaf));
            number = number.saturating_add(1);
        }
        self.walk.skip_to(number);
    }

    fn take(
        &mut self,
        at: Position,
        frame: Frame,
        open: &mut HashMap<ExchangeId, Heard>,
    ) -> Result<(), Flaw> {
        self.frames = self.frames.saturating_add(1);
        let leaf = self.leaf;
        let flaw = |walk: &Walk, problem: &str| walk.flaw_at(at, problem).of(leaf);
        let digest = sha256(&frame.payload);
        let body = <Body as prost::Message>::decode(bytes::Bytes::from(frame.payload))
            .map_err(|_| flaw(&self.walk, "a frame does not hold the message it should"))?;
        let id = exchange(&body.exchange).ok_or_else(|| flaw(&self.walk, "a frame names no exchange"))?;
        open.entry(id).or_default().take(&body, digest).map_err(|problem| flaw(&self.walk, problem))
    }

    /// Reads what no leaf covers yet.
    pub(super) fn finish(
        &mut self,
        leaves: u64,
        open: &mut HashMap<ExchangeId, Heard>,
        notes: &mut Notes,
    ) -> Result<(), Flaw> {
        self.leaf = leaves;
        loop {
            match self.walk.next()? {
                Step::Segment(header) if header.node != self.node => {
                    return Err(self.walk.flaw_at(self.walk.position(), "the segment is another node's"));
                }
                Step::Segment(_) => {}
                Step::Frame(at, frame) => self.take(at, frame, open)?,
                Step::Remains(damage) => notes.remains(&damage),
                Step::End if self.walk.position().segment < self.walk.last() => {
                    let next = self.walk.position().segment.saturating_add(1);
                    self.pass_missing(next, self.walk.last());
                }
                Step::End => break,
            }
        }
        match self.missing.iter().find_map(|(number, leaf)| leaf.map(|leaf| (*number, leaf))) {
            Some((number, leaf)) => {
                let at = Position { segment: number, offset: 0 };
                Err(self
                    .walk
                    .flaw_at(at, "the segment is missing, and no leaf says that it was dropped")
                    .of(leaf))
            }
            None => Ok(()),
        }
    }

    /// A leaf says that this segment was dropped.
    pub(super) fn dropped(&mut self, segment: u64) {
        self.missing.insert(segment, None);
    }

    /// Whether a stretch was dropped, in part at least.
    pub(super) fn lacks(&self, span: &Span) -> bool {
        span.first_segment <= span.end_segment
            && self.missing.range(span.first_segment..=span.end_segment).next().is_some()
    }

    /// A flaw at the place where a leaf's frames end.
    pub(super) fn flaw(&self, span: &Span, problem: impl Into<String>) -> Flaw {
        self.walk.flaw_at(Position { segment: span.first_segment, offset: span.first_offset }, problem)
    }
}
