//! Looks ahead for places where a spelled rule could match, without starting a search at every word.
//!
//! Nearly every word could begin some value by its first byte, and nearly none by its first sixteen. So of
//! every way that some value begins, it is worked out beforehand which two bytes may stand side by side, at
//! the byte before it and each of its first places. Ways that are alike share a group, and one bit says of
//! two bytes, a place and a group whether they may stand there: following every possible start at once then
//! takes a shift and an *and* a byte. What no group lets pass has no match: it makes the search faster and
//! changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use regex_automata::nfa::thompson::{NFA, State as Node};
use regex_automata::util::look::{LookMatcher, LookSet};
use regex_automata::util::primitives::{PatternID, StateID};

use crate::rules::BEGINNING;

/// The places looked at: a value's first bytes, each with the one before it.
pub(crate) const PLACES: usize = 16;

/// Groups in one word of a state: one bit each, at every place.
const GROUPS: usize = 4;

/// Words of a state: the first two for the first automaton.
const WORDS: usize = 4;

/// The first place of a word.
const FIRST: u64 = (1 << GROUPS) - 1;

/// Where the last place begins.
const LAST: usize = (PLACES - 1) * GROUPS;

/// Which starts live, by how long ago they were, and in which groups: of the first automaton, and of the
/// second.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Starts([u64; WORDS]);

/// The table.
pub(crate) struct Ahead {
    /// Bytes that no way tells apart are of one kind.
    kinds: [u8; 256],
    /// How many kinds there are.
    count: usize,
    /// What may stand where, by the kinds of two bytes; the last row is for the beginning of a text.
    masks: Vec<[u64; WORDS]>,
}

/// A place in the text with the starts that live there.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) at: usize,
    pub(crate) starts: Starts,
}

impl Starts {
    #[inline]
    fn all(self) -> u64 {
        let [a, b, c, d] = self.0;
        a | b | c | d
    }

    /// How many bytes ago the oldest live start was; zero when none lives.
    #[inline]
    pub(crate) fn age(self) -> usize {
        let all = self.all();
        usize::try_from(all.checked_ilog2().map_or(0, |top| top + 4)).unwrap_or(0) / GROUPS
    }

    /// Whether the oldest start may begin what the first automaton finds, and what the second.
    #[inline]
    pub(crate) fn oldest(self) -> [bool; 2] {
        let place = self.age().saturating_sub(1) * GROUPS;
        let [a, b, c, d] = self.0;
        [(a | b) >> place != 0, (c | d) >> place != 0]
    }

    /// Whether a start has lived long enough to be looked at by itself.
    #[inline]
    pub(crate) fn alarms(self) -> bool {
        self.all() >> LAST != 0
    }

    /// Those of at most `age` bytes ago.
    #[inline]
    pub(crate) fn since(self, age: usize) -> Self {
        if age >= PLACES {
            return self;
        }
        let keep = (1 << (age * GROUPS)) - 1;
        Self(self.0.map(|word| word & keep))
    }
}

impl Ahead {
    /// Works out how the patterns of these automata begin.
    pub(crate) fn build(automata: [&NFA; 2]) -> Self {
        let groups: Vec<Vec<Way>> =
            automata.into_iter().flat_map(|nfa| grouped(&ways(nfa), WORDS / 2 * GROUPS)).collect();
        let ways: BTreeSet<&Way> = groups.iter().flatten().collect();
        let (kinds, bytes) = kinds(&ways);
        let count = bytes.len();
        let mut masks = vec![[0u64; WORDS]; (count + 1) * count];
        let of = |set: Set| (0..count).filter(move |n| bytes.get(*n).is_some_and(|b| set.has(*b)));
        let kinds_of: BTreeMap<Set, Vec<usize>> =
            ways.iter().flat_map(|way| way.iter()).map(|set| (*set, of.clone()(*set).collect())).collect();
        let mut mark = |rows: &[usize], set: &Set, word: usize, bit: u64| {
            for (row, kind) in rows
                .iter()
                .flat_map(|row| kinds_of.get(set).into_iter().flatten().map(move |kind| (row, kind)))
            {
                if let Some(mask) = masks.get_mut(row * count + kind).and_then(|mask| mask.get_mut(word)) {
                    *mask |= bit;
                }
            }
        };
        for (group, ways) in groups.iter().enumerate() {
            let (word, bit) = (group / GROUPS, group % GROUPS);
            let mut known = BTreeSet::new();
            for [begins, sets @ ..] in ways {
                for (place, two) in sets.windows(2).enumerate() {
                    let [before, set] = two else { continue };
                    let bit = 1 << (place * GROUPS + bit);
                    if place == 0 && begins.has(0) {
                        mark(&[count], set, word, bit);
                    }
                    if known.insert((place, before, set)) {
                        mark(kinds_of.get(before).map_or(&[], Vec::as_slice), set, word, bit);
                    }
                }
            }
        }
        Self { kinds, count, masks }
    }

