//! A place for one request in one agent's connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use h2::ext::Protocol;
use http::header::HeaderValue;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, Uri};
use model::{AgentName, ExchangeId, ResourceName};

use crate::agents::Connected;
use crate::agree::Spoken;
use crate::client::Inflow;
use crate::fault::{EXCHANGE, Fault};
use crate::order::Order;
use crate::stretch::{Prologue, Stretch};

/// A place for one request in one connection. Dropped, the place is free: keep it until the answer ends.
pub struct Lease(Arc<Connected>);

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lease").field(&self.0.identity.name).finish()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a request got no answer.
#[derive(Debug)]
pub enum Failed {
    /// The agent never began with it: another may be asked.
    NotSent(String),
    /// The agent may have begun with it, and then broke off.
    Lost(String),
    /// The agent says what kept it from an answer.
    Fault(Fault, String),
}

impl Failed {
    /// Whether the upstream may have got the request.
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::NotSent(_) => false,
            Self::Lost(_) => true,
            Self::Fault(fault, _) => fault.may_have_run(),
        }
    }

    pub(crate) fn of(cause: &h2::Error) -> Self {
        if never_began(cause) { Self::NotSent(cause.to_string()) } else { Self::Lost(cause.to_string()) }
    }
}

/// Whether the peer said that it never began with a stream: by refusing it, or by a GOAWAY without error
/// that came before the stream was opened (RFC 9113, sections 6.8 and 8.7).
fn never_began(cause: &h2::Error) -> bool {
    let refused = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
    let left = cause.is_go_away() && cause.reason() == Some(h2::Reason::NO_ERROR);
    cause.is_remote() && (refused || left)
}

impl Lease {
    pub(crate) fn of(connected: &Arc<Connected>) -> Self {
        connected.streams.fetch_add(1, Ordering::Relaxed);
        connected.load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connected))
    }

    /// Which connection it is in, to pass over the next time.
    pub fn connection(&self) -> u64 {
        self.0.id()
    }

    /// Whose it is.
    pub fn agent(&self) -> &AgentName {
        &self.0.identity.name
    }

    /// Whether the connection is known to be gone.
    pub fn is_closed(&self) -> bool {
        self.0.sender.is_closed()
    }

    /// Sends a request for `resource`: its URI's host and scheme are put in here. Waits for the head of the
    /// answer; dropping the future takes the request back.
    ///
    /// # Errors
    /// [`Failed`] tells whether the upstream may have got it.
    pub async fn send(
        &self,
        exchange: ExchangeId,
        resource: &ResourceName,
        mut request: Request<Bytes>,
    ) -> Result<Response<Inflow>, Failed> {
        address(&mut request, exchange, resource)?;
        faultless(self.0.sender.send(request).await?)
    }

    /// Asks something of the agent itself, for `resource`. The answer's body is the agent's own.
    ///
    /// # Errors
    /// [`Failed`], also when the agent takes no orders.
    pub async fn order(
        &self,
        exchange: ExchangeId,
        resource: &ResourceName,
        order: Order,
    ) -> Result<Response<Inflow>, Failed> {
        let Spoken { orders, looks, .. } = self.0.spoken;
        if !(orders && (looks || order != Order::Look)) {
            return Err(Failed::NotSent("the agent does not take this order: update it".to_owned()));
        }
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::POST;
        order.write(request.headers_mut());
        let response = self.send(exchange, resource, request).await?;
        // What does not say so itself may be an upstream's.
        match Order::of(response.headers()) {
            Ok(Some(answered)) if answered == order => Ok(response),
            _ => Err(Failed::Lost("the agent's answer is not one to what was asked of it".to_owned())),
        }
    }

    /// Opens a stretch of bytes of `protocol` to `resource` (extended CONNECT, RFC 8441). The agent runs
    /// the protocol's opening and tells its result before the bytes begin.
    ///
    /// # Errors
    /// [`Failed`], also when the agent cannot carry stretches.
    pub async fn stretch(
        self,
        exchange: ExchangeId,
        resource: &ResourceName,
        protocol: &str,
    ) -> Result<(Prologue, Stretch), Failed> {
        if !self.0.spoken.stretches {
            return Err(Failed::NotSent("the agent carries no stretches of bytes: update it".to_owned()));
        }
        let mut request = Request::new(());
        *request.method_mut() = Method::CONNECT;
        request.extensions_mut().insert(Protocol::from(protocol));
        address(&mut request, exchange, resource)?;
        let (response, sending) = self.0.sender.open(request).await?;
        let response = faultless(response)?;
        if !response.status().is_success() {
            return Err(Failed::Lost(format!("the agent answered {} to CONNECT", response.status())));
        }
        Stretch::begun(response.into_body(), sending, self).await
    }
}

/// What the upstream answered, if it is no fault of the agent's.
fn faultless<B>(response: Response<B>) -> Result<Response<B>, Failed> {
    match Fault::of(response.headers()) {
        Some((fault, detail)) => Err(Failed::Fault(fault, detail)),
        None => Ok(response),
    }
}

/// Says whom a request is for, and which exchange it belongs to.
fn address<B>(request: &mut Request<B>, exchange: ExchangeId, resource: &ResourceName) -> Result<(), Failed> {
    let target = request.uri().path_and_query().cloned();
    let odd = |why: &dyn std::fmt::Display| Failed::NotSent(why.to_string());
    let authority = Authority::try_from(resource.as_str()).map_err(|fault| odd(&fault))?;
    let uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(authority)
        .path_and_query(target.unwrap_or_else(|| PathAndQuery::from_static("/")))
        .build()
        .map_err(|fault| odd(&fault))?;
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_2;
    let exchange = HeaderValue::try_from(exchange.to_string()).map_err(|fault| odd(&fault))?;
    request.headers_mut().insert(EXCHANGE, exchange);
    Ok(())
}
