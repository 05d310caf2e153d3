//! Looks ahead for places where a spelled rule could match, without starting a search at every word.
//!
//! Nearly every word could begin some value by its first byte, and nearly none by its first fifteen. So of
//! every way that some value begins, it is worked out beforehand which bytes may stand before it and at
//! each of its first places. Ways that are alike share a group, and one bit says of a byte, a place and a
//! group whether it may stand there: following every possible start at once then takes a shift and an
//! *and* a byte. What no group lets pass has no match: it makes the search faster and changes nothing.

use std::collections::{BTreeSet, HashMap};

use regex_automata::nfa::thompson::{NFA, State as Node};
use regex_automata::util::look::{LookMatcher, LookSet};
use regex_automata::util::primitives::{PatternID, StateID};

use crate::rules::BEGINNING;

/// The places looked at: the byte before a value, and its first fifteen.
const PLACES: usize = 16;

/// Groups in one half of a state: one bit each, at every place.
const GROUPS: usize = 8;

/// The first place of a half: the byte before a value.
const FIRST: u128 = (1 << GROUPS) - 1;

/// Where the last place begins.
const LAST: usize = (PLACES - 1) * GROUPS;

/// Which starts live, by how long ago they were, and in which groups: of the first automaton, and of the
/// second.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Starts([u128; 2]);

/// The table.
pub(crate) struct Ahead {
    /// What may stand where, by byte.
    masks: Box<[[u128; 2]; 256]>,
    /// The starts that live at the beginning of a text.
    beginning: Starts,
}

/// A place in the text with the starts that live there.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) at: usize,
    /// In bytes, which need no room to be aligned: many lanes keep one.
    starts: [[u8; 16]; 2],
}

impl Seen {
    #[inline]
    pub(crate) fn new(at: usize, starts: Starts) -> Self {
        Self { at, starts: starts.0.map(u128::to_ne_bytes) }
    }

    #[inline]
    pub(crate) fn starts(self) -> Starts {
        Starts(self.starts.map(u128::from_ne_bytes))
    }
}

impl Starts {
    #[inline]
    fn all(self) -> u128 {
        let [a, b] = self.0;
        a | b
    }

    /// How many bytes ago the oldest live start was; zero when none lives.
    #[inline]
    pub(crate) fn age(self) -> usize {
        usize::try_from(self.all().checked_ilog2().unwrap_or(0)).unwrap_or(0) / GROUPS
    }

    /// Whether the oldest start may begin what the first automaton finds, and what the second.
    #[inline]
    pub(crate) fn oldest(self) -> [bool; 2] {
        let place = self.age() * GROUPS;
        self.0.map(|half| half >> place != 0)
    }

    /// Whether a start has lived long enough to be looked at by itself.
    #[inline]
    pub(crate) fn alarms(self) -> bool {
        self.all() >> LAST != 0
    }

    /// Those of at most `age` bytes ago.
    #[inline]
    pub(crate) fn since(self, age: usize) -> Self {
        if age >= PLACES - 1 {
            return self;
        }
        let keep = (1 << ((age + 1) * GROUPS)) - 1;
        Self(self.0.map(|half| half & keep))
    }
}

impl Ahead {
    /// Works out how the patterns of these automata begin.
    pub(crate) fn build(automata: [&NFA; 2]) -> Self {
        let groups: Vec<Way> = automata.into_iter().flat_map(groups).collect();
        Self::of(&groups)
    }

    fn of(groups: &[Way]) -> Self {
        let mut masks = Box::new([[0u128; 2]; 256]);
        let mut beginning = Starts::default();
        for (half, groups) in groups.chunks(GROUPS).enumerate().take(2) {
            for (bit, [first, sets @ ..]) in groups.iter().enumerate() {
                for (byte, mask) in (0u8..=255).zip(masks.iter_mut()) {
                    let Some(mask) = mask.get_mut(half) else { continue };
                    for (place, _) in sets.iter().enumerate().filter(|(_, set)| set.has(byte)) {
                        *mask |= 1 << (place * GROUPS + bit);
                    }
                }
                if let Some(half) = beginning.0.get_mut(half).filter(|_| first.has(0)) {
                    *half |= 1 << bit;
                }
            }
        }
        Self { masks, beginning }
    }

    /// The state to begin in behind `prev`, 256 meaning the beginning of the text.
    #[inline]
    pub(crate) fn fresh(&self, prev: usize) -> Starts {
        self.masks.get(prev).map_or(self.beginning, |mask| Starts(mask.map(|half| half & FIRST)))
    }

    /// One byte on.
    #[inline]
    pub(crate) fn step(&self, starts: Starts, byte: u8) -> Starts {
        let [a, b] = starts.0;
        let [c, d] = self.masks.get(usize::from(byte)).copied().unwrap_or_default();
        Starts([(a << GROUPS | FIRST) & c, (b << GROUPS | FIRST) & d])
    }

