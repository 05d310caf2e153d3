//! Proof key for code exchange (RFC 7636), and unguessable words.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use crate::LoginError;

/// How many random bytes stand behind each word: 256 bits.
const BYTES: usize = 32;

/// A verifier, which stays here until the code is redeemed, and its challenge, which goes ahead.
#[derive(Clone, Debug)]
pub struct Pkce {
    verifier: SecretString,
}

impl Pkce {
    /// A new verifier.
    ///
    /// # Errors
    /// [`LoginError::Machine`] when the system gives no randomness.
    pub fn new() -> Result<Self, LoginError> {
        random().map(|verifier| Self { verifier: verifier.into() })
    }

    /// The verifier as kept.
    pub fn kept(verifier: SecretString) -> Self {
        Self { verifier }
    }

    /// What is sent with the code.
    pub fn verifier(&self) -> &SecretString {
        &self.verifier
    }

    /// What is sent ahead: the method is always `S256`.
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.expose_secret().as_bytes()))
    }
}

/// 256 random bits as 43 letters, digits, `-` and `_`.
///
/// # Errors
/// [`LoginError::Machine`] when the system gives no randomness.
pub fn random() -> Result<String, LoginError> {
    let mut bytes = [0; BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| LoginError::Machine {
        what: "cannot make a random word",
        source: std::io::Error::other("the system gives no randomness"),
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_the_one_of_the_standard() {
        // RFC 7636, appendix B.
        let pkce = Pkce::kept("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into());
        assert_eq!(pkce.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn no_two_words_are_one() {
        let words: std::collections::HashSet<_> = (0..1000).map(|_| random().unwrap()).collect();
        assert_eq!(words.len(), 1000);
        // RFC 7636, section 4.1: 43 to 128 unreserved characters.
        assert!(words.iter().all(|word| word.len() == 43));
    }
}
