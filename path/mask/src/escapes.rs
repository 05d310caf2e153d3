//! Escapes inside a text: JSON's, however often they were written as JSON again, and percent-encoding.
//!
//! The text of an answer often holds the text of something else: the arguments of a tool call are JSON,
//! a link is percent-encoded. Each escape there is one unit, which stands for one character to whoever
//! reads that inner text.

/// The most backslashes of one escape. JSON in JSON doubles them each time: seven are three times JSON.
const MOST_BACKSLASHES: usize = 8;

/// How often a `%` may itself be written `%25`.
const MOST_PERCENTS: usize = 2;

/// The longest unit in bytes: two halves of a surrogate pair.
#[cfg(test)]
pub(crate) const LONGEST_UNIT: usize = 2 * (MOST_BACKSLASHES + 5);

/// An escape: how many bytes it takes, and what it stands for, in UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) length: usize,
    bytes: [u8; 4],
    count: usize,
}

impl Unit {
    fn of(length: usize, bytes: &[u8]) -> Self {
        let mut unit = Self { length, bytes: [0; 4], count: bytes.len().min(4) };
        for (slot, byte) in unit.bytes.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        unit
    }

    /// What it stands for.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.count).unwrap_or(&[])
    }
}

/// What stands at the beginning of some bytes that begin with `\` or `%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A byte that means itself.
    Plain,
    /// An escape.
    Unit(Unit),
    /// More must arrive.
    Wait,
}

/// Texts shorter than this are looked through faster byte by byte.
pub(crate) const FEW: usize = 16;

/// Whether an escape could begin with this byte.
pub(crate) fn is_sign(byte: u8) -> bool {
    matches!(byte, b'\\' | b'%')
}

/// Where the first escape could begin.
#[inline]
pub(crate) fn first_sign(text: &[u8]) -> Option<usize> {
    if text.len() < FEW {
        return text.iter().position(|byte| is_sign(*byte));
    }
    memchr::memchr2(b'\\', b'%', text)
}

/// Reads what begins at the first byte of `text`. With `last`, nothing more arrives.
pub(crate) fn next(text: &[u8], last: bool) -> Next {
    let read = match text.first() {
        Some(b'\\') => backslashed(text),
        Some(b'%') => percent(text),
        _ => Some(Next::Plain),
    };
    match read {
        Some(Next::Wait) | None if last => end_of(text),
        Some(next) => next,
        None => Next::Wait,
    }
}

/// An escape that breaks off at the text's end means itself, but that a `%` may have been whole.
fn end_of(text: &[u8]) -> Next {
    match text {
        [b'%', a, b, ..] => hex_byte(*a, *b).map_or(Next::Plain, |byte| Next::Unit(Unit::of(3, &[byte]))),
        _ => Next::Plain,
    }
}

/// None when more must arrive.
fn backslashed(text: &[u8]) -> Option<Next> {
    let run = text.iter().take(MOST_BACKSLASHES + 1).take_while(|b| **b == b'\\').count();
    if run > MOST_BACKSLASHES {
        return Some(Next::Plain);
    }
    let short = |byte: u8| Some(Next::Unit(Unit::of(run + 1, &[byte])));
    // What is no escape: several backslashes stand for one.
    let none = if run > 1 { Next::Unit(Unit::of(run, b"\\")) } else { Next::Plain };
    match *text.get(run)? {
        b'n' => short(b'\n'),
        b'r' => short(b'\r'),
        b't' => short(b'\t'),
        b'b' => short(8),
        b'f' => short(12),
        byte @ (b'"' | b'\'' | b'/') => short(byte),
        b'u' => match code_unit(text.get(run + 1..).unwrap_or_default()) {
            Digits::Missing => None,
            Digits::Wrong => Some(none),
            Digits::Unit(high @ 0xd800..0xdc00) => pair(text, run, high),
            Digits::Unit(unit) => Some(Next::Unit(character(run + 5, u32::from(unit)))),
        },
        _ => Some(none),
    }
}

/// Half a surrogate pair, with its other half if that follows, written alike.
fn pair(text: &[u8], run: usize, high: u16) -> Option<Next> {
    let rest = text.get(run + 5..).unwrap_or_default();
    let alone = Some(Next::Unit(character(run + 5, u32::from(high))));
    for at in 0..=run {
        let expected = if at < run { b'\\' } else { b'u' };
        match rest.get(at) {
            None => return None,
            Some(byte) if *byte != expected => return alone,
            Some(_) => {}
        }
    }
    match code_unit(rest.get(run + 1..).unwrap_or_default()) {
        Digits::Missing => None,
        Digits::Unit(low @ 0xdc00..0xe000) => {
            let code = 0x1_0000 + ((u32::from(high) & 0x3ff) << 10) + (u32::from(low) & 0x3ff);
            Some(Next::Unit(character(2 * (run + 5), code)))
        }
        _ => alone,
    }
}

