//! What the ledger is told about where and how to write.

use std::path::PathBuf;
use std::time::Duration;

use model::Durability;

use crate::{Indexing, Retention};

/// Where and how the ledger writes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder, made if absent, readable by its owner alone.
    pub dir: PathBuf,
    /// When an append counts as written.
    pub durability: Durability,
    /// A segment is closed when the next write would make it larger than this.
    pub segment_bytes: u64,
    /// How many appends may wait.
    pub queue: usize,
    /// How long an append may take, waiting included.
    pub write_timeout: Duration,
    /// Space set aside so that open exchanges can be sealed on a full disk.
    pub reserve_bytes: u64,
    /// The file with the key for digests of unmasked answers. Made if absent. Must lie outside `dir`:
    /// whoever has the ledger and the key can guess what was masked.
    pub digest_key: PathBuf,
    /// The file with the key that signs checkpoints, as PEM. Made if absent. Must lie outside `dir`: whoever
    /// has both can write another ledger and sign it.
    pub signing_key: PathBuf,
    /// A checkpoint is signed when leaves were written and this long has passed since the last one,
    pub checkpoint_every: Duration,
    /// or when this many leaves were written since. It is looked four times a second whether one is due.
    pub checkpoint_leaves: u64,
    /// How the index beside it is made.
    pub indexing: Indexing,
    /// How long bodies are kept.
    pub retention: Retention,
    /// Who may read what was said: if anybody is named, every exchange's frames are encrypted to these
    /// age recipients, and nobody else reads them, this program included.
    pub seal_to: Vec<age::x25519::Recipient>,
}

impl Settings {
    /// The defaults, for a ledger in `dir` with its digest key at `digest_key` and the key of its checkpoints
    /// beside that, ending in `signing-key`.
    pub fn new(dir: impl Into<PathBuf>, digest_key: impl Into<PathBuf>) -> Self {
        let digest_key = digest_key.into();
        Self {
            dir: dir.into(),
            signing_key: digest_key.with_extension("signing-key"),
            checkpoint_every: Duration::from_secs(60),
            checkpoint_leaves: 10_000,
            retention: Retention::default(),
            durability: Durability::Process,
            segment_bytes: 256 << 20,
            queue: 4096,
            write_timeout: Duration::from_secs(5),
            reserve_bytes: 16 << 20,
            digest_key,
            indexing: Indexing::default(),
            seal_to: Vec::new(),
        }
    }
}
