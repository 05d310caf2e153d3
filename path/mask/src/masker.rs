//! Turns an answer, laid out in pieces, into bytes that may leave.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode};
use model::{
    AnswerHead, DataClass, Encoding, ExchangeId, Findings, Lane, Layout, LayoutFault, Piece, Reveal,
    Unmasked, Usage,
};

use crate::lane::{Bench, Judge, LaneText};
use crate::mark::{End, placeholder};
use crate::rules::Rules;

/// How many lanes of one answer may be open at once.
const MOST_LANES: usize = 4096;

/// How many ended lanes' buffers are kept for the next.
const SPARE_LANES: usize = 8;

/// There is room for so many bytes of output before any is asked for. Where a push gives a few bytes, there is so for
/// many pushes.
const ROOM: usize = 512;

/// A part of an answer with nothing in it that its caller may not see. Only this crate makes one, and it
/// can't be copied: it goes to the record, once.
#[derive(Debug)]
pub struct Masked {
    exchange: ExchangeId,
    part: Part,
}

impl Masked {
    /// The exchange it belongs to.
    pub fn exchange(&self) -> ExchangeId {
        self.exchange
    }

    /// What it holds.
    pub fn part(&self) -> &Part {
        &self.part
    }

    /// What it holds, to take.
    pub fn into_part(self) -> Part {
        self.part
    }
}

/// What a [`Masked`] holds.
#[derive(Debug)]
pub enum Part {
    /// The answer's head.
    Head {
        /// Its status.
        status: StatusCode,
        /// Its headers.
        headers: HeaderMap,
    },
    /// The next bytes of the body; none when all that came is held.
    Body {
        /// The bytes.
        bytes: Bytes,
        /// Which of them are revealed values of an opaque class, in order, apart from each other.
        opaque: Vec<Opaque>,
    },
    /// The answer's trailers.
    Trailers(HeaderMap),
}

/// A value that nothing looked into, such as an image, because the caller may see its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque {
    /// Where it lies in the part's bytes.
    pub range: Range<usize>,
    /// Its class.
    pub class: DataClass,
}

/// Masks one answer. Its output does not depend on how the answer was cut into pushes, except for where
/// the output is cut.
pub struct Masker {
    exchange: ExchangeId,
    rules: Arc<Rules>,
    viewer: Arc<dyn Reveal>,
    layout: Box<dyn Layout>,
    judge: Judge,
    lanes: BTreeMap<Lane, LaneText>,
    spare: Vec<LaneText>,
    pieces: Vec<Piece>,
    out: BytesMut,
    opaque: Vec<Opaque>,
    fault: Option<LayoutFault>,
}

impl Masker {
    /// Begins an answer: what `viewer` may not see is masked, in the texts that `layout` finds.
    pub fn begin(
        exchange: ExchangeId,
        rules: Arc<Rules>,
        viewer: Arc<dyn Reveal>,
        layout: Box<dyn Layout>,
    ) -> Self {
        Self {
            exchange,
            rules,
            viewer,
            layout,
            judge: Judge::default(),
            lanes: BTreeMap::new(),
            spare: Vec::new(),
            pieces: Vec::new(),
            out: BytesMut::with_capacity(ROOM),
            opaque: Vec::new(),
            fault: None,
        }
    }

    /// Masks the head. Every header's value is a text of its own; bytes beyond ASCII are looked past.
    pub fn head(&mut self, head: &AnswerHead) -> Masked {
        let headers = self.headers(&head.headers);
        self.masked(Part::Head { status: head.status, headers })
    }

    /// Masks the next bytes of the body, and gives all that is certain now.
    ///
    /// # Errors
    /// [`LayoutFault`] when the answer can't be judged. It must be cut: every later call fails too.
    pub fn push(&mut self, bytes: Unmasked) -> Result<Masked, LayoutFault> {
        if bytes.exchange != self.exchange {
            return Err(self.fail(LayoutFault::Malformed("bytes of another exchange".to_owned())));
        }
        self.body(|layout, pieces| layout.push(bytes.bytes, pieces))
    }

    /// The body ended: gives what was held.
    ///
    /// # Errors
    /// [`LayoutFault`] as [`Masker::push`], and when the answer ended where it must not.
    pub fn finish(&mut self) -> Result<Masked, LayoutFault> {
        let masked = self.body(|layout, pieces| layout.finish(pieces))?;
        if self.lanes.values().any(LaneText::holds) {
            return Err(self.fail(LayoutFault::Malformed("a text of it never ended".to_owned())));
        }
        Ok(masked)
    }

