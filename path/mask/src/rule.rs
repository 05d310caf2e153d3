//! What a rule is. Rules are data: a row in `catalogue` is all there is to add for a new family, and a team's
//! own rules are made of the same parts.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::check::digits::Digits;
use crate::context::Context;

/// Judges a text that has a rule's shape. Gets at most [`crate::context::LEFT`] bytes before it and the
/// text itself, and says which part of the text is the value, or `None` when this is no value after all.
/// The part must begin and end at ASCII bytes, so that a placeholder never cuts a character, and must not
/// be empty.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    /// What it asks for, in words for the table of rules.
    pub(crate) asks: &'static str,
    /// How.
    pub(crate) how: How,
    /// What the bytes before a value, and its first byte, must say: asked once for all texts that begin at one
    /// place.
    pub(crate) behind: Option<Behind>,
}

/// Whether a value that begins with `first` may stand behind `left`.
pub(crate) type Behind = fn(left: &[u8], first: u8) -> bool;

/// How a [`Check`] judges.
#[derive(Clone, Copy)]
pub(crate) enum How {
    /// By all bytes.
    Text(fn(left: &[u8], text: &[u8]) -> Option<Range<usize>>),
    /// By the digits alone: then all of the text is the value. They are read once for all texts that begin at
    /// one place.
    Digits(fn(&Digits) -> bool),
}

impl Check {
    /// A check that asks for `asks`.
    pub(crate) const fn new(
        asks: &'static str,
        run: fn(left: &[u8], text: &[u8]) -> Option<Range<usize>>,
    ) -> Self {
        Self { asks, how: How::Text(run), behind: None }
    }

    /// A check of the digits, at most 32 of them.
    pub(crate) const fn digits(asks: &'static str, holds: fn(&Digits) -> bool) -> Self {
        Self { asks, how: How::Digits(holds), behind: None }
    }

    /// The same where the bytes before the value, and its first byte, say so too.
    pub(crate) const fn behind(self, says: Behind) -> Self {
        Self { behind: Some(says), ..self }
    }

    /// Judges one text by itself.
    #[cfg(test)]
    pub(crate) fn run(&self, left: &[u8], text: &[u8]) -> Option<Range<usize>> {
        if self.behind.is_some_and(|says| !text.first().is_some_and(|first| says(left, *first))) {
            return None;
        }
        match self.how {
            How::Text(run) => run(left, text),
            How::Digits(holds) => holds(&Digits::of(text)?).then_some(0..text.len()),
        }
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Check({})", self.asks)
    }
}

/// One kind of value to find.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Names it in findings and tests; unique.
    pub(crate) name: Cow<'static, str>,
    /// The data class of what it finds, in its dotted form.
    pub(crate) class: Cow<'static, str>,
    /// How the value looks.
    pub(crate) shape: Shape,
    /// Judges what has the shape.
    pub(crate) check: Check,
    /// One of these words must stand shortly before the value; none when there are none.
    pub(crate) near: Words,
    /// How many bits of entropy a byte of the value has at least, in its first 64 bytes; zero for any.
    pub(crate) entropy: f32,
    /// For values without a longest form: how they go on after the shape, which is then only their head.
    pub(crate) tail: Option<Tail>,
    /// Who publishes the format.
    pub(crate) source: Cow<'static, str>,
}

/// Words, in lower case.
#[derive(Clone, Debug)]
pub(crate) enum Words {
    /// Of a rule that ships.
    Fixed(&'static [&'static str]),
    /// Of a team's rule.
    Own(Arc<[String]>),
}

impl Words {
    /// Each word.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let (fixed, own): (&[&str], &[String]) = match self {
            Self::Fixed(words) => (words, &[]),
            Self::Own(words) => (&[], words),
        };
        fixed.iter().copied().chain(own.iter().map(String::as_str))
    }
}

/// How a value looks. Patterns are in ASCII mode, see whole bytes, and have a longest match.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// By its own spelling.
    Spelled(Cow<'static, str>),
    /// Only behind words that announce it. The words stay; only the value is held and masked.
    After(Context, Cow<'static, str>),
    /// Around one byte: a run of bytes before it, a pattern from it on. Found from that byte, so that text
    /// full of such runs costs no more than other text. At most one rule has this shape.
    Around(Around),
}

impl Shape {
    /// The pattern of it, or of its right side.
    pub(crate) fn pattern(&self) -> &str {
        match self {
            Self::Spelled(pattern) | Self::After(_, pattern) => pattern,
            Self::Around(around) => around.right,
        }
    }
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

impl Rule {
    /// A rule for what is spelled out.
    pub(crate) fn spelled(
        name: impl Into<Cow<'static, str>>,
        class: impl Into<Cow<'static, str>>,
        pattern: impl Into<Cow<'static, str>>,
        check: Check,
        source: &'static str,
    ) -> Self {
        Self {
            name: name.into(),
            class: class.into(),
            shape: Shape::Spelled(pattern.into()),
            check,
            near: Words::Fixed(&[]),
            entropy: 0.0,
            tail: None,
            source: source.into(),
        }
    }

    /// The same, but only near one of `words`.
    pub(crate) fn near(self, words: &'static [&'static str]) -> Self {
        Self { near: Words::Fixed(words), ..self }
    }

    /// The same as a head that goes on so.
    pub(crate) fn goes_on(self, tail: Option<Tail>) -> Self {
        Self { tail, ..self }
    }
}
