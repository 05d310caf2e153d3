//! Step four for HTTP: what a request would do, and how to read what comes back.
//!
//! A request is read in exactly one way or refused ([`strict_json`], forms, headers); the
//! [`catalogue`] says what it would do, as data; [`HttpAdapter`] lays out the answer so that `mask` can
//! find text in it without knowing the protocol. [`Dialect`] says the gateway's own words in the shape
//! the caller's SDK raises errors from.

mod adapter;
mod canonical;
mod catalogue;
mod dialect;
mod facts;
mod headers;
mod json;
mod layout;
mod media;
mod patterns;

pub use adapter::{AdaptError, AdapterSpec, HttpAdapter, RouteSpec};
pub use canonical::form_parts;
pub use catalogue::{CatalogueEntry, CatalogueFault, catalogue};
pub use dialect::Dialect;
pub use headers::{request_headers, response_headers};
pub use json::{Flaw, JsonFault, MAX_JSON_BYTES, Member, Node, Number, Value, strict_json};
pub use model::{FieldPlace, FieldRule, ServerKind, UnknownStreams};
pub use patterns::{PatternFault, Patterns};
