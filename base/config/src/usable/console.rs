//! The console: where browsers reach it, whom people sign in at, when a session ends.

use std::time::Duration;

use crate::SecretRef;

/// The pages for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    /// The origin browsers use: scheme, host, and port where it is not the scheme's own. No slash at the
    /// end. Plain HTTP on loopback only.
    pub origin: String,
    /// Where people sign in. Never empty.
    pub sign_in: Vec<SignIn>,
    /// When a session ends.
    pub session: Session,
}

/// The console as a client of one issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// The issuer's configured name.
    pub issuer: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret; a public client has none.
    pub client_secret: Option<SecretRef>,
    /// What is asked for. Holds `openid`.
    pub scopes: Vec<String>,
}

/// When a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Without a request for this long.
    pub idle: Duration,
    /// At this age.
    pub absolute: Duration,
    /// How long one ID token, with its groups, is believed at most.
    pub recheck: Duration,
    /// How many one person may have.
    pub most: usize,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30 * 60),
            absolute: Duration::from_secs(12 * 3600),
            recheck: Duration::from_secs(15 * 60),
            most: 10,
        }
    }
}
