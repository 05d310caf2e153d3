//! The face administrators meet: an HTTP interface under `/api/v1`, one file a noun.
//!
//! Every call walks the path of any exchange: authenticate → authorize → open record → approve → act →
//! mask → record → respond → seal. [`table`] lists the calls; requests are routed by it and the OpenAPI
//! document is made from it, so neither can differ from the other. `exchange` tells the story of one
//! call. What is not below `/api` goes to a [`Console`], if there is one.

mod agents;
mod approvals;
mod callers;
mod consent;
mod credentials;
mod document;
mod exchange;
mod grants;
mod holds;
mod input;
mod me;
mod openapi;
mod paging;
mod policies;
mod problem;
mod recall;
mod refuse;
mod remask;
mod resources;
mod serve;
mod sessions;
mod table;
#[cfg(test)]
mod tests;
mod turns;
pub mod views;

use std::pin::Pin;
use std::sync::Arc;

use accept::Peer;
use adapt_http::{AdapterSpec, HttpAdapter, ServerKind};
use bytes::Bytes;
use desk::Desk;
use gateway::Gateway;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use tokio::sync::Semaphore;

pub use holds::shown as shown_hold;
pub use openapi::document as openapi_document;

pub use serve::Running;
pub use table::{Known, ROOT, calls};

/// Calls at once. Operators are few; what is more is a loop.
const ROOM: usize = 64;
/// Bodies above [`SMALL`] at once.
const LARGE_BODIES: usize = 4;
/// Bytes of a body that is not counted among the large ones.
pub(crate) const SMALL: usize = 64 << 10;

/// A console's answer: its error aborts the answer.
pub type ConsoleBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;
/// A console's answer on its way.
pub type ConsoleAnswer = Pin<Box<dyn Future<Output = Response<ConsoleBody>> + Send>>;

/// Answers what is not below `/api`: pages for people. Whoever implements it records what it does.
pub trait Console: Send + Sync {
    /// Answers one request. It is dropped when the caller leaves, so what must be finished belongs in a
    /// task of its own.
    fn answer(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> ConsoleAnswer;
}

/// The administration of one running gateway.
pub struct Admin {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) console: Option<Arc<dyn Console>>,
    /// What waits for consent.
    pub(crate) desk: Arc<Desk>,
    /// Reads JSON of no particular server.
    pub(crate) plain: Arc<HttpAdapter>,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) turns: Arc<turns::Turns>,
    /// Large bodies held at once.
    pub(crate) large: Arc<Semaphore>,
}

/// Why the administration could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Its listener or its socket.
    #[error("the administration cannot be opened: {0}")]
    Accept(#[from] accept::AcceptError),
    /// The reading of bodies.
    #[error("the administration cannot read bodies: {0}")]
    Adapt(#[from] adapt_http::AdaptError),
}

impl Admin {
    /// The administration of `gateway`. Serves nobody yet.
    ///
    /// # Errors
    /// [`AdminError::Adapt`] never happens with the adapter that ships; it is told, not hidden.
    pub fn of(
        gateway: Arc<Gateway>,
        desk: Arc<Desk>,
        console: Option<Arc<dyn Console>>,
    ) -> Result<Arc<Self>, AdminError> {
        let plain = Arc::new(HttpAdapter::build(AdapterSpec::new(ServerKind::Plain))?);
        Ok(Arc::new(Self {
            gateway,
            console,
            desk,
            plain,
            room: Arc::new(Semaphore::new(ROOM)),
            turns: Arc::default(),
            large: Arc::new(Semaphore::new(LARGE_BODIES)),
        }))
    }
}
