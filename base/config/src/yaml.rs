//! YAML into a tree that remembers places. The only file that knows the YAML library.
//!
//! Anchors and aliases are shared, not copied, and what they would unfold to is counted, so that a small
//! file cannot become a large tree.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value;
use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::fault::{Gathered, Place, joined, shown};

/// Deepest nesting.
const MOST_DEPTH: usize = 32;
/// Most values in a file, each alias counted as all that it stands for.
const MOST_NODES: usize = 100_000;

/// Most keys of one mapping. Keeps the search for duplicates cheap.
const MOST_KEYS: usize = 2048;

/// One value with its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    /// How many values it holds, itself included, aliases unfolded.
    weight: usize,
}

/// What a value is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Text; `plain` when it stands without quotes.
    Scalar { text: String, plain: bool },
    /// A list.
    Sequence(Vec<Rc<Node>>),
    /// Keys with values, no key twice.
    Mapping(Vec<Entry>),
    /// Something that a fault was noted for already.
    Broken,
}

/// One key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Rc<Node>,
}

impl Entry {
    /// What to point at: a single value itself, or else its key.
    pub(crate) fn pointer(&self) -> &Place {
        match self.value.kind {
            Kind::Scalar { .. } if !self.value.is_null() => &self.value.place,
            _ => &self.key_place,
        }
    }
}

impl Node {
    /// Whether nothing is written: `key:`, `key: ~` or `key: null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// Reads one document. None when it is not YAML; then a fault is noted.
pub(crate) fn read(text: &str, faults: &Gathered) -> Option<Rc<Node>> {
    let mut options = Options::default();
    options.emit_comments = true;
    options.max_buffered_comment_events = text.len();
    options.emit_anchor_events = true;
    options.emit_unresolved_aliases = true;
    options.disallow_directives = true;
    options.flow_nesting_limit = MOST_DEPTH;
    options.block_nesting_limit = MOST_DEPTH;
    let mut tree = Tree { text, faults, open: Vec::new(), anchors: HashMap::new(), root: None };
    let mut parser = Parser::new_from_str_with_options(text, options);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => tree.take(event, span)?,
            Err(error) => {
                tree.not_yaml(&error);
                return None;
            }
        }
    }
    let empty = || {
        Rc::new(Node {
            place: Place { line: 1, column: 1, bytes: 0..0 },
            kind: Kind::Mapping(Vec::new()),
            weight: 1,
        })
    };
    Some(tree.root.take().unwrap_or_else(empty))
}

/// A value as JSON, for the schema's defaults.
pub(crate) fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar { text, plain: true } => match text.parse::<u64>() {
            Ok(number) => Value::from(number),
            Err(_) => text.parse::<bool>().map_or_else(|_| Value::from(text.as_str()), Value::from),
        },
        Kind::Scalar { text, .. } => Value::from(text.as_str()),
        Kind::Sequence(nodes) => nodes.iter().map(|node| json(node)).collect(),
        Kind::Mapping(entries) => {
            entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect()
        }
        Kind::Broken => Value::Null,
    }
}

/// A list or mapping whose end is still to come.
struct Open {
    place: Place,
    anchor: usize,
    weight: usize,
    held: Held,
}

enum Held {
    Sequence(Vec<Rc<Node>>),
    Mapping { entries: Vec<Entry>, merged: Vec<Rc<Node>>, key: Option<(String, Place, bool)> },
}

struct Tree<'a> {
    text: &'a str,
    faults: &'a Gathered,
    open: Vec<Open>,
    /// None while the anchored value is still open.
    anchors: HashMap<usize, Option<Rc<Node>>>,
    root: Option<Rc<Node>>,
}

