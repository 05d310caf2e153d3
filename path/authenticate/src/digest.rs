//! SHA-256, where something must be told apart or named without being kept.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_stay_pairs() {
        assert_ne!(of_pair("ab", "c"), of_pair("a", "bc"));
        assert_ne!(of_pair("ab", ""), of("ab"));
    }
}
