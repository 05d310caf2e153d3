//! What the gateway must remember besides the ledger: who is blocked, which sessions live, what waits
//! for a human.
//!
//! [`Store`] is the one seam: small JSON values under names, each with a version to compare and set by;
//! changes to follow from a cursor; leases by the store's own clock. Every replica that asks the same
//! store sees the same order of changes. [`SqliteStore`] is the embedded one, a file of the gateway's
//! own. Every backend runs the same suite (`conformance.rs`).
//!
//! Nothing here belongs on the request path: whoever must know something there follows the changes and
//! keeps what it needs at hand.

mod error;
mod every;
mod sqlite;
mod vocabulary;

pub use error::StoreError;
pub use every::every;
pub use sqlite::{FILE_NAME, SqliteStore};
pub use vocabulary::{
    Answer, Change, Changed, Changes, Commit, Cursor, Entry, Expect, Lease, MAX_BATCH, MAX_KEY_BYTES,
    MAX_PAGE, MAX_VALUE_BYTES, Page, Store, Until, Version, Write,
};

#[cfg(test)]
mod conformance;
