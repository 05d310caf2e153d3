//! Words near a value: all words of all rules, and those that say secret, in one automaton, so that one look
//! at each byte answers for every rule and every value.
//!
//! A word counts as a word or as a part of a name: `cpf` stands in `my cpf is`, `userCpf` and `CPF_NUMBER`,
//! not in `cpfx`. Its plural counts too.

use std::collections::{HashMap, HashSet, VecDeque};

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, dfa};

use crate::ahead::Starts;
use crate::context::{LEFT, secret_words};
use crate::rule;
use crate::rules::{BEGINNING, MaskError, Rules};

/// Which lists have a word near; one bit a list.
pub(crate) type Lists = u128;

/// The automaton over the words of all lists, and those that say secret.
pub(crate) struct Near {
    /// The state behind each state and kind of byte: small, so that what ordinary text needs stays at hand. A state
    /// is told by where its row begins.
    next: Vec<u32>,
    /// Bytes that the automaton does not tell apart are of one kind.
    kinds: [u8; 256],
    /// How many kinds there are.
    stride: usize,
    /// From this state on, words end.
    first_match: u32,
    /// The words that end in each of these.
    ending: Vec<Box<[u16]>>,
    /// The length of each word, and the lists that it stands in; none for a word that says secret.
    words: Vec<(u8, Option<Lists>)>,
}

/// Before anything was read.
const START: u32 = 0;

/// The lists while they are gathered.
#[derive(Default)]
pub(crate) struct Gathering {
    known: Vec<Vec<String>>,
}

impl Gathering {
    /// The bit of this list; zero for a list without words.
    pub(crate) fn bit(&mut self, words: &rule::Words) -> Result<Lists, String> {
        let list: Vec<String> = words.iter().map(str::to_ascii_lowercase).collect();
        if list.is_empty() {
            return Ok(0);
        }
        if let Some(empty) = list.iter().find(|w| w.trim().is_empty() || w.len() > LEFT / 2) {
            return Err(format!("`{empty}` is no word of 1 to {} bytes", LEFT / 2));
        }
        let index = self.known.iter().position(|known| *known == list).unwrap_or_else(|| {
            self.known.push(list);
            self.known.len() - 1
        });
        u32::try_from(index)
            .ok()
            .and_then(|i| Lists::from(1u8).checked_shl(i))
            .ok_or_else(|| "there are more than 128 different lists of words".to_owned())
    }

    /// Builds the automaton, with the words that say secret.
    pub(crate) fn build(self) -> Result<Near, MaskError> {
        let mut words: Vec<(String, Lists)> = Vec::new();
        for (index, list) in self.known.iter().enumerate() {
            let bit = 1 << index;
            for word in list {
                match words.iter_mut().find(|(known, _)| known == word) {
                    Some((_, lists)) => *lists |= bit,
                    None => words.push((word.clone(), bit)),
                }
            }
        }
        let own = words.iter().map(|(word, lists)| (word.as_bytes(), Some(*lists)));
        let all: Vec<(&[u8], Option<Lists>)> = own.chain(secret_words().map(|word| (word, None))).collect();
        Near::of(&all).map_err(|why| MaskError::Automaton(format!("the words: {why}")))
    }
}

