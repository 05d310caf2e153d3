//! What an adapter makes of a request: what it would do, and where it holds text.

use std::ops::Range;

use crate::{Encoding, Operation};

/// A request, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Understood {
    /// What it would do. Never empty.
    pub operations: Vec<Operation>,
    /// The texts of its body, in order, apart from each other. What is in none of them is syntax, counts,
    /// or a file that nobody reads as text.
    pub texts: Vec<AskedText>,
}

/// A text in a request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedText {
    /// Where it lies, in bytes.
    pub range: Range<usize>,
    /// How it is written.
    pub encoding: Encoding,
    /// Whether it must stay as it is, because policy judged by it: a model's name, a key.
    pub fixed: bool,
}