enum Digits {
    Unit(u16),
    Wrong,
    Missing,
}

fn code_unit(text: &[u8]) -> Digits {
    let mut unit = 0u16;
    for at in 0..4 {
        let Some(byte) = text.get(at) else { return Digits::Missing };
        let Some(digit) = hex(*byte) else { return Digits::Wrong };
        unit = unit << 4 | u16::from(digit);
    }
    Digits::Unit(unit)
}

/// A character in UTF-8. Half a surrogate pair is written as if it were one: no rule looks inside.
fn character(length: usize, code: u32) -> Unit {
    let mut utf8 = [0; 4];
    match char::from_u32(code) {
        Some(character) => Unit::of(length, character.encode_utf8(&mut utf8).as_bytes()),
        None => {
            let low = |shift: u32| u8::try_from(0x80 | code >> shift & 0x3f).unwrap_or(0x80);
            Unit::of(length, &[0xe0 | u8::try_from(code >> 12 & 0x0f).unwrap_or(0), low(6), low(0)])
        }
    }
}

/// `%41`, and what was encoded twice, `%2541`. None when more must arrive.
fn percent(text: &[u8]) -> Option<Next> {
    let mut length = 3;
    let mut byte = match two(text.get(1..).unwrap_or_default())? {
        Some(byte) => byte,
        None => return Some(Next::Plain),
    };
    for _ in 0..MOST_PERCENTS {
        if byte != b'%' {
            break;
        }
        match two(text.get(length..).unwrap_or_default())? {
            Some(next) => {
                byte = next;
                length += 2;
            }
            None => break,
        }
    }
    Some(Next::Unit(Unit::of(length, &[byte])))
}

/// The byte that two digits spell: none if they are no digits, nothing if more must arrive.
#[expect(clippy::option_option, reason = "what is missing is not what is wrong")]
fn two(text: &[u8]) -> Option<Option<u8>> {
    match text {
        [a, b, ..] => Some(hex_byte(*a, *b)),
        [a] if hex(*a).is_some() => None,
        [_] => Some(None),
        [] => None,
    }
}

fn hex_byte(a: u8, b: u8) -> Option<u8> {
    Some(hex(a)? << 4 | hex(b)?)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text with its units as `<what they stand for>`.
    fn read(text: &str) -> String {
        let (mut rest, mut out) = (text.as_bytes(), Vec::new());
        while !rest.is_empty() {
            let length = match next(rest, true) {
                Next::Unit(unit) => {
                    out.extend([b"<", unit.bytes(), b">"].concat());
                    unit.length
                }
                Next::Plain => {
                    out.push(rest[0]);
                    1
                }
                Next::Wait => panic!("waits at the end"),
            };
            rest = &rest[length..];
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn escapes_are_units_however_often_they_were_escaped() {
        for (text, expected) in [
            (r"a\nb", "a<\n>b"),
            (r"a\\nb\\\\nb", "a<\n>b<\n>b"),
            (r#"\"x\\\"/\/"#, "<\">x<\">/</>"),
            (r"\u0041\\u0042\\\\u0043", "<A><B><C>"),
            (r"\ud83d\ude00 \\ud83d\\ude00", "<😀> <😀>"),
            (r"\x \\x \\\\", r"\x <\>x \\\\"),
            (r"\u12 \u12g4", "\\u12 \\u12g4"),
            ("%41%2541%252541 %zz %2 %25", "<A><A><A> %zz %2 <%>"),
            ("100%", "100%"),
            ("%25252541", "<%>41"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_whole_waits_and_is_read_alike_once_it_is() {
        for text in [r"\n", r"\\n", r"\\\\u0041", r"\ud83d\ude00", "%41", "%2541", "%252541", r"\\\\x"] {
            let Next::Unit(whole) = next(text.as_bytes(), true) else { panic!("{text}") };
            for at in 1..whole.length {
                assert_eq!(next(&text.as_bytes()[..at], false), Next::Wait, "{text} at {at}");
            }
            assert!(whole.length <= LONGEST_UNIT);
        }
    }
}
