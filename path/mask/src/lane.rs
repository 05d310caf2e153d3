//! One lane: a text, as it is written in an answer's bytes, on its way through the scanners.
//!
//! Text inside JSON is decoded before it is scanned. Of every escape the lane keeps how it was written,
//! so that whatever is not masked leaves exactly as it came.
//!
//! The text is looked at in up to three ways: as it is; with the escapes inside it resolved, once it has
//! any; and what its base64 decodes to. What any of them finds is masked, and a byte leaves as soon as
//! all of them have decided about it. Each of them decides the same however the text is cut, and so do
//! all together.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::BytesMut;
use model::{DataClass, Findings, Reveal};

use crate::base64::Runs;
use crate::cover::{Covers, Found, Same, Step};
use crate::escapes::{self, Next};
use crate::few::Lane;
use crate::map::Map;
use crate::mark::{End, placeholder};
use crate::near::Stretch;
use crate::quoted::{Escape, Writer};
use crate::rules::Rules;
use crate::scan::Scanner;

/// What policy says of each class that was found, asked once, and what was found.
#[derive(Default)]
pub(crate) struct Judge {
    /// By class of the rules.
    answers: Vec<Option<bool>>,
    /// Of classes that no rule finds.
    others: Vec<(DataClass, bool)>,
    pub(crate) findings: Findings,
    /// How many values were masked.
    pub(crate) masks: u64,
    /// Whether every value is marked by its class alone, whatever the rules say.
    pub(crate) only_classes: bool,
    /// Where values were masked, if somebody asks: places in the text, the rule, and what may be shown.
    pub(crate) traced: Option<Vec<(Range<usize>, usize, End)>>,
}

impl Judge {
    /// One who marks every value by its class alone.
    pub(crate) fn of_classes() -> Self {
        Self { only_classes: true, ..Self::default() }
    }

    /// One who notes where values were masked.
    pub(crate) fn tracing() -> Self {
        Self { traced: Some(Vec::new()), ..Self::default() }
    }

    pub(crate) fn reveals_rule(&mut self, rules: &Rules, reveal: &dyn Reveal, rule: usize) -> bool {
        let Some(index) = rules.list.get(rule).map(|r| r.class) else { return false };
        if self.answers.len() <= index {
            self.answers.resize(rules.classes().len(), None);
        }
        let Some(class) = rules.classes().get(index) else { return false };
        match self.answers.get_mut(index) {
            Some(answer) => *answer.get_or_insert_with(|| reveal.reveals(class)),
            None => false,
        }
    }

    /// Whether the caller may see a value whose class is known by its place.
    pub(crate) fn reveals(&mut self, rules: &Rules, reveal: &dyn Reveal, class: &DataClass) -> bool {
        if let Some(rule) = rules.list.iter().position(|r| rules.classes().get(r.class) == Some(class)) {
            return self.reveals_rule(rules, reveal, rule);
        }
        if let Some((_, answer)) = self.others.iter().find(|(known, _)| known == class) {
            return *answer;
        }
        let answer = reveal.reveals(class);
        self.others.push((class.clone(), answer));
        answer
    }

    /// Counts one value.
    pub(crate) fn count(&mut self, class: &DataClass, masked: bool) {
        let counts = if masked { &mut self.findings.masked } else { &mut self.findings.revealed };
        match counts.get_mut(class) {
            Some(count) => *count += 1,
            None => drop(counts.insert(class.clone(), 1)),
        }
        self.masks += u64::from(masked);
    }

    /// Notes where a value was masked, or went on.
    fn trace(&mut self, step: &Step) {
        let Some(traced) = &mut self.traced else { return };
        match (step.value, traced.last_mut()) {
            (Some((rule, shown)), _) => traced.push((step.from..step.to, rule, shown)),
            (None, Some((range, ..))) => range.end = range.end.max(step.to),
            (None, None) => {}
        }
    }
}

/// What a lane needs to be masked.
pub(crate) struct Bench<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) reveal: &'a dyn Reveal,
    pub(crate) judge: &'a mut Judge,
    pub(crate) out: &'a mut BytesMut,
}

/// The memory for text that a lane at rest may keep, in bytes.
const RESTING: usize = 512;

/// So much of a text may be kept that has left, in bytes.
const SHORT: usize = 120;

/// So much of a text is taken at once: what is kept of it between two pushes needs no more memory, however
/// long the pushes are, so none is asked for and given back at each.
const SLICE: usize = 256;

/// So much text without escapes is scanned before it is asked whether two ways still differ.
const STRETCH: usize = 256;

/// A lane's state: constant, but for what is held.
#[derive(Default)]
pub(crate) struct LaneText {
    /// The decoded text from `base` on; from `from` on it has not left yet.
    text: Vec<u8>,
    base: usize,
    from: usize,
    /// What lies before here was given to the scanners.
    parsed: usize,
    /// How the text was written, where that is not as it is.
    escapes: VecDeque<Escape>,
    /// The beginning of an escape whose end is still to come.
    partial: Vec<u8>,
    scanner: Scanner,
    /// The text with its own escapes resolved, while that differs.
    resolved: Option<Box<Resolved>>,
    runs: Runs,
    covers: Covers,
}

