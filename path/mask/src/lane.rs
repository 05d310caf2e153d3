//! One lane: a text, as it is written in an answer's bytes, on its way through the scanner.
//!
//! Text inside JSON is decoded before it is scanned. Of every escape the lane keeps how it was written,
//! so that whatever is not masked leaves exactly as it came.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{BufMut, BytesMut};
use model::{DataClass, Findings, Reveal};

use crate::rules::Rules;
use crate::scan::{Scanner, Sink};

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
    /// Room that the lane at work borrows, so that a resting one is small.
    pub(crate) spacious: Vec<u8>,
}

impl Judge {
    fn reveals_rule(&mut self, rules: &Rules, reveal: &dyn Reveal, rule: usize) -> bool {
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
}

/// What a lane needs to be masked.
pub(crate) struct Bench<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) reveal: &'a dyn Reveal,
    pub(crate) judge: &'a mut Judge,
    pub(crate) out: &'a mut BytesMut,
}

/// A lane's state: constant, but for what is held.
#[derive(Default)]
pub(crate) struct LaneText {
    scanner: Scanner,
    escapes: VecDeque<Escape>,
    /// The beginning of an escape whose end is still to come.
    partial: Vec<u8>,
}

/// One escape: where its character lies in the decoded text, and how it was written.
struct Escape {
    at: usize,
    len: usize,
    raw: [u8; 6],
    raw_len: usize,
}

impl LaneText {
    /// Takes the next bytes of a text as it is.
    pub(crate) fn plain(&mut self, raw: &[u8], last: bool, bench: &mut Bench<'_>) {
        self.scanner.open(&mut bench.judge.spacious);
        self.scanner.add(raw);
        self.run(last, bench);
    }

    /// Takes the next bytes of a JSON string's inside.
    pub(crate) fn json(&mut self, raw: &[u8], last: bool, bench: &mut Bench<'_>) {
        self.scanner.open(&mut bench.judge.spacious);
        if self.partial.is_empty() {
            self.decode(raw);
        } else {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend_from_slice(raw);
            self.decode(&whole);
        }
        self.run(last, bench);
    }

    /// Nothing more comes: lets go of everything.
    pub(crate) fn end(&mut self, bench: &mut Bench<'_>) {
        self.scanner.open(&mut bench.judge.spacious);
        self.run(true, bench);
    }

    /// Whether something is held.
    pub(crate) fn holds(&self) -> bool {
        self.scanner.held() > 0 || !self.partial.is_empty()
    }

    /// How many bytes of decoded text are held.
    pub(crate) fn held(&self) -> usize {
        self.scanner.held()
    }

    /// Makes it the state of another text.
    pub(crate) fn reset(&mut self) {
        self.scanner.reset();
        self.escapes.clear();
        self.partial.clear();
    }

    fn run(&mut self, last: bool, bench: &mut Bench<'_>) {
        if last && !self.partial.is_empty() {
            let rest = std::mem::take(&mut self.partial);
            self.scanner.add(&rest);
        }
        let mut sink = Writer { bench, escapes: &mut self.escapes };
        self.scanner.run(sink.bench.rules, last, &mut sink);
        self.scanner.close(&mut bench.judge.spacious);
    }

    /// Decodes the inside of a JSON string. What is no escape after all counts as it is written.
    fn decode(&mut self, mut raw: &[u8]) {
        while let Some(at) = memchr::memchr(b'\\', raw) {
            let (text, rest) = raw.split_at_checked(at).unwrap_or((raw, &[]));
            self.scanner.add(text);
            let len = if rest.get(1) == Some(&b'u') { 6 } else { 2 };
            let Some((escape, rest)) = rest.split_at_checked(len) else {
                self.partial.extend_from_slice(rest);
                return;
            };
            self.escape(escape);
            raw = rest;
        }
        self.scanner.add(raw);
    }

    fn escape(&mut self, raw: &[u8]) {
        let at = self.scanner.end();
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
            return self.scanner.add(raw);
        }
        self.scanner.add(utf8.get(..len).unwrap_or(&[]));
        let mut escape = Escape { at, len, raw: [0; 6], raw_len: raw.len() };
        for (slot, byte) in escape.raw.iter_mut().zip(raw) {
            *slot = *byte;
        }
        self.escapes.push_back(escape);
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

/// Writes what the scanner decides, each text as it was written.
struct Writer<'b, 'a> {
    bench: &'b mut Bench<'a>,
    escapes: &'b mut VecDeque<Escape>,
}

impl Writer<'_, '_> {
    fn drop_escapes(&mut self, to: usize) {
        while self.escapes.front().is_some_and(|escape| escape.at < to) {
            self.escapes.pop_front();
        }
    }
}

impl Sink for Writer<'_, '_> {
    fn pass(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        let mut done = at;
        while let Some(escape) = self.escapes.front().filter(|escape| escape.at < end) {
            let text = bytes.get(done - at..escape.at.max(done) - at).unwrap_or(&[]);
            self.bench.out.put_slice(text);
            self.bench.out.put_slice(escape.raw.get(..escape.raw_len).unwrap_or(&[]));
            done = escape.at + escape.len;
            self.escapes.pop_front();
        }
        self.bench.out.put_slice(bytes.get(done - at..).unwrap_or(&[]));
    }

    fn mask(&mut self, rule: usize, value: Range<usize>) {
        if let Some(class) = self.bench.rules.class(rule) {
            placeholder(class, self.bench.out);
            self.bench.judge.count(class, true);
        }
        self.drop_escapes(value.end);
    }

    fn swallow(&mut self, more: Range<usize>) {
        self.drop_escapes(more.end);
    }

    fn hides(&mut self, rule: usize) -> bool {
        !self.bench.judge.reveals_rule(self.bench.rules, self.bench.reveal, rule)
    }

    fn reveal(&mut self, rule: usize, _value: Range<usize>) {
        if let Some(class) = self.bench.rules.class(rule) {
            self.bench.judge.count(class, false);
        }
    }
}

/// Writes what stands for a masked value of `class`. Its bytes mean themselves in JSON, in a header and
/// in text.
pub(crate) fn placeholder(class: &DataClass, out: &mut BytesMut) {
    out.put_u8(b'[');
    out.put_slice(class.as_str().as_bytes());
    out.put_u8(b']');
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
