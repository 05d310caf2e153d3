//! How the record is checkpointed.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// When checkpoints are signed, with what, and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    /// How long after the last one the next is signed, if anything was written.
    pub every: Duration,
    /// It is signed sooner when so many leaves were written.
    pub leaves: u64,
    /// Whether each one is written to standard output.
    pub stdout: bool,
    /// Where each one is posted: `https`, or `http` on this machine.
    pub urls: Vec<http::Uri>,
    /// The file of the key that signs.
    pub key: PathBuf,
}

impl Checkpoints {
    /// The defaults for the ledger in `ledger`: the key lies beside its folder, never in it.
    pub fn of(ledger: &Path) -> Self {
        let mut name = ledger.file_name().unwrap_or_default().to_owned();
        name.push(".signing-key");
        Self {
            every: Duration::from_secs(60),
            leaves: 10_000,
            stdout: false,
            urls: Vec::new(),
            key: ledger.with_file_name(name),
        }
    }
}
