//! What can go wrong with the ledger, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::frame::Damage;

/// Why the ledger could not do what was asked. Only this crate makes one: holding one proves that a
/// record could not be written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A file or folder could not be used.
    #[error("cannot {action} `{}`: {source}", path.display())]
    #[non_exhaustive]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// Another process writes this ledger.
    #[error(
        "another process writes the ledger in `{}`: stop it first, or give this gateway a folder of its own",
        dir.display()
    )]
    #[non_exhaustive]
    Locked {
        /// The ledger.
        dir: PathBuf,
    },
    /// The key of the unmasked answers' digests is not usable.
    #[error("the digest key `{}` {problem}", path.display())]
    #[non_exhaustive]
    DigestKey {
        /// The key file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// The key that signs checkpoints is not usable.
    #[error("the signing key `{}` {problem}", path.display())]
    #[non_exhaustive]
    SigningKey {
        /// The key file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// An exchange's frames cannot be encrypted, so nothing of it can be recorded.
    #[error("the exchange cannot be sealed to its recipients: {problem}")]
    #[non_exhaustive]
    Envelope {
        /// What failed.
        problem: &'static str,
    },
    /// An identity file is none, or does not open an encrypted recording.
    #[error("the identity file {problem}")]
    #[non_exhaustive]
    Identity {
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A body could not be written to where it was to go.
    #[error("the body cannot be written: {source}")]
    #[non_exhaustive]
    HandOver {
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// The folder does not hold a ledger this program reads.
    #[error("`{}` is not a ledger segment this program reads: {problem}", path.display())]
    #[non_exhaustive]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// No space is left but the reserve for seals.
    #[error("the ledger's disk is full: free space, the gateway goes on by itself")]
    #[non_exhaustive]
    Full,
    /// A write failed.
    #[error("the ledger cannot be written: {source}")]
    #[non_exhaustive]
    Write {
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// A write did not end in time; it may still be written.
    #[error("the ledger did not take a write within {after:?}: the disk hangs or is too slow")]
    #[non_exhaustive]
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// The ledger was closed, or its thread ended.
    #[error("the ledger is closed")]
    #[non_exhaustive]
    Closed,
    /// The exchange was sealed, so nothing more can be recorded of it.
    #[error("the exchange is sealed, nothing more can be recorded of it")]
    #[non_exhaustive]
    Sealed,
    /// A leaf is too large to store.
    #[error("a record of {bytes} bytes is larger than the {limit} the ledger stores in one piece")]
    #[non_exhaustive]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Masked bytes of another exchange, or whose opaque ranges do not lie within them in order.
    #[error("an answer was handed over that does not fit its record: {problem}")]
    #[non_exhaustive]
    Misfit {
        /// What does not fit.
        problem: &'static str,
    },
    /// The index failed. It is derived: the record itself is not touched by it.
    #[error("the ledger's index: {cause}; `rebuild` makes it anew from the ledger")]
    #[non_exhaustive]
    Index {
        /// What the database said.
        cause: String,
    },
    /// No exchange has this id.
    #[error("no exchange `{id}` is in this ledger")]
    #[non_exhaustive]
    NotFound {
        /// The id as given.
        id: String,
    },
    /// Several exchanges begin with it.
    #[error("more than one exchange begins with `{id}`: give more digits")]
    #[non_exhaustive]
    Ambiguous {
        /// The id as given.
        id: String,
    },
    /// A hold that cannot be.
    #[error("this hold cannot be: {problem}")]
    #[non_exhaustive]
    Hold {
        /// Why, and what to do.
        problem: &'static str,
    },
    /// Bodies that an open exchange still needs can't be dropped.
    #[error("segment {segment} of `{class}` holds bodies of an exchange that is open")]
    #[non_exhaustive]
    InUse {
        /// The retention class.
        class: String,
        /// The segment.
        segment: u64,
    },
    /// What is stored was damaged.
    #[error("the ledger is damaged: {0}")]
    #[non_exhaustive]
    Damaged(Damage),
    /// The frames of an exchange are not the ones that were sealed.
    #[error("the bodies of exchange `{id}` are not the ones that were sealed")]
    #[non_exhaustive]
    Mismatch {
        /// The exchange.
        id: String,
    },
    /// What was to be proven is not so, or cannot be shown from this ledger.
    #[error("{problem}")]
    #[non_exhaustive]
    Unproven {
        /// Why, and what to do.
        problem: String,
    },
}

impl From<Damage> for LedgerError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

impl LedgerError {
    /// Whether something could not be recorded, as opposed to read.
    pub fn is_of_writing(&self) -> bool {
        matches!(
            self,
            Self::Full
                | Self::Write { .. }
                | Self::TimedOut { .. }
                | Self::Closed
                | Self::TooLarge { .. }
                | Self::Envelope { .. }
        )
    }

    pub(crate) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { action, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn write(source: &Arc<io::Error>) -> Self {
        if source.kind() == io::ErrorKind::StorageFull || source.kind() == io::ErrorKind::QuotaExceeded {
            Self::Full
        } else {
            Self::Write { source: Arc::clone(source) }
        }
    }
}
