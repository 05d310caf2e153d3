//! What the configuration says of approvals.

use std::sync::Arc;
use std::time::Duration;

use model::People;

use crate::seats::Bounds;

/// What the configuration says of approvals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long an approval waits and can be used, from when it was asked for.
    pub expires: Duration,
    /// How many may be open in all,
    pub open: u64,
    /// and of one caller.
    pub open_per_caller: u64,
    /// How many requests may be held at once.
    pub held: Bounds,
    /// Where the pages are, without a slash at the end: an approval's is `URL/approvals/ID`.
    pub url: Option<String>,
    /// Who is who.
    pub people: Arc<People>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            expires: Duration::from_secs(3600),
            open: 10_000,
            open_per_caller: 100,
            held: Bounds {
                requests: 1000,
                requests_per_caller: 50,
                bytes: 256 << 20,
                bytes_per_caller: 64 << 20,
            },
            url: None,
            people: Arc::default(),
        }
    }
}
