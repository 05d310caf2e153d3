//! The agent's end of one connection: HTTP/2 with its roles turned. Who dialled serves.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Either;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use model::{ExchangeId, ResourceName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::fault::{EXCHANGE, Fault, drop_ours};
use crate::identity::AgentIdentity;
use crate::order::Order;
use crate::window::{
    CONNECTION_WINDOW, FRAME, HEAD, MOST_RESETS, MOST_STREAMS, PING, SEND_BUFFER, STREAM_WINDOW,
};

/// The proof that a gateway this agent trusts asks for a resource it is enrolled for: policy, approval and
/// record stand behind it, at the tunnel's other end. Only a request out of a tunnel makes one.
#[derive(Debug)]
pub struct Delegated {
    exchange: ExchangeId,
    resource: ResourceName,
    order: Option<Order>,
}

impl Delegated {
    /// The exchange it belongs to, as the gateway's record names it.
    pub fn exchange(&self) -> ExchangeId {
        self.exchange
    }

    /// What is asked of the agent itself, in place of a request to the resource.
    pub fn order(&self) -> Option<Order> {
        self.order
    }

    /// What is asked for.
    pub fn resource(&self) -> &ResourceName {
        &self.resource
    }
}

/// How much is under way in an agent's connections to one gateway.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) streams: AtomicUsize,
    pub(crate) connections: AtomicUsize,
    /// Told when another connection is wanted.
    pub(crate) grow: Notify,
}

/// One request under way. Dropped, it is no longer.
#[derive(Debug)]
pub(crate) struct Under(Arc<Load>);

impl Under {
    fn begin(load: &Arc<Load>) -> Arc<Self> {
        let streams = load.streams.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let room = load.connections.load(Ordering::Relaxed).saturating_mul(MOST_STREAMS);
        if streams.saturating_mul(2) > room {
            load.grow.notify_one();
        }
        Arc::new(Self(Arc::clone(load)))
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Gives each request a task of its own. What serves it, and the line to its upstream, wake each other in there.
#[derive(Clone, Copy)]
struct Eagerly;

impl<F> hyper::rt::Executor<F> for Eagerly
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, request: F) {
        tokio::spawn(eager::eagerly(request));
    }
}

/// An answer's body, counted for as long as it is under way.
pub(crate) struct Counted<B> {
    body: Either<B, Empty<Bytes>>,
    _under: Arc<Under>,
}

impl<B> Body for Counted<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves one connection until it ends; when `drain` says so, takes nothing new and lets what runs finish.
pub(crate) async fn serve<S, H, F, B>(
    stream: S,
    identity: Arc<AgentIdentity>,
    handler: H,
    load: Arc<Load>,
    drain: CancellationToken,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Delegated, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        let under = Under::begin(&load);
        request.extensions_mut().insert(Arc::clone(&under));
        let asked = delegated(&identity, &mut request);
        let handler = handler.clone();
        async move {
            let response = match asked {
                Ok(delegated) => handler(delegated, request).await.map(Either::Left),
                Err((fault, why)) => fault.answer(why).map(Either::Right),
            };
            Ok::<_, std::convert::Infallible>(response.map(|body| Counted { body, _under: under }))
        }
    });
    let connection = http2::Builder::new(Eagerly)
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(u32::try_from(MOST_STREAMS).unwrap_or(u32::MAX))
        .max_frame_size(FRAME)
        .max_header_list_size(HEAD)
        .max_send_buf_size(SEND_BUFFER)
        .max_local_error_reset_streams(MOST_RESETS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .enable_connect_protocol()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = drain.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// What a request is for. Its host is the resource, and the resource must be one of this agent's.
fn delegated(
    identity: &AgentIdentity,
    request: &mut Request<Incoming>,
) -> Result<Delegated, (Fault, &'static str)> {
    let exchange = request.headers().get(EXCHANGE).and_then(|id| id.to_str().ok());
    let exchange = exchange.and_then(ExchangeId::parse);
    let order = Order::of(request.headers());
    drop_ours(request.headers_mut());
    let order =
        order.map_err(|()| (Fault::Unfit, "the agent does not know what is asked of it: update it"))?;
    let exchange = exchange.ok_or((Fault::Unfit, "the request names no exchange"))?;
    let host = request.uri().authority().filter(|authority| authority.port().is_none());
    let resource = host.and_then(|host| ResourceName::new(host.as_str()).ok());
    match resource.filter(|resource| identity.resources.contains(resource)) {
        Some(resource) => Ok(Delegated { exchange, resource, order }),
        None => Err((Fault::NotServed, "the agent is not enrolled for this resource")),
    }
}
