//! Finds the next place where a match could begin.
//!
//! Three things look ahead, each in its own way: for the sign that a rule lies around, for a run long
//! enough for an announced value, and for the first bytes of what is spelled out. The leftmost place wins.
//! What is passed over has no match, so looking ahead is only faster than looking everywhere.

use regex_automata::dfa::Automaton as _;
use regex_automata::util::primitives::StateID;

use crate::ahead::{Seen, Starts};
use crate::context::{Contexts, LONG, NEAR_SHORTEST, REACH, announced_quickly, may_be_given};
use crate::escapes::FEW;
use crate::few::{Few, Last};
use crate::near::{Lists, Stretch};
use crate::rules::{ReadyAround, Rules};
use crate::runs::Window;
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

/// Where `sign` first stands in `text`.
#[inline]
fn find(sign: u8, text: &[u8]) -> Option<usize> {
    if text.len() < FEW {
        return text.iter().position(|byte| *byte == sign);
    }
    memchr::memchr(sign, text)
}

/// How far each of the three has looked.
#[derive(Clone, Default)]
pub(crate) struct LookAhead {
    /// No sign that matters stands before here.
    signs: usize,
    /// What is known of the next sign, until more text comes.
    sign: Option<Sign>,
    /// No run that is not known, and that an announced value could be, begins before here.
    runs: usize,
    /// The next such run, and its length.
    run: Option<(usize, usize)>,
    /// The bytes that runs are looked for in.
    window: Window,
    /// What has come ends with a word of which nothing is known, and all before it is decided.
    pub(crate) waits: bool,
    /// The last bytes, where they came by a few.
    last: Last,
    /// The table's place. Its oldest live start, or else itself, is where the scanner is.
    seen: Option<Seen>,
}

/// What was looked at already, told from the text's end. See [`LookAhead`].
#[derive(PartialEq)]
pub(crate) struct Known {
    signs: usize,
    runs: usize,
    run: Option<(usize, usize)>,
    seen: Option<(usize, Starts)>,
}

/// Where the rule around a sign could begin next. Without a sign, one may still come.
#[derive(Clone, Copy)]
struct Sign {
    at: usize,
    sign: Option<usize>,
}

impl LookAhead {
    /// Looks at a few bytes that come at `end`, none of them a sign.
    #[inline]
    pub(crate) fn few(&mut self, few: Few, end: usize) {
        if self.signs == end {
            self.signs += few.count;
        }
        self.window.few(few, end);
        self.last.few(few, end);
    }

    /// More text may have come.
    pub(crate) fn renew(&mut self) {
        self.sign = None;
        self.waits = false;
    }

    /// What it knows of the text behind `at`, in distances from the text's end.
    pub(crate) fn known(&self, at: usize, end: usize) -> Known {
        let from = |place: usize| end - place.clamp(at.min(end), end);
        let run = self.run.filter(|(place, _)| *place >= at);
        Known {
            signs: from(self.signs),
            runs: from(self.runs),
            run: run.map(|(place, length)| (from(place), length)),
            seen: self.seen.map(|seen| (from(seen.at), seen.starts)),
        }
    }
}

/// The next run that an announced value could be.
#[derive(Clone, Copy)]
enum Run {
    /// There is one, of so many bytes.
    Of(usize),
    /// There may be one: what has come ends before that is known.
    Open,
    /// There is none in what has come.
    None,
}

impl Scanner {
    /// Goes to the next place where a match could begin and starts a thread there. False when there is
    /// none in what has come.
    pub(crate) fn seek(&mut self, rules: &Rules, last: bool) -> bool {
        loop {
            let sign = self.next_sign(rules, last);
            let (run_at, run) = self.next_run(rules, last);
            let stop = sign.at.min(run_at);
            if self.seek_before(stop, rules) {
                return true;
            }
            self.at = stop;
            let mut contexts = Contexts::default();
            match run {
                Run::Of(length) if stop == run_at => {
                    contexts = self.announced(rules, stop, length);
                    if contexts.is_empty() {
                        self.ahead.runs = stop + rules.runs.to_next(self.slice(stop, self.end()));
                        self.ahead.run = None;
                        continue;
                    }
                }
                Run::Open if stop == run_at => {
                    self.ahead.waits = self.prev(stop) != usize::from(b'-');
                    return false;
                }
                _ => {}
            }
            if stop == self.end() || stop == sign.at && sign.sign.is_none() {
                return false;
            }
            self.begin(rules, contexts, sign.sign.filter(|_| sign.at == stop));
            return true;
        }
    }

    /// Starts a thread at the next place before `stop` where what is spelled out may begin, by all that has come.
    /// False when there is none.
    fn seek_before(&mut self, stop: usize, rules: &Rules) -> bool {
        let (mut at, mut starts) = match self.ahead.seen.filter(|seen| seen.at >= self.at) {
            Some(seen) => (seen.at, seen.starts.since(seen.at - self.at)),
            None => (self.at, Starts::default()),
        };
        loop {
            if at < stop {
                let text = Stretch { base: self.base, text: &self.buf };
                (starts, at) = self.words.skip(rules, starts, text, (at, stop));
            }
            // Beyond the stop only starts before it matter.
            while !starts.alarms() && at - starts.age() < stop {
                let Some(byte) = self.slice(at, at + 1).first() else { break };
                (at, starts) = (at + 1, rules.ahead.step(starts, self.prev(at), *byte));
            }
            let age = starts.age();
            let first = at - age;
            self.ahead.seen = Some(Seen { at, starts });
            if first >= stop {
                return false;
            }
            self.at = first;
            if let Some(thread) = self.may_match(rules, starts.oldest()) {
                self.thread = Some(thread);
                return true;
            }
            starts = starts.since(age.saturating_sub(1));
        }
    }

