//! Parts of an answer whose class is known by their place: what the caller may not see of them is
//! replaced, or left out with its key.

use std::collections::HashSet;
use std::ops::Range;

use bytes::Bytes;
use http::HeaderName;
use model::{Encoding, FieldPlace, FieldRule, HeaderField, Layout, LayoutFault, Piece, Reveal, Usage};

use super::marks::{Kind, Mark};
use crate::json::{Node, Value};

/// The fields that one caller may not see, and the classes of those it may.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    hidden: Vec<FieldRule>,
    /// Places where a class's name was written already, in a stream.
    told: HashSet<String>,
}

/// A field that was found: the object or list, and the place in it.
struct Hit<'n> {
    parent: &'n Node<'n>,
    at: usize,
    rule: &'n FieldRule,
}

impl Fields {
    /// Those of `rules` that `viewer` does not reveal.
    pub(crate) fn hidden(rules: &[FieldRule], viewer: &dyn Reveal) -> Self {
        let hidden = rules.iter().filter(|rule| !viewer.reveals(&rule.class)).cloned().collect();
        Self { hidden, told: HashSet::new() }
    }

    /// Whether some part of a body is hidden: then it must be JSON, or nothing could be found in it.
    pub(crate) fn any(&self) -> bool {
        self.hidden.iter().any(|rule| matches!(rule.place, FieldPlace::Body(_)))
    }

    /// What a header is, if it is hidden.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<HeaderField> {
        let rule = self.hidden.iter().find(|rule| rule.place == FieldPlace::Header(name.clone()))?;
        Some(HeaderField { class: rule.class.clone(), dropped: rule.dropped })
    }

    /// Marks for what is hidden in a JSON value, in order and apart from each other. In a stream a class's
    /// name stands only where a text begins: what follows of that text is left empty.
    pub(crate) fn marks(&mut self, root: &Node<'_>, stream: bool) -> Vec<Mark> {
        if !self.any() {
            return Vec::new();
        }
        let Self { hidden, told } = self;
        let mut hits = Vec::new();
        for rule in hidden.iter() {
            if let FieldPlace::Body(steps) = &rule.place {
                gather(root, steps, rule, &mut hits);
            }
        }
        let mut marks: Vec<Mark> = Vec::new();
        for hit in &hits {
            match hit.rule.dropped {
                true => marks
                    .push(Mark { range: without(hit, &hits), kind: Kind::Dropped(hit.rule.class.clone()) }),
                false => marks.extend(replaced(hit).map(|(range, encoding)| {
                    let name = format!("{}|{}", hit.rule.class, hit.place());
                    let goes_on = stream && encoding == Encoding::JsonString && !told.insert(name);
                    let class = hit.rule.class.clone();
                    let kind = if goes_on { Kind::Dropped(class) } else { Kind::Hidden(class, encoding) };
                    Mark { range, kind }
                })),
            }
        }
        marks.sort_by_key(|mark| (mark.range.start, std::cmp::Reverse(mark.range.end)));
        // What lies in a hidden part is hidden with it.
        let mut end = 0;
        marks.retain(|mark| {
            let outside = mark.range.start >= end;
            end = end.max(mark.range.end);
            outside
        });
        marks
    }
}

/// A layout that hides headers too.
pub(crate) struct Headed {
    pub(crate) fields: Fields,
    pub(crate) body: Box<dyn Layout>,
}

impl Layout for Headed {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        self.body.push(bytes, out)
    }

    fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        self.body.finish(out)
    }

    fn header(&self, name: &HeaderName) -> Option<HeaderField> {
        self.fields.header(name)
    }

    fn usage(&self) -> Option<Usage> {
        self.body.usage()
    }
}

/// Why an answer in which fields are hidden is refused.
pub(crate) fn not_json() -> LayoutFault {
    LayoutFault::Malformed("parts of it are hidden from this caller, and it is not JSON".to_owned())
}

fn gather<'n>(node: &'n Node<'n>, steps: &'n [Option<String>], rule: &'n FieldRule, hits: &mut Vec<Hit<'n>>) {
    let Some((step, rest)) = steps.split_first() else { return };
    let mut take = |at: usize, child: &'n Node<'n>| match rest.is_empty() {
        true => hits.push(Hit { parent: node, at, rule }),
        false => gather(child, rest, rule, hits),
    };
    for (at, member) in node.members().iter().enumerate() {
        if step.as_deref().is_none_or(|key| key == member.key) {
            take(at, &member.node);
        }
    }
    for (at, item) in node.items().iter().enumerate() {
        if step.as_deref().is_none_or(|key| key == at.to_string()) {
            take(at, item);
        }
    }
}

impl Hit<'_> {
    fn node(&self) -> Option<&Node<'_>> {
        let member = self.parent.members().get(self.at).map(|member| &member.node);
        member.or_else(|| self.parent.items().get(self.at))
    }

    /// The key or place, and the `index` of what it is in: the same in every message of a stream.
    fn place(&self) -> String {
        let key = self.parent.members().get(self.at).map(|member| member.key.to_string());
        let index = self.parent.get("index").and_then(Node::count).unwrap_or(0);
        format!("{index}|{}", key.unwrap_or_else(|| self.at.to_string()))
    }
}

/// What is replaced, and how it is written; nothing for `null`.
fn replaced(hit: &Hit<'_>) -> Option<(Range<usize>, Encoding)> {
    let node = hit.node()?;
    match node.value {
        Value::Null => None,
        Value::String(_) => Some((node.inner(), Encoding::JsonString)),
        Value::Bool(_) | Value::Number(_) => Some((node.span(), Encoding::JsonNumber)),
        Value::Array(_) | Value::Object(_) => Some((node.span(), Encoding::JsonValue)),
    }
}

/// The bytes of a member or item with a comma, so that the others stay well written.
fn without(hit: &Hit<'_>, hits: &[Hit<'_>]) -> Range<usize> {
    let spans: Vec<Range<usize>> = match hit.parent.members() {
        [] => hit.parent.items().iter().map(Node::span).collect(),
        members => members.iter().map(|member| member.span()).collect(),
    };
    let goes =
        |at: usize| hits.iter().any(|h| h.rule.dropped && h.at == at && std::ptr::eq(h.parent, hit.parent));
    let own = spans.get(hit.at).cloned().unwrap_or_default();
    let stays_before = (0..hit.at).any(|at| !goes(at));
    let before = hit.at.checked_sub(1).and_then(|at| spans.get(at)).filter(|_| stays_before);
    match (before, spans.get(hit.at + 1)) {
        (Some(before), _) => before.end..own.end,
        (None, Some(after)) => own.start..after.start,
        (None, None) => own,
    }
}
