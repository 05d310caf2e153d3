//! The reference for people, from the tables.

use std::fmt::Write;

use crate::keys::FILE;
use crate::table::{Absent, Key, Shape, sections};

/// The smallest file that is of use.
pub(crate) const SMALL: &str = include_str!("../examples/small.yaml");
/// A file with every key.
pub(crate) const WHOLE: &str = include_str!("../examples/whole.yaml");

const HOW_IT_IS_READ: &str = "\
One YAML file holds everything that is not a policy and not a secret. The gateway reads it whole and checks
it whole: it starts, or goes over to a changed file, only when nothing is wrong, and names everything that
is, with file, line and column. `portcullis.schema.json` beside this file describes the same to an editor.

- A relative path is taken from the folder of the file.
- A length of time is a whole number and a unit: `500ms`, `30s`, `5m`, `1h`, `7d`.
- A number of bytes is a whole number, alone or with a unit: `64KiB`, `16MiB`, `1GiB`.
- A list of one value may be written as the value alone.
- A secret never stands in the file. What stands there says where it lies: `env:NAME` for an environment
  variable, `file:PATH` for a file. It is read at each use, so a file may be replaced while the gateway runs.
- Anchors, aliases and `<<` work. Tags, directives and a second document are refused, unknown and repeated
  keys too.
";

/// The reference as Markdown: how the file is read, two examples, and a table a section.
pub fn reference_markdown() -> String {
    let mut out = String::from("# Configuration\n\n");
    out.push_str("<!-- Written by `cargo run -p config --example write-reference`; change the tables in base/config/src/keys instead. -->\n\n");
    out.push_str(HOW_IT_IS_READ);
    for (title, text) in [("A small file", SMALL), ("A file with every key", WHOLE)] {
        let _ = write!(out, "\n## {title}\n\n```yaml\n{text}```\n");
    }
    for (place, section) in sections() {
        let title = if section.name == FILE.name { "Every key".to_owned() } else { format!("`{place}`") };
        let _ = write!(out, "\n## {title}\n\n{}\n\n", section.doc);
        out.push_str("| key | value | when left out | meaning |\n|---|---|---|---|\n");
        for key in section.keys {
            let _ = writeln!(
                out,
                "| `{}` | {} | {} | {} |",
                key.name,
                cell(&value(&key.shape)),
                cell(&absent(key)),
                cell(&meaning(key))
            );
        }
    }
    out
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// What may stand there, without what a section's own table says.
fn value(shape: &Shape) -> String {
    match shape {
        Shape::One(kind) => kind.expected().to_owned(),
        Shape::Choice(words) => {
            words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
        Shape::Flag => "`true` or `false`".to_owned(),
        Shape::Duration(least, most) => format!("time, {least} to {most}"),
        Shape::Size(least, most) => format!("bytes, {least} to {most}"),
        Shape::Count(least, most) => format!("number, {least} to {most}"),
        Shape::Many(0, shape) => format!("list of: {}", value(shape)),
        Shape::Many(_, shape) => format!("list, not empty, of: {}", value(shape)),
        Shape::Named(_, shape) => format!("names with: {}", value(shape)),
        Shape::Section(_) => "keys, see below".to_owned(),
        Shape::Short(key, section) => {
            let one = section.keys.iter().find(|known| known.name == *key).map(|key| value(&key.shape));
            format!("{}; or keys, see below", one.unwrap_or_default())
        }
        Shape::WordOr(words, _) => format!("{}; or keys, see below", value(&Shape::Choice(words))),
    }
}

fn absent(key: &Key) -> String {
    match key.absent {
        Absent::Fault => "**a fault**".to_owned(),
        Absent::Is("{}") if matches!(key.shape, Shape::Section(_) | Shape::Short(..)) => {
            "all defaults".to_owned()
        }
        Absent::Is("[]" | "{}") => "none".to_owned(),
        Absent::Is(text) => format!("`{text}`"),
        Absent::Nothing(text) => text.to_owned(),
    }
}

/// The meaning, with that of each word.
fn meaning(key: &Key) -> String {
    let words = match key.shape {
        Shape::Choice(words) | Shape::WordOr(words, _) => words,
        _ => &[],
    };
    let mut text = key.doc.to_owned();
    for (word, meaning) in words {
        let _ = write!(text, " `{word}`: {meaning}.");
    }
    text
}
