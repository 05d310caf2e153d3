//! How long bodies are kept.

use std::time::Duration;

/// How long the bodies of a retention class are kept. Whichever limit is reached first drops the oldest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// At least so long; none keeps them for ever.
    pub age: Option<Duration>,
    /// At most about so many bytes on the disk.
    pub size: Option<u64>,
}

/// What is kept of bodies whose resource says nothing itself, and how the ledger is kept small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long.
    pub keep: Keep,
    /// How long after it was closed a segment is compressed; none never.
    pub compress_after: Option<Duration>,
    /// Bytes a second that all of this reads and writes, at most.
    pub pace: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep: Keep::default(), compress_after: Some(Duration::from_secs(600)), pace: 32 << 20 }
    }
}