    /// The row of the byte before a place, 256 meaning the beginning of the text.
    #[inline]
    pub(crate) fn row(&self, prev: usize) -> usize {
        self.kinds.get(prev).map_or(self.count, |kind| usize::from(*kind))
    }

    /// One byte on, in the row of the byte before. Gives the state, and that byte's row.
    #[inline]
    pub(crate) fn go(&self, starts: Starts, row: usize, byte: u8) -> (Starts, usize) {
        let kind = self.row(usize::from(byte));
        let [a, b, c, d] = starts.0;
        let [e, f, g, h] = self.masks.get(row * self.count + kind).copied().unwrap_or([u64::MAX; WORDS]);
        let on = |word: u64, mask: u64| (word << GROUPS | FIRST) & mask;
        (Starts([on(a, e), on(b, f), on(c, g), on(d, h)]), kind)
    }

    /// One byte on, behind `prev`.
    #[inline]
    pub(crate) fn step(&self, starts: Starts, prev: usize, byte: u8) -> Starts {
        self.go(starts, self.row(prev), byte).0
    }

    /// Goes on through `text`, from the row of the byte before, until an alarm. Gives the state, and how many
    /// bytes were read.
    #[inline]
    pub(crate) fn skip(&self, mut starts: Starts, mut row: usize, text: &[u8]) -> (Starts, usize) {
        for (read, byte) in text.iter().enumerate() {
            (starts, row) = self.go(starts, row, *byte);
            if starts.alarms() {
                return (starts, read + 1);
            }
        }
        (starts, text.len())
    }

    /// The weight of the table in bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of_val(&*self.masks) + size_of_val(&self.kinds)
    }
}

/// Bytes that are in the same sets of all ways are of one kind. Gives the kind of each byte, and one byte
/// of each kind.
fn kinds(ways: &BTreeSet<&Way>) -> ([u8; 256], Vec<u8>) {
    let sets: BTreeSet<&Set> = ways.iter().flat_map(|way| way.iter().skip(1)).collect();
    let mut known: HashMap<Vec<bool>, u8> = HashMap::new();
    let (mut kinds, mut bytes) = ([0u8; 256], Vec::new());
    for (byte, kind) in (0u8..=255).zip(kinds.iter_mut()) {
        *kind = *known.entry(sets.iter().map(|set| set.has(byte)).collect()).or_insert_with(|| {
            bytes.push(byte);
            u8::try_from(bytes.len() - 1).unwrap_or(0)
        });
    }
    (kinds, bytes)
}

/// Some bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Set([u128; 2]);

impl Set {
    const ALL: Self = Self([u128::MAX; 2]);

    fn add(&mut self, byte: u8) {
        let [low, high] = &mut self.0;
        *(if byte < 128 { low } else { high }) |= 1 << (byte & 127);
    }

    pub(crate) fn has(self, byte: u8) -> bool {
        let [low, high] = self.0;
        (if byte < 128 { low } else { high }) >> (byte & 127) & 1 != 0
    }

