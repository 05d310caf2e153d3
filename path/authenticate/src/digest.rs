//! SHA-256, where something must be told apart or named without being kept.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256, digest};

/// SHA-256 of a token, a caller or a session.
pub(crate) type Digest = [u8; 32];

/// The digest of one text.
pub(crate) fn of(text: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

/// The digest of two texts, told apart from any other two.
pub(crate) fn of_pair(one: &str, other: &str) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(&u64::try_from(one.len()).unwrap_or(u64::MAX).to_be_bytes());
    context.update(one.as_bytes());
    context.update(other.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// The digest that `text` spells in hex.
pub(crate) fn from_hex(text: &str) -> Option<Digest> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_comes_back_and_pairs_stay_pairs() {
        let digest = of("token");
        assert_eq!(from_hex(&hex(&digest)), Some(digest));
        for wrong in ["", "0", &"g".repeat(64), &"0".repeat(63), &"ä".repeat(32)] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
        assert_ne!(of_pair("ab", "c"), of_pair("a", "bc"));
    }
}