impl Near {
    fn of(words: &[(&[u8], Option<Lists>)]) -> Result<Self, String> {
        let built =
            dfa::DFA::builder().ascii_case_insensitive(true).build(words.iter().map(|(word, _)| *word));
        let built = built.map_err(|e| e.to_string())?;
        let start = built.start_state(Anchored::No).map_err(|e| e.to_string())?;
        // First those in which no word ends.
        let (mut plain, mut ending) = (vec![start], Vec::new());
        let mut known = HashSet::from([start]);
        let mut rows: HashMap<StateID, Vec<StateID>> = HashMap::new();
        let mut open = vec![start];
        while let Some(state) = open.pop() {
            let row: Vec<StateID> =
                (0..=255).map(|byte| built.next_state(Anchored::No, state, byte)).collect();
            for to in row.iter().filter(|to| known.insert(**to)) {
                open.push(*to);
                if built.is_match(*to) { ending.push(*to) } else { plain.push(*to) }
            }
            rows.insert(state, row);
        }
        let first_match = plain.len();
        let order: Vec<StateID> = plain.into_iter().chain(ending.iter().copied()).collect();
        let mut columns: HashMap<Vec<StateID>, u8> = HashMap::new();
        let mut kinds = [0u8; 256];
        let column =
            |byte: usize| order.iter().filter_map(|s| rows.get(s)?.get(byte).copied()).collect::<Vec<_>>();
        for (byte, kind) in kinds.iter_mut().enumerate() {
            let count = u8::try_from(columns.len()).unwrap_or(u8::MAX);
            *kind = *columns.entry(column(byte)).or_insert(count);
        }
        let stride = columns.len();
        let place =
            |number: usize| u32::try_from(number * stride).map_err(|_| "there are too many".to_owned());
        let places: HashMap<StateID, u32> = order
            .iter()
            .enumerate()
            .map(|(n, state)| Ok((*state, place(n)?)))
            .collect::<Result<_, String>>()?;
        let mut next = vec![START; order.len() * stride];
        for (row, state) in next.chunks_exact_mut(stride).zip(&order) {
            for (kind, to) in kinds.iter().zip(rows.get(state).into_iter().flatten()) {
                let slot = row.get_mut(usize::from(*kind)).zip(places.get(to));
                slot.into_iter().for_each(|(slot, to)| *slot = *to);
            }
        }
        let first_match = place(first_match)?;
        let words_in = |state: &StateID| {
            let words = (0..built.match_len(*state)).map(|n| built.match_pattern(*state, n).as_usize());
            words.filter_map(|word| u16::try_from(word).ok()).collect()
        };
        let ending = ending.iter().map(words_in).collect();
        let words =
            words.iter().map(|(word, lists)| (u8::try_from(word.len()).unwrap_or(u8::MAX), *lists)).collect();
        Ok(Self { next, kinds, stride, first_match, ending, words })
    }

    /// The state behind one byte.
    #[inline]
    fn next(&self, state: u32, byte: u8) -> u32 {
        let kind = u32::from(self.kinds.get(usize::from(byte)).copied().unwrap_or(0));
        usize::try_from(state + kind).ok().and_then(|at| self.next.get(at)).copied().unwrap_or(START)
    }

    /// The words that end in this state.
    fn ending(&self, state: u32) -> impl Iterator<Item = (u16, usize, Option<Lists>)> {
        let past = state.checked_sub(self.first_match).and_then(|past| usize::try_from(past).ok());
        let words = past.and_then(|past| self.ending.get(past / self.stride));
        words.into_iter().flatten().filter_map(|word| {
            let (length, lists) = self.words.get(usize::from(*word))?;
            Some((*word, usize::from(*length), *lists))
        })
    }
}

/// The words that stand shortly before where values are looked for: each byte is read once, however many
/// values may begin behind it.
#[derive(Clone, Default)]
pub(crate) struct Words {
    /// The automaton's state before `to`; none before anything was read.
    state: Option<u32>,
    to: usize,
    /// The words found that begin where a word may, by their ends.
    found: VecDeque<Word>,
    /// Behind where the last word that says secret begins; zero for none.
    secret: usize,
    known: Known,
}

/// How far words are read ahead of where they are asked for, at most.
const BEHIND: usize = 64;

/// How many words there is room for at rest.
const RESTING: usize = 8;

/// A word in the text.
#[derive(Clone, Copy)]
struct Word {
    end: usize,
    number: u16,
    /// How far behind its end a value may begin that it counts for, in bytes.
    reach: u8,
    /// Whether it stands by itself or in a name; none before the two bytes behind it are there.
    stands: Option<bool>,
}

/// The answer for every place between two.
#[derive(Clone, Default)]
struct Known {
    from: usize,
    until: usize,
    lists: Lists,
}

/// A stretch of a text, by the places in the whole.
#[derive(Clone, Copy)]
pub(crate) struct Stretch<'t> {
    /// Where it begins.
    pub(crate) base: usize,
    /// Its bytes.
    pub(crate) text: &'t [u8],
}

impl<'t> Stretch<'t> {
    #[inline]
    fn at(self, place: usize) -> Option<u8> {
        self.text.get(place.checked_sub(self.base)?).copied()
    }

    /// The place behind its last byte.
    #[inline]
    pub(crate) fn end(self) -> usize {
        self.base + self.text.len()
    }

    /// Its bytes between two places.
    #[inline]
    pub(crate) fn slice(self, from: usize, to: usize) -> &'t [u8] {
        self.text.get(from.saturating_sub(self.base)..to.saturating_sub(self.base)).unwrap_or(&[])
    }
}

