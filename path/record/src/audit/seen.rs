//! Checkpoints, held against the tree as it grows: those in the ledger and those kept outside, and the keys
//! that may have signed them.

use std::fs;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::audit::{Expected, Flaw, KeyUse};
use crate::leaf::Key;
use crate::note::{Notes, Signed, VerifierKey};
use crate::signing::{ALGORITHM, PURPOSE};
use crate::tree::Tree;

/// The checkpoints that are still to be held against the tree.
pub(super) struct Seen {
    ledger: PathBuf,
    file: PathBuf,
    kept: Option<Notes<BufReader<std::io::Take<fs::File>>>>,
    next: Option<(u64, Signed)>,
    /// Smallest last.
    outside: Vec<Signed>,
    pinned: Option<VerifierKey>,
    pub(super) keys: Vec<KeyUse>,
    /// How many of the keys have signed a checkpoint of the ledger's own.
    signed: usize,
    /// Those of the keys that have signed any checkpoint that holds.
    signers: Vec<VerifierKey>,
    pub(super) held: u64,
    pub(super) covered: u64,
    pub(super) against: Vec<u64>,
}

impl Seen {
    /// The checkpoints that lie in `ledger` now, and those that are `expected`.
    pub(super) fn new(ledger: &Path, expected: &Expected) -> Result<Self, Flaw> {
        let file = ledger.join("checkpoints");
        let unread = |error: std::io::Error| Flaw::at(ledger, &file, 0, format!("cannot be read: {error}"));
        let kept = match fs::File::open(&file) {
            Ok(open) => {
                // What is added from now on may cover leaves that are written from now on.
                let length = open.metadata().map_err(unread)?.len();
                Some(Notes::new(BufReader::new(open.take(length))))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(unread(error)),
        };
        let mut outside = expected.checkpoints.clone();
        outside.sort_by_key(|signed| std::cmp::Reverse(signed.checkpoint().size));
        let mut seen = Self {
            ledger: ledger.to_owned(),
            file,
            kept,
            next: None,
            outside,
            pinned: expected.key.clone(),
            keys: Vec::new(),
            signed: 0,
            signers: Vec::new(),
            held: 0,
            covered: 0,
            against: Vec::new(),
        };
        seen.step()?;
        Ok(seen)
    }

    fn flaw(&self, offset: u64, problem: impl Into<String>) -> Flaw {
        Flaw::at(&self.ledger, &self.file, offset, problem)
    }

    /// Reads the next kept one.
    fn step(&mut self) -> Result<(), Flaw> {
        let before = self.next.take().map(|(_, signed)| signed.checkpoint().size);
        let read = self.kept.as_mut().and_then(Iterator::next).transpose();
        self.next = read.map_err(|fault| self.flaw(fault.offset, fault.why))?;
        match (&self.next, before) {
            (Some((at, signed)), Some(before)) if signed.checkpoint().size <= before => {
                Err(self.flaw(*at, "a checkpoint covers no more leaves than the one before it"))
            }
            _ => Ok(()),
        }
    }

    /// A leaf says that a key is used from now on.
    pub(super) fn key(&mut self, leaf: u64, origin: &str, key: &Key) {
        if let Some(used) = key_use(leaf, origin, key) {
            // The first needs nobody to hand over.
            self.keys.push(KeyUse { handed_over: self.keys.is_empty(), ..used });
        }
    }

    /// The tree has grown by a leaf.
    pub(super) fn grown(&mut self, origin: &str, tree: &Tree) -> Result<(), Flaw> {
        while let Some(signed) = self.outside.pop_if(|signed| signed.checkpoint().size <= tree.size()) {
            self.outside(origin, tree, &signed)?;
        }
        let due = self.next.as_ref().is_some_and(|(_, signed)| signed.checkpoint().size <= tree.size());
        if !due {
            return Ok(());
        }
        if let Some((at, signed)) = self.next.clone() {
            self.own(origin, tree, at, &signed)?;
        }
        self.step()
    }

    fn own(&mut self, origin: &str, tree: &Tree, at: u64, signed: &Signed) -> Result<(), Flaw> {
        let checkpoint = signed.checkpoint();
        if checkpoint.origin != origin {
            return Err(self.flaw(at, format!("a checkpoint is of the tree `{}`", checkpoint.origin)));
        }
        let known: Vec<_> = self.keys.iter().map(|used| used.key.clone()).collect();
        let Some(current) = known.last() else {
            return Err(self.flaw(at, "a checkpoint was signed before a leaf said with which key"));
        };
        if !signed.is_signed_by(current) || !signed.is_signed_by_none_but(&known) {
            return Err(self.flaw(at, "a checkpoint's signature is not that of the key in the record"));
        }
        if checkpoint.size != tree.size() || checkpoint.root != tree.root() {
            return Err(self.flaw(at, other_root(checkpoint.size)));
        }
        if self.signed < known.len() {
            // The first that the newest key signs shows whether the one before agreed.
            let before = known.len().checked_sub(2).and_then(|before| known.get(before));
            if let (Some(before), Some(used)) = (before, self.keys.last_mut()) {
                used.handed_over = signed.is_signed_by(before);
            }
            self.signed = known.len();
        }
        self.held = self.held.saturating_add(1);
        self.covered = checkpoint.size;
        self.remember(signed);
        Ok(())
    }

    /// Remembers which keys have signed.
    fn remember(&mut self, signed: &Signed) {
        let known = self.keys.iter().map(|used| &used.key).chain(&self.pinned);
        let new = known.filter(|key| signed.is_signed_by(key) && !self.signers.contains(key));
        let new: Vec<_> = new.cloned().collect();
        self.signers.extend(new);
    }

    fn outside(&mut self, origin: &str, tree: &Tree, signed: &Signed) -> Result<(), Flaw> {
        let checkpoint = signed.checkpoint();
        let flaw =
            |problem: String| Flaw::at(&self.ledger, Path::new("the checkpoint from outside"), 0, problem);
        if checkpoint.origin != origin {
            return Err(flaw(format!("it is of the tree `{}`, and this is `{origin}`", checkpoint.origin)));
        }
        let known = self.keys.last().is_some_and(|used| signed.is_signed_by(&used.key));
        let pinned = self.pinned.as_ref().is_some_and(|key| signed.is_signed_by(key));
        if !known && !pinned {
            return Err(flaw(
                "its signature is not that of the key in the record: it is forged, or the record is".into(),
            ));
        }
        if checkpoint.size != tree.size() || checkpoint.root != tree.root() {
            return Err(flaw(other_root(checkpoint.size)).of(checkpoint.size.saturating_sub(1)));
        }
        self.against.push(checkpoint.size);
        self.remember(signed);
        Ok(())
    }

    /// There are no more leaves.
    pub(super) fn finish(&self, tree: &Tree) -> Result<(), Flaw> {
        if let Some((at, signed)) = &self.next {
            return Err(self.flaw(*at, too_few(signed.checkpoint().size, tree.size())));
        }
        if let Some(signed) = self.outside.first() {
            let outside = Path::new("the checkpoint from outside");
            let problem = format!(
                "{}; the ledger was rolled back, or this copy is older than the checkpoint",
                too_few(signed.checkpoint().size, tree.size())
            );
            return Err(Flaw::at(&self.ledger, outside, 0, problem));
        }
        let Some(pinned) = &self.pinned else { return Ok(()) };
        let at = self.keys.iter().position(|used| used.key == *pinned);
        let Some(at) = at.filter(|_| self.signers.contains(pinned)) else {
            // A leaf that names it proves nothing: anybody can write one.
            let problem = format!("no checkpoint that is here was signed with the key `{pinned}`");
            return Err(Flaw::at(&self.ledger, &self.file, 0, problem));
        };
        // One that has signed nothing yet need not be handed over to.
        let since = self.keys.iter().take(self.signed).skip(at.saturating_add(1));
        match since.into_iter().find(|used| !used.handed_over) {
            Some(used) => {
                let problem =
                    format!("the key `{}` signs since, and the one before did not hand over to it", used.key);
                Err(Flaw::at(&self.ledger, &self.file, 0, problem).of(used.leaf))
            }
            None => Ok(()),
        }
    }
}

/// What a *key* leaf says, if the key is one that signs checkpoints.
pub(super) fn key_use(leaf: u64, origin: &str, key: &Key) -> Option<KeyUse> {
    let public = <[u8; 32]>::try_from(key.public_key.as_slice()).ok()?;
    let signs = key.purpose == PURPOSE && key.algorithm == ALGORITHM;
    signs.then(|| KeyUse { leaf, key: VerifierKey::new(origin, public), handed_over: false })
}

fn other_root(size: u64) -> String {
    format!(
        "a checkpoint of {size} leaves has another root than the first {size} leaves: some of them were changed"
    )
}

fn too_few(size: u64, there: u64) -> String {
    format!("a checkpoint covers {size} leaves, and there are {there}")
}
