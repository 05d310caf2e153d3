//! What an auditor asks of a ledger, offline and on a copy: is it whole and unchanged, is this exchange in
//! it, did it only grow. Everything here reads files alone, in memory that does not grow with them.

mod bodies;
mod glance;
mod kept;
mod proof;
mod prove;
mod seen;
mod tallied;
mod tally;
mod verify;
mod walk;

#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};

pub use kept::{DroppedSegment, Drops};
pub use proof::{ConsistencyProof, InclusionProof, Proof, Proven, Refuted};
pub use prove::{keys, prove_consistency, prove_exchange};
pub use tallied::{ActCount, ClassCount, Event, HoldShown, Note, RefusalCount, RuleShown, Tally, Use};
pub use tally::tally;
pub(crate) use verify::classes;
pub use verify::verify;

use crate::frame::Damage;
use crate::note::{Signed, VerifierKey};
use crate::tree::Hash;

/// What else a ledger is held against.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Checkpoints kept outside of it.
    pub checkpoints: Vec<Signed>,
    /// A key that must have signed, or handed over to the one that signs now.
    pub key: Option<VerifierKey>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The tree's name: `portcullis/` and the node in hex. Empty if not even that could be read.
    pub origin: String,
    /// Leaves read.
    pub leaves: u64,
    /// The root over them.
    pub root: Hash,
    /// Exchanges that were opened,
    pub exchanges: u64,
    /// of them those that are not sealed: under way at the tail.
    pub open: u64,
    /// Requests refused before there was a caller, each with a leaf of its own.
    pub refused: u64,
    /// Body frames read.
    pub frames: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Checkpoints kept in the ledger that hold.
    pub checkpoints: u64,
    /// How many leaves the newest of them covers.
    pub covered: u64,
    /// Sizes of the checkpoints from outside that hold.
    pub against: Vec<u64>,
    /// The keys that signed, in order.
    pub keys: Vec<KeyUse>,
    /// What was dropped, and by which rule.
    pub drops: Drops,
    /// What is worth knowing and no flaw, the first hundred.
    pub notes: Vec<String>,
    /// The first bad place; `None` if there is none.
    pub flaw: Option<Flaw>,
}

/// A key that signs checkpoints, from some leaf on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The *key* leaf that says so.
    pub leaf: u64,
    /// The key.
    pub key: VerifierKey,
    /// Whether the key before signed the first checkpoint after that leaf too.
    pub handed_over: bool,
}

/// A bad place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} at byte {offset}{}: {problem}", file.display(), leaf.map(|leaf| format!(" (leaf {leaf})")).unwrap_or_default())]
pub struct Flaw {
    /// The file, below the ledger's folder.
    pub file: PathBuf,
    /// The segment's number, if it is one.
    pub segment: Option<u64>,
    /// The byte.
    pub offset: u64,
    /// The leaf that is bad or shows it: the number of leaves before it.
    pub leaf: Option<u64>,
    /// What is wrong.
    pub problem: String,
}

impl Flaw {
    fn at(ledger: &Path, file: &Path, offset: u64, problem: impl Into<String>) -> Self {
        let file = file.strip_prefix(ledger).unwrap_or(file).to_owned();
        let stem = file
            .file_name()
            .and_then(|name| name.to_str())
            .map(|name| name.strip_suffix(".zst").unwrap_or(name));
        let stem = stem.and_then(|name| name.strip_suffix(".seg"));
        let segment = stem.and_then(|stem| stem.parse().ok());
        Self { segment, file, offset, leaf: None, problem: problem.into() }
    }

    /// The same, shown by this leaf.
    fn of(mut self, leaf: u64) -> Self {
        self.leaf = self.leaf.or(Some(leaf));
        self
    }
}

/// What is worth knowing and no flaw. Bounded.
#[derive(Debug, Default)]
struct Notes {
    ledger: PathBuf,
    said: Vec<String>,
    more: u64,
}

impl Notes {
    fn say(&mut self, note: impl Into<String>) {
        if self.said.len() < 100 {
            self.said.push(note.into());
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    fn remains(&mut self, damage: &Damage) {
        let file = damage.file.strip_prefix(&self.ledger).unwrap_or(&damage.file).display().to_string();
        self.say(format!(
            "{file} at byte {}: {}: the remains of a write that failed or is under way; no leaf covers them",
            damage.offset, damage.fault
        ));
    }

    fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.said.push(format!("and {} more", self.more));
        }
        self.said
    }
}
