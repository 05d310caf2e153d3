//! How the record is made findable.

use std::time::Duration;

/// What the index beside the ledger is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How long a token may be silent before what comes next is another session.
    pub session_idle: Duration,
    /// Whether words of requests and answers are indexed.
    pub full_text: bool,
}

impl Default for Finding {
    fn default() -> Self {
        Self { session_idle: Duration::from_secs(1800), full_text: false }
    }
}
