//! Words near a value: all words of all rules in one automaton, so that one look at the bytes before a
//! value answers for every rule.
//!
//! A word counts as a word or as a part of a name: `cpf` stands in `my cpf is`, `userCpf` and `CPF_NUMBER`,
//! not in `cpfx`. Its plural counts too.

use std::collections::VecDeque;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, dfa};

use crate::context::LEFT;
use crate::rule;
use crate::rules::MaskError;

/// Which lists have a word near; one bit a list.
pub(crate) type Lists = u128;

/// The automaton over the words of all lists.
pub(crate) struct Near {
    automaton: dfa::DFA,
    /// The lists that each word stands in.
    lists: Vec<Lists>,
}

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

    /// Builds the automaton.
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
        let automaton = dfa::DFA::builder()
            .ascii_case_insensitive(true)
            .build(words.iter().map(|(word, _)| word))
            .map_err(|e| MaskError::Automaton(e.to_string()))?;
        Ok(Near { automaton, lists: words.into_iter().map(|(_, lists)| lists).collect() })
    }
}

/// Whether the bytes from `start` to `end`, a word in any case, stand by themselves or as a part of a name.
fn stands(left: &[u8], start: usize, end: usize) -> bool {
    let at = |n: usize| left.get(n).copied();
    let begins = match start.checked_sub(1).and_then(at) {
        Some(b) if b.is_ascii_lowercase() => {
            let escape = start >= 2 && at(start - 2) == Some(b'\\') && b"nrt".contains(&b);
            at(start).is_some_and(|b| b.is_ascii_uppercase()) || escape
        }
        Some(b) => !b.is_ascii_uppercase() && !b.is_ascii_digit(),
        // Of a longer text, a word that was cut is no word.
        None => left.len() < LEFT,
    };
    let short = end - start < 4;
    let end = if at(end) == Some(b's') { end + 1 } else { end };
    begins && !at(end).is_some_and(|b| b.is_ascii_lowercase() || short && b.is_ascii_digit())
}

/// The words that stand shortly before where a value was last looked for: each byte is read once, however
/// many values may begin behind it.
#[derive(Clone, Default)]
pub(crate) struct Words {
    /// The automaton's state before `to`; none before anything was read.
    state: Option<StateID>,
    to: usize,
    /// The words found, whether they stand by themselves or not: where each begins and ends, and its lists.
    found: VecDeque<(usize, usize, Lists)>,
}

impl Words {
    /// The lists that have a word in the last [`LEFT`] bytes before `at`, which is never less than before.
    /// `text` begins at `base`, and holds all these bytes.
    pub(crate) fn lists(&mut self, near: &Near, base: usize, text: &[u8], at: usize) -> Lists {
        let automaton = &near.automaton;
        let from = at.saturating_sub(LEFT).max(base);
        if self.to < from || self.state.is_none() {
            self.found.clear();
            (self.state, self.to) = (automaton.start_state(Anchored::No).ok(), from);
        }
        let Some(mut state) = self.state else { return 0 };
        let new = text.get(self.to.saturating_sub(base)..at.saturating_sub(base)).unwrap_or(&[]);
        for (place, byte) in (self.to + 1..).zip(new) {
            state = automaton.next_state(Anchored::No, state, *byte);
            if automaton.is_special(state) && automaton.is_match(state) {
                for index in 0..automaton.match_len(state) {
                    let word = automaton.match_pattern(state, index);
                    let lists = near.lists.get(word.as_usize()).copied().unwrap_or(0);
                    self.found.push_back((place - automaton.pattern_len(word), place, lists));
                }
            }
        }
        (self.state, self.to) = (Some(state), at.max(self.to));
        while self.found.front().is_some_and(|(_, end, _)| *end < from) {
            self.found.pop_front();
        }
        let left = text.get(from.saturating_sub(base)..at.saturating_sub(base)).unwrap_or(&[]);
        let mut all = 0;
        for (start, end, lists) in &self.found {
            let Some(start) = start.checked_sub(from) else { continue };
            if lists & !all != 0 && stands(left, start, end - from) {
                all |= lists;
            }
        }
        all
    }

    /// Forgets all, for another text.
    pub(crate) fn clear(&mut self) {
        self.found.clear();
        (self.state, self.to) = (None, 0);
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
        Words::default().lists(self, 0, left, left.len())
    }

    /// Its weight in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.automaton.memory_usage()
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
