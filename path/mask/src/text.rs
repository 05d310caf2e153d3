//! Whole texts: for viewers of the record, and for whoever tries the rules on a text.

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;
use model::{DataClass, Findings, Reveal};

use crate::lane::{Bench, Judge, LaneText};
use crate::mark::placeholder;
use crate::rules::Rules;
use crate::scan::{Scanner, Sink};

/// Masks what `viewer` may not see in a whole text, and says what was found.
pub fn mask_text(rules: &Rules, viewer: &dyn Reveal, text: &str) -> (String, Findings) {
    let (mut judge, mut out) = (Judge::default(), BytesMut::with_capacity(text.len()));
    let mut bench = Bench { rules, reveal: viewer, judge: &mut judge, out: &mut out };
    LaneText::default().plain(text.as_bytes(), true, &mut bench);
    (String::from_utf8_lossy(&out).into_owned(), judge.findings)
}

/// A value found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find {
    /// The rule that found it.
    pub rule: Arc<str>,
    /// Its class.
    pub class: DataClass,
    /// Where it lies, in bytes.
    pub range: Range<usize>,
}

/// A value that is masked in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// What it is, and where it lies: all that is left out, as it is written.
    pub find: Find,
    /// What stands in its place.
    pub placeholder: String,
}

impl Rules {
    /// What is masked in a whole text for someone who may see nothing, in order: as a stream of it is, so
    /// also what is written in escapes or in base64.
    pub fn hidden(&self, text: &[u8]) -> Vec<Hidden> {
        let (mut judge, mut out) = (Judge::tracing(), BytesMut::with_capacity(text.len()));
        let mut bench = Bench { rules: self, reveal: &Nobody, judge: &mut judge, out: &mut out };
        LaneText::default().plain(text, true, &mut bench);
        let hidden = judge.traced.unwrap_or_default().into_iter().filter_map(|(range, rule, shown)| {
            let class = self.class(rule)?.clone();
            let mut instead = BytesMut::new();
            placeholder(&class, shown, &mut instead);
            let find = Find { rule: Arc::clone(&self.list.get(rule)?.name), class, range };
            Some(Hidden { find, placeholder: String::from_utf8_lossy(&instead).into_owned() })
        });
        hidden.collect()
    }

    /// What would be masked in a whole text for someone who may see nothing, in order, by the text as it is written.
    pub fn find(&self, text: &[u8]) -> Vec<Find> {
        let mut finds = Finds { rules: self, list: Vec::new() };
        let mut scanner = Scanner::default();
        scanner.add(text);
        scanner.run(self, true, &mut finds);
        finds.list
    }
}

/// Sees nothing.
struct Nobody;

impl Reveal for Nobody {
    fn reveals(&self, _class: &DataClass) -> bool {
        false
    }
}

struct Finds<'a> {
    rules: &'a Rules,
    list: Vec<Find>,
}

impl Sink for Finds<'_> {
    fn pass(&mut self, _at: usize, _bytes: &[u8]) {}

    fn mask(&mut self, rule: usize, value: Range<usize>, _bytes: &[u8]) {
        if let (Some(ready), Some(class)) = (self.rules.list.get(rule), self.rules.class(rule)) {
            self.list.push(Find { rule: Arc::clone(&ready.name), class: class.clone(), range: value });
        }
    }

    fn swallow(&mut self, more: Range<usize>) {
        if let Some(find) = self.list.last_mut() {
            find.range.end = more.end;
        }
    }

    fn hides(&mut self, _rule: usize) -> bool {
        true
    }

    fn reveal(&mut self, _rule: usize, _value: Range<usize>) {}
}