/// The text with the escapes inside it resolved.
struct Resolved {
    scanner: Scanner,
    map: Map,
    /// Where the last escape ends in the text.
    since: usize,
}

impl LaneText {
    /// Takes the next bytes of a text as it is.
    pub(crate) fn plain(&mut self, raw: &[u8], last: bool, bench: &mut Bench<'_>) {
        let mut rest = raw;
        while let Some((slice, behind)) = rest.split_at_checked(SLICE) {
            self.text.extend_from_slice(slice);
            self.run(false, bench);
            rest = behind;
        }
        self.text.extend_from_slice(rest);
        self.run(last, bench);
    }

    /// Takes the next bytes of a JSON string's inside.
    pub(crate) fn json(&mut self, raw: &[u8], last: bool, bench: &mut Bench<'_>) {
        if self.partial.is_empty() {
            self.slices(raw, bench);
        } else {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend_from_slice(raw);
            self.slices(&whole, bench);
        }
        self.run(last, bench);
    }

    fn slices(&mut self, raw: &[u8], bench: &mut Bench<'_>) {
        let mut rest = self.decode(raw);
        while !rest.is_empty() {
            self.run(false, bench);
            rest = self.decode(rest);
        }
    }

    /// Nothing more comes: lets go of everything.
    pub(crate) fn end(&mut self, bench: &mut Bench<'_>) {
        self.run(true, bench);
    }

    /// Whether something is held.
    pub(crate) fn holds(&self) -> bool {
        self.held() > 0 || !self.partial.is_empty()
    }

    /// How many bytes of decoded text are held.
    pub(crate) fn held(&self) -> usize {
        self.base + self.text.len() - self.from
    }

    /// Makes it the state of another text.
    pub(crate) fn reset(&mut self) {
        self.text.clear();
        self.escapes.clear();
        self.partial.clear();
        self.scanner.reset();
        self.runs.clear();
        self.covers.clear();
        self.resolved = None;
        (self.base, self.from, self.parsed) = (0, 0, 0);
    }

    fn run(&mut self, last: bool, bench: &mut Bench<'_>) {
        if last && !self.partial.is_empty() {
            let rest = std::mem::take(&mut self.partial);
            self.text.extend_from_slice(&rest);
        }
        let Self { text, base, parsed, scanner, resolved, runs, covers, .. } = self;
        let text = Stretch { base: *base, text };
        let mut found = Found { covers, rules: bench.rules, reveal: bench.reveal, judge: &mut *bench.judge };
        let mut ways = Ways { text, scanner, resolved, runs, parsed };
        if ways.few(last, &mut found) {
            return;
        }
        ways.take(last, &mut found);
        ways.run(last, &mut found);
        let limit = if last { text.end() } else { ways.decided() };
        self.release(limit, bench);
        if last {
            // What may follow is another text.
            self.reset();
        }
    }

    /// Lets go of the text before `limit`, but for what is masked.
    fn release(&mut self, limit: usize, bench: &mut Bench<'_>) {
        if self.covers.is_idle(self.from) && self.escapes.is_empty() {
            // Nothing in it is masked, and all is written as it is.
            let limit = limit.max(self.from);
            let text = Stretch { base: self.base, text: &self.text };
            bench.out.extend_from_slice(text.slice(self.from, limit));
            return self.forget(limit);
        }
        let limit = self.covers.known_before(limit);
        let limit = self.covers.whole_before(limit).max(self.from);
        let Self { text, base, from, escapes, covers, .. } = self;
        let mut writer = Writer { text: Stretch { base: *base, text }, escapes, out: bench.out };
        let mut at = *from;
        while let Some(step) = covers.next(at, limit) {
            writer.pass(at, step.from);
            if let Some((rule, shown)) = step.value
                && let Some(class) = bench.rules.class(rule)
            {
                placeholder(class, shown, writer.out);
                bench.judge.count(class, true);
            }
            bench.judge.trace(&step);
            at = step.to;
        }
        writer.pass(at, limit);
        for rule in covers.forget(limit) {
            if let Some(class) = bench.rules.class(rule) {
                bench.judge.count(class, false);
            }
        }
        self.forget(limit);
    }

    /// Forgets the text before `limit`: of a short text, not at every push.
    fn forget(&mut self, limit: usize) {
        self.from = limit;
        if self.text.len() > SHORT {
            self.text.drain(..limit.saturating_sub(self.base).min(self.text.len()));
            self.base = limit;
            if self.text.len() < RESTING && self.text.capacity() > RESTING {
                self.text.shrink_to(RESTING);
            }
        }
    }

