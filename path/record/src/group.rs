//! A group of work, written at once: body frames first, then the leaves that cover them, and only then
//! is the table of open exchanges changed. A group that fails leaves no trace.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::time::Duration;

use model::ExchangeId;
use prost::Message;

use crate::LedgerError;
use crate::describe::nanoseconds;
use crate::frame::{self, MAX_PAYLOAD};
use crate::leaf::{Leaf, Span, What};
use crate::segment::Position;
use crate::shelves::Shelves;
use crate::table::Entry;
use crate::tree::{Hash, leaf_hash};
use crate::work::{Frames, Job, Work};
use crate::writer::Writer;

/// The span of a leaf, as a field of its own: appended to a leaf encoded elsewhere, it is part of it.
#[derive(Clone, PartialEq, Message)]
struct OnlySpan {
    #[prost(message, optional, tag = "2")]
    bodies: Option<Span>,
}

/// What a group would write, and what it would change.
#[derive(Default)]
pub(crate) struct Stage {
    /// For each retention class, where its frames will begin, and the frames.
    bodies: Vec<(Position, Vec<u8>)>,
    leaves: Vec<u8>,
    /// Leaves that say what may be dropped.
    rules: Vec<What>,
    hashes: Vec<Hash>,
    changed: HashMap<ExchangeId, Option<Entry>>,
    at: Duration,
    time: i64,
}

impl Stage {
    /// Stands where `shelves` end, at a time by both clocks.
    fn begin(&mut self, shelves: &Shelves, at: Duration, time: i64) {
        self.bodies.resize_with(shelves.count(), Default::default);
        for ((base, _), end) in self.bodies.iter_mut().zip(shelves.ends()) {
            *base = end;
        }
        (self.at, self.time) = (at, time);
    }

    /// Forgets everything but some of the memory that it took.
    fn clear(&mut self) {
        for bytes in self.bodies.iter_mut().map(|(_, bytes)| bytes).chain([&mut self.leaves]) {
            bytes.clear();
            bytes.shrink_to(KEPT);
        }
        self.rules.clear();
        self.hashes.clear();
        self.changed.clear();
    }

    fn end(&self, shelf: usize) -> Position {
        let Some((base, bytes)) = self.bodies.get(shelf) else { return Position::default() };
        Position { segment: base.segment, offset: base.offset.saturating_add(as_u64(bytes.len())) }
    }

    fn put(&mut self, shelf: usize, framed: &[u8]) {
        if let Some((_, bytes)) = self.bodies.get_mut(shelf) {
            bytes.extend_from_slice(framed);
        }
    }

    fn leaf(&mut self, bodies: Option<Span>, what: What) -> Result<(), LedgerError> {
        let leaf = Leaf { time: self.time, bodies, what: Some(what) };
        fits(leaf.encoded_len())?;
        let range = frame::put(&mut self.leaves, &leaf);
        self.hash(range);
        Ok(())
    }

    /// Takes a leaf into the tree, as it lies in `range` of the leaves.
    fn hash(&mut self, range: Range<usize>) {
        self.hashes.push(leaf_hash(self.leaves.get(range).unwrap_or_default()));
    }

    /// Adds `frames` to the bodies and to the chains of `entry`.
    fn bodies(&mut self, shelf: usize, frames: &Frames, entry: &mut Entry, at: Duration) {
        self.put(shelf, &frames.framed);
        for mark in &frames.marks {
            entry.take(mark, Some(at));
        }
    }
}

/// Whether a leaf of `bytes` can be stored.
pub(crate) fn fits(bytes: usize) -> Result<(), LedgerError> {
    if bytes > MAX_PAYLOAD { Err(LedgerError::TooLarge { bytes, limit: MAX_PAYLOAD }) } else { Ok(()) }
}