    /// A thread for what is spelled out and may begin where the scanner is, by the next few bytes and the words
    /// before it; none when nothing may.
    fn may_match(&mut self, rules: &Rules, [spelled, worded]: [bool; 2]) -> Option<Thread> {
        if let Some((state, pos)) = spelled.then(|| self.spelled(rules)).flatten() {
            let mut thread = Thread::new(self.at, Contexts::default());
            thread.may = [true, worded];
            (thread.step, thread.state, thread.pos) = (Step::Spelled, state, pos);
            return Some(thread);
        }
        let near = if worded { self.words_before(rules, self.at) } else { 0 };
        if near == 0 || !self.lives(rules, near) {
            return None;
        }
        let mut thread = Thread::new(self.at, Contexts::default());
        thread.may = [false, true];
        thread.near = Some(near);
        (thread.step, thread.state) = (Step::Worded, rules.worded.start(self.prev(self.at)));
        Some(thread)
    }

    /// How far the first automaton reads the next few bytes, and its state there; none when it finds nothing there.
    fn spelled(&self, rules: &Rules) -> Option<(StateID, usize)> {
        let (prev, text) = (self.prev(self.at), self.slice(self.at, self.end().min(self.at + A_FEW)));
        if !rules.sieve.passes(prev, text) {
            return None;
        }
        let dfa = &rules.spelled.dfa;
        let mut state = rules.spelled.start(prev);
        for (pos, byte) in (self.at..).zip(text) {
            let next = dfa.next_state(state, *byte);
            if dfa.is_special_state(next) {
                return (!dfa.is_dead_state(next)).then_some((state, pos));
            }
            state = next;
        }
        Some((state, self.at + text.len()))
    }

    /// Whether what these lists' words announce may begin where the scanner is.
    fn lives(&self, rules: &Rules, near: Lists) -> bool {
        let (machine, text) = (&rules.worded, self.slice(self.at, self.end().min(self.at + A_FEW)));
        let mut state = machine.start(self.prev(self.at));
        for (count, byte) in text.iter().enumerate() {
            state = machine.dfa.next_state(state, *byte);
            if machine.dfa.is_special_state(state) {
                return !machine.dfa.is_dead_state(state);
            }
            // What may still match is asked seldom: that is the dear part.
            if count % 4 == 0 && !machine.is_open(state, near, Contexts::default()) {
                return false;
            }
        }
        true
    }

    /// What is announced of a run of `length` bytes at `at`.
    fn announced(&mut self, rules: &Rules, at: usize, length: usize) -> Contexts {
        let text = Stretch { base: self.base, text: &self.buf };
        let long = length >= NEAR_SHORTEST;
        let says = if long { self.words.secret(&rules.near, text, at, REACH) } else { None };
        announced_quickly(self.left(at), length, says)
    }

    /// Starts a thread where the scanner is; with a sign, first for the rule around it.
    fn begin(&mut self, rules: &Rules, contexts: Contexts, sign: Option<usize>) {
        let mut thread = Thread::new(self.at, contexts);
        let spelled = rules.sieve.passes(self.prev(self.at), self.slice(self.at, self.end()));
        thread.may = [spelled, true];
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
            let Some(sign) = find(around.sign, self.slice(from, end)).map(|n| from + n) else {
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
        let begin = self.at.max(end.saturating_sub(around.longest));
        let known = self.ahead.last.first_of_run(begin, end);
        known.unwrap_or_else(|| end - around.run_length(self.slice(begin, end)))
    }

    /// The next run that an announced value could be, or the end. Nothing is known of a run that has only begun:
    /// nearly all of these are words.
    fn next_run(&mut self, rules: &Rules, last: bool) -> (usize, Run) {
        let (runs, end) = (&rules.runs, self.end());
        if runs.shortest == 0 {
            return (end, Run::None);
        }
        if let Some((at, length)) = self.ahead.run.filter(|(at, _)| *at >= self.at) {
            return (at, Run::Of(length));
        }
        let mut at = self.ahead.runs.max(self.at);
        let text = Stretch { base: self.base, text: &self.buf };
        self.ahead.run = loop {
            let Some((place, length)) = self.ahead.window.next(runs, text, at, last) else {
                at = end;
                break None;
            };
            at = place;
            let left = self.left(at);
            let prev = left.last().copied();
            let first = self.slice(at, at + 1).first().copied().unwrap_or(0);
            if runs.may_start(prev, first)
                && may_stand_behind(prev, self.slice(at, end.min(at + BEHIND_DASH)))
            {
                // A run that reaches the end of what has come may still become a long one.
                let open = at + length == end && !last;
                if open && length < NEAR_SHORTEST {
                    (self.ahead.runs, self.ahead.run) = (at, None);
                    return (at, Run::Open);
                }
                if length >= NEAR_SHORTEST || may_be_given(left, false) {
                    break Some((at, if open { LONG } else { length.min(LONG) }));
                }
            }
            at += 1;
        };
        self.ahead.runs = at;
        self.ahead.run.map_or((end, Run::None), |(at, run)| (at, Run::Of(run)))
    }
}
