//! An automaton over the patterns of several rules, with what is asked of its states beside it.

use regex_automata::Anchored;
use regex_automata::dfa::{Automaton as _, dense};
use regex_automata::nfa::thompson::NFA;
use regex_automata::util::primitives::StateID;

use crate::automaton::{automaton, start_of};
use crate::context::Contexts;
use crate::near::Lists;
use crate::rules::{MaskError, Ready};

/// An automaton over several rules' patterns.
pub(crate) struct Machine {
    pub(crate) dfa: dense::DFA<Vec<u32>>,
    /// The rule of each pattern.
    pub(crate) rules: Vec<usize>,
    /// The state to begin in after each byte, and at the beginning of a text.
    starts: Vec<StateID>,
    /// What matches in each state, from the first that matches on.
    matches: Vec<Matches>,
    first_match: usize,
    /// What may still match, by state: what needs words that are not there is left off.
    reach: Vec<Reach>,
    /// The lists of all that may begin with a byte.
    begins: Vec<Lists>,
}

/// What rules need that may match.
#[derive(Clone, Copy, Default)]
struct Reach {
    /// The lists of those that need words.
    lists: Lists,
    /// What must be announced for one of those that need no words.
    contexts: Contexts,
}

impl Reach {
    fn or(self, other: Self) -> Self {
        Self { lists: self.lists | other.lists, contexts: self.contexts.or(other.contexts) }
    }
}

/// What matches in one state of a [`Machine`].
#[derive(Clone, Default)]
pub(crate) struct Matches {
    /// Rules that need no words.
    pub(crate) plain: Vec<usize>,
    /// Rules that do, with their lists.
    pub(crate) worded: Vec<(usize, Lists)>,
    /// All those lists.
    pub(crate) lists: Lists,
    /// What those rules need that need no words.
    contexts: Contexts,
}

impl Machine {
    pub(crate) fn build(patterns: &[(usize, &str)], paths: &NFA, list: &[Ready]) -> Result<Self, MaskError> {
        let dfa = automaton(paths, false)?;
        let rules: Vec<usize> = patterns.iter().map(|(rule, _)| *rule).collect();
        let starts =
            (0..=256).map(|prev| start_of(&dfa, Anchored::Yes, prev)).collect::<Result<Vec<_>, _>>()?;
        // The states that match lie side by side; what each matches is looked up here faster than there.
        let states = (0..dfa.memory_usage() / 4).step_by(dfa.stride()).filter_map(|at| StateID::new(at).ok());
        let matching: Vec<StateID> = states.filter(|state| dfa.is_match_state(*state)).collect();
        let first_match = matching.first().map_or(0, |state| state.as_usize() / dfa.stride());
        let matches = matching.iter().map(|state| Matches::of(&dfa, *state, &rules, list)).collect();
        let mut machine =
            Self { dfa, rules, starts, matches, first_match, reach: Vec::new(), begins: Vec::new() };
        machine.reach();
        machine.begins = (0..=255).map(|byte| machine.begins_with(byte)).collect();
        Ok(machine)
    }

    /// Works out what may still match in every state. Patterns have a longest match, so no state leads back
    /// to itself.
    fn reach(&mut self) {
        if self.matches.iter().all(|matches| matches.lists == 0) {
            return;
        }
        let dfa = &self.dfa;
        let bytes: Vec<_> = dfa.byte_classes().representatives(..).collect();
        let number = |state: StateID| state.as_usize() >> dfa.stride2();
        let mut reach: Vec<Option<Reach>> = vec![None; (dfa.memory_usage() / 4) >> dfa.stride2()];
        let mut open: Vec<(StateID, usize, Reach)> = Vec::new();
        for start in self.starts.iter().filter(|start| !dfa.is_dead_state(**start)) {
            open.push((*start, 0, Reach::default()));
            while let Some((state, next, all)) = open.last_mut() {
                let Some(byte) = bytes.get(*next) else {
                    let own = self.matches(*state).map_or_else(Reach::default, Matches::reach);
                    let (state, all) = (*state, all.or(own));
                    if let Some(slot) = reach.get_mut(number(state)) {
                        *slot = Some(all);
                    }
                    open.pop();
                    if let Some((.., above)) = open.last_mut() {
                        *above = above.or(all);
                    }
                    continue;
                };
                *next += 1;
                let to = match byte.as_u8() {
                    Some(byte) => dfa.next_state(*state, byte),
                    None => dfa.next_eoi_state(*state),
                };
                match reach.get(number(to)).copied().flatten() {
                    Some(known) => *all = all.or(known),
                    None if dfa.is_dead_state(to) => {}
                    None => open.push((to, 0, Reach::default())),
                }
            }
        }
        self.reach = reach.into_iter().map(Option::unwrap_or_default).collect();
    }

    /// Works out the lists of all that may begin with `byte`.
    fn begins_with(&self, byte: u8) -> Lists {
        let next = |start: &StateID| self.reaches(self.dfa.next_state(*start, byte));
        self.starts.iter().fold(0, |lists, start| lists | next(start))
    }

    /// The lists of all that may begin with `byte`: a quick look.
    #[inline]
    pub(crate) fn begins(&self, byte: u8) -> Lists {
        self.begins.get(usize::from(byte)).copied().unwrap_or(Lists::MAX)
    }

    /// The lists of all that may still match in `state`; all of them where no rule needs words.
    #[inline]
    fn reaches(&self, state: StateID) -> Lists {
        self.reach.get(state.as_usize() >> self.dfa.stride2()).map_or(Lists::MAX, |reach| reach.lists)
    }

    /// Whether something may still match in `state` where these lists have a word before the value, and this is
    /// announced.
    #[inline]
    pub(crate) fn is_open(&self, state: StateID, near: Lists, contexts: Contexts) -> bool {
        let reach = self.reach.get(state.as_usize() >> self.dfa.stride2());
        reach.is_none_or(|reach| reach.lists & near != 0 || reach.contexts.has_any(contexts))
    }

    /// What matches in `state`.
    #[inline]
    pub(crate) fn matches(&self, state: StateID) -> Option<&Matches> {
        self.matches.get((state.as_usize() >> self.dfa.stride2()).checked_sub(self.first_match)?)
    }

    /// The state to begin in after `prev`, 256 meaning the beginning of the text.
    pub(crate) fn start(&self, prev: usize) -> StateID {
        self.starts.get(prev).copied().unwrap_or_default()
    }
}

impl Matches {
    fn reach(&self) -> Reach {
        Reach { lists: self.lists, contexts: self.contexts }
    }

    fn of(dfa: &dense::DFA<Vec<u32>>, state: StateID, rules: &[usize], list: &[Ready]) -> Self {
        let mut matches = Self::default();
        for index in 0..dfa.match_len(state) {
            let Some(rule) = rules.get(dfa.match_pattern(state, index).as_usize()) else { continue };
            let Some(ready) = list.get(*rule) else { continue };
            match ready.near {
                0 => {
                    matches.plain.push(*rule);
                    matches.contexts =
                        ready.context.iter().fold(matches.contexts, |all, one| all.with(*one, true));
                }
                lists => {
                    matches.worded.push((*rule, lists));
                    matches.lists |= lists;
                }
            }
        }
        matches
    }
}