    /// Decodes a slice of a JSON string's inside, and gives what is behind it. What is no escape after all
    /// counts as it is written.
    fn decode<'r>(&mut self, raw: &'r [u8]) -> &'r [u8] {
        let (mut raw, mut left) = (raw, SLICE);
        while left > 0 && !raw.is_empty() {
            let slice = raw.get(..left).unwrap_or(raw);
            let at = memchr::memchr(b'\\', slice).unwrap_or(slice.len());
            let (text, rest) = raw.split_at_checked(at).unwrap_or((raw, &[]));
            self.text.extend_from_slice(text);
            left -= text.len();
            raw = rest;
            if at == slice.len() {
                continue;
            }
            let len = if rest.get(1) == Some(&b'u') { 6 } else { 2 };
            let Some((escape, rest)) = rest.split_at_checked(len) else {
                self.partial.extend_from_slice(rest);
                return &[];
            };
            self.escape(escape);
            left = left.saturating_sub(len);
            raw = rest;
        }
        raw
    }

    fn escape(&mut self, raw: &[u8]) {
        let at = self.base + self.text.len();
        match Escape::read(raw, at) {
            Some((escape, utf8)) => {
                self.text.extend_from_slice(utf8.get(..usize::from(escape.len)).unwrap_or(&[]));
                self.escapes.push_back(escape);
            }
            None => self.text.extend_from_slice(raw),
        }
    }
}

/// The ways a text is looked at.
struct Ways<'l> {
    text: Stretch<'l>,
    scanner: &'l mut Scanner,
    resolved: &'l mut Option<Box<Resolved>>,
    runs: &'l mut Runs,
    parsed: &'l mut usize,
}

impl Ways<'_> {
    /// Gives the scanners the next bytes of the text, if these are a few without signs. True when nothing can be
    /// decided by them: often they only go on a word.
    #[inline]
    fn few(&mut self, last: bool, found: &mut Found<'_>) -> bool {
        let (rest, at) = (self.text.slice(*self.parsed, self.text.end()), *self.parsed);
        let few = found.rules.few.of(rest).filter(|few| !few.any(Lane::Apart) && self.resolved.is_none());
        let Some(few) = few else { return false };
        let waits = !last && few.all(Lane::Word) && self.scanner.waits(few) && self.runs.waits(few);
        self.scanner.add_few(rest, few);
        self.runs.few(few, self.text, at, found);
        *self.parsed += few.count;
        waits
    }

    /// Gives the scanners the next bytes of the text, all but an escape that is not whole.
    fn take(&mut self, last: bool, found: &mut Found<'_>) {
        let mut rest = self.text.slice(*self.parsed, self.text.end());
        while !rest.is_empty() {
            let mut plain = escapes::first_sign(rest).unwrap_or(rest.len());
            if plain == 0 {
                match escapes::next(rest, last) {
                    Next::Wait => return,
                    Next::Plain => plain = 1,
                    Next::Unit(unit) => {
                        let (raw, behind) = rest.split_at_checked(unit.length).unwrap_or((rest, &[]));
                        self.unit(raw, unit.bytes(), found);
                        rest = behind;
                        continue;
                    }
                }
            }
            if self.resolved.is_some() {
                plain = plain.min(STRETCH);
            }
            let (text, behind) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
            self.plain(text, found);
            rest = behind;
        }
    }

    fn plain(&mut self, text: &[u8], found: &mut Found<'_>) {
        self.scanner.add(text);
        self.runs.plain(self.text, text, *self.parsed, found);
        *self.parsed += text.len();
        if let Some(resolved) = self.resolved {
            resolved.scanner.add(text);
            if text.len() == STRETCH {
                self.scan(false, found);
            }
        }
    }

    fn unit(&mut self, raw: &[u8], bytes: &[u8], found: &mut Found<'_>) {
        let (start, end) = (*self.parsed, *self.parsed + raw.len());
        // Up to here both ways have read the same.
        let scanner = &*self.scanner;
        let resolved = self.resolved.get_or_insert_with(|| {
            Box::new(Resolved { scanner: scanner.clone(), map: Map::begin(start, start), since: start })
        });
        let at = resolved.scanner.end();
        resolved.map.unit(at..at + bytes.len(), start..end);
        resolved.scanner.add(bytes);
        resolved.since = end;
        self.scanner.add(raw);
        self.runs.unit(self.text, bytes, (start, end), found);
        found.covers.unit(start..end);
        *self.parsed = end;
    }

    /// Decides all that can be decided. With `last`, that is everything.
    fn run(&mut self, last: bool, found: &mut Found<'_>) {
        self.scan(last, found);
        self.runs.search(last, found);
    }

    /// Scans the text as it is and resolved, and drops the second once whatever comes is the same to it.
    fn scan(&mut self, last: bool, found: &mut Found<'_>) {
        found.scan(self.scanner, last, 0, &Same);
        let Some(resolved) = self.resolved else { return };
        let Resolved { scanner, map, since } = &mut **resolved;
        found.scan(scanner, last, 1, map);
        map.forget(scanner.end() - scanner.held());
        if *self.parsed - *since >= crate::context::LEFT && scanner.agrees(self.scanner) {
            *self.resolved = None;
        }
    }

    /// Before which place of the text all is decided.
    fn decided(&self) -> usize {
        let mut decided = self.scanner.end() - self.scanner.held();
        if let Some(resolved) = &*self.resolved {
            let scanner = &resolved.scanner;
            decided = decided.min(resolved.map.start(scanner.end() - scanner.held()));
        }
        self.runs.frontier().map_or(decided, |frontier| decided.min(frontier))
    }
}
