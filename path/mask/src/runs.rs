//! Looks ahead for places where an announced value could begin.
//!
//! Such values are long runs of bytes that prose has only in short ones. Of the last 64 bytes a [`Window`]
//! keeps what each could be to a value, a bit each. So a few operations on whole words say where a run is long
//! enough, or shorter and behind a sign that gives it a name; only there it is looked at what was announced.

use regex_automata::dfa::Automaton as _;
use regex_automata::util::primitives::StateID;

use crate::context::{NEAR_SHORTEST, is_strong, may_precede};
use crate::few::{self, Few, Lane};
use crate::machine::Machine;
use crate::near::Stretch;
use crate::rules::ReadyAround;

/// What is known of the values that an automaton finds.
pub(crate) struct Runs {
    /// The fewest bytes a value has; at most [`FURTHEST`]. Zero when there is no value at all.
    pub(crate) shortest: usize,
    kinds: [u8; 256],
    /// The same for a [`Window`]: a bit in each of its lanes.
    lanes: [u64; 256],
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
        let mut lanes = [0u64; 256];
        for (byte, (lanes, kind)) in (0u8..=255).zip(lanes.iter_mut().zip(kinds)) {
            let bits = [kind & INSIDE != 0, kind & BEFORE != 0, is_strong(byte)];
            *lanes = bits.iter().rev().fold(0, |lanes, bit| lanes << LANE | u64::from(*bit));
        }
        Self { shortest: if machine.rules.is_empty() { 0 } else { shortest.max(1) }, kinds, lanes }
    }

    fn is(&self, byte: u8, kind: u8) -> bool {
        self.kinds.get(usize::from(byte)).is_some_and(|k| k & kind != 0)
    }

    /// Whether a value may begin with `byte` behind `prev`.
    pub(crate) fn may_start(&self, prev: Option<u8>, byte: u8) -> bool {
        prev.is_none_or(|prev| self.is(prev, BEFORE)) && self.is(byte, FIRST)
    }

    /// What bytes are to all that looks at a few, the rule around a sign too.
    pub(crate) fn few(&self, around: Option<&ReadyAround>) -> few::Kinds {
        few::Kinds::new(|byte| self.is(byte, INSIDE), may_precede, around)
    }

    /// How many bytes of `text` there are to the next that a value may follow, it included.
    #[inline]
    pub(crate) fn to_next(&self, text: &[u8]) -> usize {
        text.iter().position(|b| self.is(*b, BEFORE) || !self.is(*b, INSIDE)).map_or(text.len(), |at| at + 1)
    }
}

/// How wide a lane of [`Runs::lanes`] is: so many bytes are read at once.
const LANE: usize = 16;

/// How far a window reads beyond the place that is asked for: what is before that place is still in it then.
const AHEAD: usize = 48;

/// What the last 64 bytes that were read could be to an announced value, the last one highest. Of bytes that
/// were not read, all counts as met that lets a value begin behind them.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    /// The place behind the last byte.
    end: usize,
    inside: u64,
    before: u64,
    strong: u64,
    /// Where a value could begin by a run that is long enough,
    long: u64,
    /// and by one that is not known to end.
    open: u64,
    /// Whether these two are known of all bytes that were read.
    looked: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self::beginning(0)
    }
}

impl Window {
    fn beginning(end: usize) -> Self {
        Self { end, inside: 0, before: u64::MAX, strong: u64::MAX, long: 0, open: 0, looked: true }
    }

    /// The first place from `at` to the end of the text that comes into question, and the length of its run as far
    /// as it is read: to [`AHEAD`] bytes at least, or to the end of what has come.
    pub(crate) fn next(
        &mut self,
        runs: &Runs,
        text: Stretch<'_>,
        mut at: usize,
        last: bool,
    ) -> Option<(usize, usize)> {
        let end = text.end();
        if self.end < at || at + 63 < self.end {
            *self = Self::beginning(at);
        }
        let mut read = self.end < at + LANE;
        loop {
            if read && self.end < end {
                self.read(runs, text, at);
            }
            if !self.looked {
                self.look(runs, at);
            }
            let place = self.first(at, last && self.end == end);
            at = place.unwrap_or(self.end);
            if at == end {
                return None;
            }
            let length = self.run_length(at);
            // A run that is not read to its end, nor far enough.
            let short = at + length == self.end && length < AHEAD && self.end < end;
            if place.is_some() && !short {
                return Some((at, length));
            }
            read = true;
        }
    }

    /// Reads a few bytes more, if it has read all before them: those to `end`.
    #[inline]
    pub(crate) fn few(&mut self, few: Few, end: usize) {
        if self.end == end {
            self.inside = few.behind(self.inside, Lane::Inside);
            self.before = few.behind(self.before, Lane::Before);
            self.strong = few.behind(self.strong, Lane::Strong);
            self.end += few.count;
            self.looked = false;
        }
    }

    /// Reads on, as far as `at` needs.
    fn read(&mut self, runs: &Runs, text: Stretch<'_>, at: usize) {
        let (pieces, rest) = text.slice(self.end, text.end().min(at + AHEAD)).as_chunks::<LANE>();
        pieces.iter().for_each(|piece| self.take(runs, piece));
        self.take(runs, rest);
        self.looked = false;
    }

