//! The gateway's end of one connection: the client of HTTP/2.
//!
//! Whoever has a request puts it into the connection at once, head and body, and reads the answer out of it.
//! A task in between, for each connection or each body, would be one more that has to be woken, and would
//! let the head leave before the body: two packets, two times that the agent wakes.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};

use crate::lease::Failed;
use crate::window::{
    CONNECTION_WINDOW, FRAME, HEAD, MOST_RESETS, MOST_STREAMS, PING, SEND_BUFFER, STREAM_WINDOW,
};

/// Puts requests into one connection.
#[derive(Clone)]
pub(crate) struct Sender {
    requests: SendRequest<Bytes>,
    closed: Arc<AtomicBool>,
}

/// What drives one connection.
pub(crate) struct Driver<S> {
    connection: Connection<S, Bytes>,
    ping: Option<PingPong>,
    closed: Arc<AtomicBool>,
}

/// Begins HTTP/2 on a connection that stands.
pub(crate) async fn begin<S>(stream: S) -> Result<(Sender, Driver<S>), h2::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (requests, mut connection) = Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_max_send_streams(MOST_STREAMS)
        .max_frame_size(FRAME)
        .max_header_list_size(HEAD)
        .max_send_buffer_size(SEND_BUFFER)
        .max_local_error_reset_streams(Some(MOST_RESETS))
        .enable_push(false)
        .handshake(stream)
        .await?;
    let (ping, closed) = (connection.ping_pong(), Arc::<AtomicBool>::default());
    Ok((Sender { requests, closed: Arc::clone(&closed) }, Driver { connection, ping, closed }))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Drives the connection until it ends, or until the agent no longer answers a PING (RFC 9113, section
    /// 6.7). Gives why it ended, if it did not end well.
    pub(crate) async fn run(self) -> Result<(), String> {
        let Self { connection, ping, closed } = self;
        let ended = tokio::select! {
            ended = connection => ended.map_err(|fault| fault.to_string()),
            silent = heartbeat(ping) => Err(silent),
        };
        closed.store(true, Ordering::Relaxed);
        ended
    }
}

/// Asks again and again whether the other end is there. Ends when it is not.
async fn heartbeat(ping: Option<PingPong>) -> String {
    let Some(mut ping) = ping else { return std::future::pending().await };
    loop {
        sleep(PING).await;
        match timeout(PING, ping.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => return fault.to_string(),
            Err(_) => return format!("it did not answer within {PING:?}"),
        }
    }
}

impl Sender {
    /// Whether the connection is known to take no more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Sends a request whole, and waits for the head of its answer. Dropped, it takes the request back.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Response<Inflow>, Failed> {
        let (mut head, body) = request.into_parts();
        let says = matches!(head.method, Method::POST | Method::PUT | Method::PATCH);
        if says || !body.is_empty() {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let (response, mut sending) = self.put(Request::from_parts(head, ()), body.is_empty()).await?;
        if !body.is_empty() {
            // An agent may have answered before the body came, and closed the stream: then the answer tells.
            let _ = sending.send_data(body, true);
        }
        let response = response.await.map_err(|cause| Failed::of(&cause))?;
        Ok(response.map(Inflow::of))
    }

    /// Opens a stream that stays open both ways (RFC 8441).
    pub(crate) async fn open(
        &self,
        request: Request<()>,
    ) -> Result<(Response<RecvStream>, SendStream<Bytes>), Failed> {
        let (response, sending) = self.put(request, false).await?;
        Ok((response.await.map_err(|cause| Failed::of(&cause))?, sending))
    }

    /// Begins a stream with its head. Until it has, nothing is sent.
    async fn put(
        &self,
        head: Request<()>,
        ends: bool,
    ) -> Result<(h2::client::ResponseFuture, SendStream<Bytes>), Failed> {
        let refuse = |cause: h2::Error| {
            // It leaves, or is gone: nobody need ask it again.
            self.closed.store(true, Ordering::Relaxed);
            Failed::NotSent(cause.to_string())
        };
        let mut requests = self.requests.clone().ready().await.map_err(refuse)?;
        requests.send_request(head, ends).map_err(|cause| match cause.is_io() || cause.is_go_away() {
            true => refuse(cause),
            false => Failed::NotSent(cause.to_string()),
        })
    }
}

/// The body of an answer out of a tunnel. What ends in any other way than by the agent's word is an error: it never looks
/// complete.
pub struct Inflow {
    stream: RecvStream,
    /// Only trailers can follow.
    told: bool,
}

impl fmt::Debug for Inflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflow").field("told", &self.told).finish_non_exhaustive()
    }
}

impl Inflow {
    fn of(stream: RecvStream) -> Self {
        Self { stream, told: false }
    }
}

impl Body for Inflow {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let Self { stream, told } = self.get_mut();
        if !*told {
            match ready!(stream.poll_data(context)) {
                Some(Ok(bytes)) => {
                    // Fails only when the stream is gone, which is told at the next look.
                    let _ = stream.flow_control().release_capacity(bytes.len());
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Err(cause)) => return Poll::Ready(Some(Err(cause))),
                None => *told = true,
            }
        }
        let trailers = ready!(stream.poll_trailers(context)).transpose();
        Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}
