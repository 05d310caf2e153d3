//! Makes proofs from a ledger's leaves: one pass to find, one to hash.

use std::path::Path;

use prost::Message;

use crate::LedgerError;
use crate::audit::seen::key_use;
use crate::audit::{ConsistencyProof, InclusionProof, KeyUse};
use crate::checkpoints::last_checkpoint;
use crate::leaf::{Leaf, What};
use crate::note::Signed;
use crate::segment::{Position, Series};
use crate::tree::{
    Stretches, consistency_ranges, inclusion_ranges, is_consistent, leaf_hash, root_of_inclusion,
};
use model::hex;

fn unproven<T>(problem: impl Into<String>) -> Result<T, LedgerError> {
    Err(LedgerError::Unproven { problem: problem.into() })
}

/// Gives `each` every leaf with its number, until it says that it is enough.
fn leaves(dir: &Path, mut each: impl FnMut(u64, Vec<u8>) -> bool) -> Result<(), LedgerError> {
    let mut reader = Series::leaves(dir).read(Position::default());
    let mut index = 0u64;
    while let Some((_, frame)) = reader.next()? {
        if !each(index, frame.payload) {
            break;
        }
        index = index.saturating_add(1);
    }
    Ok(())
}

/// Hashes the first `size` leaves into all of `stretches`. Says whether there are so many.
fn hash_into(dir: &Path, size: u64, stretches: &mut [Stretches]) -> Result<bool, LedgerError> {
    let mut there = 0u64;
    leaves(dir, |index, payload| {
        if index < size {
            let hash = leaf_hash(&payload);
            stretches.iter_mut().for_each(|stretches| stretches.take(index, hash));
            there = index.saturating_add(1);
        }
        index.saturating_add(1) < size
    })?;
    Ok(there >= size)
}

/// The exchange that a leaf tells of.
fn exchange(payload: &[u8]) -> Option<String> {
    let id = match Leaf::decode(payload).ok()?.what? {
        What::Opened(opened) => opened.exchange,
        What::Part(part) => part.exchange,
        What::Sealed(sealed) => sealed.exchange,
        What::Refused(refused) => refused.exchange,
        _ => return None,
    };
    Some(hex(&id))
}

/// The numbers and payloads of all leaves of the one exchange whose id begins with `id`.
fn find(dir: &Path, id: &str) -> Result<Vec<(u64, Vec<u8>)>, LedgerError> {
    let wanted: String = id.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    let (mut found, mut whole, mut ambiguous) = (Vec::new(), None, false);
    leaves(dir, |index, payload| {
        if let Some(name) = exchange(&payload).filter(|name| name.starts_with(&wanted)) {
            ambiguous |= whole.as_ref().is_some_and(|whole| *whole != name);
            whole = Some(name);
            found.push((index, payload));
        }
        !ambiguous
    })?;
    match () {
        () if ambiguous => Err(LedgerError::Ambiguous { id: id.to_owned() }),
        () if found.is_empty() || wanted.is_empty() => Err(LedgerError::NotFound { id: id.to_owned() }),
        () => Ok(found),
    }
}

/// The keys that the leaves name for checkpoints, in order. Whether one handed over to the next is told by
/// [`crate::audit::verify`].
///
/// # Errors
/// [`LedgerError`] when the leaves cannot be read.
pub fn keys(dir: &Path) -> Result<Vec<KeyUse>, LedgerError> {
    let (mut keys, mut origin) = (Vec::new(), String::new());
    if let Ok(header) = Series::leaves(dir).header(1) {
        origin = format!("portcullis/{}", hex(&header.node));
    }
    leaves(dir, |leaf, payload| {
        if let Some(What::Key(key)) = Leaf::decode(payload.as_slice()).ok().and_then(|leaf| leaf.what) {
            keys.extend(key_use(leaf, &origin, &key));
        }
        true
    })?;
    Ok(keys)
}

/// Proves that every leaf of the exchange whose id begins with `id` is in the tree of `checkpoint`, or of
/// the newest one in the ledger.
///
/// # Errors
/// [`LedgerError`] when there is no such exchange, no checkpoint covers it yet, or the leaves are not those
/// the checkpoint was signed over.
pub fn prove_exchange(
    dir: &Path,
    id: &str,
    checkpoint: Option<Signed>,
) -> Result<Vec<InclusionProof>, LedgerError> {
    let found = find(dir, id)?;
    let checkpoint = match checkpoint {
        Some(checkpoint) => checkpoint,
        None => match last_checkpoint(dir)? {
            Some(checkpoint) => checkpoint,
            None => return unproven("the ledger holds no checkpoint yet"),
        },
    };
    let (size, root) = (checkpoint.checkpoint().size, checkpoint.checkpoint().root);
    let ranges: Option<Vec<_>> = found.iter().map(|(index, _)| inclusion_ranges(*index, size)).collect();
    let Some(ranges) = ranges else {
        return unproven(format!(
            "the checkpoint of {size} leaves does not cover the whole exchange: `portcullis audit checkpoint --now` makes one that does"
        ));
    };
    let mut stretches: Vec<_> = ranges.into_iter().map(Stretches::of).collect();
    hash_into(dir, size, &mut stretches)?;
    let mut proofs = Vec::new();
    for ((index, leaf), stretches) in found.into_iter().zip(stretches) {
        let path = stretches.finish().unwrap_or_default();
        if root_of_inclusion(leaf_hash(&leaf), index, size, &path) != Some(root) {
            return unproven(format!(
                "the first {size} leaves are not those that the checkpoint was signed over: `portcullis audit verify` finds what was changed"
            ));
        }
        proofs.push(InclusionProof { index, leaf, path, checkpoint: checkpoint.clone() });
    }
    Ok(proofs)
}

/// Proves that the tree of `new` begins with that of `old`.
///
/// # Errors
/// [`LedgerError`] when it does not, or the ledger does not hold the leaves to show it.
pub fn prove_consistency(dir: &Path, old: Signed, new: Signed) -> Result<ConsistencyProof, LedgerError> {
    let (before, after) = (old.checkpoint(), new.checkpoint());
    if before.origin != after.origin {
        return unproven(format!(
            "the checkpoints are of two trees: `{}` and `{}`",
            before.origin, after.origin
        ));
    }
    let Some(ranges) = consistency_ranges(before.size, after.size) else {
        return unproven(format!(
            "the old checkpoint covers {} leaves, and the new one {}",
            before.size, after.size
        ));
    };
    let mut stretches = [Stretches::of(ranges)];
    if !hash_into(dir, after.size, &mut stretches)? {
        return unproven(format!(
            "the ledger holds fewer than {} leaves: it was rolled back, or is an older copy",
            after.size
        ));
    }
    let [stretches] = stretches;
    let path = stretches.finish().unwrap_or_default();
    if !is_consistent((before.size, &before.root), (after.size, &after.root), &path) {
        return unproven(format!(
            "the tree of {} leaves does not begin with the one of {}: leaves were changed or removed",
            after.size, before.size
        ));
    }
    Ok(ConsistencyProof { old, new, path })
}
