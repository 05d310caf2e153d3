//! Redacts a whole text the slow way: at every byte, every rule by itself, with another engine and nothing
//! kept from one byte to the next.

use std::ops::Range;
use std::sync::Mutex;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use crate::catalogue;
use crate::check::entropy;
use crate::context::{LEFT, LONG, announced, may_precede};
use crate::rule::{Around, Rule, Shape};
use crate::seek::BEHIND_DASH;

pub(crate) struct Oracle {
    rules: Vec<(Rule, Engine, Option<Engine>)>,
    /// Which rules may begin with a byte.
    first: Vec<Vec<usize>>,
}

/// One rule's own lazy automaton.
struct Engine(DFA, Mutex<Cache>);

impl Engine {
    fn new(pattern: &str) -> Self {
        let dfa = DFA::builder()
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .cache_capacity(2 << 20)
                    .skip_cache_capacity_check(true),
            )
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(thompson::Config::new().utf8(false))
            .build(pattern)
            .unwrap();
        let cache = Mutex::new(dfa.create_cache());
        Self(dfa, cache)
    }

    /// Whether some match begins with `byte`, whatever stands before.
    fn may_begin(&self, byte: u8) -> bool {
        let cache = &mut self.1.lock().unwrap();
        [&b" "[..], b"a", b""].iter().any(|before| {
            let text = [before, &[byte][..]].concat();
            let input = Input::new(&text).span(before.len()..text.len()).anchored(Anchored::Yes);
            let start = self.0.start_state_forward(cache, &input).unwrap();
            !self.0.next_state(cache, start, byte).unwrap().is_dead()
        })
    }

    /// Where the longest match from `span.start` ends that ends within `span`.
    fn longest(&self, text: &[u8], span: Range<usize>) -> Option<usize> {
        let input = Input::new(text).span(span).anchored(Anchored::Yes);
        self.0.try_search_fwd(&mut self.1.lock().unwrap(), &input).unwrap().map(|m| m.offset())
    }
}

/// One masked value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(crate) rule: String,
    pub(crate) class: String,
    pub(crate) range: Range<usize>,
}

impl Oracle {
    pub(crate) fn new() -> Self {
        Self::of(catalogue::standard())
    }

    pub(crate) fn of(rules: Vec<Rule>) -> Self {
        let rules: Vec<_> = rules
            .into_iter()
            .map(|rule| {
                let engine = Engine::new(rule.shape.pattern());
                let tail = rule.tail.map(|t| Engine::new(t.pattern));
                (rule, engine, tail)
            })
            .collect();
        let first = (0..=255u8)
            .map(|byte| {
                let may = |(rule, engine, _): &(Rule, Engine, _)| {
                    matches!(rule.shape, Shape::Around(_)) || engine.may_begin(byte)
                };
                (0..rules.len()).filter(|n| may(&rules[*n])).collect()
            })
            .collect();
        Self { rules, first }
    }

    pub(crate) fn redact(&self, text: &[u8], hidden: impl Fn(&str) -> bool) -> (Vec<u8>, Vec<Value>) {
        let (mut out, mut values, mut at) = (Vec::new(), Vec::new(), 0);
        let mut tried = vec![false; text.len()];
        let mut copied = 0;
        while at < text.len() {
            match self.value_at(text, at, &mut tried, &hidden) {
                Some(value) => {
                    out.extend_from_slice(&text[copied..value.range.start]);
                    out.extend_from_slice(format!("[{}]", value.class).as_bytes());
                    (at, copied) = (value.range.end, value.range.end);
                    values.push(value);
                }
                None => at += 1,
            }
        }
        out.extend_from_slice(&text[copied..]);
        (out, values)
    }