/// How many bytes before a word that begins at `start` must be there for it to begin where a word may: by
/// itself, or as a part of a name. None when it does not.
fn begins(text: Stretch<'_>, start: usize) -> Option<usize> {
    let Some(before) = start.checked_sub(1) else { return Some(0) };
    let upper = text.at(start).is_some_and(|b| b.is_ascii_uppercase());
    match text.at(before)? {
        b if b.is_ascii_lowercase() && upper => Some(1),
        b'n' | b'r' | b't' => (text.at(before.checked_sub(1)?)? == b'\\').then_some(2),
        b => (!b.is_ascii_alphanumeric()).then_some(1),
    }
}

/// Whether a word from `start` to `end` ends where a word may, by the bytes before `at`.
fn ends(text: Stretch<'_>, start: usize, end: usize, at: usize) -> bool {
    let byte = |place: usize| text.at(place).filter(|_| place < at);
    let short = end - start < 4;
    let end = if byte(end) == Some(b's') { end + 1 } else { end };
    !byte(end).is_some_and(|b| b.is_ascii_lowercase() || short && b.is_ascii_digit())
}

impl Words {
    /// Reads `text` on to `to`, unless that is done, and at least the last [`LEFT`] bytes before it.
    #[inline]
    pub(crate) fn read(&mut self, near: &Near, text: Stretch<'_>, to: usize) {
        if self.to >= to && self.state.is_some() {
            return;
        }
        let from = to.saturating_sub(LEFT).max(text.base);
        if self.to < from || self.state.is_none() {
            self.clear();
            (self.state, self.to) = (Some(START), from);
        }
        let Some(mut state) = self.state else { return };
        for (place, byte) in (self.to + 1..).zip(text.slice(self.to, to)) {
            state = self.step(near, text, state, place, *byte);
        }
        (self.state, self.to) = (Some(state), to);
    }

    /// Looks ahead in `text` from `at` to `stop` for starts, and reads its words meanwhile: each takes time in
    /// which the other has none to do. Gives the starts, and the place behind what was read.
    #[inline]
    pub(crate) fn skip(
        &mut self,
        rules: &Rules,
        mut starts: Starts,
        text: Stretch<'_>,
        (at, stop): (usize, usize),
    ) -> (Starts, usize) {
        let (table, near) = (&rules.ahead, &rules.near);
        self.read(near, text, at);
        let Some(mut state) = self.state.filter(|_| self.to == at) else {
            let prev = at.checked_sub(1).and_then(|before| text.at(before)).map_or(BEGINNING, usize::from);
            let (starts, read) = table.skip(starts, table.row(prev), text.slice(at, stop));
            return (starts, at + read);
        };
        let prev = at.checked_sub(1).and_then(|before| text.at(before)).map_or(BEGINNING, usize::from);
        let mut row = table.row(prev);
        let mut to = at;
        for byte in text.slice(at, stop) {
            (starts, row) = table.go(starts, row, *byte);
            to += 1;
            state = self.step(near, text, state, to, *byte);
            if starts.alarms() {
                break;
            }
        }
        (self.state, self.to) = (Some(state), to);
        (starts, to)
    }

    /// The state behind one byte, which ends at `place`.
    #[inline]
    fn step(&mut self, near: &Near, text: Stretch<'_>, state: u32, place: usize, byte: u8) -> u32 {
        let state = near.next(state, byte);
        if state >= near.first_match {
            self.matched(near, text, state, place);
        }
        state
    }

    /// Notes the words that end at `end`.
    #[inline(never)]
    fn matched(&mut self, near: &Near, text: Stretch<'_>, state: u32, end: usize) {
        while self.found.front().is_some_and(|word| word.end + usize::from(word.reach) + BEHIND < end) {
            self.found.pop_front();
        }
        for (number, length, lists) in near.ending(state) {
            let start = end - length;
            if lists.is_none() {
                self.secret = self.secret.max(start + 1);
                continue;
            }
            let Some(before) = begins(text, start) else { continue };
            // Of a longer text, a word at its beginning may be a part of one.
            let until = if start == 0 { LEFT - 1 } else { start - before + LEFT };
            let reach = until.checked_sub(end).and_then(|reach| u8::try_from(reach).ok());
            let Some(reach) = reach else { continue };
            self.found.push_back(Word { end, number, reach, stands: None });
            self.known.until = self.known.until.min(end - 1);
        }
    }

