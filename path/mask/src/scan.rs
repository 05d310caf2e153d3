//! The scanner: finds values in a text that arrives in any pieces, as if it had come whole.
//!
//! At each place where a match could begin, one thread runs from it through the automata. While it lives,
//! everything from its start is held. Dead with a match, the match is masked and scanning goes on at its
//! end; dead without one, it goes on one byte further. Every step depends only on bytes that are there
//! already, and a piece's end merely suspends it: that is why no cut changes anything.

use std::ops::Range;

use regex_automata::dfa::{Automaton as _, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, PatternID};

use crate::automaton::start_of;
use crate::context::{Contexts, LEFT, NEAR_SHORTEST};
use crate::few::Few;
use crate::machine::Machine;
use crate::near::{Lists, Stretch, Words};
use crate::offer::{Found, Run};
use crate::rules::{BEGINNING, Rules};
use crate::seek::LookAhead;

/// Takes what the scanner decides. Places count from the beginning of the text and never go back.
pub(crate) trait Sink {
    /// These bytes, at this place, are no part of a masked value.
    fn pass(&mut self, at: usize, bytes: &[u8]);
    /// A value to mask lies here, of these bytes: its placeholder goes out.
    fn mask(&mut self, rule: usize, value: Range<usize>, bytes: &[u8]);
    /// The value masked last goes on over these bytes.
    fn swallow(&mut self, more: Range<usize>);
    /// Whether finds of `rule` are to be masked.
    fn hides(&mut self, rule: usize) -> bool;
    /// A value that is not to be masked lies here. Its bytes are passed, or lie in a longer value's.
    fn reveal(&mut self, rule: usize, value: Range<usize>);
}

/// So much of a text may be kept that is not looked at again, in bytes.
const SHORT: usize = 240;

/// The memory a scanner at rest may keep, in bytes.
const RESTING: usize = 800;

/// One text's scanner. All places are counted from the beginning of the text.
#[derive(Clone, Default)]
pub(crate) struct Scanner {
    /// The text from `base` on: what may still be looked back at, and what is held.
    pub(crate) buf: Vec<u8>,
    pub(crate) base: usize,
    /// What could begin before here is decided.
    pub(crate) at: usize,
    /// What lies before here has gone to the sink.
    flushed: usize,
    pub(crate) thread: Option<Thread>,
    tail: Option<Following>,
    pub(crate) ahead: LookAhead,
    pub(crate) words: Words,
    /// Where the last revealed value ends.
    revealed: usize,
}

/// The search for a match that begins at one place.
#[derive(Clone)]
pub(crate) struct Thread {
    pub(crate) start: usize,
    pub(crate) pos: usize,
    pub(crate) state: StateID,
    pub(crate) step: Step,
    pub(crate) contexts: Contexts,
    /// Whether what is spelled out may begin here, and what needs words.
    pub(crate) may: [bool; 2],
    /// The lists that have a word before the start, once asked for.
    pub(crate) near: Option<Lists>,
    pub(crate) best: Option<Found>,
    pub(crate) shown: Option<Found>,
}

/// Which automaton a thread runs through; one after the other, from the same start.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Step {
    Around,
    Spelled,
    Worded,
    Announced,
    Done,
}

/// A masked value that goes on.
#[derive(Clone)]
struct Following {
    state: StateID,
    pos: usize,
    until: usize,
    limit: usize,
}

/// How running through an automaton ended.
enum Ran {
    Dead,
    Suspended,
    Settled,
}

impl Scanner {
    /// Adds the next bytes of the text, without looking at them yet.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// Whether nothing can be decided by a few bytes more if they go on a word: what is not decided is one word, and
    /// still short.
    #[inline]
    pub(crate) fn waits(&self, few: Few) -> bool {
        self.ahead.waits && self.end() + few.count - self.at < NEAR_SHORTEST
    }

    /// Adds a few bytes among which no sign is that a rule lies around.
    #[inline]
    pub(crate) fn add_few(&mut self, bytes: &[u8], few: Few) {
        self.ahead.few(few, self.end());
        self.add(bytes);
    }

    /// The place that the next byte will have.
    pub(crate) fn end(&self) -> usize {
        self.base + self.buf.len()
    }

    /// How many bytes are held.
    pub(crate) fn held(&self) -> usize {
        self.end() - self.flushed
    }

    /// Decides all that can be decided. With `last`, that is everything: the text ends here.
    pub(crate) fn run<S: Sink>(&mut self, rules: &Rules, last: bool, sink: &mut S) {
        self.ahead.renew();
        loop {
            if self.tail.is_some() && !self.follow(rules, last, sink) {
                break;
            }
            if self.thread.is_none() && !self.seek(rules, last) {
                break;
            }
            if !self.advance(rules, last, sink) {
                break;
            }
        }
        self.flush(self.at, sink);
        self.forget();
    }

