//! The leaves of the ledger as they are stored: `proto/ledger.proto`, derived by hand.
//!
//! A test keeps these structs and the published file the same.

use crate::consent::Approval;
use crate::opened::{Caller, Opened};

/// One entry of `leaves/`. Hashed as stored, never encoded again.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Leaf {
    /// When the node wrote it, by the node's clock. Order is the order in the file, not this time.
    #[prost(int64, tag = "1")]
    pub time: i64,
    /// Where the body frames lie that this leaf covers.
    #[prost(message, optional, tag = "2")]
    pub bodies: Option<Span>,
    /// What it says.
    #[prost(oneof = "What", tags = "3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15")]
    pub what: Option<What>,
}

impl Leaf {
    /// Reads a frame's payload; none if it is no leaf.
    pub fn read(payload: &[u8]) -> Option<Self> {
        prost::Message::decode(payload).ok()
    }
}

/// What a leaf says.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum What {
    /// See [`Opened`].
    #[prost(message, tag = "3")]
    Opened(Opened),
    /// See [`Part`].
    #[prost(message, tag = "4")]
    Part(Part),
    /// See [`Sealed`].
    #[prost(message, tag = "5")]
    Sealed(Sealed),
    /// See [`Refused`].
    #[prost(message, tag = "6")]
    Refused(Refused),
    /// See [`Summary`].
    #[prost(message, tag = "7")]
    Summary(Summary),
    /// See [`PolicySet`].
    #[prost(message, tag = "8")]
    PolicySet(PolicySet),
    /// See [`Key`].
    #[prost(message, tag = "9")]
    Key(Key),
    /// See [`Dropped`].
    #[prost(message, tag = "10")]
    Dropped(Dropped),
    /// See [`Torn`].
    #[prost(message, tag = "11")]
    Torn(Torn),
    /// See [`Outage`].
    #[prost(message, tag = "12")]
    Outage(Outage),
    /// See [`Retention`].
    #[prost(message, tag = "13")]
    Retention(Retention),
    /// See [`Hold`].
    #[prost(message, tag = "14")]
    Hold(Hold),
    /// See [`Approval`].
    #[prost(message, tag = "15")]
    Approval(Approval),
}

/// A stretch of `bodies/CLASS/`. It may hold frames of other exchanges too.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Span {
    /// The retention class.
    #[prost(string, tag = "1")]
    pub class: String,
    /// Where the first frame begins, or would begin.
    #[prost(uint64, tag = "2")]
    pub first_segment: u64,
    /// First offset.
    #[prost(uint64, tag = "3")]
    pub first_offset: u64,
    /// Where the last frame ends.
    #[prost(uint64, tag = "4")]
    pub end_segment: u64,
    /// End offset.
    #[prost(uint64, tag = "5")]
    pub end_offset: u64,
}

/// What there is of one direction's body frames so far.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Digest {
    /// Frames, of every kind.
    #[prost(uint64, tag = "1")]
    pub frames: u64,
    /// Body bytes they stand for, opaque and withheld ones included.
    #[prost(uint64, tag = "2")]
    pub bytes: u64,
    /// The chain: 32 zero bytes, then for each frame SHA-256(chain || SHA-256(payload as stored)).
    #[prost(bytes = "vec", tag = "3")]
    pub chain: Vec<u8>,
}

/// A long exchange so far.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Part {
    /// The exchange, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub exchange: Vec<u8>,
    /// From 1.
    #[prost(uint64, tag = "2")]
    pub number: u64,
    /// Request.
    #[prost(message, optional, tag = "3")]
    pub request: Option<Digest>,
    /// Response.
    #[prost(message, optional, tag = "4")]
    pub response: Option<Digest>,
}

/// An exchange ended. Nothing of it follows.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Sealed {
    /// The exchange, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub exchange: Vec<u8>,
    /// `completed`, `refused`, `caller-gone`, `upstream-lost`, `cut` or `interrupted`.
    #[prost(string, tag = "2")]
    pub outcome: String,
    /// Refusal.
    #[prost(message, optional, tag = "3")]
    pub refusal: Option<Refusal>,
    /// Request.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Digest>,
    /// Response.
    #[prost(message, optional, tag = "5")]
    pub response: Option<Digest>,
    /// Times.
    #[prost(message, optional, tag = "6")]
    pub times: Option<Times>,
    /// Usage.
    #[prost(message, optional, tag = "7")]
    pub usage: Option<Usage>,
    /// Findings.
    #[prost(message, repeated, tag = "8")]
    pub findings: Vec<Finding>,
    /// HMAC-SHA-256 of the whole answer before masking, if it was seen whole.
    #[prost(bytes = "vec", tag = "9")]
    pub unmasked_digest: Vec<u8>,
    /// Which key made it: the first 8 bytes of HMAC-SHA-256(key, "portcullis digest key").
    #[prost(bytes = "vec", tag = "10")]
    pub digest_key: Vec<u8>,
    /// Unmasked bytes.
    #[prost(uint64, tag = "11")]
    pub unmasked_bytes: u64,
    /// The HTTP status the caller got; 0 if none.
    #[prost(uint32, tag = "12")]
    pub status: u32,
    /// Why the ledger sealed it by itself, if it did.
    #[prost(string, tag = "13")]
    pub note: String,
}

