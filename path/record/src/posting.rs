//! Which exchanges have a property: sets of their numbers in the index, in blocks of 8192.
//!
//! A block is a list while it holds few, and a field of bits when it holds many. Two properties are looked
//! for together by taking the bits that both have, so a pair costs no more than each alone.

/// Numbers in a block.
pub(crate) const BLOCK: i64 = 8192;
const WORDS: usize = 128;
/// Bytes of a field of bits as stored; a list is always shorter.
const FIELD: usize = WORDS * 8;

/// A field of bits, one a number of the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bits(Box<[u64; WORDS]>);

impl Bits {
    /// None.
    pub(crate) fn none() -> Self {
        Self(Box::new([0; WORDS]))
    }

    /// All.
    pub(crate) fn all() -> Self {
        Self(Box::new([u64::MAX; WORDS]))
    }

    fn put(&mut self, at: u16, there: bool) {
        if let Some(word) = self.0.get_mut(usize::from(at >> 6)) {
            let bit = 1u64 << (at & 63);
            *word = if there { *word | bit } else { *word & !bit };
        }
    }

    /// Adds a number's place in the block.
    pub(crate) fn add(&mut self, at: u16) {
        self.put(at, true);
    }

    /// What is in both.
    pub(crate) fn and(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(other.0.iter()) {
            *word &= other;
        }
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The places in it, the last first.
    pub(crate) fn backward(&self) -> impl Iterator<Item = u16> {
        self.0.iter().zip(0u16..128).rev().flat_map(|(word, at)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = u16::try_from(rest.checked_ilog2()?).ok()?;
                rest &= !(1 << bit);
                Some((at << 6) | bit)
            })
        })
    }
}

/// A block of one property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Posting {
    /// Sorted, fewer than 512.
    Few(Vec<u16>),
    /// Any.
    Many(Bits),
}

impl Default for Posting {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Posting {
    /// Adds a place, or takes it away. Whether that changed anything.
    pub(crate) fn put(&mut self, at: u16, there: bool) -> bool {
        match self {
            Self::Few(places) => match (places.binary_search(&at), there) {
                (Err(before), true) => {
                    places.insert(before, at);
                    if places.len() >= FIELD / 2 {
                        *self = Self::Many(self.bits());
                    }
                    true
                }
                (Ok(place), false) => {
                    places.remove(place);
                    true
                }
                _ => false,
            },
            Self::Many(bits) => {
                let before = bits.0.get(usize::from(at >> 6)).copied();
                bits.put(at, there);
                before != bits.0.get(usize::from(at >> 6)).copied()
            }
        }
    }

    /// As a field of bits.
    pub(crate) fn bits(&self) -> Bits {
        let mut bits = Bits::none();
        self.add_to(&mut bits);
        bits
    }

    /// Adds all its places to `bits`.
    pub(crate) fn add_to(&self, bits: &mut Bits) {
        match self {
            Self::Few(places) => places.iter().for_each(|at| bits.add(*at)),
            Self::Many(more) => bits.0.iter_mut().zip(more.0.iter()).for_each(|(word, more)| *word |= more),
        }
    }

    /// As stored: two bytes a place, or all bits.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Few(places) => places.iter().flat_map(|at| at.to_le_bytes()).collect(),
            Self::Many(bits) => bits.0.iter().flat_map(|word| word.to_le_bytes()).collect(),
        }
    }

    /// Reads what was stored. What is no posting is an empty one.
    pub(crate) fn decode(stored: &[u8]) -> Self {
        if stored.len() < FIELD {
            let places = stored.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair));
            return Self::Few(places.filter(|at| i64::from(*at) < BLOCK).collect());
        }
        let mut bits = Bits::none();
        for (word, eight) in bits.0.iter_mut().zip(stored.as_chunks().0) {
            *word = u64::from_le_bytes(*eight);
        }
        Self::Many(bits)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_set_it_stands_for(
            steps in proptest::collection::vec((0u16..8192, any::<bool>()), 0..200), many in any::<bool>(),
        ) {
            let mut set: BTreeSet<u16> = if many { (0..8192).step_by(9).collect() } else { BTreeSet::new() };
            let mut posting = Posting::default();
            set.iter().for_each(|at| assert!(posting.put(*at, true)));
            for (at, there) in steps {
                let changed = if there { set.insert(at) } else { set.remove(&at) };
                prop_assert_eq!(posting.put(at, there), changed);
            }
            let back = Posting::decode(&posting.encode());
            prop_assert_eq!(&back, &posting);
            prop_assert_eq!(back.bits().backward().collect::<Vec<_>>(), set.into_iter().rev().collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_read(stored in proptest::collection::vec(any::<u8>(), 0..1100)) {
            let all = Posting::decode(&stored).bits();
            prop_assert!(all.backward().all(|at| i64::from(at) < BLOCK));
        }
    }

    #[test]
    fn both_is_what_is_in_each() {
        let (mut even, mut high) = (Bits::none(), Bits::none());
        (0..8192).step_by(2).for_each(|at| even.add(at));
        (8190..8192).for_each(|at| high.add(at));
        even.and(&high);
        assert_eq!(even.backward().collect::<Vec<_>>(), [8190]);
        assert!(Bits::none().is_empty() && !Bits::all().is_empty());
    }
}