    /// Forgets the text but for what may still be looked at: at most what is held, and [`LEFT`] bytes
    /// before it. Of a short text, not at every push.
    fn forget(&mut self) {
        let keep = self.at.saturating_sub(LEFT).max(self.base);
        if self.buf.len() > SHORT {
            self.buf.drain(..(keep - self.base).min(self.buf.len()));
            self.base = keep;
            if self.buf.len() < RESTING && self.buf.capacity() > RESTING {
                self.buf.shrink_to(RESTING);
            }
        }
        self.words.rest(self.at);
    }

    /// Whether it will say the same as `other` of whatever comes: nothing is under way in either, and all
    /// that may still be looked at is the same. Asked of scanners that have run.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let idle = |one: &Self| one.thread.is_none() && one.tail.is_none();
        let open = |one: &Self| one.end() - one.at;
        let ahead = |one: &Self| one.ahead.known(one.at, one.end());
        let last = |one: &Self| one.slice(one.end().saturating_sub(open(one) + LEFT), one.end()).to_vec();
        idle(self)
            && idle(other)
            && (open(self), self.held()) == (open(other), other.held())
            && ahead(self) == ahead(other)
            && last(self) == last(other)
    }

    /// Makes it a scanner of another text.
    pub(crate) fn reset(&mut self) {
        let (mut buf, mut words) = (std::mem::take(&mut self.buf), std::mem::take(&mut self.words));
        buf.clear();
        words.clear();
        *self = Self { buf, words, ..Self::default() };
    }

    pub(crate) fn slice(&self, from: usize, to: usize) -> &[u8] {
        self.buf.get(from.saturating_sub(self.base)..to.saturating_sub(self.base)).unwrap_or(&[])
    }

    /// The bytes that may decide about a value at `at`.
    pub(crate) fn left(&self, at: usize) -> &[u8] {
        self.slice(at.saturating_sub(LEFT), at)
    }

    /// The byte before `at`, or [`BEGINNING`].
    pub(crate) fn prev(&self, at: usize) -> usize {
        self.left(at).last().map_or(BEGINNING, |b| usize::from(*b))
    }

    /// The lists that have a word before `at`; none when no value of theirs may begin with the byte there.
    pub(crate) fn words_before(&mut self, rules: &Rules, at: usize) -> Lists {
        let near = self.words.lists(&rules.near, Stretch { base: self.base, text: &self.buf }, at);
        let begins = self.slice(at, at + 1).first().map_or(Lists::MAX, |byte| rules.worded.begins(*byte));
        if near & begins == 0 { 0 } else { self.behind(rules, near, at) }
    }

    fn flush<S: Sink>(&mut self, to: usize, sink: &mut S) {
        if to > self.flushed {
            sink.pass(self.flushed, self.slice(self.flushed, to));
            self.flushed = to;
        }
    }

    pub(crate) fn enter(&self, dfa: &dense::DFA<Vec<u32>>, pattern: PatternID, at: usize) -> StateID {
        start_of(dfa, Anchored::Pattern(pattern), self.prev(at)).unwrap_or_default()
    }

    /// Runs the thread on. False when it waits for more.
    fn advance<S: Sink>(&mut self, rules: &Rules, last: bool, sink: &mut S) -> bool {
        let Some(mut thread) = self.thread.take() else { return true };
        let mut words = std::mem::take(&mut self.words);
        let mut run = Run::new(rules, last, &mut words, sink);
        let ended = loop {
            let ran = match thread.step {
                Step::Around => match &rules.around {
                    Some(around) => self.through(
                        &rules.following,
                        |_| true,
                        |_, thread, end, run| self.offer(around.rule, thread, end, run),
                        &mut thread,
                        &mut run,
                    ),
                    None => Ran::Dead,
                },
                Step::Spelled => self.machine(&rules.spelled, &mut thread, &mut run),
                Step::Worded => {
                    if self.near(&mut thread, &mut run) == 0 {
                        Ran::Dead
                    } else {
                        self.machine(&rules.worded, &mut thread, &mut run)
                    }
                }
                Step::Announced => self.machine(&rules.announced, &mut thread, &mut run),
                Step::Done => Ran::Settled,
            };
            match ran {
                Ran::Suspended => break false,
                Ran::Dead => self.next_step(rules, &mut thread),
                Ran::Settled => break true,
            }
        };
        self.words = words;
        if ended {
            self.settle(rules, thread, sink);
        } else {
            self.thread = Some(thread);
        }
        ended
    }

    pub(crate) fn next_step(&self, rules: &Rules, thread: &mut Thread) {
        let prev = self.prev(thread.start);
        let [spelled, worded] = thread.may;
        (thread.step, thread.state) = match thread.step {
            Step::Around if spelled => (Step::Spelled, rules.spelled.start(prev)),
            Step::Around | Step::Spelled if worded && thread.near != Some(0) => {
                (Step::Worded, rules.worded.start(prev))
            }
            Step::Around | Step::Spelled | Step::Worded if !thread.contexts.is_empty() => {
                (Step::Announced, rules.announced.start(prev))
            }
            _ => (Step::Done, StateID::default()),
        };
        thread.pos = thread.start;
    }

    fn machine<S: Sink>(&self, machine: &Machine, thread: &mut Thread, run: &mut Run<'_, S>) -> Ran {
        let offers = |state, thread: &mut Thread, end, run: &mut Run<'_, S>| {
            let Some(matches) = machine.matches(state) else { return };
            for rule in &matches.plain {
                self.offer(*rule, thread, end, run);
            }
            if matches.lists != 0 {
                self.offer_worded(matches, thread, end, run);
            }
        };
        if thread.step == Step::Spelled {
            return self.through(&machine.dfa, |_| true, offers, thread, run);
        }
        // What needs other words than those that are there can't match, nor what nothing announces.
        let (near, contexts) = (self.near(thread, run), thread.contexts);
        self.through(&machine.dfa, |state| machine.is_open(state, near, contexts), offers, thread, run)
    }

    /// Runs through one automaton as far as there is text, and has what matches offered.
    #[inline]
    fn through<S: Sink>(
        &self,
        dfa: &dense::DFA<Vec<u32>>,
        open: impl Fn(StateID) -> bool,
        offers: impl Fn(StateID, &mut Thread, usize, &mut Run<'_, S>),
        thread: &mut Thread,
        run: &mut Run<'_, S>,
    ) -> Ran {
        let mut state = thread.state;
        let end = self.end();
        let last = run.last;
        let mut matched = |state: StateID, thread: &mut Thread, end: usize| {
            offers(state, thread, end, run);
            thread.settled(run.rules, end)
        };
        for (pos, byte) in (thread.pos..).zip(self.slice(thread.pos, end)) {
            state = dfa.next_state(state, *byte);
            if dfa.is_special_state(state) {
                if !dfa.is_match_state(state) {
                    return Ran::Dead;
                }
                if matched(state, thread, pos) {
                    return Ran::Settled;
                }
            }
            // What may still match is asked seldom: that is the dear part.
            if pos % 4 == 0 && !open(state) {
                return Ran::Dead;
            }
        }
        if last {
            state = dfa.next_eoi_state(state);
            return if dfa.is_match_state(state) && matched(state, thread, end) {
                Ran::Settled
            } else {
                Ran::Dead
            };
        }
        thread.state = state;
        thread.pos = end;
        Ran::Suspended
    }

    fn settle<S: Sink>(&mut self, rules: &Rules, thread: Thread, sink: &mut S) {
        if let Some(best) = thread.best {
            self.flush(best.value.start, sink);
            self.at = best.value.end;
            self.flushed = self.at;
            if let Some(tail) = rules.list.get(best.rule).and_then(|rule| rule.tail) {
                self.tail = Some(Following {
                    state: self.enter(&rules.following, tail.pattern, self.at),
                    pos: self.at,
                    until: self.at,
                    limit: self.at + tail.cap,
                });
            }
            sink.mask(best.rule, best.value.clone(), self.slice(best.value.start, best.value.end));
            return;
        }
        if let Some(shown) = thread.shown.filter(|shown| shown.value.start >= self.revealed) {
            self.revealed = shown.value.end;
            sink.reveal(shown.rule, shown.value);
        }
        self.at = thread.start + 1;
    }

    /// Follows a masked value to its end. False when it waits for more.
    fn follow<S: Sink>(&mut self, rules: &Rules, last: bool, sink: &mut S) -> bool {
        let Some(mut tail) = self.tail.take() else { return true };
        let dfa = &rules.following;
        let mut open = tail.pos < tail.limit;
        let stop = self.end().min(tail.limit);
        for (pos, byte) in (tail.pos..).zip(self.slice(tail.pos, stop)) {
            tail.state = dfa.next_state(tail.state, *byte);
            if dfa.is_match_state(tail.state) {
                tail.until = pos;
            } else if dfa.is_dead_state(tail.state) {
                open = false;
                break;
            }
        }
        tail.pos = stop;
        open &= stop < tail.limit;
        if open && last {
            if dfa.is_match_state(dfa.next_eoi_state(tail.state)) {
                tail.until = stop;
            }
            open = false;
        }
        if tail.until > self.flushed {
            sink.swallow(self.flushed..tail.until);
        }
        (self.at, self.flushed) = (tail.until, tail.until);
        if open {
            self.tail = Some(tail);
        }
        !open
    }
}

impl Thread {
    pub(crate) fn new(start: usize, contexts: Contexts) -> Self {
        Self {
            start,
            pos: start,
            state: StateID::default(),
            // Not entered unless the caller sets its state; the next step leads to the others.
            step: Step::Around,
            contexts,
            may: [true; 2],
            near: None,
            best: None,
            shown: None,
        }
    }

    /// Whether the best match is a head that ends here: its value is decided.
    fn settled(&self, rules: &Rules, end: usize) -> bool {
        self.best
            .as_ref()
            .is_some_and(|f| f.end == end && rules.list.get(f.rule).is_some_and(|rule| rule.tail.is_some()))
    }
}
