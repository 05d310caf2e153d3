//! Asks once more whether a value may begin at a place, where the quick look over the whole text says that one may.
//!
//! That look follows every start at once, so it has room for a few groups of ways to begin only, and groups that
//! mix many ways let much pass that none of them would. Here are more groups, and of each place of a value which bytes
//! may stand there. It is asked of one start, by its first bytes: a few reads that wait for nothing, where a walk
//! through the automaton waits for memory at every byte.

use regex_automata::nfa::thompson::NFA;

use crate::ahead::{PLACES, Way, grouped, ways};
use crate::rules::BEGINNING;

/// How many groups there are: one bit each.
const GROUPS: usize = 64;

/// Which bytes may stand where, by groups of ways to begin.
pub(crate) struct Sieve {
    /// By the byte before a value, or [`BEGINNING`].
    before: Vec<u64>,
    /// By each of its first bytes.
    places: Vec<[u64; 256]>,
}

impl Sieve {
    /// Works out how the patterns of this automaton begin.
    pub(crate) fn build(nfa: &NFA) -> Self {
        let mut sieve = Self { before: vec![0; BEGINNING + 1], places: vec![[0; 256]; PLACES] };
        for (group, ways) in grouped(&ways(nfa), GROUPS).iter().enumerate() {
            ways.iter().for_each(|way| sieve.add(way, 1 << group));
        }
        sieve
    }

    fn add(&mut self, [begins, before, places @ ..]: &Way, group: u64) {
        let before = (0u8..=255).map(|byte| before.has(byte)).chain([begins.has(0)]);
        for (groups, _) in self.before.iter_mut().zip(before).filter(|(_, may)| *may) {
            *groups |= group;
        }
        for (place, set) in self.places.iter_mut().zip(places) {
            for (byte, groups) in (0u8..=255).zip(place.iter_mut()) {
                *groups |= if set.has(byte) { group } else { 0 };
            }
        }
    }

    /// Whether a value may begin with `text`, of which not all may be there, behind `prev`.
    #[inline]
    pub(crate) fn passes(&self, prev: usize, text: &[u8]) -> bool {
        let first = self.before.get(prev).copied().unwrap_or(u64::MAX);
        let groups = |(place, byte): (&[u64; 256], &u8)| place.get(usize::from(*byte)).copied().unwrap_or(0);
        self.places.iter().zip(text).map(groups).fold(first, |live, groups| live & groups) != 0
    }

    /// The weight of the tables in bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of_val(&*self.places) + size_of_val(&*self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_begin_a_value_passes_and_little_else() {
        let patterns = [r"\bsk-[0-9]{4,30}\b", r"(?:ab?|x{20})"];
        let sieve = Sieve::build(&crate::automaton::paths(&patterns).unwrap());
        for (prev, text) in [
            (BEGINNING, "sk-1234"),
            (32, "sk-123456789012345678"),
            (32, "sk-1"),
            (97, "ab and on it goes, as a value ended"),
            (97, "xxxxxxxxxxxxxxxxxxxxx"),
            (32, ""),
        ] {
            assert!(sieve.passes(prev, text.as_bytes()), "{text}");
        }
        for (prev, text) in [(97, "sk-1234"), (32, "sk-a"), (32, "so"), (32, "b"), (32, "xxxxxxxy")] {
            assert!(!sieve.passes(prev, text.as_bytes()), "{text}");
        }
    }
}
