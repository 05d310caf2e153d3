//! Finds the next place where a match could begin.
//!
//! Three things look ahead, each in its own way: for the sign that a rule lies around, for a run long
//! enough for an announced value, and for the first bytes of what is spelled out. The leftmost place wins.
//! What is passed over has no match, so looking ahead is only faster than looking everywhere.

use regex_automata::dfa::Automaton as _;

use crate::ahead::{Seen, Starts};
use crate::context::{Contexts, LONG, NEAR_SHORTEST};
use crate::near::Lists;
use crate::rules::{Machine, ReadyAround, Rules};
use crate::scan::{Scanner, Step, Thread};

/// How many letters and digits a value has at least that is announced with a dash, as `token-9f86d081`.
pub(crate) const BEHIND_DASH: usize = 8;

/// How many bytes are read to see whether a thread is worth it.
const A_FEW: usize = 24;

/// Whether an announced value may begin with `text` behind the byte `prev`. While `text` is shorter than
/// [`BEHIND_DASH`], that may turn out false yet.
pub(crate) fn may_stand_behind(prev: Option<u8>, text: &[u8]) -> bool {
    prev != Some(b'-') || text.iter().take(BEHIND_DASH).all(u8::is_ascii_alphanumeric)
}

/// How far each of the three has looked.
#[derive(Clone, Default)]
pub(crate) struct LookAhead {
    /// No sign that matters stands before here.
    signs: usize,
    /// What is known of the next sign, until more text comes.
    sign: Option<Sign>,
    /// No announced value that is not known begins before here.
    runs: usize,
    /// The next announced value.
    announced: Option<(usize, Contexts)>,
    /// The table's place. Its oldest live start, or else itself, is where the scanner is.
    seen: Option<Seen>,
}

/// What was looked at already, told from the text's end. See [`LookAhead`].
#[derive(PartialEq)]
pub(crate) struct Known {
    signs: usize,
    runs: usize,
    announced: Option<(usize, Contexts)>,
    seen: Option<(usize, Starts)>,
}

/// Where the rule around a sign could begin next. Without a sign, one may still come.
#[derive(Clone, Copy)]
struct Sign {
    at: usize,
    sign: Option<usize>,
}

impl LookAhead {
    /// More text may have come.
    pub(crate) fn renew(&mut self) {
        self.sign = None;
    }

    /// What it knows of the text behind `at`, in distances from the text's end.
    pub(crate) fn known(&self, at: usize, end: usize) -> Known {
        let from = |place: usize| end - place.clamp(at.min(end), end);
        let announced = self.announced.filter(|(place, _)| *place >= at);
        Known {
            signs: from(self.signs),
            runs: from(self.runs),
            announced: announced.map(|(place, contexts)| (from(place), contexts)),
            seen: self.seen.map(|seen| (from(seen.at), seen.starts())),
        }
    }
}

impl Scanner {
    /// Goes to the next place where a match could begin and starts a thread there. False when there is
    /// none in what has come.
    pub(crate) fn seek(&mut self, rules: &Rules, last: bool) -> bool {
        let sign = self.next_sign(rules, last);
        let (run, contexts) = self.next_announced(rules, last);
        let open = contexts.is_none();
        let stop = sign.at.min(run);
        let table = &rules.ahead;
        let (mut at, mut starts) = match self.ahead.seen.filter(|seen| seen.at >= self.at) {
            Some(seen) => (seen.at, seen.starts().since(seen.at - self.at)),
            None => (self.at, table.fresh(self.prev(self.at))),
        };
        loop {
            if at < stop {
                let (to, read) = table.skip(starts, self.slice(at, stop));
                (at, starts) = (at + read, to);
            }
            // Beyond the stop only starts before it matter.
            while !starts.alarms() && at - starts.age() < stop {
                let Some(byte) = self.slice(at, at + 1).first() else { break };
                (at, starts) = (at + 1, table.step(starts, *byte));
            }
            let age = starts.age();
            let first = at - age;
            self.ahead.seen = Some(Seen::new(at, starts));
            if first >= stop {
                break;
            }
            self.at = first;
            if self.may_match(rules, first, starts.oldest()) {
                if !starts.alarms() && !last {
                    return false;
                }
                self.begin(rules, Contexts::default(), None);
                return true;
            }
            starts = age.checked_sub(1).map_or_else(|| table.fresh(self.prev(at)), |age| starts.since(age));
        }
        self.at = stop;
        let waits = stop == self.end() || stop == sign.at && sign.sign.is_none() || stop == run && open;
        if !waits {
            let contexts = contexts.filter(|_| run == stop).unwrap_or_default();
            self.begin(rules, contexts, sign.sign.filter(|_| sign.at == stop));
        }
        !waits
    }

