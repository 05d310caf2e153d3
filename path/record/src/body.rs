//! The body frames of the ledger as they are stored: `proto/ledger.proto`, derived by hand.

use bytes::Bytes;

/// Header.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Header {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Direction {
    /// Unspecified.
    Unspecified = 0,
    /// Request.
    Request = 1,
    /// Response.
    Response = 2,
}

/// What a body frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// Unspecified.
    Unspecified = 0,
    /// Status and headers.
    Head = 1,
    /// Body bytes.
    Data = 2,
    /// Trailers.
    Trailers = 3,
    /// Status and headers of an answer the gateway gave itself.
    SpokenHead = 4,
    /// Body bytes the gateway wrote itself.
    SpokenData = 5,
    /// Bytes that passed unchanged and are kept as length and SHA-256 only.
    Opaque = 6,
    /// Bytes the resource's configuration keeps out: length and HMAC-SHA-256 only.
    Withheld = 7,
}

/// One entry of `bodies/CLASS/`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Body {
    /// The exchange, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub exchange: Vec<u8>,
    /// Rising within the exchange, over both directions, from 0.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// Time.
    #[prost(int64, tag = "3")]
    pub time: i64,
    /// Direction.
    #[prost(enumeration = "Direction", tag = "4")]
    pub direction: i32,
    /// For protocols that carry several streams in one exchange; else 0.
    #[prost(uint32, tag = "5")]
    pub channel: u32,
    /// Kind.
    #[prost(enumeration = "Kind", tag = "6")]
    pub kind: i32,
    /// Data.
    #[prost(bytes = "bytes", tag = "7")]
    pub data: Bytes,
    /// Status.
    #[prost(uint32, tag = "8")]
    pub status: u32,
    /// Headers.
    #[prost(message, repeated, tag = "9")]
    pub headers: Vec<Header>,
    /// Opaque.
    #[prost(message, optional, tag = "10")]
    pub opaque: Option<Opaque>,
    /// If encrypted: a box of a Body that holds the fields 7, 9, 10 and 12, which are then absent here.
    #[prost(bytes = "bytes", tag = "11")]
    pub encrypted: Bytes,
    /// The request's query, in the HEAD of a request, which there is only if it is encrypted.
    #[prost(string, optional, tag = "12")]
    pub query: Option<String>,
}

/// Opaque.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Opaque {
    /// The data class; empty for withheld bytes.
    #[prost(string, tag = "1")]
    pub class: String,
    /// Length.
    #[prost(uint64, tag = "2")]
    pub length: u64,
    /// SHA-256, or HMAC-SHA-256 for withheld bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub digest: Vec<u8>,
}
