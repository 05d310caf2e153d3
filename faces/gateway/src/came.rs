//! What is kept of a request's arrival until its seal.

use std::net::SocketAddr;
use std::time::Duration;

use adapt_http::Dialect;
use jiff::Timestamp;
use model::ExchangeId;

/// When, from where and in whose dialect a request came.
#[derive(Clone, Copy)]
pub(crate) struct Came {
    pub(crate) exchange: ExchangeId,
    pub(crate) at: Timestamp,
    /// On the clock that never steps backward.
    pub(crate) began: Duration,
    pub(crate) client: SocketAddr,
    /// Where it came in.
    pub(crate) listener: SocketAddr,
    /// Whether by TLS.
    pub(crate) secure: bool,
    /// Whose error shape a refusal takes.
    pub(crate) dialect: Dialect,
}