impl Tree<'_> {
    /// Takes one event. None when reading must end.
    fn take(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let place = place(&span);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                self.faults.add(&place, "", "a second document begins here", "one document");
                None
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag, &span);
                let plain = style == ScalarStyle::Plain;
                let kind = Kind::Scalar { text: text.into_owned(), plain };
                self.put(Rc::new(Node { place, kind, weight: 1 }), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag, &span);
                self.begin(place, anchor, Held::Sequence(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag, &span);
                let held = Held::Mapping { entries: Vec::new(), merged: Vec::new(), key: None };
                self.begin(place, anchor, held)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&place),
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::UnresolvedAlias(_) => {
                self.faults.hide(&place.bytes);
                self.faults.add(
                    &place,
                    &self.path(None),
                    "this alias has no anchor before it",
                    "quotes around a value that begins with `*`",
                );
                self.put(Rc::new(Node { place, kind: Kind::Broken, weight: 1 }), 0)
            }
            // An anchor or a comment may be a secret that somebody forgot to quote.
            Event::Anchor(..) | Event::Comment(..) => {
                self.faults.hide(&place.bytes);
                Some(())
            }
            _ => Some(()),
        }
    }

    /// The way to the value that comes next, or to the key `name` beside it.
    fn path(&self, name: Option<&str>) -> String {
        let mut path = String::new();
        for (i, open) in self.open.iter().enumerate() {
            let last = i + 1 == self.open.len();
            match (&open.held, name) {
                (Held::Mapping { .. }, Some(name)) if last => path = joined(&path, name),
                (Held::Mapping { key: Some((key, ..)), .. }, _) => path = joined(&path, key),
                (Held::Mapping { key: None, .. }, _) => {}
                (Held::Sequence(items), _) => path = format!("{path}[{}]", items.len()),
            }
        }
        path
    }

    fn begin(&mut self, place: Place, anchor: usize, held: Held) -> Option<()> {
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        self.open.push(Open { place, anchor, weight: 1, held });
        Some(())
    }

    fn end(&mut self, end: &Place) -> Option<()> {
        let Open { mut place, anchor, weight, held } = self.open.pop()?;
        place.bytes.end = end.bytes.end.max(place.bytes.start);
        let kind = match held {
            Held::Sequence(items) => Kind::Sequence(items),
            Held::Mapping { mut entries, merged, .. } => {
                self.merge(&mut entries, &merged);
                Kind::Mapping(entries)
            }
        };
        self.put(Rc::new(Node { place, kind, weight }), anchor)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Option<()> {
        match self.anchors.get(&anchor).cloned() {
            Some(Some(node)) => self.put(node, 0),
            _ => {
                self.faults.add(
                    &place,
                    &self.path(None),
                    "this alias stands inside the value that it stands for",
                    "",
                );
                self.put(Rc::new(Node { place, kind: Kind::Broken, weight: 1 }), 0)
            }
        }
    }

    /// Puts a finished value where it belongs: into the innermost list or mapping, or at the top.
    fn put(&mut self, node: Rc<Node>, anchor: usize) -> Option<()> {
        if anchor != 0 {
            self.anchors.insert(anchor, Some(Rc::clone(&node)));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Some(());
        };
        open.weight += node.weight;
        if open.weight > MOST_NODES {
            let message = format!("the file unfolds to more than {MOST_NODES} values");
            self.faults.add(&node.place, "", message, "less in one file, or fewer aliases");
            return None;
        }
        match &mut open.held {
            Held::Sequence(items) => items.push(node),
            Held::Mapping { merged, key, .. } => match key.take() {
                None => *key = Some(key_of(&node, self.faults)),
                Some((name, _, true)) if name == "<<" => merged.push(node),
                Some((key, key_place, _)) => self.insert(Entry { key, key_place, value: node }),
            },
        }
        Some(())
    }

    /// Puts an entry into the innermost mapping, unless the key is there already.
    fn insert(&mut self, entry: Entry) {
        let path = self.path(Some(&entry.key));
        let Some(Open { held: Held::Mapping { entries, .. }, .. }) = self.open.last_mut() else { return };
        let earlier = entries.iter().find(|earlier| earlier.key == entry.key);
        let (message, expected) = match earlier {
            None if entries.len() < MOST_KEYS => return entries.push(entry),
            None => (format!("a mapping holds more than {MOST_KEYS} keys"), "fewer"),
            Some(earlier) => {
                let line = earlier.key_place.line;
                (format!("{} is written twice, first on line {line}", shown(&entry.key)), "each key once")
            }
        };
        self.faults.hide(&entry.value.place.bytes);
        self.faults.add(&entry.key_place, &path, message, expected);
    }

    /// Takes in what `<<` names: entries of other mappings, where the mapping has none of that key.
    fn merge(&self, entries: &mut Vec<Entry>, merged: &[Rc<Node>]) {
        for node in merged {
            match &node.kind {
                Kind::Mapping(others) => {
                    for other in others {
                        if entries.len() < MOST_KEYS && !entries.iter().any(|entry| entry.key == other.key) {
                            entries.push(other.clone());
                        }
                    }
                }
                Kind::Sequence(nodes) if nodes.iter().all(|node| matches!(node.kind, Kind::Mapping(_))) => {
                    self.merge(entries, nodes);
                }
                Kind::Broken => {}
                _ => self.faults.add(
                    &node.place,
                    "<<",
                    "only mappings can be merged",
                    "`<<: *anchor` of a mapping",
                ),
            }
        }
    }

    fn refuse_tag(&self, tag: Option<Cow<'_, Tag>>, span: &Span) {
        if tag.is_some() {
            let at = span.tag_start().map_or_else(|| place(span), |start| place(&Span::new(start, span.end)));
            self.faults.hide(&at.bytes);
            self.faults.add(
                &at,
                &self.path(None),
                "tags as `!!str` mean nothing here",
                "the value without its tag, or in quotes",
            );
        }
    }

    /// Notes why the text is not YAML. Nothing is known of what stands around the place, a secret perhaps,
    /// so that no value of it is shown.
    fn not_yaml(&self, error: &ScanError) {
        let mark = error.marker();
        let at = mark.byte_offset().unwrap_or(0).min(self.text.len());
        let line_start =
            self.text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        let line = self.text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or("");
        let key_end = line
            .find(": ")
            .map_or_else(|| line.len() - line.trim_start_matches([' ', '-']).len(), |colon| colon + 2);
        self.faults.hide(&(line_start + key_end..line_start + line.len()));
        let place = Place { line: mark.line(), column: mark.col() + 1, bytes: at..at };
        self.faults.add(&place, "", format!("this is not YAML: {}", error.kind()), "");
    }
}

/// A mapping's key as text, and whether it stands without quotes.
fn key_of(node: &Node, faults: &Gathered) -> (String, Place, bool) {
    match &node.kind {
        Kind::Scalar { text, plain } if !node.is_null() => (text.clone(), node.place.clone(), *plain),
        _ => {
            faults.add(&node.place, "", "this cannot be a key", "text");
            (String::new(), node.place.clone(), false)
        }
    }
}

fn place(span: &Span) -> Place {
    let bytes = span.byte_range().unwrap_or(0..0);
    Place { line: span.start.line(), column: span.start.col() + 1, bytes }
}
