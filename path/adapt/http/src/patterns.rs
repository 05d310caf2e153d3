//! Deny-lists: named patterns looked for in requests. A match decides nothing by itself; its name is a
//! fact that policies read in `context.matches`.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind};
use regex_automata::meta::Regex;
use regex_automata::{Input, MatchKind, PatternSet};

/// The most a compiled pattern set may take, in bytes.
const SIZE_LIMIT: usize = 32 << 20;

/// Up to so many letters in all words they are looked for with a table of all transitions: three times
/// as quick, and at most about 1 KiB a letter.
const QUICK: usize = 16 << 10;

/// Why the deny-lists can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("deny-list `{name}`: {why}")]
pub struct PatternFault {
    /// The deny-list's name.
    pub name: String,
    /// What is wrong.
    pub why: String,
}

/// All deny-lists, compiled. Regular expressions are linear in the text by construction, so no caller
/// can stall them. Words match anywhere, also inside longer words, in any case.
#[derive(Debug)]
pub struct Patterns {
    names: Vec<String>,
    regex: Option<Regex>,
    /// Whose each regular expression is: places in `names`.
    regex_owner: Vec<usize>,
    words: Option<AhoCorasick>,
    word_owner: Vec<usize>,
}

impl Patterns {
    /// Compiles deny-lists, each a name, regular expressions and words.
    ///
    /// # Errors
    /// [`PatternFault`] with the list's name when an expression is not well-formed, too large, or
    /// matches the empty text, which every request holds.
    pub fn build(lists: &[(String, Vec<String>, Vec<String>)]) -> Result<Self, PatternFault> {
        let mut built = Self {
            names: Vec::new(),
            regex: None,
            regex_owner: Vec::new(),
            words: None,
            word_owner: Vec::new(),
        };
        let (mut expressions, mut words) = (Vec::new(), Vec::new());
        for (owner, (name, patterns, list)) in lists.iter().enumerate() {
            let fault = |why: String| PatternFault { name: name.clone(), why };
            for pattern in patterns {
                let alone = compile(&[pattern]).map_err(|why| fault(format!("`{pattern}`: {why}")))?;
                if alone.is_match("") {
                    return Err(fault(format!("`{pattern}` matches the empty text, so every request")));
                }
                expressions.push(pattern.clone());
                built.regex_owner.push(owner);
            }
            for word in list {
                if word.is_empty() {
                    return Err(fault("a word is empty".to_owned()));
                }
                if word.is_ascii() {
                    words.push(word);
                    built.word_owner.push(owner);
                } else {
                    expressions.push(format!("(?i){}", escape(word)));
                    built.regex_owner.push(owner);
                }
            }
            built.names.push(name.clone());
        }
        let fault = |why: String| PatternFault { name: built.names.join(", "), why };
        if !expressions.is_empty() {
            built.regex = Some(compile(&expressions).map_err(fault)?);
        }
        if !words.is_empty() {
            let letters: usize = words.iter().map(|word| word.len()).sum();
            let kind = (letters <= QUICK).then_some(AhoCorasickKind::DFA);
            let automaton = AhoCorasickBuilder::new().ascii_case_insensitive(true).kind(kind).build(&words);
            built.words = Some(automaton.map_err(|cause| fault(cause.to_string()))?);
        }
        Ok(built)
    }

    /// No deny-lists at all.
    pub fn none() -> Self {
        Self { names: Vec::new(), regex: None, regex_owner: Vec::new(), words: None, word_owner: Vec::new() }
    }

    /// The names of the lists that match `text`.
    pub fn matches(&self, text: &str) -> BTreeSet<String> {
        let mut finder = self.finder();
        finder.look(text);
        finder.names()
    }

    /// Begins a search over several texts.
    pub(crate) fn finder(&self) -> Finder<'_> {
        Finder { patterns: self, found: vec![false; self.names.len()], missing: self.names.len() }
    }
}

fn compile<P: AsRef<str>>(expressions: &[P]) -> Result<Regex, String> {
    let config = Regex::config()
        .match_kind(MatchKind::All)
        .nfa_size_limit(Some(SIZE_LIMIT))
        .onepass_size_limit(Some(1 << 20));
    let built = Regex::builder().configure(config).build_many(expressions);
    built.map_err(|cause| match cause.syntax_error() {
        Some(syntax) => syntax.to_string(),
        None => cause.to_string(),
    })
}

fn escape(word: &str) -> String {
    word.chars().fold(String::new(), |mut text, character| {
        if character.is_ascii() && !character.is_ascii_alphanumeric() && character != ' ' {
            text.push('\\');
        }
        text.push(character);
        text
    })
}

/// A search in progress.
pub(crate) struct Finder<'p> {
    patterns: &'p Patterns,
    found: Vec<bool>,
    missing: usize,
}

impl Finder<'_> {
    /// Looks for every list not yet found in `text`.
    pub(crate) fn look(&mut self, text: &str) {
        if self.missing == 0 || text.is_empty() {
            return;
        }
        if let Some(regex) = &self.patterns.regex {
            let mut set = PatternSet::new(regex.pattern_len());
            regex.which_overlapping_matches(&Input::new(text), &mut set);
            for pattern in set.iter() {
                self.find(self.patterns.regex_owner.get(pattern.as_usize()));
            }
        }
        // Nearly always there is none, and to know that is cheaper than to look for all.
        if let Some(words) = self.patterns.words.as_ref().filter(|words| words.is_match(text)) {
            for hit in words.find_overlapping_iter(text) {
                self.find(self.patterns.word_owner.get(hit.pattern().as_usize()));
                if self.missing == 0 {
                    return;
                }
            }
        }
    }

    fn find(&mut self, owner: Option<&usize>) {
        if let Some(found) = owner.and_then(|owner| self.found.get_mut(*owner))
            && !*found
        {
            *found = true;
            self.missing -= 1;
        }
    }

    /// The names of all lists found.
    pub(crate) fn names(self) -> BTreeSet<String> {
        let names = self.patterns.names.iter().zip(&self.found);
        names.filter(|(_, found)| **found).map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str, patterns: &[&str], words: &[&str]) -> (String, Vec<String>, Vec<String>) {
        let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        (name.to_owned(), own(patterns), own(words))
    }

    #[test]
    fn every_list_that_matches_is_named() {
        let patterns = Patterns::build(&[
            list("weights", &[r"(?i)state_dict|\.safetensors\b"], &["dump the weights"]),
            list("projects", &[], &["Bluebird", "\u{c4}rger"]),
            list("ids", &[r"\bEMP-\d{4}\b"], &[]),
        ])
        .unwrap();
        let names = |text| patterns.matches(text).into_iter().collect::<Vec<_>>();
        assert_eq!(names("please DUMP THE WEIGHTS of bluebird"), ["projects", "weights"]);
        assert_eq!(names("model.safetensors and EMP-1234"), ["ids", "weights"]);
        assert_eq!(names("\u{e4}RGER"), ["projects"]);
        assert!(names("EMP-12345 safe").is_empty());
        assert!(Patterns::none().matches("anything").is_empty());
    }

    #[test]
    fn a_bad_expression_names_its_list() {
        for (expression, part) in [("(", "unclosed"), ("a*", "empty"), (r"(a{1000}){1000}{1000}", "")] {
            let fault = Patterns::build(&[list("bad", &[expression], &[])]).unwrap_err();
            assert_eq!(fault.name, "bad");
            assert!(fault.why.contains(part), "{}", fault.why);
        }
        assert!(Patterns::build(&[list("bad", &[], &[""])]).is_err());
    }
}
