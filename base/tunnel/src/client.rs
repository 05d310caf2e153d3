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
use std::time::Duration;

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
    /// How often the other end is asked whether it is there, and how long it has to answer.
    every: Duration,
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
    Ok((Sender { requests, closed: Arc::clone(&closed) }, Driver { connection, ping, every: PING, closed }))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Drives the connection until it ends, or until the agent no longer answers a PING (RFC 9113, section
    /// 6.7). Gives why it ended, if it did not end well.
    pub(crate) async fn run(self) -> Result<(), String> {
        let Self { connection, ping, every, closed } = self;
        let ended = tokio::select! {
            ended = connection => ended.map_err(|fault| fault.to_string()),
            silent = heartbeat(ping, every) => Err(silent),
        };
        closed.store(true, Ordering::Relaxed);
        ended
    }
}

/// Asks again and again whether the other end is there. Ends when it is not.
async fn heartbeat(ping: Option<PingPong>, every: Duration) -> String {
    let Some(mut ping) = ping else { return std::future::pending().await };
    loop {
        sleep(every).await;
        match timeout(every, ping.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => return fault.to_string(),
            Err(_) => return format!("it did not answer within {every:?}"),
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

#[cfg(test)]
mod tests {
    use h2::Reason;
    use http_body_util::BodyExt;
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    type Served = h2::server::Connection<DuplexStream, Bytes>;

    /// Both ends of one connection.
    async fn pair() -> (Sender, Driver<DuplexStream>, Served) {
        let (ours, theirs) = duplex(256 << 10);
        let (begun, served) = tokio::join!(begin(ours), h2::server::handshake(theirs));
        let (sender, driver) = begun.unwrap();
        (sender, driver, served.unwrap())
    }

    fn asked() -> Request<Bytes> {
        Request::post("http://llama/x").body(Bytes::from_static(b"asked")).unwrap()
    }

    /// An answer whose head has come, and what the agent says its body with.
    async fn answered() -> (Response<Inflow>, SendStream<Bytes>) {
        let (sender, driver, mut served) = pair().await;
        tokio::spawn(driver.run());
        let (told, heard) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let (_, mut answer) = served.accept().await.unwrap().unwrap();
            told.send(answer.send_response(Response::new(()), false).unwrap()).unwrap();
            let _ = served.accept().await;
        });
        (sender.send(asked()).await.unwrap(), heard.await.unwrap())
    }

    #[tokio::test]
    async fn an_answer_comes_with_its_trailers() {
        let (mut answer, mut body) = answered().await;
        body.send_data(Bytes::from_static(b"said"), false).unwrap();
        body.send_trailers([(CONTENT_LENGTH, HeaderValue::from_static("4"))].into_iter().collect()).unwrap();
        let data = answer.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(data.data_ref().map(|bytes| &bytes[..]), Some(&b"said"[..]));
        let trailers = answer.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(trailers.trailers_ref().map(|trailers| trailers.len()), Some(1));
        assert!(answer.body_mut().frame().await.is_none());
    }

    #[tokio::test]
    async fn what_breaks_off_is_no_end_however_politely() {
        for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
            let (mut answer, mut body) = answered().await;
            body.send_data(Bytes::from_static(b"half"), false).unwrap();
            assert!(answer.body_mut().frame().await.unwrap().is_ok());
            body.send_reset(reason);
            assert!(answer.body_mut().frame().await.unwrap().is_err(), "{reason:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_whose_other_end_falls_silent_ends_and_takes_nothing_more() {
        let (sender, mut driver, _silent) = pair().await;
        driver.every = Duration::from_millis(20);
        let under_way = tokio::spawn({
            let sender = sender.clone();
            async move { sender.send(asked()).await }
        });
        let why = driver.run().await.unwrap_err();
        assert!(why.contains("did not answer"), "{why}");
        assert!(sender.is_closed());
        assert!(under_way.await.unwrap().unwrap_err().may_have_run());
        assert!(!sender.send(asked()).await.unwrap_err().may_have_run());
    }
}
