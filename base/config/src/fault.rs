//! Faults: everything that is wrong with a file, each with its place, for people and for programs.

mod excerpt;

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use excerpt::Excerpt;
use serde_json::json;

/// A file may hold more faults than anybody reads. What comes after these is counted.
const MOST_FAULTS: usize = 200;
const BOLD_RED: &str = "\u{1b}[1;31m";
const BOLD: &str = "\u{1b}[1m";
const PLAIN: &str = "\u{1b}[0m";

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1. Zero when the fault is the whole file's.
    pub line: usize,
    /// The column in characters, from 1. Zero when the fault is the whole file's.
    pub column: usize,
    /// The way to the value, as `resources.llama.upstreams[0]`. Empty at the top.
    pub key: String,
    /// What is wrong. Never holds a secret.
    pub message: String,
    /// What would be right. May be empty.
    pub expected: String,
    excerpt: Option<Excerpt>,
}

/// Everything that is wrong with a file, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    faults: Vec<Fault>,
    left_out: usize,
}

impl Faults {
    /// A fault of the whole file, when there is no text to point at.
    pub(crate) fn of_file(file: &Path, message: String, expected: &str) -> Self {
        let fault = Fault {
            file: file.to_owned(),
            line: 0,
            column: 0,
            key: String::new(),
            message,
            expected: expected.to_owned(),
            excerpt: None,
        };
        Self { faults: vec![fault], left_out: 0 }
    }

    /// The faults, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }

    /// How many there are, those that were left out included.
    pub fn count(&self) -> usize {
        self.faults.len() + self.left_out
    }

    /// The faults for people: each with its line and a caret below. `colour` puts in terminal colours.
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for fault in &self.faults {
            fault.render(colour, &mut out);
        }
        if self.left_out > 0 {
            out.push_str(&format!("… and {} more\n", self.left_out));
        }
        out
    }

    /// The faults for programs: `{"faults": [{file, line, column, key, message, expected}], "count": n}`.
    pub fn to_json(&self) -> serde_json::Value {
        let faults = self.faults.iter().map(|fault| {
            json!({
                "file": fault.file.display().to_string(),
                "line": fault.line,
                "column": fault.column,
                "key": fault.key,
                "message": fault.message,
                "expected": fault.expected,
            })
        });
        json!({ "faults": faults.collect::<Vec<_>>(), "count": self.count() })
    }
}

impl Fault {
    fn render(&self, colour: bool, out: &mut String) {
        let paint = |style, text: &str| match colour {
            true => format!("{style}{text}{PLAIN}"),
            false => text.to_owned(),
        };
        out.push_str(&paint(BOLD, &self.place()));
        if !self.key.is_empty() {
            out.push(' ');
            out.push_str(&paint(BOLD, &self.key));
        }
        out.push_str(": ");
        out.push_str(&paint(BOLD_RED, &self.message));
        if !self.expected.is_empty() {
            out.push_str("; expected ");
            out.push_str(&self.expected);
        }
        out.push('\n');
        if let Some(excerpt) = &self.excerpt {
            let margin = self.line.to_string();
            let blank = " ".repeat(margin.len());
            out.push_str(&format!("  {margin} | {}\n", excerpt.line));
            let carets = paint(BOLD_RED, &"^".repeat(excerpt.width));
            out.push_str(&format!("  {blank} | {}{carets}\n", " ".repeat(excerpt.column)));
        }
    }

    fn place(&self) -> String {
        match self.line {
            0 => self.file.display().to_string(),
            line => format!("{}:{line}:{}", self.file.display(), self.column),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut plain = String::new();
        Self { excerpt: None, ..self.clone() }.render(false, &mut plain);
        f.write_str(plain.trim_end())
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Faults {}

/// Where something stands in the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// From 1; zero when it stands nowhere, as a default does.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
    /// The bytes it takes.
    pub(crate) bytes: Range<usize>,
}

#[derive(PartialEq)]
struct Problem {
    place: Place,
    key: String,
    message: String,
    expected: String,
}

/// Gathers problems while a file is read, and the ranges of its text that no excerpt may show.
#[derive(Default)]
pub(crate) struct Gathered {
    problems: RefCell<Vec<Problem>>,
    hidden: RefCell<Vec<Range<usize>>>,
    left_out: std::cell::Cell<usize>,
}

impl Gathered {
    /// Notes one problem.
    pub(crate) fn add(
        &self,
        place: &Place,
        key: &str,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() >= MOST_FAULTS {
            self.left_out.set(self.left_out.get() + 1);
            return;
        }
        problems.push(Problem {
            place: place.clone(),
            key: key.to_owned(),
            message: message.into(),
            expected: expected.into(),
        });
    }

    /// Keeps these bytes of the text out of every excerpt.
    pub(crate) fn hide(&self, bytes: &Range<usize>) {
        self.hidden.borrow_mut().push(bytes.clone());
    }

    /// Whether anything was noted.
    pub(crate) fn any(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// The faults, if there are any, with excerpts of `text`.
    pub(crate) fn into_faults(self, file: &Path, text: &str) -> Option<Faults> {
        let mut problems = self.problems.into_inner();
        if problems.is_empty() {
            return None;
        }
        problems.sort_by(|a, b| {
            let order = |p: &Problem| (p.place.line, p.place.column, p.key.clone(), p.message.clone());
            order(a).cmp(&order(b))
        });
        // A value that is asked for twice tells its fault twice.
        problems.dedup();
        let hidden = self.hidden.into_inner();
        let faults = problems.into_iter().map(|problem| Fault {
            file: file.to_owned(),
            line: problem.place.line,
            column: problem.place.column,
            excerpt: Excerpt::cut(text, &problem.place, &hidden),
            key: problem.key,
            message: problem.message,
            expected: problem.expected,
        });
        Some(Faults { faults: faults.collect(), left_out: self.left_out.get() })
    }
}

/// The way to `key` below `path`.
pub(crate) fn joined(path: &str, key: &str) -> String {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let plain = (1..=64).contains(&key.len()) && key.bytes().all(fits);
    match (path.is_empty(), plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{}]", shown(key).replace('`', "\"")),
    }
}

/// `text` as a message may show it: short, and without control characters.
pub(crate) fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(60).flat_map(visible).collect();
    if text.chars().nth(60).is_some() {
        out.push('…');
    }
    format!("`{out}`")
}

/// A character as it may be written to a terminal.
fn visible(c: char) -> impl Iterator<Item = char> {
    let hostile = c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let (keep, escaped) = match hostile {
        true => (None, Some(c.escape_default())),
        false => (Some(c), None),
    };
    keep.into_iter().chain(escaped.into_iter().flatten())
}
