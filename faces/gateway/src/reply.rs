//! The way back to the caller. Only what is in the ledger fits through it.
//!
//! The exchange's task writes [`Recorded`] parts; the connection's task reads them as a body. The two
//! are apart because hyper drops a service's future when the caller leaves, and a seal must still
//! happen. A body whose writer vanished without [`Reply::end`] is aborted, never ended: a cut answer
//! must not look like a short one.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Frame, SizeHint};
use mask::Part;
use record::Recorded;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

/// How many parts may wait for a slow reader before the upstream is slowed too.
const WAITING_PARTS: usize = 2;

/// The caller left; nothing more can be written.
#[derive(Debug)]
pub struct CallerGone;

/// The writing end, held by the exchange's task.
pub struct Reply {
    head: Option<oneshot::Sender<Response<ReplyBody>>>,
    /// The answer's head with the reading end, until it goes out: together with the body where that is
    /// short, so that a small answer is one packet.
    waiting: Option<Response<ReplyBody>>,
    reader: Option<mpsc::Receiver<Written>>,
    body: mpsc::Sender<Written>,
    /// Body bytes written so far.
    written: u64,
}

/// The reading end, held by the connection's task.
pub type Answered = oneshot::Receiver<Response<ReplyBody>>;

/// A response body made of recorded parts.
pub struct ReplyBody {
    parts: mpsc::Receiver<Written>,
    /// The body's length, where it is known before the head goes out.
    length: Option<u64>,
    ended: bool,
}

/// What crosses from the exchange to the connection.
enum Written {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
}

/// The answer stops here on purpose, and must not look complete.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut")]
pub struct CutShort;

/// A new pair of ends.
pub fn channel() -> (Reply, Answered) {
    let (head, answered) = oneshot::channel();
    let (body, reader) = mpsc::channel(WAITING_PARTS);
    (Reply { head: Some(head), waiting: None, reader: Some(reader), body, written: 0 }, answered)
}

impl Reply {
    /// Writes what the ledger holds. Waits for a slow reader. A head waits for what follows, until the
    /// body is complete, too large to wait, or [`Reply::flush`].
    ///
    /// # Errors
    /// [`CallerGone`] when nobody reads any more.
    pub async fn write(&mut self, recorded: Recorded) -> Result<(), CallerGone> {
        match recorded.into_part() {
            Part::Head { status, headers } => self.head(status, headers),
            Part::Body { bytes, .. } if bytes.is_empty() => Ok(()),
            Part::Body { bytes, .. } => {
                self.written = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                self.pass(Written::Data(bytes)).await
            }
            Part::Trailers(trailers) => {
                // A stated length would leave no place for trailers.
                self.flush()?;
                self.pass(Written::Trailers(trailers)).await
            }
        }
    }

    /// Sends a head that waits: a stream's reader wants it before the first event.
    pub fn flush(&mut self) -> Result<(), CallerGone> {
        match (self.waiting.take(), self.head.take()) {
            (Some(response), Some(head)) => head.send(response).map_err(|_| CallerGone),
            (None, head) => {
                self.head = head;
                Ok(())
            }
            (Some(_), None) => Err(CallerGone),
        }
    }

    /// Whether a head was written, so that no other can take its place.
    pub fn is_committed(&self) -> bool {
        self.head.is_none() || self.waiting.is_some()
    }

    /// The answer is complete.
    pub async fn end(mut self) -> Result<(), CallerGone> {
        if let Some(response) = &mut self.waiting {
            // Nothing written may mean HEAD, whose length is another.
            response.body_mut().length = Some(self.written).filter(|written| *written > 0);
        }
        self.pass(Written::End).await?;
        self.flush()
    }

    /// Resolves when the caller has left.
    pub async fn gone(&mut self) {
        match &mut self.head {
            Some(head) => head.closed().await,
            None => self.body.closed().await,
        }
    }

    fn head(&mut self, status: StatusCode, headers: HeaderMap) -> Result<(), CallerGone> {
        let parts = self.reader.take().ok_or(CallerGone)?;
        let mut response = Response::new(ReplyBody { parts, length: None, ended: false });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        self.waiting = Some(response);
        Ok(())
    }

