//! One connection to an upstream, in either version of HTTP.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dial::Connection;
use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
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

/// What is sent, still without the parts that depend on the line.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) target: PathAndQuery,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Who is on the other end, as requests name it.
#[derive(Clone, Debug)]
pub(crate) struct Addressee {
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
    pub(crate) host: HeaderValue,
}

/// A connection that takes requests.
#[derive(Debug)]
pub(crate) enum Line {
    /// HTTP/1.1: one request at a time. Aborting its task closes it at once.
    Http1 { sender: http1::SendRequest<Full<Bytes>>, _task: TaskGuard },
    /// HTTP/2: many. Shared by cloning.
    Http2 { sender: http2::SendRequest<Full<Bytes>>, task: Arc<TaskGuard> },
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
        let (sender, connection) =
            http1::Builder::new().max_buf_size(BUFFER).handshake(TokioIo::new(connection)).await?;
        let _task = TaskGuard(tokio::spawn(connection).abort_handle());
        Ok(Self::Http1 { sender, _task })
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
            Self::Http1 { sender, .. } => {
                sender.is_ready() || matches!(timeout(BREATH, sender.ready()).await, Ok(Ok(())))
            }
            Self::Http2 { sender, .. } => !sender.is_closed(),
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
        to: &Addressee,
    ) -> Result<Response<Incoming>, Failed> {
        let mut request = Request::new(Full::new(outgoing.body.clone()));
        *request.method_mut() = outgoing.method.clone();
        *request.headers_mut() = outgoing.headers.clone();
        let sent = match self {
            Self::Http1 { sender, .. } => {
                *request.uri_mut() = Uri::from(outgoing.target.clone());
                request.headers_mut().insert(HOST, to.host.clone());
                sender.try_send_request(request).await
            }
            Self::Http2 { sender, .. } => {
                let mut parts = http::uri::Parts::default();
                parts.scheme = Some(to.scheme.clone());
                parts.authority = Some(to.authority.clone());
                parts.path_and_query = Some(outgoing.target.clone());
                *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
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
