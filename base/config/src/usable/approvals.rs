//! What the file says of approvals.

use std::time::Duration;

use super::Tell;

/// How approvals are kept, and how many requests wait for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvals {
    /// How long one waits and can be used.
    pub expires: Duration,
    /// Where approvers reach the pages, without a slash at its end.
    pub url: Option<String>,
    /// How many may be open at once,
    pub open: u64,
    /// and of one caller.
    pub open_per_caller: u64,
    /// Requests that may be held at once,
    pub held: usize,
    /// and of one caller.
    pub held_per_caller: usize,
    /// Their body bytes in memory,
    pub held_bytes: usize,
    /// and of one caller.
    pub held_bytes_per_caller: usize,
    /// Who is told of them.
    pub tell: Tell,
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            expires: Duration::from_secs(3600),
            url: None,
            open: 10_000,
            open_per_caller: 100,
            held: 1000,
            held_per_caller: 50,
            held_bytes: 256 << 20,
            held_bytes_per_caller: 64 << 20,
            tell: Tell::default(),
        }
    }
}
