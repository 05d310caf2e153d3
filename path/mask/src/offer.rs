//! Judges what matched, and keeps the best: what was found from one start on.

use std::cmp::Reverse;
use std::ops::Range;

use crate::check::digits::Digits;
use crate::machine::Matches;
use crate::near::{Lists, Stretch, Words};
use crate::rule::How;
use crate::rules::Rules;
use crate::scan::{Scanner, Sink, Thread};
use crate::seek::may_stand_behind;

/// A match that was judged a value.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) rule: usize,
    /// Whether it is a value only because of the words before it.
    announced: bool,
    pub(crate) value: Range<usize>,
    /// Where the match ends, which may show a byte behind the value.
    pub(crate) end: usize,
}

impl Found {
    /// The greater, the better. [`Scanner::offer`] says why so.
    fn rank(&self) -> impl Ord + use<> {
        (self.value.end, Reverse(self.value.start), !self.announced, Reverse(self.rule))
    }
}

/// What a run through the text has at hand.
pub(crate) struct Run<'a, S> {
    pub(crate) rules: &'a Rules,
    /// Whether the text ends with what has come.
    pub(crate) last: bool,
    words: &'a mut Words,
    sink: &'a mut S,
    /// The digits of the thread's text, up to a place.
    digits: Digits,
    read: usize,
    /// The rule that was asked last what must stand behind its values' start, and whether it does.
    behind: Option<(usize, bool)>,
}

impl<'a, S> Run<'a, S> {
    /// One thread's run.
    pub(crate) fn new(rules: &'a Rules, last: bool, words: &'a mut Words, sink: &'a mut S) -> Self {
        Self { rules, last, words, sink, digits: Digits::default(), read: 0, behind: None }
    }

    /// Whether this rule's check is content with what stands before the thread: asked once.
    fn says(&mut self, rule: usize, ask: impl FnOnce() -> bool) -> bool {
        if let Some((_, says)) = self.behind.filter(|(asked, _)| *asked == rule) {
            return says;
        }
        let says = ask();
        self.behind = Some((rule, says));
        says
    }
}

impl Scanner {
    /// The lists that have a word before the thread's start.
    pub(crate) fn near<S: Sink>(&self, thread: &mut Thread, run: &mut Run<'_, S>) -> Lists {
        let text = Stretch { base: self.base, text: &self.buf };
        let start = thread.start;
        *thread.near.get_or_insert_with(|| {
            self.behind(run.rules, run.words.lists(&run.rules.near, text, start), start)
        })
    }

    /// These lists without those that no rule is left of, by what stands before `at`.
    pub(crate) fn behind(&self, rules: &Rules, near: Lists, at: usize) -> Lists {
        let Some(first) = self.slice(at, at + 1).first() else { return near };
        let asked = rules.behind.iter().filter(|(list, _)| near & list != 0);
        asked.filter(|(_, says)| !says(self.left(at), *first)).fold(near, |near, (list, _)| near & !list)
    }

    /// Offers the rules that need words, if those are there.
    pub(crate) fn offer_worded<S: Sink>(
        &self,
        matches: &Matches,
        thread: &mut Thread,
        end: usize,
        run: &mut Run<'_, S>,
    ) {
        let near = self.near(thread, run);
        if near & matches.lists == 0 {
            return;
        }
        for (rule, _) in matches.worded.iter().filter(|(_, lists)| near & lists != 0) {
            self.offer(*rule, thread, end, run);
        }
    }

    /// Takes a match of `rule`, whose words are there, from the thread's start to `end`, if it is a value and better than what the
    /// thread has.
    ///
    /// Of two values that begin in one match's place, that one is better which
    /// 1. ends later, so that no part of a secret is left behind another's placeholder;
    /// 2. begins earlier, for the same reason;
    /// 3. is known by its own spelling, and not only by the words that announce it: `key AKIA…` is a key of
    ///    AWS;
    /// 4. stands further up in the table of rules.
    ///
    /// What counts is the value, never how far its rule had to read to see it end. Only a head decides
    /// before all matches are known: when it is the best at its match's end, it stays so, however long other
    /// matches would go on.
    pub(crate) fn offer<S: Sink>(&self, rule: usize, thread: &mut Thread, end: usize, run: &mut Run<'_, S>) {
        let Some(ready) = run.rules.list.get(rule) else { return };
        let announced = ready.context.is_some();
        // No value in the match is better than one that is the whole match.
        let whole = Found { rule, announced, value: thread.start..end, end };
        let better =
            |one: &Found, than: &Option<Found>| than.as_ref().is_none_or(|than| one.rank() > than.rank());
        if ready.context.is_some_and(|context| !thread.contexts.has(context)) || !better(&whole, &thread.best)
        {
            return;
        }
        let text = self.slice(thread.start, end);
        let left = self.left(thread.start);
        if ready
            .check
            .behind
            .is_some_and(|says| !run.says(rule, || says(left, text.first().copied().unwrap_or(0))))
        {
            return;
        }
        // The thread may have begun before all of what decides this had come.
        if announced && !may_stand_behind(left.last().copied(), text) {
            return;
        }
        let value = match ready.check.how {
            How::Text(judge) => judge(left, text).filter(|value| value.end <= text.len()),
            How::Digits(holds) => {
                (self.digits(thread.start, end, run).is_some_and(holds)).then_some(0..text.len())
            }
        };
        let Some(value) = value.filter(|value| !value.is_empty() && ready.varies(text.get(value.clone())))
        else {
            return;
        };
        let found = Found { value: thread.start + value.start..thread.start + value.end, ..whole };
        if !better(&found, &thread.best) {
            return;
        }
        if run.sink.hides(rule) {
            thread.best = Some(found);
        } else if better(&found, &thread.shown) {
            thread.shown = Some(found);
        }
    }

    /// The digits of the text from `start` to `end`; none for more than 32. Most ends are asked for in their order.
    fn digits<'r, S>(&self, start: usize, end: usize, run: &'r mut Run<'_, S>) -> Option<&'r Digits> {
        if run.read < start || end < run.read {
            (run.digits, run.read) = (Digits::default(), start);
        }
        let all = run.digits.read(self.slice(run.read, end));
        run.read = if all { end } else { usize::MAX };
        all.then_some(&run.digits)
    }
}
