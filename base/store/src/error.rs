//! What can go wrong with the store, and what to do about it.

use std::path::PathBuf;

/// Why the store did not do what was asked. A write that failed may be tried again: it was done whole or
/// not at all.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder or the file cannot be used.
    #[error("cannot {action} `{}`: {why}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer, or what is wrong with the file.
        why: String,
    },
    /// The database did not do it.
    #[error("the state cannot be {action}: {why}")]
    Backend {
        /// Read, or written.
        action: &'static str,
        /// What it said.
        why: String,
    },
    /// A key, a value, a batch or a page that is not taken.
    #[error("{0}")]
    Unfit(String),
    /// A value that is not what its reader takes for one.
    #[error("the state's entry `{key}` cannot be read: {why}")]
    Value {
        /// The entry.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// The changes since this cursor are not known any more: read everything again, from a new cursor.
    #[error("the changes since that cursor are forgotten: list again, and follow from a new cursor")]
    CursorLost,
}
