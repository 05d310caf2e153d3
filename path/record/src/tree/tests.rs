//! The tree against the public vectors of Certificate Transparency, and against a tree written naively.

use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

fn hash(text: &str) -> Hash {
    hex(text).try_into().unwrap()
}

/// The leaves that every implementation of RFC 6962 is tried with, and the roots of their first 1 to 8.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
/// Leaf, size, path.
const INCLUSIONS: &[(u64, u64, &[&str])] = &[
    (0, 1, &[]),
    (
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        &[
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];
/// Old size, new size, path.
const CONSISTENCIES: &[(u64, u64, &[&str])] = &[
    (1, 1, &[]),
    (
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];

/// MTH of RFC 6962, word for word.
fn naive(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::new().finish(),
        [one] => *one,
        many => {
            let mut half = 1;
            while half * 2 < many.len() {
                half *= 2;
            }
            node_hash(&naive(&many[..half]), &naive(&many[half..]))
        }
    }
}

fn grown(leaves: &[Hash]) -> Tree {
    leaves.iter().fold(Tree::default(), |mut tree, leaf| {
        tree.push(*leaf);
        tree
    })
}

fn hashes(leaves: &[Hash], ranges: Vec<Range<u64>>) -> Vec<Hash> {
    let mut stretches = Stretches::of(ranges);
    for (index, leaf) in (0..).zip(leaves) {
        stretches.take(index, *leaf);
    }
    stretches.finish().unwrap()
}

#[test]
fn the_public_vectors_hold() {
    assert_eq!(
        Tree::default().root(),
        hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    );
    let leaves: Vec<Hash> = LEAVES.iter().map(|leaf| leaf_hash(&hex(leaf))).collect();
    for (size, root) in (1..).zip(ROOTS) {
        assert_eq!(grown(&leaves[..size]).root(), hash(root));
    }
    let root = |size: u64| hash(ROOTS[usize::try_from(size).unwrap() - 1]);
    for (index, size, path) in INCLUSIONS {
        let path: Vec<Hash> = path.iter().map(|text| hash(text)).collect();
        let at = usize::try_from(*index).unwrap();
        let whole = &leaves[..usize::try_from(*size).unwrap()];
        assert_eq!(hashes(whole, inclusion_ranges(*index, *size).unwrap()), path);
        assert_eq!(root_of_inclusion(leaves[at], *index, *size, &path), Some(root(*size)));
    }
    for (old, new, path) in CONSISTENCIES {
        let path: Vec<Hash> = path.iter().map(|text| hash(text)).collect();
        let whole = &leaves[..usize::try_from(*new).unwrap()];
        assert_eq!(hashes(whole, consistency_ranges(*old, *new).unwrap()), path);
        assert!(is_consistent((*old, &root(*old)), (*new, &root(*new)), &path));
    }
}

#[test]
fn what_cannot_be_proven_is_not() {
    let (one, root) = ([1; 32], [2; 32]);
    assert_eq!(inclusion_ranges(0, 0), None);
    assert_eq!(inclusion_ranges(2, 2), None);
    assert_eq!(consistency_ranges(0, 3), None);
    assert_eq!(consistency_ranges(4, 3), None);
    assert_eq!(root_of_inclusion(one, 0, 0, &[]), None);
    assert_eq!(root_of_inclusion(one, 1, 1, &[]), None);
    assert_eq!(root_of_inclusion(one, 0, 2, &[]), None);
    assert_eq!(root_of_inclusion(one, 0, 1, &[root]), None);
    assert!(!is_consistent((0, &one), (3, &root), &[]));
    assert!(!is_consistent((3, &one), (2, &root), &[]));
    assert!(!is_consistent((2, &one), (2, &root), &[]));
    assert!(!is_consistent((2, &one), (2, &one), &[root]));
    assert!(!is_consistent((1, &one), (2, &root), &[]));
}

fn leaves() -> impl Strategy<Value = Vec<Hash>> {
    (1..260u16).prop_map(|size| (0..size).map(|n| leaf_hash(&n.to_le_bytes())).collect())
}

proptest! {
    #[test]
    fn a_growing_tree_is_the_naive_one(leaves in leaves()) {
        let tree = grown(&leaves);
        prop_assert_eq!(tree.root(), naive(&leaves));
        prop_assert_eq!(Tree::from_peaks(tree.size(), tree.peaks().to_vec()), Some(tree.clone()));
        prop_assert_eq!(Tree::from_peaks(tree.size() - 1, tree.peaks().to_vec()).is_some(),
            (tree.size() - 1).count_ones() == tree.size().count_ones());
    }

    #[test]
    fn every_leaf_is_proven_and_no_other(leaves in leaves(), at in any::<proptest::sample::Index>(), spoilt in any::<proptest::sample::Index>()) {
        let (index, size) = (at.index(leaves.len()), leaves.len() as u64);
        let path = hashes(&leaves, inclusion_ranges(index as u64, size).unwrap());
        let root = naive(&leaves);
        let check = |leaf: Hash, index: u64, size: u64, path: &[Hash]| {
            root_of_inclusion(leaf, index, size, path) == Some(root)
        };
        prop_assert!(check(leaves[index], index as u64, size, &path));
        prop_assert!(!check([7; 32], index as u64, size, &path));
        prop_assert!(!check(leaves[index], index as u64 + 1, size, &path));
        prop_assert!(!check(leaves[index], (index as u64) ^ 2, size, &path) || size <= (index as u64 ^ 2));
        let mut longer = path.clone();
        longer.push(root);
        prop_assert!(!check(leaves[index], index as u64, size, &longer));
        if !path.is_empty() {
            prop_assert!(!check(leaves[index], index as u64, size, &path[1..]));
            let mut other = path.clone();
            other[spoilt.index(path.len())][0] ^= 1;
            prop_assert!(!check(leaves[index], index as u64, size, &other));
        }
    }

    #[test]
    fn growing_is_proven_and_nothing_else(leaves in leaves(), at in any::<proptest::sample::Index>(), spoilt in any::<proptest::sample::Index>()) {
        let (old, new) = (at.index(leaves.len()) + 1, leaves.len());
        let path = hashes(&leaves, consistency_ranges(old as u64, new as u64).unwrap());
        let (before, after) = (naive(&leaves[..old]), naive(&leaves));
        prop_assert!(is_consistent((old as u64, &before), (new as u64, &after), &path));
        prop_assert!(!is_consistent((old as u64, &[7; 32]), (new as u64, &after), &path));
        prop_assert!(!is_consistent((old as u64, &before), (new as u64, &[7; 32]), &path));
        if old < new {
            prop_assert!(!path.is_empty());
            prop_assert!(!is_consistent((old as u64, &before), (new as u64, &after), &path[1..]));
            let mut other = path.clone();
            other[spoilt.index(path.len())][31] ^= 128;
            prop_assert!(!is_consistent((old as u64, &before), (new as u64, &after), &other));
            let mut longer = path.clone();
            longer.push(after);
            prop_assert!(!is_consistent((old as u64, &before), (new as u64, &after), &longer));
        }
    }
}
