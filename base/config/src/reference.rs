//! The reference for people, from the tables.

use std::fmt::Write;

use crate::keys::FILE;
use crate::table::{Absent, Key, Shape, agent_sections, sections};

/// The smallest file that is of use.
pub(crate) const SMALL: &str = include_str!("../examples/small.yaml");
/// An agent's file.
pub(crate) const AGENT: &str = include_str!("../examples/agent.yaml");
/// A file with every key.
pub(crate) const WHOLE: &str = include_str!("../examples/whole.yaml");

const HOW_IT_IS_READ: &str = "\
One YAML file holds everything that is not a policy and not a secret. The gateway reads it whole and checks
it whole: it starts, or goes over to a changed file, only when nothing is wrong, and names everything that
is, with file, line and column. `portcullis.schema.json` beside this file describes the same to an editor.

- A relative path is taken from the folder of the file.
- A length of time is a whole number and a unit: `500ms`, `30s`, `5m`, `1h`, `7d`.
- A number of bytes is a whole number, alone or with a unit: `64KiB`, `16MiB`, `1GiB`.
- A list of one value may be written as the value alone, if that is no mapping.
- A JSON pointer (RFC 6901) says where a claim stands in a token: `/groups`, `/realm_access/roles`. In a name
  `~` is written `~0` and `/` is written `~1`.
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
    for (title, text) in
        [("A small file", SMALL), ("A file with every key", WHOLE), ("An agent's file", AGENT)]
    {
        let _ = write!(out, "\n## {title}\n\n```yaml\n{text}```\n");
    }
    let mut sections = sections();
    sections.extend(agent_sections());
    for (place, section) in &sections {
        let title = if section.name == FILE.name { "Every key".to_owned() } else { format!("`{place}`") };
        let _ = write!(out, "\n## {title}\n\n{}\n\n", section.doc);
        out.push_str("| key | value | when left out | meaning |\n|---|---|---|---|\n");
        for key in section.keys {
            // A section stands in the reference once, where it comes first.
            let below = key.shape.section().and_then(|(below, _)| {
                sections
                    .iter()
                    .find(|(_, section)| section.name == below.name)
                    .map(|(place, _)| place.as_str())
            });
            let _ = writeln!(
                out,
                "| `{}` | {} | {} | {} |",
                key.name,
                cell(&value(&key.shape, below.unwrap_or_default())),
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

/// What may stand there. `below` is the place of the section that belongs to it, if one does.
fn value(shape: &Shape, below: &str) -> String {
    let anchor: String = below.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let keys = format!("[keys](#{})", anchor.to_ascii_lowercase());
    match shape {
        Shape::One(kind) => kind.noun().to_owned(),
        Shape::Choice(words) => {
            words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
        Shape::Flag => "`true` or `false`".to_owned(),
        Shape::Duration(least, most) => format!("time, {least} to {most}"),
        Shape::Size(least, most) => format!("bytes, {least} to {most}"),
        Shape::Count(least, most) => format!("number, {least} to {most}"),
        Shape::Many(0, shape) => format!("list of {}", value(shape, below)),
        Shape::Many(_, shape) => format!("list of {}, not empty", value(shape, below)),
        Shape::Named(kind, shape) => format!("{}s with {}", kind.noun(), value(shape, below)),
        Shape::Section(_) => keys,
        Shape::Short(key, section) => {
            let one =
                section.keys.iter().find(|known| known.name == *key).map(|key| value(&key.shape, below));
            format!("{} or {keys}", one.unwrap_or_default())
        }
        Shape::WordOr(words, _) => format!("{} or {keys}", value(&Shape::Choice(words), below)),
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
        Absent::Nothing("") => "—".to_owned(),
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
