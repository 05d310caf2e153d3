//! How an answer lies: which of its bytes are syntax, which are text, and of which lane.
//!
//! An adapter knows the protocol and yields [`Piece`]s; masking knows no protocol and turns pieces
//! into bytes that may leave.

use bytes::Bytes;
use http::HeaderName;

use crate::{DataClass, ExchangeId};

/// Bytes from an upstream that nobody has looked into yet. Anyone may call bytes unmasked: the name
/// promises nothing, it only keeps them from being taken for masked ones.
#[derive(Debug)]
pub struct Unmasked {
    /// The exchange they belong to.
    pub exchange: ExchangeId,
    /// The bytes.
    pub bytes: Bytes,
}

/// One running text inside an answer, such as the content of choice 0. Numbered by the adapter, from
/// 0, densely, and never reused for another text of the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(pub u32);

/// How a text is written in the raw bytes of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// The inside of a JSON string (RFC 8259, section 7), without its quotes. Always whole escapes:
    /// a piece never ends inside `\uXXXX`.
    JsonString,
    /// A JSON number. Masked, it becomes a JSON string.
    JsonNumber,
    /// A JSON value of any kind, only in [`Piece::Classed`]. Masked, it becomes `null`: every SDK takes
    /// that for a value that was not asked for, where a string would be of the wrong type.
    JsonValue,
}

/// A run of an answer's bytes, in order. All pieces of an answer together are the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Goes out as it came: framing, JSON syntax, ids, counts.
    Syntax(Bytes),
    /// The next run of a lane's text. What a later piece could still complete to a match is held, and
    /// comes out with that lane's next piece.
    Text {
        /// Whose text it continues.
        lane: Lane,
        /// How it is written.
        encoding: Encoding,
        /// The text as written.
        raw: Bytes,
    },
    /// Nothing more comes on the lane. If text is held, `before`, the text and `after` go out;
    /// otherwise nothing does. A later [`Piece::Text`] of the lane would begin anew.
    End {
        /// The lane that ends.
        lane: Lane,
        /// What makes the held text a complete event, before it.
        before: Bytes,
        /// And after it.
        after: Bytes,
    },
    /// A text complete in itself, of no lane.
    Whole {
        /// How it is written.
        encoding: Encoding,
        /// The text as written.
        raw: Bytes,
    },
    /// A text as far as it has come, which will be repeated longer: what is certain of it goes out, and the
    /// rest comes with the repetition.
    SoFar {
        /// How it is written.
        encoding: Encoding,
        /// The text as written.
        raw: Bytes,
    },
    /// What is held of a lane is dropped: it comes again, as part of something else.
    Forget {
        /// The lane.
        lane: Lane,
    },
    /// Bytes of a class that the caller may not see, which are left out altogether.
    Dropped {
        /// Their class.
        class: DataClass,
        /// The bytes as written.
        raw: Bytes,
    },
    /// A value whose class is known by its place, not by its look, such as a base64 embedding: out
    /// byte-identical if the caller may see the class, else its placeholder.
    Classed {
        /// Its class.
        class: DataClass,
        /// How a placeholder must be written in its place.
        encoding: Encoding,
        /// The value as written.
        raw: Bytes,
    },
}

/// A header that a caller may not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderField {
    /// Its class.
    pub class: DataClass,
    /// Whether it is left out, or else its value replaced.
    pub dropped: bool,
}

/// Reads an answer's bytes, in any chunking, into pieces. A layout's pieces do not depend on how the
/// answer was cut, except for where text pieces are cut.
pub trait Layout: Send {
    /// Takes the next bytes and appends the pieces that are certain now to `out`. Holds at most its
    /// stated limit (an event, or a whole body).
    ///
    /// # Errors
    /// [`LayoutFault`] when the answer can't be understood or outgrows its limit: it must be cut.
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault>;

    /// The answer ended. Appends what was waiting, and ends every lane.
    ///
    /// # Errors
    /// [`LayoutFault`] when the answer ended where it must not.
    fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), LayoutFault>;

    /// What a header or trailer is by its name, if the caller may not see it.
    fn header(&self, _name: &HeaderName) -> Option<HeaderField> {
        None
    }

    /// Tokens the answer says it used, as far as read.
    fn usage(&self) -> Option<crate::Usage> {
        None
    }
}

/// Why an answer could not be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutFault {
    /// It holds more than may be held before something is certain.
    #[error("the answer holds more than {limit} bytes before the gateway could judge them")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Its shape is not known, and the resource says such streams are refused.
    #[error("the answer is a stream of a shape the gateway does not know: {0}")]
    Unknown(String),
    /// It is not what its head promised.
    #[error("the answer is malformed: {0}")]
    Malformed(String),
}
