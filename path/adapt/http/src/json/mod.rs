//! Reading JSON in exactly one way, with the place of every value.
//!
//! [`strict_json`] governs requests: what it accepts, every server reads alike. Answers are read by
//! the lenient rules, which only ask that the strings can be told apart: whatever a client could read
//! in them is masked.

mod decode;
mod fold;
mod reader;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

pub(crate) use fold::{folds_to, same_folded};
use reader::Reader;

/// A JSON value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'a> {
    /// First byte.
    start: u32,
    /// Byte after the last.
    end: u32,
    /// What it is.
    pub value: Value<'a>,
}

/// What a JSON value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string, escapes resolved.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Node<'a>>),
    /// An object, in the order written.
    Object(Vec<Member<'a>>),
}

/// One key of an object with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Member<'a> {
    /// The key, escapes resolved.
    pub key: Cow<'a, str>,
    start: u32,
    end: u32,
    /// Its value.
    pub node: Node<'a>,
}

/// A number, in the smallest of the types every reader agrees on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer of 0 or more.
    Unsigned(u64),
    /// An integer below 0.
    Signed(i64),
    /// Written with a fraction or an exponent, or `-0`. Finite.
    Float(f64),
    /// Only by the lenient rules: beyond these types, or no finite number.
    Other,
}

impl<'a> Node<'a> {
    /// The bytes of the value, quotes and brackets included.
    pub fn span(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The bytes inside a string's quotes.
    pub(crate) fn inner(&self) -> Range<usize> {
        (self.start as usize + 1)..(self.end as usize).saturating_sub(1)
    }

    /// The value of the first `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.members().iter().find(|member| member.key == key).map(|member| &member.node)
    }

    /// The value at a path of keys.
    pub(crate) fn at(&self, keys: &[&str]) -> Option<&Node<'a>> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// An object's members; none for anything else.
    pub fn members(&self) -> &[Member<'a>] {
        if let Value::Object(members) = &self.value { members } else { &[] }
    }

    /// An array's items; none for anything else.
    pub fn items(&self) -> &[Node<'a>] {
        if let Value::Array(items) = &self.value { items } else { &[] }
    }

    /// A string's text.
    pub fn text(&self) -> Option<&str> {
        if let Value::String(text) = &self.value { Some(text) } else { None }
    }

    /// A count: an integer of 0 or more.
    pub(crate) fn count(&self) -> Option<u64> {
        if let Value::Number(Number::Unsigned(count)) = self.value { Some(count) } else { None }
    }

    /// Whether it is `null`.
    pub(crate) fn is_null(&self) -> bool {
        self.value == Value::Null
    }
}

impl Member<'_> {
    /// The bytes of key and value.
    pub(crate) fn span(&self) -> Range<usize> {
        self.start as usize..self.node.span().end
    }

    /// The bytes inside the key's quotes.
    pub(crate) fn key_inner(&self) -> Range<usize> {
        (self.start as usize + 1)..(self.end as usize).saturating_sub(1)
    }
}

/// Where JSON is not what it must be, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {flaw}")]
pub struct JsonFault {
    /// The byte the flaw begins at, from 0.
    pub at: usize,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What is wrong with a JSON text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Longer than the rules allow.
    #[error("the JSON text is too long")]
    TooLong,
    /// Begins with a byte order mark.
    #[error("a byte order mark")]
    ByteOrderMark,
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// Ends too early.
    #[error("the JSON text ends too early")]
    Ended,
    /// A byte that fits nothing.
    #[error("unexpected byte {0:#04x}")]
    Unexpected(u8),
    /// Something after the end.
    #[error("something follows the JSON text")]
    Trailing,
    /// Nested deeper than the rules allow.
    #[error("nested too deeply")]
    TooDeep,
    /// More values than the rules allow.
    #[error("too many values")]
    TooMany,
    /// A key twice in one object.
    #[error("a key appears twice")]
    DuplicateKey,
    /// Two keys of one object that some readers take for one.
    #[error("two keys differ only in case")]
    CollidingKeys,
    /// A control character inside a string.
    #[error("an unescaped control character in a string")]
    Control,
    /// An escape JSON does not have.
    #[error("a bad escape in a string")]
    BadEscape,
    /// Half of a surrogate pair.
    #[error("half a surrogate pair in a string")]
    LoneSurrogate,
    /// A number no two readers need agree on.
    #[error("a number outside 64-bit integers and finite floats")]
    BadNumber,
}

/// How JSON is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Whether everything two readers could disagree on is refused.
    pub(crate) strict: bool,
    /// How deep containers may nest.
    pub(crate) depth: usize,
    /// How many values and keys there may be.
    pub(crate) nodes: usize,
}

impl Rules {
    /// For requests.
    pub(crate) const STRICT: Self = Self { strict: true, depth: 64, nodes: 1_000_000 };
    /// For answers.
    pub(crate) const LENIENT: Self = Self { strict: false, depth: 128, nodes: 4_000_000 };
}

/// The longest JSON text read, in bytes. Resources set smaller limits of their own.
pub const MAX_JSON_BYTES: usize = 256 << 20;

/// Reads a request's JSON: UTF-8 without byte order mark (RFC 8259), no key twice in an object nor two
/// that differ only in case, no number outside `i64`, `u64` and finite `f64`, nothing after the end, at
/// most 64 levels and a million values.
///
/// # Errors
/// [`JsonFault`] with the byte where the text first breaks a rule.
pub fn strict_json(bytes: &[u8]) -> Result<Node<'_>, JsonFault> {
    read(bytes, Rules::STRICT)
}

/// Reads an answer's JSON: as [`strict_json`], but duplicate keys, `NaN`, `Infinity`, large numbers,
/// control characters, lone surrogates and invalid UTF-8 in strings pass.
pub(crate) fn lenient_json(bytes: &[u8]) -> Result<Node<'_>, JsonFault> {
    read(bytes, Rules::LENIENT)
}

fn read(bytes: &[u8], rules: Rules) -> Result<Node<'_>, JsonFault> {
    if bytes.len() > MAX_JSON_BYTES {
        return Err(JsonFault { at: MAX_JSON_BYTES, flaw: Flaw::TooLong });
    }
    if rules.strict {
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(JsonFault { at: 0, flaw: Flaw::ByteOrderMark });
        }
        if let Err(fault) = std::str::from_utf8(bytes) {
            return Err(JsonFault { at: fault.valid_up_to(), flaw: Flaw::NotUtf8 });
        }
    }
    Reader::new(bytes, rules).whole()
}