    /// Whether what is spelled out may begin at `at`, by the next few bytes and the words before it: a thread
    /// takes longer to say no.
    fn may_match(&mut self, rules: &Rules, at: usize, [spelled, worded]: [bool; 2]) -> bool {
        let (prev, text) = (self.prev(at), self.slice(at, self.end().min(at + A_FEW)));
        let lives = |machine: &Machine, near: Lists, text: &[u8]| {
            let mut state = machine.start(prev);
            for byte in text {
                state = machine.dfa.next_state(state, *byte);
                if machine.reaches(state) & near == 0 {
                    return false;
                }
                if machine.dfa.is_special_state(state) {
                    return !machine.dfa.is_dead_state(state);
                }
            }
            true
        };
        if spelled && lives(&rules.spelled, Lists::MAX, text) {
            return true;
        }
        let near = if worded { self.words_before(rules, at) } else { 0 };
        let text = self.slice(at, self.end().min(at + A_FEW));
        near != 0 && lives(&rules.worded, near, text)
    }

    /// Starts a thread where the scanner is; with a sign, first for the rule around it.
    fn begin(&mut self, rules: &Rules, contexts: Contexts, sign: Option<usize>) {
        let mut thread = Thread::new(self.at, contexts);
        match (&rules.around, sign) {
            (Some(around), Some(sign)) => {
                self.ahead.signs = sign + 1;
                self.ahead.sign = None;
                thread.step = Step::Around;
                thread.pos = sign;
                thread.state = self.enter(&rules.following, around.right, sign);
            }
            _ => self.next_step(rules, &mut thread),
        }
        self.thread = Some(thread);
    }

    fn next_sign(&mut self, rules: &Rules, last: bool) -> Sign {
        let end = self.end();
        let Some(around) = &rules.around else { return Sign { at: end, sign: None } };
        if let Some(known) = self.ahead.sign.filter(|known| known.at >= self.at) {
            return known;
        }
        let sign = loop {
            let from = self.ahead.signs.max(self.at);
            let Some(sign) = memchr::memchr(around.sign, self.slice(from, end)).map(|n| from + n) else {
                self.ahead.signs = end;
                break Sign { at: if last { end } else { self.first_of_run(around, end) }, sign: None };
            };
            self.ahead.signs = sign;
            let first = self.first_of_run(around, sign);
            if first < sign {
                break Sign { at: first, sign: Some(sign) };
            }
            self.ahead.signs = sign + 1;
        };
        self.ahead.sign = Some(sign);
        sign
    }

    /// The first byte that may begin the run that ends before `end`, or `end`.
    fn first_of_run(&self, around: &ReadyAround, end: usize) -> usize {
        end - around.run_length(self.slice(self.at.max(end.saturating_sub(around.longest)), end))
    }

    /// The next place where an announced value could begin, and what is announced; or the end. Nothing is
    /// known of a run that has only begun: nearly all of these are words.
    fn next_announced(&mut self, rules: &Rules, last: bool) -> (usize, Option<Contexts>) {
        let (runs, end) = (&rules.runs, self.end());
        if runs.shortest == 0 {
            return (end, Some(Contexts::default()));
        }
        if let Some((at, contexts)) = self.ahead.announced.filter(|(at, _)| *at >= self.at) {
            return (at, Some(contexts));
        }
        let mut at = self.ahead.runs.max(self.at);
        self.ahead.announced = loop {
            let window = self.slice(at, end.min(at + runs.shortest));
            let Some(first) = window.first() else { break None };
            if let Some(skip) = runs.leave_out(window) {
                at += skip;
                continue;
            }
            if last && window.len() < runs.shortest {
                at = end;
                break None;
            }
            let prev = self.left(at).last().copied();
            if runs.may_start(prev, *first)
                && may_stand_behind(prev, self.slice(at, end.min(at + BEHIND_DASH)))
            {
                // A run that reaches the end of what has come may still become a long one.
                let longer = self.slice(at, end.min(at + LONG));
                let run = match runs.run_length(longer) {
                    run if run == longer.len() && run < NEAR_SHORTEST && !last => {
                        (self.ahead.runs, self.ahead.announced) = (at, None);
                        return (at, None);
                    }
                    run if run == longer.len() && !last => LONG,
                    run => run,
                };
                let contexts = rules.hints.announced(self.left(at), run);
                if !contexts.is_empty() {
                    break Some((at, contexts));
                }
            }
            at += runs.to_next(self.slice(at, end));
        };
        self.ahead.runs = at;
        let (at, contexts) = self.ahead.announced.unwrap_or((end, Contexts::default()));
        (at, Some(contexts))
    }
}
