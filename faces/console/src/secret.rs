//! Unguessable values, and what follows from one for a purpose.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::hex;

use crate::ConsoleError;

/// 256 random bits. Shows nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// [`ConsoleError::Machine`] when the system gives no randomness.
    pub(crate) fn new() -> Result<Self, ConsoleError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| ConsoleError::Machine)?;
        Ok(Self(bytes))
    }

    /// Reads the written form: 43 letters of base64url, of which there is one for each secret.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// The written form.
    pub(crate) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What may be kept: SHA-256, in hex. With 256 random bits nobody finds the way back.
    pub(crate) fn hashed(&self) -> String {
        hex(digest(&SHA256, &self.0).as_ref())
    }

    /// Another secret that follows from this one and `purpose` (HMAC-SHA-256), in base64url. It tells
    /// nothing of this one, nor of those for other purposes.
    pub(crate) fn derive(&self, purpose: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        URL_SAFE_NO_PAD.encode(hmac::sign(&key, purpose.as_bytes()))
    }
}

/// SHA-256 of a text, in hex.
pub(crate) fn hash(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

/// SHA-256 of a text, in base64url: a code challenge (RFC 7636, section 4.2).
pub(crate) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_one_written_form_and_no_two_are_alike() {
        let (one, other) = (Secret::new().unwrap(), Secret::new().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.text().len(), 43);
        assert_eq!(Secret::parse(&one.text()), Some(one.clone()));
        assert!(!format!("{one:?}").contains(&one.text()));
        for wrong in ["", "a", one.text().get(..42).unwrap(), &format!("{}=", one.text()), &"+".repeat(43)] {
            assert_eq!(Secret::parse(wrong), None, "{wrong}");
        }
        assert_ne!(one.derive("a"), one.derive("b"));
        assert_ne!(one.derive("a"), other.derive("a"));
        assert_ne!(one.hashed(), other.hashed());
    }

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
