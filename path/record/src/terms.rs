//! By which words an exchange is found: one letter for what the word is, and the word.

use std::collections::BTreeSet;

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
        let letter = match self {
            Self::Caller => "c:",
            Self::Group => "g:",
            Self::Resource => "r:",
            Self::Model => "m:",
            Self::Class => "k:",
            Self::Ruling => "d:",
            Self::Outcome => "o:",
            Self::Masked => "x:",
            Self::Revealed => "v:",
        };
        [letter, word].concat()
    }
}

/// A caller's id: issuers are URLs without fragment, so the first `#` separates.
pub(crate) fn caller_id(caller: &Caller) -> String {
    [caller.issuer.as_str(), "#", &caller.subject].concat()
}

fn of_caller(caller: &Caller, into: &mut BTreeSet<String>) {
    into.insert(Facet::Caller.term(&caller_id(caller)));
    into.extend(caller.groups.iter().map(|group| Facet::Group.term(group)));
}

fn of_findings(findings: &[Finding], into: &mut BTreeSet<String>) {
    for finding in findings {
        for (facet, count) in [(Facet::Masked, finding.masked), (Facet::Revealed, finding.revealed)] {
            // Classes nest: whoever looks for `pii` means `pii.email` too.
            let dots = finding.class.match_indices('.').map(|(at, _)| at).chain([finding.class.len()]);
            let classes = dots.filter(|_| count > 0).filter_map(|end| finding.class.get(..end));
            into.extend(classes.map(|class| facet.term(class)));
        }
    }
}

/// What is known of an exchange when it is opened.
pub(crate) fn opened(opened: &Opened) -> BTreeSet<String> {
    let mut terms = BTreeSet::from([RUNNING.to_owned(), Facet::Resource.term(&opened.resource)]);
    if let Some(caller) = &opened.caller {
        of_caller(caller, &mut terms);
    }
    for operation in &opened.operations {
        terms.insert(Facet::Class.term(&operation.class));
        if !operation.model.is_empty() {
            terms.insert(Facet::Model.term(&operation.model));
        }
    }
    terms.extend(opened.decision.as_ref().map(|decision| Facet::Ruling.term(&decision.ruling)));
    of_findings(&opened.disclosed, &mut terms);
    terms
}

/// What is known of it when it is sealed.
pub(crate) fn sealed(sealed: &Sealed) -> BTreeSet<String> {
    let mut terms = BTreeSet::from([Facet::Outcome.term(&sealed.outcome)]);
    of_findings(&sealed.findings, &mut terms);
    terms
}

/// How one ended that came no further than the door: not all that is said there is a refusal.
pub(crate) fn at_the_door(refused: &Refused) -> &'static str {
    if refused.refusal.is_some() { "refused" } else { "completed" }
}

/// What is known of one that came no further than the door.
pub(crate) fn refused(refused: &Refused) -> BTreeSet<String> {
    let mut terms = BTreeSet::from([Facet::Outcome.term(at_the_door(refused))]);
    if let Some(caller) = &refused.caller {
        of_caller(caller, &mut terms);
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_class_is_found_by_what_it_is_in() {
        let finding = Finding { class: "pii.email.work".to_owned(), masked: 2, revealed: 0 };
        let mut terms = BTreeSet::new();
        of_findings(&[finding], &mut terms);
        assert_eq!(terms.into_iter().collect::<Vec<_>>(), ["x:pii", "x:pii.email", "x:pii.email.work"]);
    }
}
