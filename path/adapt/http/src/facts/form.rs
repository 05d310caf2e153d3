//! Forms with files (RFC 7578 over RFC 2046), read in exactly one way.
//!
//! Readers of multipart differ on nearly everything: preambles, bare line feeds, repeated names,
//! escapes in names, nested encodings. What they could differ on is refused.

use memchr::memmem;
use model::Refusal;

use super::{malformed, unsupported};
use crate::media::Media;

/// The most parts a form may have.
const MAX_PARTS: usize = 128;

/// Fields that carry facts, which must not come back as a list or a map of themselves.
const FACTS: &[&str] = &["model", "stream", "n", "max_tokens", "max_completion_tokens"];

/// A form's fields and files.
#[derive(Debug)]
pub(crate) struct Form<'q> {
    fields: Vec<(&'q str, &'q str)>,
    file_names: Vec<&'q str>,
    /// Each part's bytes, headers and all.
    parts: Vec<&'q [u8]>,
}

impl<'q> Form<'q> {
    /// Reads a form's bytes.
    ///
    /// # Errors
    /// A refusal when the bytes are no form, or one that can be read in more than one way.
    pub(super) fn parse(bytes: &'q [u8], media: &Media) -> Result<Self, Refusal> {
        if media.essence != "multipart/form-data" {
            return Err(unsupported("The body must be sent as `content-type: multipart/form-data`."));
        }
        let boundary = match (media.parameter("boundary"), media.parameters.len()) {
            (Some(boundary), 1) if is_boundary(boundary) => boundary,
            _ => return Err(unsupported("The form's `content-type` must name one plain boundary.")),
        };
        let mut form = Self { fields: Vec::new(), file_names: Vec::new(), parts: Vec::new() };
        let opening = format!("--{boundary}");
        let Some(mut rest) = bytes.strip_prefix(opening.as_bytes()) else {
            return Err(malformed("The form does not begin with its boundary."));
        };
        let delimiter = memmem::Finder::new(b"\r\n--").into_owned();
        loop {
            match rest.strip_prefix(b"\r\n") {
                Some(part) => rest = part,
                None if matches!(rest, b"--" | b"--\r\n") => return Ok(form),
                None => {
                    return Err(malformed(
                        "A boundary of the form is not followed by a line break, or by `--` and the end.",
                    ));
                }
            }
            let end = next_boundary(rest, &delimiter, boundary.as_bytes())
                .ok_or_else(|| malformed("The form's last boundary is missing."))?;
            let (part, after) = rest.split_at_checked(end).unwrap_or((rest, b""));
            form.part(part)?;
            form.parts.push(part);
            rest = after.get(4 + boundary.len()..).unwrap_or_default();
        }
    }

    fn part(&mut self, part: &'q [u8]) -> Result<(), Refusal> {
        if self.fields.len() + self.file_names.len() >= MAX_PARTS {
            return Err(malformed("The form has too many parts."));
        }
        let end =
            memmem::find(part, b"\r\n\r\n").ok_or_else(|| malformed("A part of the form has no headers."))?;
        let (head, content) = part.split_at_checked(end).unwrap_or((part, b""));
        let content = content.get(4..).unwrap_or_default();
        let head = std::str::from_utf8(head).map_err(|_| malformed("The form's headers are not UTF-8."))?;
        let (name, is_file) = disposition(head)?;
        let is_list = name.ends_with("[]");
        let base = name.split('[').next().unwrap_or(name);
        if base != name && FACTS.contains(&base) {
            return Err(malformed(format!("The form's field `{name}` is `{base}` to some readers.")));
        }
        let known = self.fields.iter().map(|(name, _)| *name).chain(self.file_names.iter().copied());
        if !is_list && known.into_iter().any(|earlier| crate::json::same_folded(earlier, name)) {
            return Err(malformed(format!("The form has more than one field `{name}`.")));
        }
        if is_file {
            self.file_names.push(name);
        } else {
            let text = std::str::from_utf8(content)
                .map_err(|_| malformed(format!("The form's field `{name}` is not UTF-8.")))?;
            self.fields.push((name, text));
        }
        Ok(())
    }

    /// The text of a field.
    pub(super) fn field(&self, name: &str) -> Option<&'q str> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, text)| *text)
    }

    /// Its parts, each with its headers.
    pub(super) fn parts(self) -> Vec<&'q [u8]> {
        self.parts
    }

    /// How many files the form holds.
    pub(super) fn files(&self) -> usize {
        self.file_names.len()
    }

    /// All fields with their texts.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'q str, &'q str)> {
        self.fields.iter().copied()
    }

    /// The names and texts of all fields.
    pub(super) fn texts(&self) -> impl Iterator<Item = &'q str> {
        self.fields.iter().flat_map(|(name, text)| [*name, *text])
    }
}

/// RFC 2046, section 5.1.1, without the characters that need quoting elsewhere.
fn is_boundary(text: &str) -> bool {
    (1..=70).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+' | b'\''))
}

/// Where the line break before the next boundary begins. A line that only begins like the boundary is
/// found too, and refused by what follows it.
fn next_boundary(bytes: &[u8], delimiter: &memmem::Finder<'_>, boundary: &[u8]) -> Option<usize> {
    delimiter.find_iter(bytes).find(|at| bytes.get(at + 4..).is_some_and(|after| after.starts_with(boundary)))
}

/// The name a part's headers give it, and whether it is a file.
fn disposition(head: &str) -> Result<(&str, bool), Refusal> {
    let bad = || malformed("A part of the form has headers that can be read in more than one way.");
    let (mut found, mut is_text) = (None, true);
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or_else(bad)?;
        let plain = |b: u8| b == b' ' || (b.is_ascii_graphic() && b != b'\\') || !b.is_ascii();
        if !value.bytes().all(plain) {
            return Err(bad());
        }
        match name.to_ascii_lowercase().as_str() {
            "content-type" => is_text = is_text_type(value),
            "content-length" => {}
            "content-disposition" if found.is_none() => found = Some(parameters(value).ok_or_else(bad)?),
            _ => return Err(bad()),
        }
    }
    found.filter(|(_, is_file)| *is_file || is_text).ok_or_else(bad)
}

/// Whether a field of this type reads as UTF-8 everywhere.
fn is_text_type(value: &str) -> bool {
    let plain: String = value.to_ascii_lowercase().split_whitespace().collect();
    matches!(plain.as_str(), "text/plain" | "text/plain;charset=utf-8" | "application/json")
}

/// `form-data; name="model"; filename="a.wav"`: the name, and whether there is a file name.
fn parameters(value: &str) -> Option<(&str, bool)> {
    let mut rest = value.trim().strip_prefix("form-data")?;
    let (mut name, mut is_file) = (None, false);
    while !rest.is_empty() {
        rest = rest.trim_start().strip_prefix(';')?.trim_start();
        let (key, after) = rest.split_once("=\"")?;
        let (text, after) = after.split_once('"')?;
        rest = after;
        match key {
            "name" if name.is_none() && is_field_name(text) => name = Some(text),
            "filename" if !is_file => is_file = true,
            _ => return None,
        }
    }
    name.map(|name| (name, is_file))
}

/// Plain words, also with brackets for lists and maps: `a[]`, `a[b]`.
fn is_field_name(text: &str) -> bool {
    let plain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']');
    (1..=64).contains(&text.len()) && !text.starts_with('[') && text.bytes().all(plain)
}
