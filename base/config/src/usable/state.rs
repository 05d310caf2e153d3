//! Where the gateway keeps its state.

use std::path::{Path, PathBuf};

/// What must be remembered besides the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The folder. Made if it is not there.
    pub dir: PathBuf,
}

impl State {
    /// The state that belongs to the ledger in `ledger`: beside its folder, never in it, since a copy of
    /// the ledger is no copy of the state.
    pub fn beside(ledger: &Path) -> Self {
        let mut name = ledger.file_name().unwrap_or_default().to_owned();
        name.push(".state");
        Self { dir: ledger.with_file_name(name) }
    }
}
