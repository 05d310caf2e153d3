//! Proofs that fit in a small file and need no ledger: that leaves are in it (c2sp.org/tlog-proof, one for
//! each leaf), and that it only grew.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;

use crate::leaf::Leaf;
use crate::note::{Checkpoint, Malformed, Notes, Signed, VerifierKey, number};
use crate::tree::{Hash, is_consistent, leaf_hash, root_of_inclusion};

const INCLUSION: &str = "c2sp.org/tlog-proof@v1";
const CONSISTENCY: &str = "portcullis/consistency-proof@v1";
/// A path in a tree of 2^64 leaves is no longer, and a consistency proof one more.
const MAX_PATH: usize = 65;

/// A proof that a leaf is in the tree of a checkpoint. The leaf itself is its extra data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The number of leaves before it.
    pub index: u64,
    /// The leaf as stored.
    pub leaf: Vec<u8>,
    /// The hashes that lead to the root, the leaf's sibling first.
    pub path: Vec<Hash>,
    /// Of which tree.
    pub checkpoint: Signed,
}

/// A proof that the tree of one checkpoint begins with the tree of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The smaller tree.
    pub old: Signed,
    /// The larger one.
    pub new: Signed,
    /// The hashes.
    pub path: Vec<Hash>,
}

/// What a file of proofs holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Leaves are in a tree.
    Inclusion(Vec<InclusionProof>),
    /// A tree only grew.
    Consistency(Box<ConsistencyProof>),
}

/// What a proof has proven.
#[derive(Clone, Debug, PartialEq)]
pub enum Proven {
    /// These leaves, with their numbers, are in the tree of this checkpoint.
    Included(Vec<(u64, Leaf)>, Checkpoint),
    /// The tree of the second begins with that of the first.
    Grown(Checkpoint, Checkpoint),
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refuted(pub String);

fn refuted<T>(why: impl Into<String>) -> Result<T, Refuted> {
    Err(Refuted(why.into()))
}

impl Proof {
    /// Checks the proof with nothing but the key that signs checkpoints. Checkpoints that it holds may be
    /// signed by further keys.
    ///
    /// # Errors
    /// [`Refuted`] says what does not hold.
    pub fn check(&self, key: &VerifierKey) -> Result<Proven, Refuted> {
        let signed = |signed: &Signed| match signed.is_signed_by(key) {
            true => Ok(signed.checkpoint().clone()),
            false => refuted(format!("the checkpoint is not signed by `{key}`")),
        };
        match self {
            Self::Inclusion(proofs) => {
                let Some(first) = proofs.first() else { return refuted("the file holds no proof") };
                let checkpoint = signed(&first.checkpoint)?;
                let mut leaves = Vec::new();
                for proof in proofs {
                    if signed(&proof.checkpoint)? != checkpoint {
                        return refuted("the proofs are of different checkpoints");
                    }
                    let root =
                        root_of_inclusion(leaf_hash(&proof.leaf), proof.index, checkpoint.size, &proof.path);
                    if root != Some(checkpoint.root) {
                        return refuted(format!("leaf {} is not in the tree of the checkpoint", proof.index));
                    }
                    let leaf = Leaf::decode(proof.leaf.as_slice());
                    let leaf = leaf.map_err(|_| Refuted(format!("leaf {} holds no leaf", proof.index)))?;
                    leaves.push((proof.index, leaf));
                }
                Ok(Proven::Included(leaves, checkpoint))
            }
            Self::Consistency(proof) => {
                let (old, new) = (signed(&proof.old)?, signed(&proof.new)?);
                if old.origin == new.origin
                    && is_consistent((old.size, &old.root), (new.size, &new.root), &proof.path)
                {
                    Ok(Proven::Grown(old, new))
                } else {
                    refuted(format!(
                        "the tree of {} leaves does not begin with the one of {}: leaves were changed or removed",
                        new.size, old.size
                    ))
                }
            }
        }
    }
}

fn lines(f: &mut fmt::Formatter<'_>, path: &[Hash]) -> fmt::Result {
    path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{INCLUSION}\nextra {}\nindex {}", STANDARD.encode(&self.leaf), self.index)?;
        lines(f, &self.path)?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{CONSISTENCY}")?;
        lines(f, &self.path)?;
        write!(f, "\n{}{}", self.old, self.new)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inclusion(proofs) => proofs.iter().try_for_each(|proof| proof.fmt(f)),
            Self::Consistency(proof) => proof.fmt(f),
        }
    }
}

fn path<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Hash>, Malformed> {
    let hash = |line: &str| STANDARD.decode(line).ok().and_then(|hash| hash.try_into().ok());
    let path: Option<Vec<Hash>> = lines.take(MAX_PATH + 1).map(hash).collect();
    path.filter(|path| path.len() <= MAX_PATH)
        .ok_or(Malformed("a line of the proof is no hash, or there are too many"))
}

fn inclusion(text: &str) -> Result<InclusionProof, Malformed> {
    const HEAD: Malformed = Malformed("the proof lacks its lines `extra` and `index`");
    let (head, checkpoint) =
        text.split_once("\n\n").ok_or(Malformed("the proof has no empty line before its checkpoint"))?;
    let mut lines = head.lines();
    let leaf = lines.next().and_then(|line| line.strip_prefix("extra ")).ok_or(HEAD)?;
    let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(number).ok_or(HEAD)?;
    Ok(InclusionProof {
        index,
        leaf: STANDARD.decode(leaf).map_err(|_| HEAD)?,
        path: path(lines)?,
        checkpoint: checkpoint.parse()?,
    })
}

fn consistency(text: &str) -> Result<ConsistencyProof, Malformed> {
    const TWO: Malformed = Malformed("the proof holds no two checkpoints");
    let text = text.strip_prefix('\n').map_or_else(|| text.split_once("\n\n"), |notes| Some(("", notes)));
    let (hashes, notes) = text.ok_or(TWO)?;
    let mut notes = Notes::new(notes.as_bytes());
    let (Some(Ok((_, old))), Some(Ok((_, new))), None) = (notes.next(), notes.next(), notes.next()) else {
        return Err(TWO);
    };
    Ok(ConsistencyProof { old, new, path: path(hashes.lines())? })
}

impl FromStr for Proof {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if let Some(rest) = text.strip_prefix(CONSISTENCY).and_then(|rest| rest.strip_prefix('\n')) {
            return consistency(rest).map(|proof| Self::Consistency(Box::new(proof)));
        }
        let head = format!("{INCLUSION}\n");
        let rest = text.strip_prefix(&head).ok_or(Malformed("this is no proof"))?;
        let between = format!("\n{head}");
        let proofs = rest.split(&between).map(inclusion).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::Inclusion(proofs))
    }
}
