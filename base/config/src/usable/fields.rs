//! What a resource says of the data in its answers and requests.

use http::HeaderName;
use model::DataClass;

/// A part of an answer, whose class is known by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where it is.
    pub place: FieldPlace,
    /// What it is.
    pub class: DataClass,
    /// What callers get who may not see it.
    pub hidden: HiddenField,
}

/// Where a part of an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldPlace {
    /// In its JSON, and in each message of a stream: one step a key or item; none is any. Never empty.
    Body(Vec<Option<String>>),
    /// In this header.
    Header(HeaderName),
}

/// What callers get in place of a field they may not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiddenField {
    /// The class's name, or `null` for an object or a list.
    Replaced,
    /// Nothing: not even the key.
    Dropped,
}

/// What becomes of values in a request that policy does not disclose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disclose {
    /// They are masked.
    Mask,
    /// The request is refused.
    Refuse,
}
