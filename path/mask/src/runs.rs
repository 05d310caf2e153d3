//! Looks ahead for places where an announced value could begin.
//!
//! Such values are long runs of bytes that prose has only in short ones. So the search looks at every so
//! many bytes only, and at what was announced only where a run is long enough for a value.

use regex_automata::dfa::Automaton as _;
use regex_automata::util::primitives::StateID;

use crate::context::may_precede;
use crate::rules::Machine;

/// What is known of the values that an automaton finds.
pub(crate) struct Runs {
    /// The fewest bytes a value has; at most [`FURTHEST`]. Zero when there is no value at all.
    pub(crate) shortest: usize,
    kinds: [u8; 256],
}

/// How many bytes of a value are looked at beforehand.
const FURTHEST: usize = 24;

/// Stands among the first `shortest` bytes of some value.
const INSIDE: u8 = 1;
/// Begins some value.
const FIRST: u8 = 2;
/// A value may follow it.
const BEFORE: u8 = 4;

impl Runs {
    /// Reads from the automaton how its matches begin, and how long they are at least.
    pub(crate) fn new(machine: &Machine) -> Self {
        let dfa = &machine.dfa;
        let mut kinds = [0u8; 256];
        for (byte, kind) in (0u8..=255).zip(kinds.iter_mut()) {
            *kind = if may_precede(byte) { BEFORE } else { 0 };
        }
        let mut level: Vec<StateID> = (0..256)
            .filter(|prev| u8::try_from(*prev).is_ok_and(may_precede))
            .map(|p| machine.start(p))
            .collect();
        let mut shortest = 0;
        while shortest < FURTHEST && !level.is_empty() {
            level.sort_unstable();
            level.dedup();
            // A match shows one byte behind its end.
            if level.iter().any(|s| dfa.is_match_state(dfa.next_eoi_state(*s))) {
                break;
            }
            let mut next = Vec::new();
            for state in &level {
                for (byte, kind) in (0u8..=255).zip(kinds.iter_mut()) {
                    let to = dfa.next_state(*state, byte);
                    if !dfa.is_dead_state(to) {
                        *kind |= if shortest == 0 { INSIDE | FIRST } else { INSIDE };
                        next.push(to);
                    }
                }
                next.sort_unstable();
                next.dedup();
            }
            level = next;
            shortest += 1;
        }
        Self { shortest: if machine.rules.is_empty() { 0 } else { shortest.max(1) }, kinds }
    }

    fn is(&self, byte: u8, kind: u8) -> bool {
        self.kinds.get(usize::from(byte)).is_some_and(|k| k & kind != 0)
    }

    /// Whether a value may begin with `byte` behind `prev`.
    pub(crate) fn may_start(&self, prev: Option<u8>, byte: u8) -> bool {
        prev.is_none_or(|prev| self.is(prev, BEFORE)) && self.is(byte, FIRST)
    }

    /// How many bytes of `window` can be left out, as no value that begins among them lies in it whole;
    /// `None` when one may begin with its first.
    #[inline]
    pub(crate) fn leave_out(&self, window: &[u8]) -> Option<usize> {
        window.iter().rposition(|b| !self.is(*b, INSIDE)).map(|last| last + 1)
    }

    /// How many bytes of a value `text` begins with.
    pub(crate) fn run_length(&self, text: &[u8]) -> usize {
        text.iter().take_while(|b| self.is(**b, INSIDE)).count()
    }

    /// How many bytes of `text` there are to the next that a value may follow, it included.
    #[inline]
    pub(crate) fn to_next(&self, text: &[u8]) -> usize {
        text.iter().position(|b| self.is(*b, BEFORE) || !self.is(*b, INSIDE)).map_or(text.len(), |at| at + 1)
    }
}
