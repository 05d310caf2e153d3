//! Redacts a whole text the slow way: at every byte, every rule by itself, with another engine and nothing
//! kept from one byte to the next.

use std::ops::Range;
use std::sync::Mutex;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use crate::catalogue;
use crate::context::{LEFT, announced, may_precede};
use crate::rule::{Around, Rule, Shape};

pub(crate) struct Oracle {
    rules: Vec<(Rule, Engine, Option<Engine>)>,
}

/// One rule's own lazy automaton.
struct Engine(DFA, Mutex<Cache>);

impl Engine {
    fn new(pattern: &str) -> Self {
        let dfa = DFA::builder()
            .configure(DFA::config().match_kind(MatchKind::All).cache_capacity(8 << 20))
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(thompson::Config::new().utf8(false))
            .build(pattern)
            .unwrap();
        let cache = Mutex::new(dfa.create_cache());
        Self(dfa, cache)
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
    pub(crate) rule: &'static str,
    pub(crate) class: &'static str,
    pub(crate) range: Range<usize>,
}

impl Oracle {
    pub(crate) fn new() -> Self {
        let rules = catalogue::standard().into_iter();
        Self {
            rules: rules
                .map(|rule| {
                    let pattern = match rule.shape {
                        Shape::Spelled(p) | Shape::After(_, p) => p,
                        Shape::Around(a) => a.right,
                    };
                    (rule, Engine::new(pattern), rule.tail.map(|t| Engine::new(t.pattern)))
                })
                .collect(),
        }
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

    /// The best value that begins at `at`: the first head that shows, or else the longest.
    fn value_at(
        &self,
        text: &[u8],
        at: usize,
        tried: &mut [bool],
        hidden: &impl Fn(&str) -> bool,
    ) -> Option<Value> {
        let left = &text[at.saturating_sub(LEFT)..at];
        let mut around: Vec<(usize, usize, Range<usize>)> = Vec::new();
        let mut spelled = Vec::new();
        let mut behind = Vec::new();
        for (index, (rule, vm, _)) in self.rules.iter().enumerate().filter(|(_, r)| hidden(r.0.class)) {
            let (from, list) = match rule.shape {
                Shape::Spelled(_) => (at, &mut spelled),
                Shape::After(context, _)
                    if left.last().is_some_and(|b| may_precede(*b)) && announced(left).has(context) =>
                {
                    (at, &mut behind)
                }
                Shape::After(..) => continue,
                Shape::Around(spec) => match sign_of(text, at, spec, tried) {
                    Some(sign) => (sign, &mut around),
                    None => continue,
                },
            };
            let mut limit = text.len();
            while let Some(end) = vm.longest(text, from..limit) {
                if let Some(value) = (rule.check)(left, &text[at..end]) {
                    list.push((end, index, at + value.start..at + value.end));
                }
                if end == from {
                    break;
                }
                limit = end - 1;
            }
        }
        // One automaton after the other; in each, a head settles as soon as it is the longest so far.
        let mut best: Option<(usize, usize, Range<usize>)> = None;
        for mut list in [around, spelled, behind] {
            list.sort_by_key(|(end, rule, _)| (*end, *rule));
            for found in list {
                let better = best.as_ref().is_none_or(|b| found.0 > b.0 || found.0 == b.0 && found.1 < b.1);
                if better {
                    let head = self.rules[found.1].0.tail.is_some();
                    best = Some(found);
                    if head {
                        return best.map(|b| self.whole(text, b));
                    }
                }
            }
        }
        best.map(|b| self.whole(text, b))
    }

    fn whole(&self, text: &[u8], (_, index, range): (usize, usize, Range<usize>)) -> Value {
        let (rule, _, tail) = &self.rules[index];
        let mut end = range.end;
        if let (Some(tail), Some(spec)) = (tail, rule.tail) {
            // An end shows with the byte behind it, which must be among those read.
            let last = text.len().min(range.end + spec.cap - 1);
            end = tail.longest(text, range.end..last).unwrap_or(end);
        }
        Value { rule: rule.name, class: rule.class, range: range.start..end }
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