    /// Goes on through `text` until an alarm. Gives the state, and how many bytes were read.
    #[inline]
    pub(crate) fn skip(&self, mut starts: Starts, text: &[u8]) -> (Starts, usize) {
        for (read, byte) in text.iter().enumerate() {
            starts = self.step(starts, *byte);
            if starts.alarms() {
                return (starts, read + 1);
            }
        }
        (starts, text.len())
    }

    /// The weight of the table in bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of_val(&*self.masks)
    }
}

/// Some bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Set([u128; 2]);

impl Set {
    const ALL: Self = Self([u128::MAX; 2]);

    fn add(&mut self, byte: u8) {
        let [low, high] = &mut self.0;
        *(if byte < 128 { low } else { high }) |= 1 << (byte & 127);
    }

    fn has(self, byte: u8) -> bool {
        let [low, high] = self.0;
        (if byte < 128 { low } else { high }) >> (byte & 127) & 1 != 0
    }

    fn or(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.0, other.0);
        Self([a | c, b | d])
    }

    fn meets(self, other: Self) -> bool {
        let ([a, b], [c, d]) = (self.0, other.0);
        a & c != 0 || b & d != 0
    }

    /// About how often a byte of ordinary text is one of these.
    fn likely(self) -> f64 {
        let [low, high] = self.0;
        let count = |mask: u128| f64::from((low & mask).count_ones());
        let range = |from: u8, to: u8| (from..=to).fold(0u128, |mask, byte| mask | 1 << byte);
        let (digits, upper) = (range(b'0', b'9'), range(b'A', b'Z'));
        let (lower, space) = (range(b'a', b'z'), 1 << b' ');
        let others = !(digits | upper | lower | space);
        0.015 * count(digits)
            + 0.004 * count(upper)
            + 0.019 * count(lower)
            + 0.1 * count(space)
            + 0.002 * count(others)
            + 0.0001 * f64::from(high.count_ones())
    }
}

/// How some values begin: whether at the beginning of a text, if so the byte 0 is in the first set; behind
/// which bytes; and with which.
type Way = [Set; PLACES + 1];

fn both(one: &Way, other: &Way) -> Way {
    std::array::from_fn(|n| match (one.get(n), other.get(n)) {
        (Some(one), Some(other)) => one.or(*other),
        _ => Set::ALL,
    })
}

/// Puts the ways that this automaton's values begin into groups: each where it lets the least pass that
/// did not before, the likeliest first.
fn groups(nfa: &NFA) -> Vec<Way> {
    let ways = Reader::new(nfa).read();
    let mut groups: Vec<(f64, Way)> = vec![(0.0, [Set::default(); PLACES + 1]); GROUPS];
    let mut ways: Vec<(f64, Way)> = ways.into_iter().map(|way| (likely(&way), way)).collect();
    ways.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    for (_, way) in ways {
        let joined = groups.iter_mut().map(|group| {
            let both = both(&group.1, &way);
            (likely(&both), both, group)
        });
        let least = joined.min_by(|a, b| (a.0 - a.2.0).total_cmp(&(b.0 - b.2.0)));
        if let Some((worth, both, group)) = least {
            *group = (worth, both);
        }
    }
    groups.into_iter().map(|(_, way)| way).collect()
}

/// About how often ordinary text begins so.
fn likely(way: &Way) -> f64 {
    way.iter().skip(1).map(|set| set.likely()).product()
}

/// Reads from an automaton how its patterns begin.
struct Reader<'a> {
    nfa: &'a NFA,
    /// Which bytes may follow which, where these conditions hold.
    looks: HashMap<u32, Vec<Set>>,
}

impl<'a> Reader<'a> {
    fn new(nfa: &'a NFA) -> Self {
        Self { nfa, looks: HashMap::new() }
    }

    fn read(mut self) -> BTreeSet<Way> {
        let mut ways = BTreeSet::new();
        for pattern in 0..self.nfa.pattern_len() {
            let start = PatternID::new(pattern).ok().and_then(|id| self.nfa.start_pattern(id));
            let Some(start) = start else { continue };
            for (node, looks) in self.closure(&[start]) {
                let way = match self.nfa.state(node) {
                    // A value of no bytes: it may begin anywhere.
                    Node::Match { .. } => [Set::ALL; PLACES + 1],
                    _ => self.way(node, looks),
                };
                ways.insert(way);
            }
        }
        ways
    }

    /// The nodes behind these that read a byte or match, and the conditions on the way there.
    fn closure(&self, from: &[StateID]) -> BTreeSet<(StateID, u32)> {
        let mut open: Vec<(StateID, LookSet)> = from.iter().map(|id| (*id, LookSet::empty())).collect();
        let (mut known, mut found) = (BTreeSet::new(), BTreeSet::new());
        while let Some((id, looks)) = open.pop() {
            if !known.insert((id, looks.bits)) {
                continue;
            }
            match self.nfa.state(id) {
                Node::Look { look, next } => open.push((*next, looks.insert(*look))),
                Node::Union { alternates } => open.extend(alternates.iter().map(|next| (*next, looks))),
                Node::BinaryUnion { alt1, alt2 } => open.extend([(*alt1, looks), (*alt2, looks)]),
                Node::Capture { next, .. } => open.push((*next, looks)),
                Node::Fail => {}
                _ => drop(found.insert((id, looks.bits))),
            }
        }
        found
    }

