//! Bytes as people read them, and compared where a stranger must not learn from the time it takes.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use subtle::ConstantTimeEq;

/// `bytes` in hex, in lower case.
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The `N` bytes that `text` spells in hex, in either case.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Whether two texts are one, in a time that does not tell where they differ. It may tell their lengths.
pub fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_comes_back() {
        let bytes = [0x00, 0x1f, 0xa0, 0xff];
        assert_eq!(hex(&bytes), "001fa0ff");
        assert_eq!(from_hex("001fa0ff"), Some(bytes));
        assert_eq!(from_hex("001FA0FF"), Some(bytes));
        for wrong in ["", "0", "001fa0f", "001fa0ff00", "001fa0fg", "0 1fa0ff", "+01fa0ff", "ää"] {
            assert_eq!(from_hex::<4>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn texts_are_one_or_not() {
        assert!(same("", "") && same("a", "a"));
        assert!(!same("a", "b") && !same("a", "aa") && !same("", "a") && !same("ab", "ba"));
    }
}
