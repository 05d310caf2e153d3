//! Patterns made into automata: matches of every length, from one place on, whatever bytes come.

use regex_automata::Anchored;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};

use crate::rules::{HEAVIEST, MaskError};

/// The patterns as an automaton that is not worked out yet.
pub(crate) fn paths(patterns: &[&str]) -> Result<NFA, MaskError> {
    thompson::Compiler::new()
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .configure(thompson::Config::new().utf8(false).which_captures(thompson::WhichCaptures::None))
        .build_many(patterns)
        .map_err(|e| MaskError::Automaton(e.to_string()))
}

/// Works it out.
pub(crate) fn automaton(paths: &NFA, per_pattern: bool) -> Result<dense::DFA<Vec<u32>>, MaskError> {
    dense::Builder::new()
        .configure(
            dense::Config::new()
                .match_kind(regex_automata::MatchKind::All)
                .start_kind(StartKind::Anchored)
                .starts_for_each_pattern(per_pattern)
                .accelerate(false)
                .dfa_size_limit(Some(HEAVIEST))
                .determinize_size_limit(Some(4 * HEAVIEST)),
        )
        .build_from_nfa(paths)
        .map_err(|e| MaskError::Automaton(e.to_string()))
}

/// The state to begin in behind `prev`, 256 meaning the beginning of the text.
pub(crate) fn start_of(
    dfa: &dense::DFA<Vec<u32>>,
    anchored: Anchored,
    prev: usize,
) -> Result<StateID, MaskError> {
    let config = start::Config::new().anchored(anchored).look_behind(u8::try_from(prev).ok());
    dfa.start_state(&config).map_err(|e| MaskError::Automaton(e.to_string()))
}
