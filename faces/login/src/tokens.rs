//! What a provider gave.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::IdToken;

/// The tokens of one answer of the token endpoint (RFC 6749, section 5.1).
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The access token.
    pub access: SecretString,
    /// The ID token, verified, when there is one.
    pub id: Option<IdToken>,
    /// The refresh token, when there is one. A refresh that gives none leaves the old one in force.
    pub refresh: Option<SecretString>,
    /// When they were asked for, by this machine's clock: they live from no earlier than this.
    pub received: Timestamp,
    /// How long the access token lives, when the provider says so.
    pub lives: Option<Duration>,
}

/// The same before the ID token is verified: nothing of that is told.
#[derive(Debug)]
pub struct Unverified {
    pub(crate) tokens: Tokens,
    pub(crate) id: Option<SecretString>,
}

impl Unverified {
    /// The refresh token, when there is a new one.
    pub fn refresh(&self) -> Option<&SecretString> {
        self.tokens.refresh.as_ref()
    }
}
