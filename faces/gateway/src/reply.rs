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
use http_body::Frame;
use mask::Part;
use record::Recorded;
use tokio::sync::{mpsc, oneshot};

/// How many parts may wait for a slow reader before the upstream is slowed too.
const WAITING_PARTS: usize = 2;

/// The caller left; nothing more can be written.
#[derive(Debug)]
pub(crate) struct CallerGone;

/// The writing end, held by the exchange's task.
pub(crate) struct Reply {
    head: Option<oneshot::Sender<Response<ReplyBody>>>,
    reader: Option<mpsc::Receiver<Written>>,
    body: mpsc::Sender<Written>,
}

/// The reading end, held by the connection's task.
pub(crate) type Answered = oneshot::Receiver<Response<ReplyBody>>;

/// A response body made of recorded parts.
pub struct ReplyBody {
    parts: mpsc::Receiver<Written>,
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
pub(crate) fn channel() -> (Reply, Answered) {
    let (head, answered) = oneshot::channel();
    let (body, reader) = mpsc::channel(WAITING_PARTS);
    (Reply { head: Some(head), reader: Some(reader), body }, answered)
}

impl Reply {
    /// Writes what the ledger holds. Waits for a slow reader.
    ///
    /// # Errors
    /// [`CallerGone`] when nobody reads any more.
    pub(crate) async fn write(&mut self, recorded: Recorded) -> Result<(), CallerGone> {
        match recorded.into_part() {
            Part::Head { status, headers } => self.head(status, headers),
            Part::Body { bytes, .. } if bytes.is_empty() => Ok(()),
            Part::Body { bytes, .. } => self.pass(Written::Data(bytes)).await,
            Part::Trailers(trailers) => self.pass(Written::Trailers(trailers)).await,
        }
    }

    /// Whether the head has gone out, so that the status can't change any more.
    pub(crate) fn is_committed(&self) -> bool {
        self.head.is_none()
    }

    /// The answer is complete.
    pub(crate) async fn end(self) -> Result<(), CallerGone> {
        self.pass(Written::End).await
    }

    /// Resolves when the caller has left.
    pub(crate) async fn gone(&mut self) {
        match &mut self.head {
            Some(head) => head.closed().await,
            None => self.body.closed().await,
        }
    }

    fn head(&mut self, status: StatusCode, headers: HeaderMap) -> Result<(), CallerGone> {
        let (Some(head), Some(parts)) = (self.head.take(), self.reader.take()) else {
            return Err(CallerGone);
        };
        let mut response = Response::new(ReplyBody { parts, ended: false });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        head.send(response).map_err(|_| CallerGone)
    }

    async fn pass(&self, written: Written) -> Result<(), CallerGone> {
        self.body.send(written).await.map_err(|_| CallerGone)
    }
}

/// The answer when an exchange's task was lost before it could say anything.
pub(crate) fn lost() -> Response<ReplyBody> {
    let (_, parts) = mpsc::channel(1);
    let mut response = Response::new(ReplyBody { parts, ended: true });
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
            Some(Written::Data(bytes)) => Some(Ok(Frame::data(bytes))),
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
}
