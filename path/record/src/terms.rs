//! By which words an exchange is found: one letter for what the word is, and the word.

use crate::leaf::{Finding, Refused, Sealed};
use crate::opened::{Caller, Opened};

/// That it is not sealed yet.
pub(crate) const RUNNING: &str = "o:running";
/// That a session begins with it.
pub(crate) const BEGINS: &str = "b:";

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Facet {
    /// `issuer#subject`.
    Caller,
    /// A group of the caller.
    Group,
    /// The resource.
    Resource,
    /// A model asked for.
    Model,
    /// A class of operation.
    Class,
    /// What policy ruled.
    Ruling,
    /// How it ended.
    Outcome,
    /// A data class that was masked, or one above it.
    Masked,
    /// A data class that was revealed, or one above it.
    Revealed,
}

impl Facet {
    /// The word as the index has it.
    pub(crate) fn term(self, word: &str) -> String {
        [self.letter(), word].concat()
    }

    fn letter(self) -> &'static str {
        match self {
            Self::Caller => "c:",
            Self::Group => "g:",
            Self::Resource => "r:",
            Self::Model => "m:",
            Self::Class => "k:",
            Self::Ruling => "d:",
            Self::Outcome => "o:",
            Self::Masked => "x:",
            Self::Revealed => "v:",
        }
    }
}

/// A caller's id: issuers are URLs without fragment, so the first `#` separates.
pub(crate) fn caller_id(caller: &Caller) -> String {
    [caller.issuer.as_str(), "#", &caller.subject].concat()
}

/// The terms of one exchange, one behind the other: made for every leaf, so kept and filled anew.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    text: String,
    ends: Vec<usize>,
}

impl Terms {
    /// Forgets what is in it.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Adds a term that is no word of a facet.
    pub(crate) fn add(&mut self, term: &str) {
        self.text.push_str(term);
        self.ends.push(self.text.len());
    }

    /// Adds a word. The same one may come twice.
    fn put(&mut self, facet: Facet, word: &str) {
        self.text.push_str(facet.letter());
        self.add(word);
    }

    /// Adds a caller's id.
    fn put_caller(&mut self, caller: &Caller) {
        for part in [Facet::Caller.letter(), &caller.issuer, "#", &caller.subject] {
            self.text.push_str(part);
        }
        self.ends.push(self.text.len());
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).filter_map(|(start, end)| self.text.get(*start..*end))
    }

    fn of_caller(&mut self, caller: &Caller) {
        self.put_caller(caller);
        caller.groups.iter().for_each(|group| self.put(Facet::Group, group));
    }

    fn of_findings(&mut self, findings: &[Finding]) {
        for finding in findings {
            for (facet, count) in [(Facet::Masked, finding.masked), (Facet::Revealed, finding.revealed)] {
                // Classes nest: whoever looks for `pii` means `pii.email` too.
                let dots = finding.class.match_indices('.').map(|(at, _)| at).chain([finding.class.len()]);
                let classes = dots.filter(|_| count > 0).filter_map(|end| finding.class.get(..end));
                classes.for_each(|class| self.put(facet, class));
            }
        }
    }

    /// What is known of an exchange when it is opened: its caller first, if it has one, then its resource.
    pub(crate) fn opened(&mut self, opened: &Opened) {
        if let Some(caller) = &opened.caller {
            self.of_caller(caller);
        }
        self.put(Facet::Resource, &opened.resource);
        self.add(RUNNING);
        for operation in &opened.operations {
            self.put(Facet::Class, &operation.class);
            if !operation.model.is_empty() {
                self.put(Facet::Model, &operation.model);
            }
        }
        if let Some(decision) = &opened.decision {
            self.put(Facet::Ruling, &decision.ruling);
        }
        self.of_findings(&opened.disclosed);
    }

    /// What is known of it when it is sealed.
    pub(crate) fn sealed(&mut self, sealed: &Sealed) {
        self.put(Facet::Outcome, &sealed.outcome);
        self.of_findings(&sealed.findings);
    }

    /// What is known of one that came no further than the door.
    pub(crate) fn refused(&mut self, refused: &Refused) {
        if let Some(caller) = &refused.caller {
            self.of_caller(caller);
        }
        self.put(Facet::Outcome, at_the_door(refused));
    }
}

/// How one ended that came no further than the door: not all that is said there is a refusal.
pub(crate) fn at_the_door(refused: &Refused) -> &'static str {
    if refused.refusal.is_some() { "refused" } else { "completed" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_class_is_found_by_what_it_is_in() {
        let finding = Finding { class: "pii.email.work".to_owned(), masked: 2, revealed: 0 };
        let mut terms = Terms::default();
        terms.of_findings(&[finding]);
        let terms: Vec<&str> = terms.iter().collect();
        assert_eq!(terms, ["x:pii", "x:pii.email", "x:pii.email.work"]);
    }
}