    fn or(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.0, other.0);
        Self([a | c, b | d])
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
pub(crate) type Way = [Set; PLACES + 2];

fn both(one: &Way, other: &Way) -> Way {
    std::array::from_fn(|n| match (one.get(n), other.get(n)) {
        (Some(one), Some(other)) => one.or(*other),
        _ => Set::ALL,
    })
}

/// The ways that this automaton's values begin, the likeliest first.
pub(crate) fn ways(nfa: &NFA) -> Vec<Way> {
    let mut ways: Vec<(f64, Way)> =
        Reader::new(nfa).read().into_iter().map(|way| (likely(&way), way)).collect();
    ways.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    ways.into_iter().map(|(_, way)| way).collect()
}

/// Puts ways to begin into so many groups: each where it lets the least pass that did not before.
pub(crate) fn grouped(ways: &[Way], count: usize) -> Vec<Vec<Way>> {
    let mut groups: Vec<(f64, Way, Vec<Way>)> = vec![(0.0, [Set::default(); PLACES + 2], Vec::new()); count];
    for way in ways {
        let joined = groups.iter_mut().map(|group| {
            let both = both(&group.1, way);
            (likely(&both), both, group)
        });
        let least = joined.min_by(|a, b| (a.0 - a.2.0).total_cmp(&(b.0 - b.2.0)));
        if let Some((worth, both, group)) = least {
            (group.0, group.1) = (worth, both);
            group.2.push(*way);
        }
    }
    groups.into_iter().map(|(.., ways)| ways).collect()
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
                match self.nfa.state(node) {
                    // A value of no bytes: it may begin anywhere.
                    Node::Match { .. } => drop(ways.insert([Set::ALL; PLACES + 2])),
                    _ => ways.extend(self.ways(node, looks)),
                }
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

    /// The ways to begin with this node, behind these conditions: one for all first bytes that may follow the
    /// same. Later conditions count as met.
    fn ways(&mut self, node: StateID, looks: u32) -> Vec<Way> {
        let mut way = [Set::default(); PLACES + 2];
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
        let mut parts: BTreeMap<[Set; 2], Set> = BTreeMap::new();
        for byte in (0u8..=255).filter(|byte| first.has(*byte)) {
            let behind = |prev: usize| follows.get(prev).is_some_and(|may| may.has(byte));
            let (mut begins, mut before) = (Set::default(), Set::default());
            (0u8..=255).filter(|prev| behind(usize::from(*prev))).for_each(|prev| before.add(prev));
            if behind(BEGINNING) {
                begins.add(0);
            }
            parts.entry([begins, before]).or_default().add(byte);
        }
        let part = |([begins, before], first): ([Set; 2], Set)| {
            let mut way = way;
            for (set, known) in way.iter_mut().zip([begins, before, first]) {
                *set = known;
            }
            way
        };
        parts.into_iter().map(part).collect()
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
        walk(&ahead, prev, text).age() == text.len()
    }

    fn walk(ahead: &Ahead, prev: usize, text: &str) -> Starts {
        let before = std::iter::once(prev).chain(text.bytes().map(usize::from));
        before
            .zip(text.bytes())
            .fold(Starts::default(), |starts, (prev, byte)| ahead.step(starts, prev, byte))
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
            assert!(lives(&patterns, prev, text.get(..text.len().min(PLACES)).unwrap()), "{text}");
        }
        for (prev, text) in [(97, "sk-1234"), (32, "sk-a"), (32, "so"), (32, "b")] {
            assert!(!lives(&patterns, prev, text), "{text}");
        }
    }

    #[test]
    fn starts_are_told_by_their_age() {
        let ahead = Ahead::build([&crate::automaton::paths(&["abcabc"]).unwrap(); 2]);
        let starts = walk(&ahead, BEGINNING, "abcabc");
        assert_eq!((starts.age(), starts.since(5).age(), starts.since(2).age()), (6, 3, 0));
        assert_eq!(ahead.skip(Starts::default(), ahead.row(32), b"abcabcabcabcabcabc").1, PLACES);
    }
}
