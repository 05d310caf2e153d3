//! One connection to an upstream, in either version of HTTP.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use dial::Connection;
use http::header::{HOST, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// The longest head of an answer, in bytes, and the largest piece read at once.
const BUFFER: usize = 64 << 10;
/// A stream's receive window: what a caller who does not read leaves in memory.
const STREAM_WINDOW: u32 = 64 << 10;
/// Room for 8192 such streams, more than a gateway runs at once, so that none blocks another.
const CONNECTION_WINDOW: u32 = 8192 * STREAM_WINDOW;
/// How often a silent HTTP/2 upstream is asked whether it is there, and how long it has to answer.
const PING: Duration = Duration::from_secs(20);
/// How long a line just used may take to be ready again.
const BREATH: Duration = Duration::from_millis(20);

/// What is sent, still without the parts that depend on the line. Its target may hold the credential.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    /// The request line's target, for HTTP/1.
    pub(crate) target: PathAndQuery,
    /// The whole URL, for HTTP/2.
    pub(crate) url: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outgoing({} {})", self.method, self.target.path())
    }
}

/// A connection that takes requests.
#[derive(Debug)]
pub(crate) enum Line {
    /// HTTP/1.1: one request at a time. Dropping it closes it at once.
    Http1 { sender: http1::SendRequest<Full<Bytes>>, wire: Wire },
    /// HTTP/2: many. Shared by cloning.
    Http2 { sender: http2::SendRequest<Full<Bytes>>, task: Arc<TaskGuard> },
}

/// An HTTP/1.1 connection. It has no task of its own: it moves while somebody waits for what it brings,
/// in that somebody's task, so that no thread has to be woken to pass a message on.
pub(crate) struct Wire(Option<Box<Http1Connection>>);

type Http1Connection = http1::Connection<TokioIo<Connection>, Full<Bytes>>;

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("open", &self.0.is_some()).finish()
    }
}

impl Wire {
    fn drive(&mut self, context: &mut Context<'_>) {
        // What ends it, hyper tells whoever waits for an answer on it.
        if let Some(connection) = &mut self.0
            && Pin::new(connection.as_mut()).poll(context).is_ready()
        {
            self.0 = None;
        }
    }

    async fn during<T>(&mut self, wait: impl Future<Output = T>) -> T {
        let mut wait = pin!(wait);
        poll_fn(|context| {
            self.drive(context);
            wait.as_mut().poll(context)
        })
        .await
    }
}

/// Ends a connection's task when the last who uses the connection is gone.
#[derive(Debug)]
pub(crate) struct TaskGuard(AbortHandle);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a request got no answer.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It never left: hyper gave it back untouched.
    NotSent(hyper::Error),
    /// It may have left.
    Lost(hyper::Error),
}

impl Line {
    /// Begins HTTP on a connection, in the version ALPN chose.
    pub(crate) async fn open(connection: Connection) -> hyper::Result<Self> {
        if connection.protocol() == Some(b"h2") {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(BUFFER as u32)
                .keep_alive_interval(PING)
                .keep_alive_timeout(PING)
                .handshake(TokioIo::new(connection))
                .await?;
            let task = Arc::new(TaskGuard(tokio::spawn(connection).abort_handle()));
            return Ok(Self::Http2 { sender, task });
        }
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .max_header_size(BUFFER)
            .handshake(TokioIo::new(connection))
            .await?;
        Ok(Self::Http1 { sender, wire: Wire(Some(Box::new(connection))) })
    }

    /// Another use of the same line, if it takes many.
    pub(crate) fn share(&self) -> Option<Self> {
        match self {
            Self::Http1 { .. } => None,
            Self::Http2 { sender, task } => {
                Some(Self::Http2 { sender: sender.clone(), task: Arc::clone(task) })
            }
        }
    }

    /// Whether it takes a request now, or in a moment.
    pub(crate) async fn ready(&mut self) -> bool {
        match self {
            Self::Http1 { sender, wire } => {
                matches!(timeout(BREATH, wire.during(sender.ready())).await, Ok(Ok(())))
            }
            Self::Http2 { sender, .. } => !sender.is_closed(),
        }
    }

    /// Waits for something that this line brings.
    pub(crate) async fn during<T>(&mut self, wait: impl Future<Output = T>) -> T {
        match self {
            Self::Http1 { wire, .. } => wire.during(wait).await,
            Self::Http2 { .. } => wait.await,
        }
    }

    /// Whether it is known to be gone.
    pub(crate) fn closed(&self) -> bool {
        match self {
            Self::Http1 { sender, .. } => sender.is_closed(),
            Self::Http2 { sender, .. } => sender.is_closed(),
        }
    }

    /// Sends a request and waits for the head of its answer. Dropping the future takes the request back:
    /// the connection is closed (HTTP/1) or the stream reset (HTTP/2).
    pub(crate) async fn send(
        &mut self,
        outgoing: &Outgoing,
        host: &HeaderValue,
    ) -> Result<Response<Incoming>, Failed> {
        let mut request = Request::new(Full::new(outgoing.body.clone()));
        *request.method_mut() = outgoing.method.clone();
        *request.headers_mut() = outgoing.headers.clone();
        let sent = match self {
            Self::Http1 { sender, wire } => {
                *request.uri_mut() = Uri::from(outgoing.target.clone());
                request.headers_mut().insert(HOST, host.clone());
                wire.during(sender.try_send_request(request)).await
            }
            Self::Http2 { sender, .. } => {
                *request.uri_mut() = outgoing.url.clone();
                *request.version_mut() = Version::HTTP_2;
                sender.try_send_request(request).await
            }
        };
        sent.map_err(|mut failed| match failed.take_message() {
            Some(_) => Failed::NotSent(failed.into_error()),
            None => Failed::Lost(failed.into_error()),
        })
    }
}
