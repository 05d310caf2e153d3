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

use bytes::{BufMut, BytesMut};
use model::{DataClass, Findings, Reveal};

use crate::base64::Runs;
use crate::cover::{Covers, Found, Same, Step};
use crate::escapes::{self, Next};
use crate::map::Map;
use crate::mark::{End, placeholder};
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

/// So much of a text is taken at once: what is kept of it between two pushes needs no more memory, however
/// long the pushes are, so none is asked for and given back at each.
const SLICE: usize = 256;

/// So much text without escapes is scanned before it is asked whether two ways still differ.
const STRETCH: usize = 256;

/// A lane's state: constant, but for what is held.
#[derive(Default)]
pub(crate) struct LaneText {
    /// The decoded text from `from` on: what has not left yet.
    text: Vec<u8>,
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

/// One escape: where its character lies in the decoded text, and how it was written.
struct Escape {
    at: usize,
    len: u8,
    raw: [u8; 6],
    raw_len: u8,
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
        !self.text.is_empty() || !self.partial.is_empty()
    }

    /// How many bytes of decoded text are held.
    pub(crate) fn held(&self) -> usize {
        self.text.len()
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
        (self.from, self.parsed) = (0, 0);
    }

    fn run(&mut self, last: bool, bench: &mut Bench<'_>) {
        if last && !self.partial.is_empty() {
            let rest = std::mem::take(&mut self.partial);
            self.text.extend_from_slice(&rest);
        }
        let Self { text, from, parsed, scanner, resolved, runs, covers, .. } = self;
        let mut found = Found { covers, rules: bench.rules, reveal: bench.reveal, judge: &mut *bench.judge };
        let mut ways = Ways { scanner, resolved, runs, parsed };
        ways.take(text.get(*ways.parsed - *from..).unwrap_or_default(), last, &mut found);
        ways.run(last, &mut found);
        let limit = if last { *from + text.len() } else { ways.decided() };
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
            bench.out.extend_from_slice(self.text.get(..limit - self.from).unwrap_or(&self.text));
            return self.forget(limit);
        }
        let limit = self.covers.known_before(limit);
        let limit = self.covers.whole_before(limit).max(self.from);
        let Self { text, from, escapes, covers, .. } = self;
        let mut writer = Writer { text, from: *from, escapes, out: bench.out };
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

    fn forget(&mut self, limit: usize) {
        self.text.drain(..limit.saturating_sub(self.from).min(self.text.len()));
        if self.text.len() < RESTING && self.text.capacity() > RESTING {
            self.text.shrink_to(RESTING);
        }
        self.from = limit;
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
        let at = self.from + self.text.len();
        let mut utf8 = [0u8; 3];
        let len = match raw {
            [_, b'u', digits @ ..] => code_unit(digits).map_or(0, |unit| encode(unit, &mut utf8)),
            [_, byte] => short(*byte).map_or(0, |byte| {
                utf8 = [byte, 0, 0];
                1
            }),
            _ => 0,
        };
        if len == 0 {
            return self.text.extend_from_slice(raw);
        }
        self.text.extend_from_slice(utf8.get(..len).unwrap_or(&[]));
        let short = |length: usize| u8::try_from(length).unwrap_or(0);
        let mut escape = Escape { at, len: short(len), raw: [0; 6], raw_len: short(raw.len()) };
        for (slot, byte) in escape.raw.iter_mut().zip(raw) {
            *slot = *byte;
        }
        self.escapes.push_back(escape);
    }
}

/// The ways a text is looked at.
struct Ways<'l> {
    scanner: &'l mut Scanner,
    resolved: &'l mut Option<Box<Resolved>>,
    runs: &'l mut Runs,
    parsed: &'l mut usize,
}

impl Ways<'_> {
    /// Gives the scanners the next bytes of the text, all but an escape that is not whole.
    fn take(&mut self, mut rest: &[u8], last: bool, found: &mut Found<'_>) {
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
        self.runs.plain(text, *self.parsed, found);
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
        self.runs.unit(bytes, start, end, found);
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

/// Writes text as it was written.
struct Writer<'w> {
    text: &'w [u8],
    from: usize,
    escapes: &'w mut VecDeque<Escape>,
    out: &'w mut BytesMut,
}

impl Writer<'_> {
    /// Writes the text from `at` to `end`. What lies before `at` and was not written never is.
    fn pass(&mut self, at: usize, end: usize) {
        while self.escapes.front().is_some_and(|escape| escape.at < at) {
            self.escapes.pop_front();
        }
        let mut done = at;
        while let Some(escape) = self.escapes.front().filter(|escape| escape.at < end) {
            let text = self.text.get(done - self.from..escape.at - self.from).unwrap_or(&[]);
            self.out.put_slice(text);
            self.out.put_slice(escape.raw.get(..usize::from(escape.raw_len)).unwrap_or(&[]));
            done = escape.at + usize::from(escape.len);
            self.escapes.pop_front();
        }
        if done < end {
            self.out.put_slice(self.text.get(done - self.from..end - self.from).unwrap_or(&[]));
        }
    }
}

/// The character that `\` and this byte stand for.
fn short(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' | b'/' => byte,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}

/// The UTF-16 code unit that four hexadecimal digits spell.
fn code_unit(digits: &[u8]) -> Option<u16> {
    let mut unit = 0u16;
    for digit in digits {
        unit = unit * 16 + u16::try_from(char::from(*digit).to_digit(16)?).ok()?;
    }
    Some(unit)
}

/// Writes a code unit as UTF-8. Halves of surrogate pairs are written one by one, as if they were
/// characters: no rule looks inside what is not ASCII, and a half without its other half is no fault.
fn encode(unit: u16, out: &mut [u8; 3]) -> usize {
    let [high, low] = unit.to_be_bytes();
    let last = 0x80 | low & 0x3f;
    match unit {
        0..0x80 => {
            *out = [low, 0, 0];
            1
        }
        0x80..0x800 => {
            *out = [0xc0 | high << 2 | low >> 6, last, 0];
            2
        }
        _ => {
            *out = [0xe0 | high >> 4, 0x80 | (high & 0x0f) << 2 | low >> 6, last];
            3
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_units_become_utf8() {
        for unit in [0x41u16, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff] {
            let mut out = [0; 3];
            let len = encode(unit, &mut out);
            let expected = char::from_u32(u32::from(unit)).unwrap().to_string();
            assert_eq!(&out[..len], expected.as_bytes(), "{unit:x}");
        }
        assert_eq!(code_unit(b"00e9"), Some(0xe9));
        assert_eq!(code_unit(b"00g9"), None);
    }
}
