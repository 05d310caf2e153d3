//! Whole texts: for viewers of the record, and for whoever tries the rules on a text.

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;
use model::{DataClass, Findings, Reveal};

use crate::lane::{Bench, Judge, LaneText};
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

impl Rules {
    /// What would be masked in a whole text for someone who may see nothing, in order.
    pub fn find(&self, text: &[u8]) -> Vec<Find> {
        let mut finds = Finds { rules: self, list: Vec::new() };
        let mut scanner = Scanner::default();
        scanner.add(text);
        scanner.run(self, true, &mut finds);
        finds.list
    }
}

struct Finds<'a> {
    rules: &'a Rules,
    list: Vec<Find>,
}

impl Sink for Finds<'_> {
    fn pass(&mut self, _at: usize, _bytes: &[u8]) {}

    fn mask(&mut self, rule: usize, value: Range<usize>) {
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