    async fn pass(&mut self, written: Written) -> Result<(), CallerGone> {
        let written = match self.body.try_send(written) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(CallerGone),
            Err(TrySendError::Full(written)) => written,
        };
        if let Some(response) = &mut self.waiting {
            response.body_mut().length = None;
        }
        self.flush()?;
        self.body.send(written).await.map_err(|_| CallerGone)
    }
}

/// An answer of the gateway's own, to somebody who asks for nothing behind it.
pub(crate) fn own(status: StatusCode, kind: &'static str, body: Bytes) -> Response<ReplyBody> {
    let (writer, parts) = mpsc::channel(WAITING_PARTS);
    let length = u64::try_from(body.len()).ok();
    // Both fit: the channel is new.
    for written in [Written::Data(body), Written::End] {
        let _ = writer.try_send(written);
    }
    let mut response = Response::new(ReplyBody { parts, length, ended: false });
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

/// The answer when an exchange's task was lost before it could say anything.
pub fn lost() -> Response<ReplyBody> {
    let (_, parts) = mpsc::channel(1);
    let mut response = Response::new(ReplyBody { parts, length: None, ended: true });
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

impl http_body::Body for ReplyBody {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let part = std::task::ready!(self.parts.poll_recv(context));
        Poll::Ready(match part {
            Some(Written::Data(bytes)) => {
                self.length = self
                    .length
                    .map(|length| length.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX)));
                Some(Ok(Frame::data(bytes)))
            }
            Some(Written::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(Written::End) => {
                self.ended = true;
                None
            }
            None => {
                self.ended = true;
                Some(Err(CutShort))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::ride;

    async fn whole(mut body: ReplyBody) -> (Vec<u8>, Result<(), CutShort>) {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
                Err(cut) => return (bytes, Err(cut)),
            }
        }
        (bytes, Ok(()))
    }

    #[tokio::test]
    async fn a_short_answer_goes_out_whole_with_its_length() {
        let (mut reply, mut answered) = channel();
        reply.head(StatusCode::OK, HeaderMap::new()).unwrap();
        reply.written = 5;
        reply.pass(Written::Data(Bytes::from_static(b"hello"))).await.unwrap();
        assert!(answered.try_recv().is_err(), "the head waits for the body");
        reply.end().await.unwrap();
        let body = answered.try_recv().unwrap().into_body();
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(5));
        let (bytes, end) = whole(body).await;
        assert_eq!(bytes, b"hello");
        assert!(end.is_ok());
    }

    #[tokio::test]
    async fn a_long_answer_goes_out_as_it_comes_and_a_writer_that_vanishes_cuts_it() {
        let (mut reply, answered) = channel();
        reply.head(StatusCode::OK, HeaderMap::new()).unwrap();
        let writer = tokio::spawn(async move {
            for _ in 0..WAITING_PARTS + 2 {
                reply.pass(Written::Data(Bytes::from_static(b"x"))).await.unwrap();
            }
        });
        let body = answered.await.unwrap().into_body();
        assert_eq!(http_body::Body::size_hint(&body).exact(), None);
        let (bytes, end) = whole(body).await;
        writer.await.unwrap();
        assert_eq!(bytes.len(), WAITING_PARTS + 2);
        assert!(end.is_err(), "it never said it was complete");
    }

    #[tokio::test]
    async fn an_answer_leaves_before_its_exchange_is_sealed() {
        let (mut reply, answered) = channel();
        let (seal, mut sealed) = oneshot::channel::<()>();
        let exchange = async move {
            reply.head(StatusCode::OK, HeaderMap::new()).unwrap();
            reply.end().await.unwrap();
            ride::step_aside().await;
            seal.send(()).unwrap();
        };
        assert!(ride::Ride::begin(exchange, answered).await.is_some());
        assert!(sealed.try_recv().is_err(), "not yet");
        sealed.await.unwrap();
    }

    #[tokio::test]
    async fn who_left_is_noticed_before_and_after_the_head() {
        let (mut reply, answered) = channel();
        drop(answered);
        reply.gone().await;
        let (mut reply, answered) = channel();
        reply.head(StatusCode::OK, HeaderMap::new()).unwrap();
        reply.flush().unwrap();
        drop(answered.await.unwrap());
        reply.gone().await;
        assert!(reply.pass(Written::End).await.is_err());
    }
}
