//! What a rule is. Rules are data: the tables in `catalogue` are all there is to add for a new family.

use std::ops::Range;

use crate::context::Context;

/// Judges a text that has a rule's shape. Gets at most [`crate::context::LEFT`] bytes before it and the
/// text itself, and says which part of the text is the value, or `None` when this is no value after all.
/// The part must begin and end at ASCII bytes, so that a placeholder never cuts a character, and must not
/// be empty.
pub(crate) type Check = fn(left: &[u8], text: &[u8]) -> Option<Range<usize>>;

/// One kind of value to find.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Names it in findings and tests; unique.
    pub(crate) name: &'static str,
    /// The data class of what it finds, in its dotted form.
    pub(crate) class: &'static str,
    /// How the value looks.
    pub(crate) shape: Shape,
    /// Judges what has the shape.
    pub(crate) check: Check,
    /// For values without a longest form: how they go on after the shape, which is then only their head.
    pub(crate) tail: Option<Tail>,
    /// Who publishes the format.
    pub(crate) source: &'static str,
}

/// How a value looks. Patterns are in ASCII mode, see whole bytes, and have a longest match.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// By its own spelling.
    Spelled(&'static str),
    /// Only behind words that announce it. The words stay; only the value is held and masked.
    After(Context, &'static str),
    /// Around one byte: a run of bytes before it, a pattern from it on. Found from that byte, so that text
    /// full of such runs costs no more than other text. At most one rule has this shape.
    Around(Around),
}

/// See [`Shape::Around`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around {
    /// The byte, as `@`.
    pub(crate) sign: u8,
    /// Which bytes may stand in the run before it.
    pub(crate) run: fn(u8) -> bool,
    /// Which of them may be the first.
    pub(crate) first: fn(u8) -> bool,
    /// The longest run in bytes. Of a longer one only this much counts.
    pub(crate) longest: usize,
    /// What follows, the byte included.
    pub(crate) right: &'static str,
}

/// How an unbounded value goes on. As soon as the head is judged a value, its placeholder goes out, and
/// bytes are dropped as long as they continue a match of `pattern`, to its longest end that begins to
/// show within `cap` bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    /// The continuation, from the head's end.
    pub(crate) pattern: &'static str,
    /// How many bytes are read for it at most.
    pub(crate) cap: usize,
}
