//! Bytes that are in the ledger: the only ones that may be written to a caller.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mask::Part;
use model::ExchangeId;

/// A part of an answer that is in the ledger. Only this crate makes one.
#[derive(Debug)]
#[must_use = "recorded bytes are there to be written to the caller"]
pub struct Recorded {
    pub(crate) exchange: ExchangeId,
    pub(crate) part: Part,
}

impl Recorded {
    /// What may be written to the caller.
    pub fn into_part(self) -> Part {
        self.part
    }
}

/// A whole answer of the gateway's own.
#[derive(Debug)]
#[must_use = "recorded words are there to be written to the caller"]
pub struct Words {
    /// Status and headers.
    pub head: Recorded,
    /// The body.
    pub body: Recorded,
}

impl Words {
    pub(crate) fn new(exchange: ExchangeId, status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self {
            head: Recorded { exchange, part: Part::Head { status, headers } },
            body: Recorded { exchange, part: Part::Body { bytes: body, opaque: Vec::new() } },
        }
    }
}

/// What the gateway itself says, such as a refusal or the error at the end of a cut stream.
#[derive(Debug)]
pub enum Spoken {
    /// Status and headers.
    Head {
        /// The status.
        status: StatusCode,
        /// The headers.
        headers: HeaderMap,
    },
    /// Body bytes.
    Body(Bytes),
    /// A page that shows what is recorded elsewhere: of an exchange that keeps no bodies, its length and
    /// keyed digest are kept.
    Page(Bytes),
}