    /// The ways to begin with this node, behind these conditions. Later conditions count as met.
    fn way(&mut self, node: StateID, looks: u32) -> Way {
        let mut way = [Set::default(); PLACES + 1];
        let mut nodes = BTreeSet::from([node]);
        for set in way.iter_mut().skip(2) {
            let mut next = Vec::new();
            for node in &nodes {
                self.bytes(*node, set, &mut next);
            }
            if *set == Set::ALL {
                // A value may end before here, or everything may stand here.
                next.clear();
            }
            if next.is_empty() {
                nodes = BTreeSet::new();
                continue;
            }
            nodes = self.closure(&next).into_iter().map(|(node, _)| node).collect();
        }
        let open = way.iter().skip(2).position(|set| *set == Set::ALL || *set == Set::default());
        way.iter_mut().skip(2 + open.unwrap_or(PLACES)).for_each(|set| *set = Set::ALL);
        let first = way.get(2).copied().unwrap_or(Set::ALL);
        let follows = self.looks.entry(looks).or_insert_with(|| follows(looks));
        let behind = |prev: usize| follows.get(prev).is_some_and(|may| may.meets(first));
        let mut prev = Set::default();
        (0u8..=255).filter(|byte| behind(usize::from(*byte))).for_each(|byte| prev.add(byte));
        let mut begins = Set::default();
        if behind(BEGINNING) {
            begins.add(0);
        }
        for (set, known) in way.iter_mut().zip([begins, prev]) {
            *set = known;
        }
        way
    }

    /// Adds the bytes that `node` reads, and the nodes behind them. Where it reads none, a value ends.
    fn bytes(&self, node: StateID, set: &mut Set, next: &mut Vec<StateID>) {
        let mut all = |from: u8, to: u8, then: StateID| {
            (from..=to).for_each(|byte| set.add(byte));
            next.push(then);
        };
        match self.nfa.state(node) {
            Node::ByteRange { trans } => all(trans.start, trans.end, trans.next),
            Node::Sparse(list) => list.transitions.iter().for_each(|t| all(t.start, t.end, t.next)),
            Node::Dense(list) => (0u8..=255)
                .filter_map(|byte| Some((byte, list.matches_byte(byte)?)))
                .for_each(|(byte, then)| all(byte, byte, then)),
            _ => *set = Set::ALL,
        }
    }
}

/// Which bytes may follow each, and the beginning of a text, where all these conditions hold.
fn follows(looks: u32) -> Vec<Set> {
    let (matcher, looks) = (LookMatcher::new(), LookSet { bits: looks });
    let holds = |text: &[u8], at| matcher.matches_set(looks, text, at);
    let behind = |prev: usize| {
        let mut may = Set::default();
        for byte in 0u8..=255 {
            let met = match u8::try_from(prev) {
                Ok(prev) => holds(&[prev, byte], 1),
                Err(_) => holds(&[byte], 0),
            };
            if met {
                may.add(byte);
            }
        }
        may
    };
    (0..=BEGINNING).map(behind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a start behind `prev` still lives after `text`, of values of these patterns.
    fn lives(patterns: &[&str], prev: usize, text: &str) -> bool {
        let nfas = patterns.iter().map(|p| crate::automaton::paths(&[p]).unwrap()).collect::<Vec<_>>();
        let ahead = Ahead::build([&nfas[0], nfas.last().unwrap()]);
        let end = text.bytes().fold(ahead.fresh(prev), |starts, byte| ahead.step(starts, byte));
        end.age() == text.len()
    }

    #[test]
    fn what_may_begin_a_value_lives() {
        let patterns = [r"\bsk-[0-9]{4,30}\b", r"ab?"];
        for (prev, text) in [
            (BEGINNING, "sk-1234"),
            (32, "sk-123456789012"),
            (32, "sk-1234 and more"),
            (97, "a"),
            (97, "ab and on it go"),
        ] {
            assert!(lives(&patterns, prev, text.get(..text.len().min(PLACES - 1)).unwrap()), "{text}");
        }
        for (prev, text) in [(97, "sk-1234"), (32, "sk-a"), (32, "so"), (32, "b")] {
            assert!(!lives(&patterns, prev, text), "{text}");
        }
    }

    #[test]
    fn starts_are_told_by_their_age() {
        let ahead = Ahead::build([&crate::automaton::paths(&["abcabc"]).unwrap(); 2]);
        let starts = b"abcabc".iter().fold(ahead.fresh(BEGINNING), |starts, byte| ahead.step(starts, *byte));
        assert_eq!((starts.age(), starts.since(5).age(), starts.since(2).age()), (6, 3, 0));
        assert_eq!(ahead.skip(ahead.fresh(32), b"abcabcabcabcabcabc").1, PLACES - 1);
    }
}