/// Refusal.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Refusal {
    /// Code.
    #[prost(string, tag = "1")]
    pub code: String,
    /// As told to the caller.
    #[prost(string, tag = "2")]
    pub reason: String,
    /// Policies.
    #[prost(string, repeated, tag = "3")]
    pub policies: Vec<String>,
    /// Retry after.
    #[prost(uint32, optional, tag = "4")]
    pub retry_after: Option<u32>,
    /// For the operator alone.
    #[prost(string, optional, tag = "5")]
    pub detail: Option<String>,
}

/// Since the request arrived.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Times {
    /// Opened after.
    #[prost(int64, optional, tag = "1")]
    pub opened_after: Option<i64>,
    /// Head after.
    #[prost(int64, optional, tag = "2")]
    pub head_after: Option<i64>,
    /// First byte of the answer's body: for a stream, the first token.
    #[prost(int64, optional, tag = "3")]
    pub first_byte_after: Option<i64>,
    /// Total.
    #[prost(int64, optional, tag = "4")]
    pub total: Option<i64>,
}

/// Usage.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Usage {
    /// Input.
    #[prost(uint64, tag = "1")]
    pub input: u64,
    /// Output.
    #[prost(uint64, tag = "2")]
    pub output: u64,
}

/// Values of one data class found in the answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Finding {
    /// Class.
    #[prost(string, tag = "1")]
    pub class: String,
    /// Masked.
    #[prost(uint64, tag = "2")]
    pub masked: u64,
    /// Revealed.
    #[prost(uint64, tag = "3")]
    pub revealed: u64,
}

/// A request refused before there was a caller: opened and sealed in one, without bodies. One without a
/// refusal was told what anybody is told: where to log in.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Refused {
    /// The exchange, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub exchange: Vec<u8>,
    /// Arrived.
    #[prost(int64, tag = "2")]
    pub arrived: i64,
    /// Client.
    #[prost(string, tag = "3")]
    pub client: String,
    /// Listener.
    #[prost(string, tag = "4")]
    pub listener: String,
    /// Method.
    #[prost(string, tag = "5")]
    pub method: String,
    /// At most 1024 bytes of it.
    #[prost(string, tag = "6")]
    pub path: String,
    /// Host.
    #[prost(string, tag = "7")]
    pub host: String,
    /// Refusal.
    #[prost(message, optional, tag = "8")]
    pub refusal: Option<Refusal>,
    /// Status.
    #[prost(uint32, tag = "9")]
    pub status: u32,
    /// If the token was good, and what it asked for was not there.
    #[prost(message, optional, tag = "10")]
    pub caller: Option<Caller>,
}

/// Refusals beyond the rate, counted.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Summary {
    /// Listener.
    #[prost(string, tag = "1")]
    pub listener: String,
    /// Since.
    #[prost(int64, tag = "2")]
    pub since: i64,
    /// Until.
    #[prost(int64, tag = "3")]
    pub until: i64,
    /// Count.
    #[prost(uint64, tag = "4")]
    pub count: u64,
    /// Codes.
    #[prost(message, repeated, tag = "5")]
    pub codes: Vec<Tally>,
    /// By IP address, the first 32 seen.
    #[prost(message, repeated, tag = "6")]
    pub clients: Vec<Tally>,
    /// Refusals of further addresses.
    #[prost(uint64, tag = "7")]
    pub other_clients: u64,
}

/// Tally.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Tally {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Count.
    #[prost(uint64, tag = "2")]
    pub count: u64,
}

/// A policy set began to decide.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PolicySet {
    /// Hash.
    #[prost(bytes = "vec", tag = "1")]
    pub hash: Vec<u8>,
    /// Text.
    #[prost(string, tag = "2")]
    pub text: String,
    /// Loaded by.
    #[prost(string, tag = "3")]
    pub loaded_by: String,
}

