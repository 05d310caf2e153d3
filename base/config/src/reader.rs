//! Reads a tree by the tables: finds keys, fills in defaults, notes whatever is wrong and goes on.
//!
//! After a fault a reader gives a value that is thrown away in the end, so that everything else can still
//! be checked.

use std::rc::Rc;
use std::time::Duration;

use crate::fault::{Gathered, Place, joined, shown};
use crate::table::{Absent, Key, Kind as Text, Section, Shape};
use crate::value::{self, Wrong, suggestion};
use crate::yaml::{self, Entry, Kind, Node};

/// A mapping that is read by its section's table.
pub(crate) struct Mapping<'a> {
    section: &'static Section,
    entries: Vec<Entry>,
    /// Where the mapping itself is to be pointed at.
    place: Place,
    path: String,
    /// Set when one value stands for the mapping: then its key is not part of the path.
    short: bool,
    /// Set when all of it is a default: then its values stand nowhere.
    nowhere: bool,
    faults: &'a Gathered,
}

/// One value, with what may stand there.
pub(crate) struct Item<'a> {
    node: Rc<Node>,
    /// Where to point.
    place: Place,
    nowhere: bool,
    path: String,
    shape: &'static Shape,
    faults: &'a Gathered,
}

/// What stands where a word or a mapping may stand.
pub(crate) enum WordOr<'a> {
    Word(&'static str),
    Section(Mapping<'a>),
}

impl<'a> Mapping<'a> {
    /// The whole file.
    pub(crate) fn file(root: Rc<Node>, section: &'static Section, faults: &'a Gathered) -> Option<Self> {
        // What is missing is missing from the file, not from its first line: that one is not shown.
        let place = Place { line: 1, column: 1, bytes: usize::MAX..usize::MAX };
        Self::open(&root, section, place, String::new(), false, faults)
    }

    fn open(
        node: &Node,
        section: &'static Section,
        place: Place,
        path: String,
        nowhere: bool,
        faults: &'a Gathered,
    ) -> Option<Self> {
        let entries = match &node.kind {
            Kind::Mapping(entries) => entries.clone(),
            Kind::Broken => return None,
            _ => {
                let message = format!("{} stands here", what(node));
                faults.add(&place, &path, message, keys(section));
                return None;
            }
        };
        let mapping = Self { section, entries, place, path, short: false, nowhere, faults };
        mapping.check_keys();
        Some(mapping)
    }

    /// Notes keys that nobody knows, and those that are missing.
    fn check_keys(&self) {
        let names_of = self.section.keys.iter().map(|key| key.name);
        for entry in &self.entries {
            if entry.key.is_empty() || self.section.keys.iter().any(|key| key.name == entry.key) {
                continue;
            }
            // Nobody knows what was meant, so the value may be a secret.
            self.faults.hide(&entry.value.place.bytes);
            let message =
                format!("{} is no key here{}", shown(&entry.key), suggestion(&entry.key, names_of.clone()));
            let expected = format!("one of {}", names(self.section.keys.iter()));
            self.faults.add(&entry.key_place, &self.path_of(&entry.key), message, expected);
        }
        for key in self.section.keys {
            if matches!(key.absent, Absent::Fault) && !self.has(key.name) {
                let message = format!("`{}` is missing", key.name);
                self.faults.add(&self.place, &self.path_of(key.name), message, expected(&key.shape));
            }
        }
    }

    fn path_of(&self, key: &str) -> String {
        match self.short {
            true => self.path.clone(),
            false => joined(&self.path, key),
        }
    }

    /// Whether the file has the key.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == name)
    }

    /// Notes a fault of the mapping as a whole.
    pub(crate) fn fault(&self, message: impl Into<String>, expected: impl Into<String>) {
        self.faults.add(&self.place, &self.path, message, expected);
    }

    /// The value at `name`: what the file says, or else the default, if there is one.
    pub(crate) fn item(&self, name: &'static str) -> Option<Item<'a>> {
        let Some(Key { shape, absent, .. }) = self.section.keys.iter().find(|key| key.name == name) else {
            self.fault(
                format!("the gateway asks for `{name}`, which its tables do not have: report this"),
                "",
            );
            return None;
        };
        let (node, place, nowhere) = match self.entries.iter().find(|entry| entry.key == name) {
            Some(entry) if self.nowhere => (Rc::clone(&entry.value), self.place.clone(), true),
            Some(entry) => (Rc::clone(&entry.value), entry.pointer().clone(), false),
            None => match absent {
                Absent::Is(text) => (yaml::read(text, &Gathered::default())?, self.place.clone(), true),
                Absent::Fault | Absent::Nothing(_) => return None,
            },
        };
        Some(Item { node, place, nowhere, path: self.path_of(name), shape, faults: self.faults })
    }

    /// The text at `name`, read by `parse`.
    pub(crate) fn parse<T>(&self, name: &'static str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<T> {
        self.item(name)?.parse(parse)
    }

    /// The text at `name`.
    pub(crate) fn text(&self, name: &'static str) -> Option<String> {
        self.parse(name, value::text)
    }

    /// What stands in the list at `name`, read by `parse`.
    pub(crate) fn list<T>(&self, name: &'static str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Vec<T> {
        self.many(name).iter().filter_map(|item| item.parse(&parse)).collect()
    }

    /// The list at `name`.
    pub(crate) fn many(&self, name: &'static str) -> Vec<Item<'a>> {
        self.item(name).map_or_else(Vec::new, |item| item.many())
    }

    /// The named values at `name`, with their names.
    pub(crate) fn named(&self, name: &'static str) -> Vec<(String, Item<'a>)> {
        self.item(name).map_or_else(Vec::new, |item| item.named())
    }

    /// The section at `name`.
    pub(crate) fn section(&self, name: &'static str) -> Option<Mapping<'a>> {
        self.item(name)?.section()
    }

    /// The word at `name`.
    pub(crate) fn choice(&self, name: &'static str) -> Option<&'static str> {
        self.item(name)?.choice()
    }

    /// The flag at `name`.
    pub(crate) fn flag(&self, name: &'static str) -> bool {
        self.item(name).and_then(|item| item.flag()).unwrap_or_default()
    }

    /// The length of time at `name`.
    pub(crate) fn duration(&self, name: &'static str) -> Duration {
        self.item(name).and_then(|item| item.duration()).unwrap_or_default()
    }

    /// The number of bytes at `name`, or the plain number.
    pub(crate) fn number<N: TryFrom<u64> + Default>(&self, name: &'static str) -> N {
        self.item(name).and_then(|item| item.number()).unwrap_or_default()
    }
}

impl<'a> Item<'a> {
    /// Where it stands in the file, as `12:5`: for faults that only a later step can find.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.place.line, self.place.column)
    }

    /// Notes a fault of it.
    pub(crate) fn fault(&self, message: impl Into<String>, expected: impl Into<String>) {
        self.faults.add(&self.place, &self.path, message, expected);
    }

    fn wrong(&self, message: impl Into<String>) {
        self.fault(message, expected(self.shape));
    }

    /// Keeps its text out of every excerpt.
    pub(crate) fn hide(&self) {
        if !self.nowhere {
            self.faults.hide(&self.node.place.bytes);
        }
    }

    /// The single value, unless there is none.
    fn scalar(&self) -> Option<&str> {
        match &self.node.kind {
            Kind::Broken => None,
            Kind::Scalar { text, .. } if !self.node.is_null() => Some(text),
            _ => {
                self.wrong(format!("{} stands here", what(&self.node)));
                None
            }
        }
    }

    pub(crate) fn parse<T>(&self, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<T> {
        let text = self.scalar()?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                if matches!(self.shape, Shape::One(Text::Url | Text::Link)) && value::may_hold_secret(text)
                    || matches!(self.shape, Shape::One(Text::Recipient)) && value::is_secret_key(text)
                {
                    self.hide();
                }
                self.wrong(wrong);
                None
            }
        }
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        self.parse(|text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("{} is neither `true` nor `false`", shown(text))),
        })
    }

    pub(crate) fn choice(&self) -> Option<&'static str> {
        let (Shape::Choice(words) | Shape::WordOr(words, _)) = self.shape else {
            self.wrong("the tables know no words here: report this");
            return None;
        };
        self.parse(|text| {
            let known = words.iter().map(|(word, _)| *word);
            known
                .clone()
                .find(|word| *word == text)
                .ok_or_else(|| format!("{} is not known here{}", shown(text), suggestion(text, known)))
        })
    }

    fn duration(&self) -> Option<Duration> {
        let Shape::Duration(least, most) = self.shape else { return None };
        let bounds = value::duration(least)?..=value::duration(most)?;
        self.parse(|text| match value::duration(text) {
            Some(duration) if bounds.contains(&duration) => Ok(duration),
            Some(_) => Err(format!("{} is out of bounds", shown(text))),
            None => Err(format!("{} is no length of time", shown(text))),
        })
    }

    fn number<N: TryFrom<u64>>(&self) -> Option<N> {
        let (bounds, size) = match self.shape {
            Shape::Size(least, most) => (value::size(least)?..=value::size(most)?, true),
            Shape::Count(least, most) => (*least..=*most, false),
            _ => return None,
        };
        self.parse(|text| match if size { value::size(text) } else { value::count(text) } {
            Some(number) if bounds.contains(&number) => {
                N::try_from(number).map_err(|_| format!("{} is too large for this machine", shown(text)))
            }
            Some(_) => Err(format!("{} is out of bounds", shown(text))),
            None if size => Err(format!("{} is no number of bytes", shown(text))),
            None => Err(format!("{} is no whole number", shown(text))),
        })
    }

    /// The list's values. One value alone counts as a list of one.
    pub(crate) fn many(&self) -> Vec<Item<'a>> {
        let Shape::Many(least, shape) = self.shape else { return Vec::new() };
        let item = |node: &Rc<Node>, path: String| Item {
            node: Rc::clone(node),
            place: if self.nowhere { self.place.clone() } else { node.place.clone() },
            nowhere: self.nowhere,
            path,
            shape,
            faults: self.faults,
        };
        match &self.node.kind {
            Kind::Broken => Vec::new(),
            Kind::Sequence(nodes) => {
                if nodes.len() < *least {
                    self.wrong("the list is empty");
                }
                nodes.iter().enumerate().map(|(i, node)| item(node, format!("{}[{i}]", self.path))).collect()
            }
            Kind::Scalar { .. } if !self.node.is_null() => vec![item(&self.node, self.path.clone())],
            _ => {
                self.wrong(format!("{} stands here", what(&self.node)));
                Vec::new()
            }
        }
    }

    /// Names of the operator's choosing, with their values.
    pub(crate) fn named(&self) -> Vec<(String, Item<'a>)> {
        let Shape::Named(kind, shape) = self.shape else { return Vec::new() };
        let entries = match &self.node.kind {
            Kind::Mapping(entries) => entries,
            Kind::Broken => return Vec::new(),
            _ => {
                self.wrong(format!("{} stands here", what(&self.node)));
                return Vec::new();
            }
        };
        let mut named = Vec::with_capacity(entries.len());
        for entry in entries {
            let path = joined(&self.path, &entry.key);
            let good = match kind {
                Text::ResourceName => model::ResourceName::new(&entry.key).map(|_| ()),
                Text::Name => value::name(&entry.key).map(|_| ()),
                Text::Field => value::field(&entry.key).map(|_| ()),
                Text::DataClass => value::class(&entry.key).map(|_| ()),
                _ => value::text(&entry.key).map(|_| ()),
            };
            if good.is_err() {
                let message = format!("{} is no name", shown(&entry.key));
                self.faults.add(&entry.key_place, &path, message, kind.expected());
            }
            let place = if self.nowhere { &self.place } else { entry.pointer() }.clone();
            let node = Rc::clone(&entry.value);
            named.push((
                entry.key.clone(),
                Item { node, place, nowhere: self.nowhere, path, shape, faults: self.faults },
            ));
        }
        named
    }

    /// Whether it is a mapping without keys.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.node.kind, Kind::Mapping(entries) if entries.is_empty())
    }

    /// Known keys, or the one value that stands for them.
    pub(crate) fn section(&self) -> Option<Mapping<'a>> {
        let (section, short) = match self.shape {
            Shape::Section(section) | Shape::WordOr(_, section) => (*section, None),
            Shape::Short(key, section) => (*section, Some(*key)),
            _ => return None,
        };
        let one_value = match &self.node.kind {
            Kind::Scalar { .. } => !self.node.is_null(),
            Kind::Sequence(_) => true,
            Kind::Mapping(_) | Kind::Broken => false,
        };
        let Some(key) = short.filter(|_| one_value) else {
            return Mapping::open(
                &self.node,
                section,
                self.place.clone(),
                self.path.clone(),
                self.nowhere,
                self.faults,
            );
        };
        let entry =
            Entry { key: key.to_owned(), key_place: self.place.clone(), value: Rc::clone(&self.node) };
        Some(Mapping {
            section,
            entries: vec![entry],
            place: self.place.clone(),
            path: self.path.clone(),
            short: true,
            nowhere: self.nowhere,
            faults: self.faults,
        })
    }

    /// The section as if it stood here with all its defaults.
    pub(crate) fn empty_section(&self) -> Option<Mapping<'a>> {
        let (Shape::WordOr(_, section) | Shape::Section(section)) = self.shape else { return None };
        let (place, path) = (self.place.clone(), self.path.clone());
        Some(Mapping {
            section,
            entries: Vec::new(),
            place,
            path,
            short: false,
            nowhere: true,
            faults: self.faults,
        })
    }

    /// A word, or known keys.
    pub(crate) fn word_or_section(&self) -> Option<WordOr<'a>> {
        match self.node.kind {
            Kind::Scalar { .. } => self.choice().map(WordOr::Word),
            _ => self.section().map(WordOr::Section),
        }
    }
}

