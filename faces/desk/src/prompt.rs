//! What was asked, laid out so that a person can judge it: in its parts, clipped, and with nothing in it that
//! a screen would obey.
//!
//! Whoever consents, consents to the whole request. So nothing is left out silently: what is too long, or
//! cannot be read, is told by its length. Letters that cannot be seen, or that turn the order of others
//! round, are written out: a prompt must not look like another one.

use serde_json::{Map, Value};

/// The most characters of one part that are shown,
const PART: usize = 3_000;
/// how many of them from its end,
const END: usize = 600;
/// and the most parts: so many from the beginning,
const FIRST: usize = 12;
/// and so many from the end.
const LAST: usize = 20;
/// A text of so many characters without a blank, as base64 is written, is not read by people.
const OPAQUE: usize = 200;
/// How deep a request is looked into.
const DEPTH: usize = 32;

/// What was asked, in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// The parts that are shown, in their order.
    pub parts: Vec<Part>,
    /// How many characters of all are not shown.
    pub hidden: usize,
}

/// One part: a message, a field, or the note that some are not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// What it is: a role, or the name of a field.
    pub label: String,
    /// Its text, or the beginning of it.
    pub text: String,
    /// How many characters are not shown, before `end`.
    pub hidden: usize,
    /// The end of a text that is not shown whole.
    pub end: String,
}

impl Prompt {
    /// Lays out a request's body, masked already. What is JSON is read as what model servers take; all else
    /// is shown as text, or told by its length.
    pub fn read(body: &[u8]) -> Self {
        if body.is_empty() {
            return Self::default();
        }
        let mut parts = Vec::new();
        match (serde_json::from_slice::<Value>(body), std::str::from_utf8(body)) {
            (Ok(Value::Object(fields)), _) => object(fields, &mut parts),
            (Ok(value), _) => parts.push(("body".to_owned(), brief(&value))),
            (Err(_), Ok(text)) => parts.push(("body".to_owned(), readable(text))),
            (Err(_), Err(_)) => {
                parts.push(("body".to_owned(), format!("[{} bytes that are no text]", body.len())));
            }
        }
        Self::clipped(parts)
    }

    fn clipped(all: Vec<(String, String)>) -> Self {
        let count = all.len();
        let last = count.saturating_sub(LAST);
        let mut prompt = Self::default();
        let (mut skipped, mut letters) = (0_usize, 0_usize);
        for (at, (label, text)) in all.into_iter().enumerate() {
            if at >= FIRST && at < last {
                skipped = skipped.saturating_add(1);
                letters = letters.saturating_add(text.chars().count());
                continue;
            }
            if skipped > 0 {
                let label = format!("{skipped} parts that are not shown");
                prompt.add(Part { label, hidden: letters, ..Part::default() });
                skipped = 0;
            }
            prompt.add(clip(label, &text));
        }
        prompt
    }

    fn add(&mut self, part: Part) {
        self.hidden = self.hidden.saturating_add(part.hidden);
        self.parts.push(part);
    }
}

/// A part that fits: the beginning of a long text, and its end.
fn clip(label: String, text: &str) -> Part {
    let text = plain(text);
    let length = text.chars().count();
    if length <= PART {
        return Part { label: plain(&label), text, ..Part::default() };
    }
    let begin = text.chars().take(PART.saturating_sub(END)).collect();
    let end = text.chars().skip(length.saturating_sub(END)).collect();
    Part { label: plain(&label), text: begin, hidden: length.saturating_sub(PART), end }
}

/// The fields of a request that people read first; all others follow together.
const SPOKEN: [&str; 7] = ["system", "instructions", "messages", "prompt", "input", "inputs", "suffix"];

