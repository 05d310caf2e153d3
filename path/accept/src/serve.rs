//! One connection served: hyper with its limits set, the handler kept apart from it, a watch over both.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eager::Eager;
use futures_util::FutureExt;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::Peer;
use crate::head::Ambiguity;
use crate::life::{InFlight, Life, Seen};
use crate::outgoing::{Aborted, Outgoing};
use crate::wire::Wire;

/// A connection without a request for this long is told to close. Above the 60 s that load balancers keep
/// idle connections for, so that they do not send into a connection that is closing.
const IDLE: Duration = Duration::from_secs(90);
/// A stream's receive window (RFC 9113, section 6.9).
const STREAM_WINDOW: u32 = 64 << 10;
/// The smallest connection window.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Unsent answer bytes a stream may hold.
const SEND_BUFFER: usize = 64 << 10;
/// Resets the peer provokes on its own streams before the connection ends (CVE-2025-8671, "MadeYouReset").
const LOCAL_RESETS: usize = 64;
/// Streams reset before they were taken up, before the connection ends (CVE-2023-44487, "Rapid Reset").
const PENDING_RESETS: usize = 20;
/// How often a silent HTTP/2 peer is asked whether it is there, and how long it has to answer.
const PING: Duration = Duration::from_secs(20);
/// The smallest read buffer hyper takes.
const SMALLEST_BUFFER: usize = 8 << 10;

/// How a door ends.
#[derive(Clone)]
pub(crate) struct Signals {
    /// End after the running exchanges.
    pub(crate) drain: CancellationToken,
    /// End now.
    pub(crate) cut: CancellationToken,
}

/// Serves connections with one handler under one set of limits.
#[derive(Clone)]
pub(crate) struct Server<H> {
    hyper: Arc<auto::Builder<TokioExecutor>>,
    handler: H,
    header_bytes: usize,
    header_timeout: Duration,
    signals: Signals,
}

impl<H> Server<H> {
    pub(crate) fn new(limits: &config::Limits, handler: H, signals: Signals) -> Self {
        Self {
            hyper: Arc::new(configured(limits)),
            handler,
            header_bytes: limits.header_bytes,
            header_timeout: limits.header_timeout,
            signals,
        }
    }

    /// Waits for the end of everything.
    pub(crate) async fn cut(&self) {
        self.signals.cut.cancelled().await;
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve<S, F, B>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Self { hyper, handler, header_bytes, header_timeout, signals } = self;
        let life = Arc::new(Life::default());
        let wire = Wire::new(stream, Arc::clone(&life), header_bytes, header_timeout);
        let service = {
            let life = Arc::clone(&life);
            service_fn(move |request: Request<Incoming>| {
                // Taken before anything is awaited: by then the wire may have seen the next head.
                let seen = life.take_seen();
                answer(handler.clone(), request, peer, seen, (Arc::clone(&life), life.begin()))
            })
        };
        let mut connection = pin!(hyper.serve_connection(TokioIo::new(wire), service));
        let eager = Eager::default();
        let mut watch = Watch { begun: 0, closing: false };
        let mut look = pin!(sleep(header_timeout));
        let mut draining = false;
        loop {
            tokio::select! {
                biased;
                () = signals.cut.cancelled() => return,
                ended = poll_fn(|context| eager.poll(connection.as_mut(), context)) => {
                    if let Err(cause) = ended {
                        tracing::debug!(peer = %peer.address, %cause, "the connection broke off");
                    }
                    return;
                }
                () = signals.drain.cancelled(), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = look.as_mut() => {
                    let next = match watch.look(&life) {
                        Verdict::Busy => IDLE,
                        Verdict::Close => {
                            connection.as_mut().graceful_shutdown();
                            header_timeout
                        }
                        Verdict::Cut => return,
                    };
                    let from: Instant = look.deadline();
                    look.as_mut().reset(from + next);
                }
            }
        }
    }
}

/// What a look at a connection finds.
enum Verdict {
    Busy,
    Close,
    Cut,
}

/// Looks now and then whether a connection does anything: never a timer a request.
struct Watch {
    begun: u64,
    closing: bool,
}

impl Watch {
    /// A connection that brought no request at all by the first look is cut; one that brought none since
    /// the last look is told to close, then cut.
    fn look(&mut self, life: &Life) -> Verdict {
        let before = std::mem::replace(&mut self.begun, life.begun());
        if life.in_flight() > 0 || before != self.begun {
            self.closing = false;
            Verdict::Busy
        } else if self.begun == 0 || self.closing {
            Verdict::Cut
        } else {
            self.closing = true;
            Verdict::Close
        }
    }
}

/// Calls the handler and holds its answer to the connection's rules.
async fn answer<H, F, B>(
    handler: H,
    mut request: Request<Incoming>,
    peer: Peer,
    seen: Seen,
    (life, in_flight): (Arc<Life>, InFlight),
) -> Result<Response<Outgoing<B>>, Aborted>
where
    H: Fn(Request<Incoming>, Peer) -> F,
    F: Future<Output = Response<B>>,
{
    if let Some(ambiguity) = seen.ambiguity {
        request.extensions_mut().insert::<Ambiguity>(ambiguity);
    }
    let last = seen.last && request.version() < Version::HTTP_2;
    let handled = AssertUnwindSafe(async move { Ok::<_, Infallible>(handler(request, peer).await) });
    let Ok(Ok(response)) = handled.catch_unwind().await else {
        tracing::error!(peer = %peer.address, "the handler panicked; its request was cut");
        metrics::counter!("portcullis_accept_panics_total").increment(1);
        return Err(Aborted(None));
    };
    let mut response = response.map(|body| Outgoing::new(body, &life, in_flight));
    if last {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// hyper with every limit said, none left to its defaults.
fn configured(limits: &config::Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The wire times heads: hyper's own timer would also run while a connection is idle.
        .header_read_timeout(None)
        .keep_alive(true)
        .half_close(false)
        .max_buf_size(limits.header_bytes.max(SMALLEST_BUFFER));
    // One more than the streams, so that no number of unread bodies stops a further one.
    let streams = limits.streams_per_connection;
    let connection_window = streams.saturating_add(1).saturating_mul(STREAM_WINDOW);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(connection_window.clamp(CONNECTION_WINDOW, i32::MAX as u32))
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_local_error_reset_streams(LOCAL_RESETS)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}