impl Writer {
    /// Stages one job. An error concerns that job alone, and it is not staged.
    fn stage(&self, job: &Job, stage: &mut Stage) -> Result<(), LedgerError> {
        let Some(exchange) = job.exchange else {
            return match &job.work {
                Work::Leaf(leaf) => leaf.what.clone().map_or(Ok(()), |what| {
                    self.may_say(&what)?;
                    if matches!(what, What::Retention(_) | What::Hold(_)) {
                        stage.rules.push(what.clone());
                    }
                    stage.leaf(None, what)
                }),
                _ => Ok(()),
            };
        };
        let known = match stage.changed.get(&exchange) {
            Some(changed) => changed.clone(),
            None => self.table.get(&exchange).cloned(),
        };
        match &job.work {
            Work::Open { leaf, bodies, entry } => {
                fits(leaf.len().saturating_add(128))?;
                let mut entry = Entry::clone(entry);
                let shelf = self.bodies.find(entry.class.as_deref());
                entry.first = stage.end(shelf);
                stage.put(shelf, &bodies.framed);
                let span = OnlySpan { bodies: Some(entry.span(stage.end(shelf))) };
                let range = frame::put_with(&mut stage.leaves, |out| {
                    out.extend_from_slice(leaf);
                    span.encode_raw(out);
                });
                stage.hash(range);
                stage.changed.insert(exchange, Some(entry));
            }
            Work::Append { bodies, part, at } => {
                let mut entry = known.ok_or(LedgerError::Sealed)?;
                let shelf = self.bodies.find(entry.class.as_deref());
                stage.bodies(shelf, bodies, &mut entry, *at);
                if *part {
                    entry.parts = entry.parts.saturating_add(1);
                    stage.leaf(Some(entry.span(stage.end(shelf))), What::Part(entry.part(exchange)))?;
                }
                stage.changed.insert(exchange, Some(entry));
            }
            Work::Seal => {
                // Sealed already, by a sweep that came first: with the same words.
                let Some(entry) = known else { return Ok(()) };
                let at = entry.live.is_some().then_some(stage.at);
                let span = entry.span(stage.end(self.bodies.find(entry.class.as_deref())));
                stage.leaf(Some(span), What::Sealed(entry.seal(exchange, at)))?;
                stage.changed.insert(exchange, None);
            }
            Work::Refuse { refused, .. } => stage.leaf(None, What::Refused(Box::as_ref(refused).clone()))?,
            Work::Leaf(_) | Work::Vanished | Work::Close => {}
        }
        Ok(())
    }

    /// Writes those of `jobs` that have no verdict yet, all or none. Fills in the verdict of a job that
    /// cannot be written at all.
    pub(crate) fn attempt(
        &mut self,
        jobs: &[Job],
        verdicts: &mut [Option<Result<(), LedgerError>>],
    ) -> io::Result<()> {
        let open = |verdict: &Option<_>| verdict.is_none();
        let leaf_bytes =
            self.want(jobs.iter().zip(verdicts.iter()).filter(|(_, v)| open(v)).map(|(job, _)| job));
        let created = nanoseconds(self.clock.now());
        let limit = self.settings.segment_bytes;
        let disk = self.disk.clone();
        self.status.begin_write(self.clock.elapsed());
        let bodies = self.bodies.make_room(&*disk, created);
        let leaves = bodies.and_then(|begun| {
            let leaves = self.leaves.make_room(&*disk, leaf_bytes, limit, created, self.tree.size())?;
            Ok(begun | leaves)
        });
        self.status.end_write();
        let rotated = leaves?;
        let mut stage = std::mem::take(&mut self.stage);
        stage.begin(&self.bodies, self.clock.elapsed(), created);
        for (job, verdict) in jobs.iter().zip(verdicts.iter_mut()).filter(|(_, v)| open(v)) {
            if let Err(error) = self.stage(job, &mut stage) {
                *verdict = Some(Err(error));
            }
        }
        let outcome = self.write(&stage);
        if outcome.is_ok() {
            self.settle(&mut stage, rotated);
        }
        stage.clear();
        self.stage = stage;
        outcome
    }

    /// Bodies first: a leaf never stands without the frames it covers.
    fn write(&mut self, stage: &Stage) -> io::Result<()> {
        let disk = self.disk.clone();
        self.status.begin_write(self.clock.elapsed());
        let outcome = self.bodies.append(&*disk, &stage.bodies).and_then(|()| {
            let leaves = self.leaves.append(&*disk, &stage.leaves);
            if leaves.is_err() {
                self.bodies.take_back(&*disk, &stage.bodies);
            }
            leaves
        });
        self.status.end_write();
        outcome
    }

    fn settle(&mut self, stage: &mut Stage, rotated: bool) {
        for (exchange, entry) in stage.changed.drain() {
            match entry {
                Some(entry) => self.table.insert(exchange, entry),
                None => self.table.remove(&exchange),
            };
        }
        let count = as_u64(stage.hashes.len());
        stage.hashes.drain(..).for_each(|leaf| self.tree.push(leaf));
        let bodies = stage.bodies.iter().map(|(_, bytes)| as_u64(bytes.len())).sum::<u64>();
        let bytes = bodies.saturating_add(as_u64(stage.leaves.len()));
        self.stand(&stage.rules);
        self.unmarked = self.unmarked.saturating_add(bytes);
        metrics::counter!("portcullis_ledger_bytes_total").increment(bytes);
        metrics::counter!("portcullis_ledger_leaves_total").increment(count);
        self.publish(count > 0);
        if rotated || self.unmarked >= BOOKMARK {
            self.mark();
        }
    }
}

/// Bytes between two bookmarks: about what a start has to read.
const BOOKMARK: u64 = 64 << 20;

/// The memory a buffer may keep between groups.
const KEPT: usize = 8 << 20;

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