    /// The best value that begins at `at`: the first head that is the best when it shows, or else the best of all.
    fn value_at(
        &self,
        text: &[u8],
        at: usize,
        tried: &mut [bool],
        hidden: &impl Fn(&str) -> bool,
    ) -> Option<Value> {
        let left = &text[at.saturating_sub(LEFT)..at];
        let mut around: Vec<(usize, usize, Range<usize>)> = Vec::new();
        let (mut spelled, mut worded) = (Vec::new(), Vec::new());
        let mut behind = Vec::new();
        let dashed = left.ends_with(b"-");
        let behind_dash = text[at..].iter().take(BEHIND_DASH).filter(|b| b.is_ascii_alphanumeric()).count();
        let open = left.last().is_none_or(|b| may_precede(*b)) && (!dashed || behind_dash == BEHIND_DASH);
        let contexts = std::cell::LazyCell::new(|| announced(left, LONG));
        let candidates = self.first[usize::from(text[at])].iter().map(|n| (*n, &self.rules[*n]));
        for (index, (rule, vm, _)) in candidates.filter(|(_, r)| hidden(&r.0.class)) {
            let (from, list) = match rule.shape {
                Shape::Spelled(_) if rule.near.iter().next().is_some() => (at, &mut worded),
                Shape::Spelled(_) => (at, &mut spelled),
                Shape::After(context, _) if open && contexts.has(context) => (at, &mut behind),
                Shape::After(..) => continue,
                Shape::Around(spec) => match sign_of(text, at, spec, tried) {
                    Some(sign) => (sign, &mut around),
                    None => continue,
                },
            };
            let mut limit = text.len();
            while let Some(end) = vm.longest(text, from..limit) {
                let value = rule.check.run(left, &text[at..end]).filter(|v| !v.is_empty());
                let random = |v: &Range<usize>| entropy(&text[at + v.start..at + v.end]) >= rule.entropy;
                let words: Vec<&str> = rule.near.iter().collect();
                let stands =
                    |v: &Range<usize>| random(v) && (words.is_empty() || words.iter().any(|w| near(left, w)));
                if let Some(value) = value.filter(stands) {
                    list.push((end, index, at + value.start..at + value.end));
                }
                if end == from {
                    break;
                }
                limit = end - 1;
            }
        }
        // One automaton after the other, and in each one end after the other: of all that ends there or before,
        // the best is known; when that is a head whose match ends there, nothing else is waited for.
        let mut all: Vec<(usize, usize, Range<usize>)> = Vec::new();
        for mut list in [around, spelled, worded, behind] {
            list.sort_by_key(|(end, ..)| *end);
            for same in list.chunk_by(|a, b| a.0 == b.0) {
                all.extend_from_slice(same);
                let best = self.best(&all)?;
                if best.0 == same[0].0 && self.rules[best.1].0.tail.is_some() {
                    return Some(self.whole(text, best));
                }
            }
        }
        self.best(&all).map(|best| self.whole(text, best))
    }

    /// The value that reaches furthest; then the longest; then what its own spelling gives away; then by the
    /// table.
    fn best(&self, all: &[(usize, usize, Range<usize>)]) -> Option<(usize, usize, Range<usize>)> {
        let announced = |rule: usize| matches!(self.rules[rule].0.shape, Shape::After(..));
        let furthest = all.iter().map(|(_, _, value)| value.end).max()?;
        let furthest = all.iter().filter(|(_, _, value)| value.end == furthest);
        let longest = furthest.clone().map(|(_, _, value)| value.len()).max()?;
        let longest = furthest.filter(|(_, _, value)| value.len() == longest);
        let spelled = longest.clone().filter(|(_, rule, _)| !announced(*rule));
        let first = spelled.min_by_key(|(end, rule, _)| (*rule, *end));
        first.or_else(|| longest.min_by_key(|(end, rule, _)| (*rule, *end))).cloned()
    }

    fn whole(&self, text: &[u8], (_, index, range): (usize, usize, Range<usize>)) -> Value {
        let (rule, _, tail) = &self.rules[index];
        let mut end = range.end;
        if let (Some(tail), Some(spec)) = (tail, rule.tail) {
            // An end shows with the byte behind it, which must be among those read.
            let last = text.len().min(range.end + spec.cap - 1);
            end = tail.longest(text, range.end..last).unwrap_or(end);
        }
        Value { rule: rule.name.to_string(), class: rule.class.to_string(), range: range.start..end }
    }
}

/// The sign whose run begins at `at`, if none began earlier.
fn sign_of(text: &[u8], at: usize, spec: Around, tried: &mut [bool]) -> Option<usize> {
    if !(spec.first)(text[at]) {
        return None;
    }
    let run = text[at..].iter().take_while(|b| (spec.run)(**b)).count();
    let sign = at + run;
    if run > spec.longest || text.get(sign) != Some(&spec.sign) || tried[sign] {
        return None;
    }
    tried[sign] = true;
    Some(sign)
}

/// Whether a word stands in the bytes before a value, by itself or as a part of a name.
fn near(left: &[u8], word: &str) -> bool {
    let word = word.to_lowercase();
    (0..left.len()).any(|at| {
        let Some(here) = left.get(at..at + word.len()) else { return false };
        let letter = |n: usize, kind: fn(&u8) -> bool| left.get(n).is_some_and(kind);
        let before = at.checked_sub(1);
        let camel = before.is_some_and(|n| letter(n, u8::is_ascii_lowercase)) && here[0].is_ascii_uppercase();
        let escape = at >= 2 && left[at - 2] == b'\\' && b"nrt".contains(&left[at - 1]);
        let begins = match before {
            None => left.len() < LEFT,
            Some(n) => !left[n].is_ascii_alphanumeric() || camel || escape,
        };
        let mut end = at + word.len();
        end += usize::from(left.get(end) == Some(&b's'));
        let goes_on =
            letter(end, u8::is_ascii_lowercase) || word.len() < 4 && letter(end, u8::is_ascii_digit);
        here.eq_ignore_ascii_case(word.as_bytes()) && begins && !goes_on
    })
}