    /// Masks the trailers, as the head's headers.
    pub fn trailers(&mut self, trailers: &HeaderMap) -> Masked {
        let trailers = self.headers(trailers);
        self.masked(Part::Trailers(trailers))
    }

    /// What was found so far.
    pub fn findings(&self) -> &Findings {
        &self.judge.findings
    }

    /// Tokens the answer says it used, as far as read.
    pub fn usage(&self) -> Option<Usage> {
        self.layout.usage()
    }

    /// How many bytes of decoded text all lanes hold; each at most [`Rules::max_hold`].
    pub fn held(&self) -> usize {
        self.lanes.values().map(LaneText::held).sum()
    }

    fn masked(&self, part: Part) -> Masked {
        Masked { exchange: self.exchange, part }
    }

    fn fail(&mut self, fault: LayoutFault) -> LayoutFault {
        self.fault.get_or_insert(fault).clone()
    }

    fn body(
        &mut self,
        read: impl FnOnce(&mut dyn Layout, &mut Vec<Piece>) -> Result<(), LayoutFault>,
    ) -> Result<Masked, LayoutFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let mut pieces = std::mem::take(&mut self.pieces);
        let result = read(&mut *self.layout, &mut pieces)
            .and_then(|()| pieces.iter().try_for_each(|piece| self.piece(piece)));
        pieces.clear();
        self.pieces = pieces;
        if let Err(fault) = result {
            return Err(self.fail(fault));
        }
        let opaque = std::mem::take(&mut self.opaque);
        let bytes = if self.out.is_empty() { Bytes::new() } else { self.out.split().freeze() };
        Ok(self.masked(Part::Body { bytes, opaque }))
    }

    /// Takes a piece where it lies: to move it first takes longer than all else that is done with a short one.
    fn piece(&mut self, piece: &Piece) -> Result<(), LayoutFault> {
        match piece {
            Piece::Syntax(bytes) => self.out.extend_from_slice(bytes),
            Piece::Text { encoding: Encoding::JsonNumber, raw, .. } => self.whole(Encoding::JsonNumber, raw),
            Piece::Text { lane, encoding, raw } => self.text(*lane, *encoding, raw)?,
            Piece::End { lane, before, after } => {
                if let Some(text) = self.lanes.remove(lane) {
                    self.end(text, before, after);
                }
            }
            Piece::Whole { encoding, raw } => self.whole(*encoding, raw),
            Piece::Classed { class, encoding, raw } => self.classed(class, *encoding, raw),
            Piece::SoFar { encoding, raw } => self.so_far(*encoding, raw),
            Piece::Forget { lane } => {
                if let Some(text) = self.lanes.remove(lane) {
                    self.keep(text);
                }
            }
            Piece::Dropped { class, raw: _ } => self.judge.count(class, true),
        }
        Ok(())
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut Bench<'_>) -> T) -> T {
        work(&mut Bench {
            rules: &self.rules,
            reveal: &*self.viewer,
            judge: &mut self.judge,
            out: &mut self.out,
        })
    }

    fn text(&mut self, lane: Lane, encoding: Encoding, raw: &[u8]) -> Result<(), LayoutFault> {
        let open = self.lanes.len();
        let text = match self.lanes.entry(lane) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if open >= MOST_LANES => {
                return Err(LayoutFault::Malformed(format!("more than {MOST_LANES} texts are open at once")));
            }
            Entry::Vacant(new) => new.insert(self.spare.pop().unwrap_or_default()),
        };
        let bench = &mut Bench {
            rules: &self.rules,
            reveal: &*self.viewer,
            judge: &mut self.judge,
            out: &mut self.out,
        };
        match encoding {
            Encoding::JsonString => text.json(raw, false, bench),
            Encoding::Plain | Encoding::JsonNumber | Encoding::JsonValue => text.plain(raw, false, bench),
        }
        Ok(())
    }

    fn keep(&mut self, mut text: LaneText) {
        if self.spare.len() < SPARE_LANES {
            text.reset();
            self.spare.push(text);
        }
    }

    /// Ends a lane: what it held goes out between `before` and `after`, or nothing does.
    fn end(&mut self, mut text: LaneText, before: &[u8], after: &[u8]) {
        let start = self.out.len();
        self.out.extend_from_slice(before);
        let held = self.out.len();
        self.with(|bench| text.end(bench));
        if self.out.len() > held {
            self.out.extend_from_slice(after);
        } else {
            self.out.truncate(start);
        }
        self.keep(text);
    }

    fn whole(&mut self, encoding: Encoding, raw: &[u8]) {
        let mut text = self.spare.pop().unwrap_or_default();
        let (start, masks) = (self.out.len(), self.judge.masks);
        self.with(|bench| match encoding {
            Encoding::JsonString => text.json(raw, true, bench),
            Encoding::Plain | Encoding::JsonNumber | Encoding::JsonValue => text.plain(raw, true, bench),
        });
        if encoding == Encoding::JsonNumber && self.judge.masks > masks {
            let value = self.out.split_off(start);
            self.quoted(&value);
        }
        self.keep(text);
    }

    /// What is certain of a text that is repeated longer. It is counted when it is repeated last.
    fn so_far(&mut self, encoding: Encoding, raw: &[u8]) {
        let mut text = self.spare.pop().unwrap_or_default();
        let (findings, masks) = (self.judge.findings.clone(), self.judge.masks);
        self.with(|bench| match encoding {
            Encoding::JsonString => text.json(raw, false, bench),
            Encoding::Plain | Encoding::JsonNumber | Encoding::JsonValue => text.plain(raw, false, bench),
        });
        (self.judge.findings, self.judge.masks) = (findings, masks);
        self.keep(text);
    }

    fn classed(&mut self, class: &DataClass, encoding: Encoding, raw: &[u8]) {
        let reveals = self.judge.reveals(&self.rules, &*self.viewer, class);
        self.judge.count(class, !reveals);
        if reveals {
            let start = self.out.len();
            self.out.extend_from_slice(raw);
            if class.as_str() == "opaque" || class.as_str().starts_with("opaque.") {
                self.opaque.push(Opaque { range: start..self.out.len(), class: class.clone() });
            }
            return;
        }
        let mut instead = BytesMut::new();
        placeholder(class, End::default(), &mut instead);
        match encoding {
            Encoding::JsonNumber => self.quoted(&instead),
            Encoding::JsonValue => self.out.extend_from_slice(b"null"),
            Encoding::JsonString | Encoding::Plain => self.out.extend_from_slice(&instead),
        }
    }

    fn quoted(&mut self, value: &[u8]) {
        self.out.extend_from_slice(b"\"");
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\"");
    }

    fn headers(&mut self, from: &HeaderMap) -> HeaderMap {
        let mut to = HeaderMap::with_capacity(from.len());
        for (name, value) in from {
            let Some(field) = self.layout.header(name) else {
                to.append(name, self.header(value));
                continue;
            };
            self.judge.count(&field.class, true);
            if !field.dropped {
                let mut instead = BytesMut::new();
                placeholder(&field.class, End::default(), &mut instead);
                let masked = HeaderValue::from_bytes(&instead);
                to.append(name, masked.unwrap_or_else(|_| HeaderValue::from_static("[masked]")));
            }
        }
        self.split_over(from, &mut to);
        to
    }

    /// A header that stands several times is one list to some readers: a value split over it is masked too.
    fn split_over(&mut self, from: &HeaderMap, to: &mut HeaderMap) {
        for name in from.keys() {
            let values: Vec<&HeaderValue> = to.get_all(name).iter().collect();
            let before = self.judge.masks;
            if values.len() < 2 {
                continue;
            }
            let joined: Vec<u8> = values.iter().flat_map(|value| value.as_bytes()).copied().collect();
            let body = std::mem::take(&mut self.out);
            self.whole(Encoding::Plain, &joined);
            let bytes = std::mem::replace(&mut self.out, body);
            if self.judge.masks > before {
                let masked = HeaderValue::from_bytes(&bytes);
                to.insert(name, masked.unwrap_or_else(|_| HeaderValue::from_static("[masked]")));
            }
        }
    }

    /// One header's value. Left untouched when nothing in it is masked.
    fn header(&mut self, value: &HeaderValue) -> HeaderValue {
        let masks = self.judge.masks;
        let body = std::mem::take(&mut self.out);
        self.whole(Encoding::Plain, value.as_bytes());
        let bytes = std::mem::replace(&mut self.out, body);
        if self.judge.masks == masks {
            return value.clone();
        }
        let mut masked =
            HeaderValue::from_bytes(&bytes).unwrap_or_else(|_| HeaderValue::from_static("[masked]"));
        masked.set_sensitive(value.is_sensitive());
        masked
    }
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Masker({}, {} lanes)", self.exchange, self.lanes.len())
    }
}
