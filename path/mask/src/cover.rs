//! What all ways of looking at a text found in it, joined in the order of the text.

use std::collections::VecDeque;
use std::ops::Range;

use model::Reveal;

use crate::lane::Judge;
use crate::map::Map;
use crate::mark::End;
use crate::rules::Rules;
use crate::scan::{Scanner, Sink};

/// Where bytes of a view lie in the text.
pub(crate) trait Places {
    /// Where the text of the byte at `at` begins.
    fn start(&self, at: usize) -> usize;
    /// Where the text of the bytes before `end` ends.
    fn end(&self, end: usize) -> usize;
}

/// The text itself.
pub(crate) struct Same;

impl Places for Same {
    fn start(&self, at: usize) -> usize {
        at
    }

    fn end(&self, end: usize) -> usize {
        end
    }
}

impl Places for Map {
    fn start(&self, at: usize) -> usize {
        Self::start(self, at)
    }

    fn end(&self, end: usize) -> usize {
        Self::end(self, end)
    }
}

/// A stretch of the text that something was found in.
#[derive(Clone, Copy, Debug)]
struct Cover {
    start: usize,
    end: usize,
    rule: usize,
    kind: Kind,
    rank: u8,
    /// What may be shown of it; nothing but where its class is marked so.
    shown: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A value to mask.
    Masked,
    /// A value masked before goes on.
    More,
    /// A value that may be seen.
    Shown,
}

/// What is to be left out next.
pub(crate) struct Step {
    /// From here on,
    pub(crate) from: usize,
    /// to here at least.
    pub(crate) to: usize,
    /// The rule whose value begins, if one does, and what may be shown of the value.
    pub(crate) value: Option<(usize, End)>,
}

/// What was found and has not left yet.
#[derive(Default)]
pub(crate) struct Covers {
    list: VecDeque<Cover>,
    /// What lies before here is masked.
    covered: usize,
    /// Values that may be seen were counted up to here.
    shown: usize,
    counted: Vec<usize>,
    /// Escapes in the text: they leave whole or not at all.
    units: VecDeque<Range<usize>>,
}

impl Covers {
    fn add(&mut self, cover: Cover) {
        // What goes on where another value begins had begun before it.
        let order = |c: &Cover| (c.start, c.kind != Kind::More, c.rank);
        let place = self.list.partition_point(|c| order(c) <= order(&cover));
        self.list.insert(place, cover);
    }

    /// Notes an escape, behind all others.
    pub(crate) fn unit(&mut self, range: Range<usize>) {
        self.units.push_back(range);
    }

    fn unit_around(&self, at: usize) -> Option<&Range<usize>> {
        let count = self.units.partition_point(|unit| unit.start < at);
        self.units.get(count.checked_sub(1)?).filter(|unit| at < unit.end)
    }

    /// `limit`, or the beginning of the escape it lies in.
    pub(crate) fn whole_before(&self, limit: usize) -> usize {
        self.unit_around(limit).map_or(limit, |unit| unit.start)
    }

    /// `limit`, or the beginning of a value whose end may be shown and that is not all before it: whether
    /// it may depends on what else lies in it.
    pub(crate) fn known_before(&self, limit: usize) -> usize {
        let open = |cover: &&Cover| cover.start < limit && limit < cover.end && !cover.shown.is_empty();
        self.list.iter().find(open).map_or(limit, |cover| cover.start)
    }

    /// Whether nothing else that is masked lies in a value: its end could be a part of that.
    fn stands_alone(&self, cover: &Cover) -> bool {
        let same =
            |other: &Cover| (other.kind, other.end, other.shown) == (cover.kind, cover.end, cover.shown);
        self.list
            .iter()
            .take_while(|other| other.start < cover.end)
            .all(|other| other.kind == Kind::Shown || same(other))
    }

    fn whole_after(&self, at: usize) -> usize {
        self.unit_around(at).map_or(at, |unit| unit.end)
    }

