//! Walks over a series as an auditor does: strictly, and with the place of whatever is wrong.

use std::path::{Path, PathBuf};

use crate::audit::Flaw;
use crate::frame::{Damage, Fault, Frame, FrameReader};
use crate::pack::Content;
use crate::segment::{Family, Header, Position, Series};

/// What a walk comes by.
pub(super) enum Step {
    /// A segment begins.
    Segment(Header),
    /// A frame.
    Frame(Position, Frame),
    /// The end of a segment that a write left in pieces: in the last one it may still be under way.
    Remains(Damage),
    /// Nothing more.
    End,
}

/// A walk over the segments of one series.
pub(super) struct Walk {
    ledger: PathBuf,
    series: Series,
    segment: u64,
    last: u64,
    current: Option<FrameReader<Content>>,
    /// Bytes of the segments left behind.
    behind: u64,
}

impl Walk {
    /// Begins before segment `first`. Ends behind the last one there is now.
    pub(super) fn new(ledger: &Path, series: Series, first: u64) -> Result<Self, Flaw> {
        let ledger = ledger.to_owned();
        let mut walk =
            Self { ledger, series, segment: first.saturating_sub(1), last: 0, current: None, behind: 0 };
        walk.look()?;
        Ok(walk)
    }

    /// Looks how far the series goes.
    pub(super) fn look(&mut self) -> Result<(), Flaw> {
        let numbers = self.series.numbers().map_err(|error| {
            self.flaw(&self.series.dir, 0, format!("the folder cannot be listed: {error}"))
        })?;
        self.last = numbers.last().copied().unwrap_or(0);
        Ok(())
    }

    /// Where the next frame begins.
    pub(super) fn position(&self) -> Position {
        let offset = self.current.as_ref().map_or(0, FrameReader::offset);
        Position { segment: self.segment, offset }
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.behind.saturating_add(self.position().offset)
    }

    /// Whether segment `number` is there.
    pub(super) fn has(&self, number: u64) -> bool {
        self.series.stored_path(number).exists()
    }

    /// The header of segment `number`, if it is there and good.
    pub(super) fn peek(&self, number: u64) -> Option<Header> {
        self.series.header(number).ok()
    }

    /// Leaves out everything before segment `number`.
    pub(super) fn skip_to(&mut self, number: u64) {
        self.behind = self.bytes();
        self.current = None;
        self.segment = number.saturating_sub(1);
    }

    pub(super) fn flaw(&self, file: &Path, offset: u64, problem: impl Into<String>) -> Flaw {
        Flaw::at(&self.ledger, file, offset, problem)
    }

    /// A flaw of the segment walked on.
    pub(super) fn flaw_at(&self, at: Position, problem: impl Into<String>) -> Flaw {
        self.flaw(&self.series.stored_path(at.segment), at.offset, problem)
    }

    fn damage(&self, damage: &Damage) -> Flaw {
        self.flaw(&damage.file, damage.offset, damage.fault.to_string())
    }

    /// The next step; the first flaw ends the walk.
    pub(super) fn next(&mut self) -> Result<Step, Flaw> {
        let Some(frames) = &mut self.current else { return self.begin() };
        match frames.next() {
            Ok(Some(frame)) => {
                Ok(Step::Frame(Position { segment: self.segment, offset: frame.offset }, frame))
            }
            Ok(None) => {
                self.behind = self.bytes();
                self.current = None;
                self.begin()
            }
            Err(damage) if matches!(damage.fault, Fault::Short | Fault::Zeros) => Ok(Step::Remains(damage)),
            Err(damage) => Err(self.damage(&damage)),
        }
    }

    /// The next segment. At the end the walk stays where it is: another segment may come.
    fn begin(&mut self) -> Result<Step, Flaw> {
        let number = self.segment.saturating_add(1);
        if number > self.last {
            return Ok(Step::End);
        }
        let (header, frames) = match self.series.open(number, 0) {
            Ok(opened) => opened,
            // A segment that is being begun is shorter than its header.
            Err(damage) if damage.fault == Fault::Short && number == self.last => {
                self.segment = number;
                self.current = None;
                return Ok(Step::Remains(damage));
            }
            // Body segments are dropped when their time has come; whoever walks asks whether this was one.
            Err(damage) if damage.fault == Fault::Missing && self.series.family == Family::Bodies => {
                return Ok(Step::End);
            }
            Err(damage) => return Err(self.damage(&damage)),
        };
        self.segment = number;
        self.current = Some(frames);
        Ok(Step::Segment(header))
    }

    /// The last segment there was when it was looked last.
    pub(super) fn last(&self) -> u64 {
        self.last
    }
}
