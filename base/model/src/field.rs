//! Parts of an answer whose class is known by their place.

use http::HeaderName;

use crate::DataClass;

/// A part of an answer and its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRule {
    /// Where it is.
    pub place: FieldPlace,
    /// What it is.
    pub class: DataClass,
    /// Whether those who may not see it get nothing of it, not even the key. Else it is replaced: by the
    /// class's name, or `null` for an object or a list.
    pub dropped: bool,
}

/// Where a part of an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldPlace {
    /// In its JSON, and in each message of a stream: one step a key or item; none is any. Never empty.
    Body(Vec<Option<String>>),
    /// In this header.
    Header(HeaderName),
}
