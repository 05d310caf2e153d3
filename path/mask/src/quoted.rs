//! The inside of a JSON string: its escapes, decoded, and written again as they were written.

use std::collections::VecDeque;

use bytes::{BufMut, BytesMut};

use crate::near::Stretch;

/// One escape: where its character lies in the decoded text, and how it was written.
pub(crate) struct Escape {
    at: usize,
    pub(crate) len: u8,
    raw: [u8; 6],
    raw_len: u8,
}

impl Escape {
    /// Reads an escape whose character will lie at `at`, and gives the character too. None when it is no escape after
    /// all.
    #[inline]
    pub(crate) fn read(raw: &[u8], at: usize) -> Option<(Self, [u8; 3])> {
        let mut utf8 = [0u8; 3];
        let len = match raw {
            [_, b'u', digits @ ..] => encode(code_unit(digits)?, &mut utf8),
            [_, byte] => {
                utf8 = [short(*byte)?, 0, 0];
                1
            }
            _ => return None,
        };
        let short = |length: usize| u8::try_from(length).unwrap_or(0);
        let mut escape = Self { at, len: short(len), raw: [0; 6], raw_len: short(raw.len()) };
        for (slot, byte) in escape.raw.iter_mut().zip(raw) {
            *slot = *byte;
        }
        Some((escape, utf8))
    }
}

/// Writes text as it was written.
pub(crate) struct Writer<'w> {
    pub(crate) text: Stretch<'w>,
    pub(crate) escapes: &'w mut VecDeque<Escape>,
    pub(crate) out: &'w mut BytesMut,
}

impl Writer<'_> {
    /// Writes the text from `at` to `end`. What lies before `at` and was not written never is.
    pub(crate) fn pass(&mut self, at: usize, end: usize) {
        while self.escapes.front().is_some_and(|escape| escape.at < at) {
            self.escapes.pop_front();
        }
        let mut done = at;
        while let Some(escape) = self.escapes.front().filter(|escape| escape.at < end) {
            self.out.put_slice(self.text.slice(done, escape.at));
            self.out.put_slice(escape.raw.get(..usize::from(escape.raw_len)).unwrap_or(&[]));
            done = escape.at + usize::from(escape.len);
            self.escapes.pop_front();
        }
        if done < end {
            self.out.put_slice(self.text.slice(done, end));
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