/// A key began to be used.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Key {
    /// Purpose.
    #[prost(string, tag = "1")]
    pub purpose: String,
    /// Algorithm.
    #[prost(string, tag = "2")]
    pub algorithm: String,
    /// Public key.
    #[prost(bytes = "vec", tag = "3")]
    pub public_key: Vec<u8>,
    /// Id.
    #[prost(bytes = "vec", tag = "4")]
    pub id: Vec<u8>,
}

/// A body segment was dropped when its retention ended.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Dropped {
    /// Class.
    #[prost(string, tag = "1")]
    pub class: String,
    /// Segment.
    #[prost(uint64, tag = "2")]
    pub segment: u64,
    /// SHA-256 of the whole file.
    #[prost(bytes = "vec", tag = "3")]
    pub sha256: Vec<u8>,
    /// Frames.
    #[prost(uint64, tag = "4")]
    pub frames: u64,
    /// Bytes.
    #[prost(uint64, tag = "5")]
    pub bytes: u64,
    /// Reason.
    #[prost(string, tag = "6")]
    pub reason: String,
    /// By.
    #[prost(string, tag = "7")]
    pub by: String,
    /// `age` or `size`.
    #[prost(string, tag = "8")]
    pub rule: String,
    /// How many exchanges have frames in it.
    #[prost(uint64, tag = "9")]
    pub exchanges: u64,
    /// When the segment was begun,
    #[prost(int64, tag = "10")]
    pub begun_at: i64,
    /// and when the next one was: nothing in it is younger.
    #[prost(int64, tag = "11")]
    pub closed_at: i64,
    /// Bytes it took on the disk.
    #[prost(uint64, tag = "12")]
    pub stored: u64,
    /// Bytes that its class took on the disk before.
    #[prost(uint64, tag = "13")]
    pub total: u64,
}

/// Something unreadable was found at a start.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Torn {
    /// Relative to the ledger.
    #[prost(string, tag = "1")]
    pub file: String,
    /// Offset.
    #[prost(uint64, tag = "2")]
    pub offset: u64,
    /// Length.
    #[prost(uint64, tag = "3")]
    pub length: u64,
    /// Sha256.
    #[prost(bytes = "vec", tag = "4")]
    pub sha256: Vec<u8>,
    /// Where the bytes were put, relative to the ledger; empty if they were left in place.
    #[prost(string, tag = "5")]
    pub kept_as: String,
    /// Problem.
    #[prost(string, tag = "6")]
    pub problem: String,
}

/// The ledger could not be written for a while, so the gateway refused.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Outage {
    /// Since.
    #[prost(int64, tag = "1")]
    pub since: i64,
    /// Until.
    #[prost(int64, tag = "2")]
    pub until: i64,
    /// Cause.
    #[prost(string, tag = "3")]
    pub cause: String,
    /// Writes that failed or were refused.
    #[prost(uint64, tag = "4")]
    pub failed: u64,
}

/// How long bodies are kept from now on.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Retention {
    /// One for `default`, and one for each class with a rule of its own.
    #[prost(message, repeated, tag = "1")]
    pub rules: Vec<Rule>,
}

/// How long the bodies of one class are kept.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Rule {
    /// Class.
    #[prost(string, tag = "1")]
    pub class: String,
    /// Nanoseconds that a segment is kept after it was closed; 0 if age drops nothing.
    #[prost(int64, tag = "2")]
    pub age: i64,
    /// Bytes on the disk beyond which the oldest segment goes; 0 if size drops nothing.
    #[prost(uint64, tag = "3")]
    pub size: u64,
}

/// Bodies are held, or not any more: no segment with an exchange that fits is dropped while they are.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Hold {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// Whether the hold of this id ends; what it held is then not said again.
    #[prost(bool, tag = "2")]
    pub released: bool,
    /// The caller's subject, e-mail address, or `issuer#subject`; empty for any.
    #[prost(string, tag = "3")]
    pub caller: String,
    /// The resource; empty for any.
    #[prost(string, tag = "4")]
    pub resource: String,
    /// Arrived at or after.
    #[prost(int64, optional, tag = "5")]
    pub since: Option<i64>,
    /// Arrived before.
    #[prost(int64, optional, tag = "6")]
    pub until: Option<i64>,
    /// The one exchange; empty for any.
    #[prost(bytes = "vec", tag = "7")]
    pub exchange: Vec<u8>,
    /// Why.
    #[prost(string, tag = "8")]
    pub reason: String,
    /// Who said so.
    #[prost(string, tag = "9")]
    pub by: String,
    /// When.
    #[prost(int64, tag = "10")]
    pub at: i64,
}