    /// Looks where values could begin from `at` on.
    #[inline]
    fn look(&mut self, runs: &Runs, at: usize) {
        self.looked = true;
        let Self { inside, before, strong, .. } = *self;
        let starts = (before << 1 | 1) & inside & self.since(at);
        self.long = starts & long_runs(inside, runs.shortest);
        if self.long != 0 {
            // A sign that gives a name carries over the quotes and spaces behind it, to the value. One may stand
            // before those that the window begins with. A value that begins with a dash is within the carry.
            let given = before.wrapping_add(strong | before & 1) & !before | before;
            self.long &= given | long_runs(inside, NEAR_SHORTEST);
        }
        self.open = starts & !u64::MAX.checked_shr(inside.leading_ones()).unwrap_or(0);
    }

    /// Takes the next bytes: [`LANE`] at most.
    #[inline]
    fn take(&mut self, runs: &Runs, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let lanes = |byte: u8| runs.lanes.get(usize::from(byte)).copied().unwrap_or(0);
        let new = bytes.iter().enumerate().fold(0, |all, (n, byte)| all | lanes(*byte) << n);
        let count = bytes.len();
        let on = |old: u64, lane: usize| old >> count | (new >> (lane * LANE) & 0xffff) << (64 - count);
        (self.inside, self.before, self.strong) =
            (on(self.inside, 0), on(self.before, 1), on(self.strong, 2));
        self.end += count;
    }

    /// The bits of what lies from `at` on, which is at most 63 bytes before the window's end.
    #[inline]
    fn since(&self, at: usize) -> u64 {
        u64::MAX.checked_shl(u32::try_from(64 - (self.end - at)).unwrap_or(64)).unwrap_or(0)
    }

    /// The first place from `at` on where a value could begin: by a run of bytes that is long enough, or that may
    /// become so, as what has come ends with it.
    #[inline]
    fn first(&self, at: usize, last: bool) -> Option<usize> {
        let found = (if last { self.long } else { self.long | self.open }) & self.since(at);
        (found != 0).then(|| self.end + usize::try_from(found.trailing_zeros()).unwrap_or(0) - 64)
    }

    /// The length of the run that begins at `at`, as far as it is read.
    fn run_length(&self, at: usize) -> usize {
        let from = self.inside.checked_shr(u32::try_from(64 - (self.end - at)).unwrap_or(64)).unwrap_or(0);
        usize::try_from(from.trailing_ones()).unwrap_or(0)
    }
}

/// Where runs of so many ones begin, at most 64.
#[inline]
fn long_runs(ones: u64, length: usize) -> u64 {
    let (mut runs, mut known) = (ones, 1);
    while known < length {
        let more = known.min(length - known);
        runs &= runs >> more;
        known += more;
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::context::LONGEST_GAP;
    use crate::rules::Rules;

    /// The first place from `at` on where a value could begin, looked for byte by byte, and its run's length.
    fn slowly(runs: &Runs, text: &[u8], at: usize, last: bool) -> Option<(usize, usize)> {
        (at..text.len()).find_map(|place| {
            let length = text[place..].iter().take_while(|byte| runs.is(**byte, INSIDE)).count();
            let open = place + length == text.len() && !last;
            let gap = text[..place].iter().rev().take(LONGEST_GAP).take_while(|byte| may_precede(**byte));
            let strong = gap.clone().any(|byte| is_strong(*byte));
            let long = length >= runs.shortest && (length >= NEAR_SHORTEST || strong);
            let starts = place == 0 || may_precede(text[place - 1]);
            (starts && length > 0 && (open || long)).then_some((place, length))
        })
    }

    proptest! {
        #[test]
        fn a_window_misses_no_run_however_the_text_comes(
            words in prop::collection::vec("[a-z]{1,9}|[ :,\"=-]{1,4}|[a-z0-9/-]{10,70}| {20,70}", 1..20),
            cuts in prop::collection::vec(1usize..90, 1..40),
        ) {
            let rules = Rules::standard().unwrap();
            let runs = &rules.runs;
            let text = words.concat().into_bytes();
            let (mut window, mut at, mut end) = (Window::default(), 0, 0);
            for cut in cuts.iter().chain([&text.len()]) {
                let before = end;
                end = text.len().min(before + cut);
                if let Some(few) = rules.few.of(&text[before..end]) {
                    window.few(few, before);
                }
                let (come, last) = (&text[..end], end == text.len());
                while let Some((place, length)) = slowly(runs, come, at, last) {
                    let stretch = Stretch { base: 0, text: come };
                    let mut found = window.next(runs, stretch, at, last);
                    // It may name more places than there are, but leaves none out.
                    while found.is_some_and(|(earlier, _)| earlier < place) {
                        found = window.next(runs, stretch, found.unwrap().0 + 1, last);
                    }
                    let (found, known) = found.unwrap();
                    prop_assert_eq!(found, place);
                    prop_assert!(known == length || known >= AHEAD && length > known);
                    if place + length == end && !last {
                        at = place;
                        break;
                    }
                    at = place + 1;
                }
            }
        }
    }
}
