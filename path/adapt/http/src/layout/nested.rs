//! JSON inside JSON: the arguments of a tool call are a text that their reader reads as JSON once more.
//!
//! An escape of that inner JSON would hide a letter from whoever looks at the outer text only. So inner
//! escapes of printable ASCII that need none (`\u0041`, `\/`) are written out. To the reader of the
//! inner JSON nothing changes.

use bytes::{Bytes, BytesMut};

/// Writes out the inner escapes of one text, however it is cut.
#[derive(Debug, Default)]
pub(crate) struct Unfold {
    /// The beginning of an escape whose end is still to come.
    held: BytesMut,
}

/// What stands at the beginning of some bytes.
enum Next {
    /// So many bytes that stay as they are.
    Keep(usize),
    /// So many bytes that stand for this one.
    Write(usize, u8),
    /// An escape that is not whole.
    Wait,
}

impl Unfold {
    /// The next run of the text, as written inside the outer JSON string.
    pub(crate) fn push(&mut self, raw: &Bytes) -> Bytes {
        if self.held.is_empty() && memchr::memchr(b'\\', raw).is_none() {
            return raw.clone();
        }
        self.held.extend_from_slice(raw);
        let all = self.held.split().freeze();
        let mut out = BytesMut::with_capacity(all.len());
        let mut rest = &all[..];
        while !rest.is_empty() {
            let length = match next(rest) {
                Next::Keep(length) => {
                    out.extend_from_slice(rest.get(..length).unwrap_or(rest));
                    length
                }
                Next::Write(length, byte) => {
                    out.extend_from_slice(&[byte]);
                    length
                }
                Next::Wait => {
                    self.held.extend_from_slice(rest);
                    break;
                }
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        out.freeze()
    }

    /// Nothing more comes: what is not whole stays as it is.
    pub(crate) fn finish(&mut self) -> Bytes {
        self.held.split().freeze()
    }
}

/// A whole text at once.
pub(crate) fn unfold(raw: &Bytes) -> Bytes {
    let mut unfold = Unfold::default();
    let begun = unfold.push(raw);
    let rest = unfold.finish();
    if rest.is_empty() {
        return begun;
    }
    let mut all = BytesMut::from(&begun[..]);
    all.extend_from_slice(&rest);
    all.freeze()
}

fn next(rest: &[u8]) -> Next {
    match rest {
        // The outer `\\` is the inner `\`: an inner escape begins.
        [b'\\', b'\\', b'u', hex @ ..] => match hex.get(..4) {
            Some(digits) => match code(digits) {
                Some(byte) if needs_no_escape(byte) => Next::Write(7, byte),
                _ => Next::Keep(3),
            },
            None if hex.iter().all(u8::is_ascii_hexdigit) => Next::Wait,
            None => Next::Keep(3),
        },
        [b'\\', b'\\', b'/', ..] => Next::Write(3, b'/'),
        // Its second character may be escaped for the outer JSON: `\\\"`, `\\\\`.
        [b'\\', b'\\', b'\\'] | [b'\\', b'\\'] | [b'\\'] => Next::Wait,
        [b'\\', b'\\', b'\\', b'/', ..] => Next::Write(4, b'/'),
        [b'\\', b'\\', b'\\', ..] => Next::Keep(4),
        [b'\\', b'\\', ..] => Next::Keep(3),
        [b'\\', ..] => Next::Keep(2),
        _ => Next::Keep(memchr::memchr(b'\\', rest).unwrap_or(rest.len())),
    }
}

fn code(digits: &[u8]) -> Option<u8> {
    u8::try_from(u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?).ok()
}

/// Whether a character may stand in both JSON strings as it is.
fn needs_no_escape(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_that_hide_something_are_written_out() {
        for (raw, expected) in [
            (r#"{\"a\":\"\\u0041B\\u002d\\/\"}"#, r#"{\"a\":\"AB-/\"}"#),
            (r"\\\/", "/"),
            // Needed, or beyond ASCII.
            (r"\\u0022 \\u005c \\u000a \\u00e9 \\n \\t", r"\\u0022 \\u005c \\u000a \\u00e9 \\n \\t"),
            // A backslash before a `u`, in both JSONs.
            (r"\\\\u0041", r"\\\\u0041"),
            (r#"\\\"u0041"#, r#"\\\"u0041"#),
            (r"\\u00zz \n \u0041", r"\\u00zz \n \u0041"),
            (r"end \\u00", r"end \\u00"),
        ] {
            assert_eq!(unfold(&Bytes::from(raw)), expected, "{raw}");
            for size in 1..raw.len() {
                let mut unfold = Unfold::default();
                let mut out = Vec::new();
                for piece in raw.as_bytes().chunks(size) {
                    out.extend_from_slice(&unfold.push(&Bytes::copy_from_slice(piece)));
                }
                out.extend_from_slice(&unfold.finish());
                assert_eq!(out, expected.as_bytes(), "{raw} in pieces of {size}");
            }
        }
    }
}
