//! The *opened* leaf as it is stored: who asked what, and the whole Cedar request that judged it.

use std::collections::BTreeMap;

use crate::body::Header;
use crate::leaf::{Digest, Finding};

/// An exchange was judged, and the request is recorded. Written before anything goes upstream.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Opened {
    /// UUIDv7, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub exchange: Vec<u8>,
    /// Arrived.
    #[prost(int64, tag = "2")]
    pub arrived: i64,
    /// Address and port.
    #[prost(string, tag = "3")]
    pub client: String,
    /// Caller.
    #[prost(message, optional, tag = "4")]
    pub caller: Option<Caller>,
    /// Resource.
    #[prost(string, tag = "5")]
    pub resource: String,
    /// Operations.
    #[prost(message, repeated, tag = "6")]
    pub operations: Vec<Operation>,
    /// Decision.
    #[prost(message, optional, tag = "7")]
    pub decision: Option<Decision>,
    /// Request.
    #[prost(message, optional, tag = "8")]
    pub request: Option<RequestHead>,
    /// Over the request's body frames.
    #[prost(message, optional, tag = "9")]
    pub request_body: Option<Digest>,
    /// 16 bytes, if the exchange belongs to a session.
    #[prost(bytes = "vec", tag = "10")]
    pub session: Vec<u8>,
    /// If its frames are encrypted: age files, each of which holds the exchange's data key.
    #[prost(bytes = "vec", repeated, tag = "11")]
    pub wrapped_keys: Vec<Vec<u8>>,
    /// What was found in the request, if something was masked in it: masked before it was recorded, or let go.
    #[prost(message, repeated, tag = "12")]
    pub disclosed: Vec<Finding>,
    /// As the client calls its session, at most 128 bytes of it; empty if it says nothing.
    #[prost(string, tag = "16")]
    pub session_name: String,
}

/// Who asked.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Caller {
    /// Issuer.
    #[prost(string, tag = "1")]
    pub issuer: String,
    /// Issuer name.
    #[prost(string, tag = "2")]
    pub issuer_name: String,
    /// Subject.
    #[prost(string, tag = "3")]
    pub subject: String,
    /// `human` or `workload`.
    #[prost(string, tag = "4")]
    pub kind: String,
    /// Groups.
    #[prost(string, repeated, tag = "5")]
    pub groups: Vec<String>,
    /// Email.
    #[prost(string, optional, tag = "6")]
    pub email: Option<String>,
    /// Display.
    #[prost(string, optional, tag = "7")]
    pub display: Option<String>,
    /// Token.
    #[prost(message, optional, tag = "8")]
    pub token: Option<Token>,
}

/// Facts of the token. The token itself is never kept.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Token {
    /// SHA-256 of the compact token, in hex.
    #[prost(string, tag = "1")]
    pub digest: String,
    /// Issued at.
    #[prost(int64, optional, tag = "2")]
    pub issued_at: Option<i64>,
    /// Expires at.
    #[prost(int64, tag = "3")]
    pub expires_at: i64,
    /// Authenticated at.
    #[prost(int64, optional, tag = "4")]
    pub authenticated_at: Option<i64>,
    /// Audiences.
    #[prost(string, repeated, tag = "5")]
    pub audiences: Vec<String>,
    /// Client.
    #[prost(string, optional, tag = "6")]
    pub client: Option<String>,
    /// Methods.
    #[prost(string, repeated, tag = "7")]
    pub methods: Vec<String>,
    /// Context class.
    #[prost(string, optional, tag = "8")]
    pub context_class: Option<String>,
    /// Scopes.
    #[prost(string, repeated, tag = "9")]
    pub scopes: Vec<String>,
    /// Mfa.
    #[prost(bool, tag = "10")]
    pub mfa: bool,
    /// Claims.
    #[prost(btree_map = "string, string", tag = "11")]
    pub claims: BTreeMap<String, String>,
}

/// One thing the request would do.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Operation {
    /// Class.
    #[prost(string, tag = "1")]
    pub class: String,
    /// Name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Model.
    #[prost(string, tag = "3")]
    pub model: String,
    /// Method.
    #[prost(string, tag = "4")]
    pub method: String,
    /// Path.
    #[prost(string, tag = "5")]
    pub path: String,
    /// Stream.
    #[prost(bool, tag = "6")]
    pub stream: bool,
    /// Batch.
    #[prost(int64, tag = "7")]
    pub batch: i64,
    /// Max tokens.
    #[prost(int64, tag = "8")]
    pub max_tokens: i64,
    /// Request bytes.
    #[prost(int64, tag = "9")]
    pub request_bytes: i64,
    /// Tools.
    #[prost(bool, tag = "10")]
    pub tools: bool,
    /// Images.
    #[prost(int64, tag = "11")]
    pub images: i64,
    /// Audio.
    #[prost(int64, tag = "12")]
    pub audio: i64,
    /// Matches.
    #[prost(string, repeated, tag = "13")]
    pub matches: Vec<String>,
}

/// What policy said: the strictest ruling over the operations.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Decision {
    /// `allowed`, `needs-approvals` or `denied`.
    #[prost(string, tag = "1")]
    pub ruling: String,
    /// How many, if `needs-approvals`.
    #[prost(uint32, tag = "2")]
    pub approvals: u32,
    /// SHA-256 of the policy set's canonical text.
    #[prost(bytes = "vec", tag = "3")]
    pub policy_set: Vec<u8>,
    /// One for each operation, in order.
    #[prost(message, repeated, tag = "4")]
    pub judgements: Vec<Judgement>,
}

/// The ruling on one operation, with the whole Cedar request.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Judgement {
    /// Ruling.
    #[prost(string, tag = "1")]
    pub ruling: String,
    /// Approvals.
    #[prost(uint32, tag = "2")]
    pub approvals: u32,
    /// Reasons.
    #[prost(message, repeated, tag = "3")]
    pub reasons: Vec<Reason>,
    /// Errors.
    #[prost(string, repeated, tag = "4")]
    pub errors: Vec<String>,
    /// Principal.
    #[prost(string, tag = "5")]
    pub principal: String,
    /// Action.
    #[prost(string, tag = "6")]
    pub action: String,
    /// Resource.
    #[prost(string, tag = "7")]
    pub resource: String,
    /// Cedar's JSON.
    #[prost(string, tag = "8")]
    pub context: String,
    /// Cedar's JSON.
    #[prost(string, tag = "9")]
    pub entities: String,
}

/// A policy that determined the ruling.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Reason {
    /// Policy.
    #[prost(string, tag = "1")]
    pub policy: String,
    /// Sentence.
    #[prost(string, optional, tag = "2")]
    pub sentence: Option<String>,
}

/// The request's line and headers as they go upstream, without the credential. If the exchange's frames
/// are encrypted, query and headers are in the first of them instead.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RequestHead {
    /// Method.
    #[prost(string, tag = "1")]
    pub method: String,
    /// Path.
    #[prost(string, tag = "2")]
    pub path: String,
    /// Query.
    #[prost(string, optional, tag = "3")]
    pub query: Option<String>,
    /// Headers.
    #[prost(message, repeated, tag = "4")]
    pub headers: Vec<Header>,
}