    /// Whether nothing of the text from `at` on is left out, or is an escape.
    #[inline]
    pub(crate) fn is_idle(&self, at: usize) -> bool {
        self.list.is_empty() && self.units.is_empty() && self.counted.is_empty() && self.covered <= at
    }

    /// What is left out next, of the text from `at` to `limit`.
    pub(crate) fn next(&mut self, at: usize, limit: usize) -> Option<Step> {
        let done = self.whole_after(self.covered).min(limit);
        if done > at {
            return Some(Step { from: at, to: done, value: None });
        }
        while let Some(cover) = self.list.front().copied().filter(|cover| cover.start < limit) {
            self.list.pop_front();
            let start = self.whole_before(cover.start);
            match cover.kind {
                Kind::Shown if cover.start < self.shown => {}
                Kind::Shown => {
                    self.shown = cover.end;
                    self.counted.push(cover.rule);
                }
                _ if start < self.whole_after(self.covered) => {
                    if cover.end > self.covered {
                        self.covered = cover.end;
                        let to = self.whole_after(cover.end).min(limit);
                        return Some(Step { from: at, to: to.max(at), value: None });
                    }
                }
                Kind::Masked | Kind::More => {
                    self.covered = cover.end;
                    let to = self.whole_after(cover.end).min(limit);
                    let shown = if self.stands_alone(&cover) { cover.shown } else { End::default() };
                    let value = (cover.kind == Kind::Masked).then_some((cover.rule, shown));
                    return Some(Step { from: start, to, value });
                }
            }
        }
        None
    }

    /// Forgets what lies before `limit`. Gives the rules of values that were seen, once each value.
    pub(crate) fn forget(&mut self, limit: usize) -> std::vec::Drain<'_, usize> {
        while self.units.front().is_some_and(|unit| unit.end <= limit) {
            self.units.pop_front();
        }
        self.counted.drain(..)
    }

    /// Makes it that of another text.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.units.clear();
        self.counted.clear();
        (self.covered, self.shown) = (0, 0);
    }
}

/// Runs scanners and notes what they find.
pub(crate) struct Found<'f> {
    pub(crate) covers: &'f mut Covers,
    pub(crate) rules: &'f Rules,
    pub(crate) reveal: &'f dyn Reveal,
    pub(crate) judge: &'f mut Judge,
}

impl Found<'_> {
    /// Lets a scanner decide all it can, and takes what it finds to where it lies in the text.
    pub(crate) fn scan(&mut self, scanner: &mut Scanner, last: bool, rank: u8, places: &dyn Places) {
        let rules = self.rules;
        scanner.run(rules, last, &mut Noted { found: self, places, rank });
    }
}

struct Noted<'n, 'f> {
    found: &'n mut Found<'f>,
    places: &'n dyn Places,
    rank: u8,
}

impl Noted<'_, '_> {
    fn note(&mut self, range: &Range<usize>, rule: usize, kind: Kind, shown: End) {
        let start = match kind {
            // What the view leaves out before it is of the value too.
            Kind::More => self.places.end(range.start),
            Kind::Masked | Kind::Shown => self.places.start(range.start),
        };
        let end = self.places.end(range.end);
        self.found.covers.add(Cover { start, end, rule, kind, rank: self.rank, shown });
    }
}

impl Sink for Noted<'_, '_> {
    fn pass(&mut self, _at: usize, _bytes: &[u8]) {}

    fn mask(&mut self, rule: usize, value: Range<usize>, bytes: &[u8]) {
        let partial = !self.found.judge.only_classes && self.found.rules.shows_end(rule);
        let shown = if partial { End::of(bytes) } else { End::default() };
        self.note(&value, rule, Kind::Masked, shown);
    }

    fn swallow(&mut self, more: Range<usize>) {
        self.note(&more, 0, Kind::More, End::default());
    }

    fn hides(&mut self, rule: usize) -> bool {
        !self.found.judge.reveals_rule(self.found.rules, self.found.reveal, rule)
    }

    fn reveal(&mut self, rule: usize, value: Range<usize>) {
        self.note(&value, rule, Kind::Shown, End::default());
    }
}