    /// The lists that have a word in the last [`LEFT`] bytes before `at`, which is never less than before.
    /// `text` holds all these bytes.
    #[inline]
    pub(crate) fn lists(&mut self, near: &Near, text: Stretch<'_>, at: usize) -> Lists {
        self.read(near, text, at);
        debug_assert!(self.to <= at + BEHIND, "read too far ahead: {} for {at}", self.to);
        if self.known.from > at || self.known.until < at {
            self.known = self.judge(near, text, at);
        }
        self.known.lists
    }

    #[inline(never)]
    fn judge(&mut self, near: &Near, text: Stretch<'_>, at: usize) -> Known {
        while self.found.front().is_some_and(|word| word.end + usize::from(word.reach) < at) {
            self.found.pop_front();
        }
        let mut known = Known { from: at, until: usize::MAX, lists: 0 };
        for word in &mut self.found {
            if word.end > at {
                known.until = known.until.min(word.end - 1);
                break;
            }
            let until = word.end + usize::from(word.reach);
            if until < at {
                continue;
            }
            let Some((length, Some(lists))) = near.words.get(usize::from(word.number)) else { continue };
            let stands = word.stands.unwrap_or_else(|| {
                let stands = ends(text, word.end - usize::from(*length), word.end, at);
                if at >= word.end + 2 {
                    word.stands = Some(stands);
                } else {
                    known.until = at;
                }
                stands
            });
            if stands {
                known.lists |= lists;
                known.until = known.until.min(until);
            }
        }
        known
    }

    /// How many bytes before `at` the last word that says secret begins, if that is one of the last `reach`.
    #[inline]
    pub(crate) fn secret(
        &mut self,
        near: &Near,
        text: Stretch<'_>,
        at: usize,
        reach: usize,
    ) -> Option<usize> {
        self.read(near, text, at);
        let begins = self.secret.checked_sub(1)?;
        Some(at.saturating_sub(begins).max(1)).filter(|far| *far <= reach)
    }

    /// Gives back memory that a text full of words took. Nothing is asked of places before `at` any more.
    pub(crate) fn rest(&mut self, at: usize) {
        while self.found.front().is_some_and(|word| word.end + usize::from(word.reach) < at) {
            self.found.pop_front();
        }
        if self.found.len() < RESTING && self.found.capacity() > RESTING {
            self.found.shrink_to(RESTING);
        }
    }

    /// Forgets all, for another text.
    pub(crate) fn clear(&mut self) {
        self.found.clear();
        (self.state, self.to, self.secret, self.known) = (None, 0, 0, Known::default());
    }
}

/// An automaton that finds every one of `words`, in any case.
pub(crate) fn search(words: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<AhoCorasick, MaskError> {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(words)
        .map_err(|e| MaskError::Automaton(e.to_string()))
}

impl Near {
    /// The lists that have a word in `left`, the bytes before a value.
    #[cfg(test)]
    fn lists(&self, left: &[u8]) -> Lists {
        Words::default().lists(self, Stretch { base: 0, text: left }, left.len())
    }

    /// Its weight in bytes.
    pub(crate) fn memory(&self) -> usize {
        4 * self.next.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_by_themselves_or_in_names() {
        let mut gathering = Gathering::default();
        let cpf = gathering.bit(&rule::Words::Fixed(&["cpf"])).unwrap();
        let call = gathering.bit(&rule::Words::Fixed(&["messages to", "call"])).unwrap();
        let near = gathering.build().unwrap();
        for left in ["my cpf is ", "userCpf: ", "CPF_NUMBER=", "cpfs ", "\\ncpf ", "cpf"] {
            assert_eq!(near.lists(left.as_bytes()), cpf, "{left}");
        }
        for left in ["", "acpf ", "cpfx ", "scpf=", "cp f"] {
            assert_eq!(near.lists(left.as_bytes()), 0, "{left}");
        }
        assert_eq!(near.lists(b"call me on my cpf "), call | cpf);
        let long = format!("{}cpf {}", "x".repeat(9), "y ".repeat(38));
        assert_eq!(near.lists(&long.as_bytes()[long.len() - LEFT..]), 0, "a word that is cut");
    }
}
