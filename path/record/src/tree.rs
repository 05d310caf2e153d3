//! The Merkle tree over the leaves (RFC 6962, section 2.1; RFC 9162, section 2.1): grown leaf by leaf in
//! memory logarithmic in its size, and the proofs that a leaf is in it and that it only grew.

use std::ops::Range;

use crate::digest::Sha256;

/// A SHA-256 hash: of a leaf, a node, or a whole tree.
pub type Hash = [u8; 32];

/// The hash of a leaf whose payload is `payload` as stored: `SHA-256(0x00 ‖ payload)`.
pub fn leaf_hash(payload: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(&[0]);
    hash.update(payload);
    hash.finish()
}

/// The hash of a node: `SHA-256(0x01 ‖ left ‖ right)`.
fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update(&[1]);
    hash.update(left);
    hash.update(right);
    hash.finish()
}

/// A tree as it grows: the heads of its perfect subtrees, the largest first. One for each bit of its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    /// A tree that had grown to `size` with these subtrees; `None` if they are not as many as that takes.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (usize::try_from(size.count_ones()).ok()? == peaks.len()).then_some(Self { size, peaks })
    }

    /// The heads of its perfect subtrees, the largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.size = self.size.saturating_add(1);
        let mut node = leaf;
        for _ in 0..self.size.trailing_zeros() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
    }

    /// The tree's hash.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => Sha256::new().finish(),
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1u64.checked_shl(size.saturating_sub(1).checked_ilog2().unwrap_or(0)).unwrap_or(1)
}

/// The subtrees whose hashes prove that leaf `index` is in a tree of `size` leaves, the leaf's sibling first
/// (RFC 9162, section 2.1.3.1). `None` if there is no such leaf.
pub fn inclusion_ranges(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let (mut from, mut to, mut ranges) = (0u64, size, Vec::new());
    while to.saturating_sub(from) > 1 {
        let middle = from.saturating_add(split(to.saturating_sub(from)));
        if index < middle {
            ranges.push(middle..to);
            to = middle;
        } else {
            ranges.push(from..middle);
            from = middle;
        }
    }
    ranges.reverse();
    Some(ranges)
}

/// The subtrees whose hashes prove that a tree of `new` leaves begins with the tree of its first `old`
/// (RFC 9162, section 2.1.4.1). `None` unless `0 < old <= new`.
pub fn consistency_ranges(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    if old == 0 || old > new {
        return None;
    }
    let (mut from, mut to, mut whole, mut ranges) = (0u64, new, true, Vec::new());
    while old < to {
        let middle = from.saturating_add(split(to.saturating_sub(from)));
        if old <= middle {
            ranges.push(middle..to);
            to = middle;
        } else {
            ranges.push(from..middle);
            from = middle;
            whole = false;
        }
    }
    if !whole {
        ranges.push(from..to);
    }
    ranges.reverse();
    Some(ranges)
}

/// Hashes some stretches of leaves in one pass over all of them.
#[derive(Debug)]
pub struct Stretches {
    stretches: Vec<(Range<u64>, Tree)>,
}

impl Stretches {
    /// Gets ready to hash `ranges`.
    pub fn of(ranges: Vec<Range<u64>>) -> Self {
        Self { stretches: ranges.into_iter().map(|range| (range, Tree::default())).collect() }
    }

    /// Takes leaf `index`. Leaves must come in order.
    pub fn take(&mut self, index: u64, leaf: Hash) {
        for (range, tree) in &mut self.stretches {
            if range.contains(&index) {
                tree.push(leaf);
            }
        }
    }

    /// Their hashes; `None` if a leaf of one did not come.
    pub fn finish(self) -> Option<Vec<Hash>> {
        let hash = |(range, tree): (Range<u64>, Tree)| {
            (tree.size() == range.end.saturating_sub(range.start)).then(|| tree.root())
        };
        self.stretches.into_iter().map(hash).collect()
    }
}

/// The root that `path` leads to from leaf `index`, whose hash is `leaf`, in a tree of `size` leaves (RFC
/// 9162, section 2.1.3.2). `None` if the path cannot be one of such a tree.
pub fn root_of_inclusion(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut root) = (index, size.saturating_sub(1), leaf);
    for hash in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            root = node_hash(hash, &root);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            root = node_hash(&root, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

/// Whether `path` proves that the tree of `new` leaves with root `new_root` begins with the tree of `old`
/// leaves with root `old_root` (RFC 9162, section 2.1.4.2).
pub fn is_consistent((old, old_root): (u64, &Hash), (new, new_root): (u64, &Hash), path: &[Hash]) -> bool {
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    if old == 0 || old > new {
        return false;
    }
    let mut path = path.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut node, mut last) = (old.saturating_sub(1), new.saturating_sub(1));
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut before, mut after) = (*first, *first);
    for hash in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            before = node_hash(hash, &before);
            after = node_hash(hash, &after);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            after = node_hash(&after, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && before == *old_root && after == *new_root
}

#[cfg(test)]
mod tests;