fn what(node: &Node) -> &'static str {
    match &node.kind {
        Kind::Scalar { .. } if node.is_null() => "nothing",
        Kind::Scalar { .. } => "a single value",
        Kind::Sequence(_) => "a list",
        Kind::Mapping(_) => "a mapping",
        Kind::Broken => "something broken",
    }
}

fn names(keys: impl Iterator<Item = &'static Key>) -> String {
    keys.map(|key| key.name).collect::<Vec<_>>().join(", ")
}

/// A section in short: the keys it must have, or else those it may have.
fn keys(section: &'static Section) -> String {
    let required = || section.keys.iter().filter(|key| matches!(key.absent, Absent::Fault));
    match required().next() {
        Some(_) => format!("a mapping with {}", names(required())),
        None => format!("a mapping of {}", names(section.keys.iter())),
    }
}

/// What may stand there, for people.
pub(crate) fn expected(shape: &'static Shape) -> String {
    match shape {
        Shape::One(kind) => kind.expected().to_owned(),
        Shape::Choice(words) => one_of(words),
        Shape::Flag => "`true` or `false`".to_owned(),
        Shape::Duration(least, most) => {
            format!("a length of time from {least} to {most}, as `30s`, `5m`, `1h`")
        }
        Shape::Size(least, most) => format!("a number of bytes from {least} to {most}, as `16MiB`"),
        Shape::Count(least, most) => format!("a whole number from {least} to {most}"),
        Shape::Many(0, shape) => format!("a list, each: {}", expected(shape)),
        Shape::Many(least, shape) => format!("a list of at least {least}, each: {}", expected(shape)),
        Shape::Named(_, shape) => format!("names, each with: {}", expected(shape)),
        Shape::Section(section) => keys(section),
        Shape::Short(key, section) => {
            let one = section.keys.iter().find(|known| known.name == *key).map(|key| expected(&key.shape));
            format!("{}, or {}", one.unwrap_or_default(), keys(section))
        }
        Shape::WordOr(words, section) => format!("{}, or {}", one_of(words), keys(section)),
    }
}

fn one_of(words: &[(&str, &str)]) -> String {
    let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
    words.join(" or ")
}