fn object(mut fields: Map<String, Value>, parts: &mut Vec<(String, String)>) {
    for name in SPOKEN {
        match fields.remove(name) {
            None => {}
            Some(Value::Array(items)) if items.iter().all(is_message) => {
                items.into_iter().for_each(|item| message(item, parts));
            }
            Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
                let texts = items.iter().filter_map(Value::as_str);
                parts.extend(texts.map(|text| (name.to_owned(), readable(text))));
            }
            Some(value) => parts.push((name.to_owned(), content(&value))),
        }
    }
    if !fields.is_empty() {
        parts.push(("other fields".to_owned(), brief(&Value::Object(fields))));
    }
}

fn is_message(value: &Value) -> bool {
    value.get("role").is_some_and(Value::is_string)
}

/// One message: its content under its role, and whatever else it holds.
fn message(value: Value, parts: &mut Vec<(String, String)>) {
    let Value::Object(mut fields) = value else { return };
    let role = fields.remove("role").and_then(|role| role.as_str().map(str::to_owned)).unwrap_or_default();
    let said = fields.remove("content").map(|said| content(&said)).unwrap_or_default();
    parts.push((role.clone(), said));
    if !fields.is_empty() {
        parts.push((format!("{role}, beside the text"), brief(&Value::Object(fields))));
    }
}

/// What is said in a message: text, or blocks of it.
fn content(value: &Value) -> String {
    match value {
        Value::String(text) => readable(text),
        Value::Array(blocks) => {
            let block = |block: &Value| match (block.get("text"), block.as_object().map(Map::len)) {
                // A block with a type and a text, and nothing else.
                (Some(Value::String(text)), Some(..=2)) => readable(text),
                _ => brief(block),
            };
            blocks.iter().map(block).collect::<Vec<_>>().join("\n\n")
        }
        Value::Null => String::new(),
        other => brief(other),
    }
}

/// JSON, with what nobody reads told by its length.
fn brief(value: &Value) -> String {
    let shown = shortened(value, 0);
    serde_json::to_string_pretty(&shown).unwrap_or_default()
}

fn shortened(value: &Value, depth: usize) -> Value {
    if depth > DEPTH {
        return Value::from("[deeper than is shown]");
    }
    match value {
        Value::String(text) => Value::from(readable(text)),
        Value::Array(items) => items.iter().map(|item| shortened(item, depth + 1)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), shortened(value, depth + 1))).collect()
        }
        other => other.clone(),
    }
}

/// The text, or its length where it is bytes in letters.
fn readable(text: &str) -> String {
    let encoded = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
    let inside = text.split_once(";base64,").map_or(text, |(_, inside)| inside);
    let opaque = inside.len() > OPAQUE && inside.bytes().all(encoded);
    let kind = if inside.len() < text.len() { text.split(';').next().unwrap_or_default() } else { "base64" };
    match opaque {
        true => format!("[{} characters of {}]", inside.len(), kind.get(..60).unwrap_or(kind)),
        false => text.to_owned(),
    }
}

/// Text that shows what it is: line ends and tabs stay, what cannot be seen is written out.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.replace("\r\n", "\n").chars() {
        match letter {
            '\n' | '\t' => out.push(letter),
            _ if letter.is_control() || is_unseen(letter) => {
                out.push_str(&format!("⟨U+{:04X}⟩", u32::from(letter)));
            }
            _ => out.push(letter),
        }
    }
    out
}

/// Whether a letter has no shape, or changes how others stand (Unicode's default ignorables, without the
/// two that emoji are joined by).
fn is_unseen(letter: char) -> bool {
    matches!(
        u32::from(letter),
        0xAD | 0x34F
            | 0x61C
            | 0x115F..=0x1160
            | 0x17B4..=0x17B5
            | 0x180B..=0x180F
            | 0x200B..=0x200C
            | 0x200E..=0x200F
            | 0x2028..=0x202E
            | 0x2060..=0x206F
            | 0x3164
            | 0xFE00..=0xFE0E
            | 0xFEFF
            | 0xFFA0
            | 0xFFF0..=0xFFFB
            | 0x1D173..=0x1D17A
            | 0xE0000..=0xE0FFF
    )
}

#[cfg(test)]
mod tests;
