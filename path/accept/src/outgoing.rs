//! An answer's body on its way out. An error in it must look like one to the caller.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::life::{InFlight, Life};

/// How long an abort waits for what was written before it to leave.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Ends an answer before its end: the stream is reset (HTTP/2), or the connection closed without a
/// final chunk (HTTP/1).
#[derive(Debug)]
pub(crate) struct Aborted(pub(crate) Option<Box<dyn Error + Send + Sync>>);

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(cause) => write!(f, "the answer was cut: {cause}"),
            None => f.write_str("the answer was cut"),
        }
    }
}

impl Error for Aborted {}

/// An abort that waits until the bytes before it have left.
type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A handler's body, with its place among the connection's requests. hyper throws away what it has not
/// written yet when a body fails; the caller would miss the error event that says why. So a failure is
/// told only after the connection was flushed.
pub(crate) struct Outgoing<B> {
    inner: Pin<Box<B>>,
    flushed: Arc<Notify>,
    failed: Option<(Aborted, Ending)>,
    _in_flight: InFlight,
}

impl<B> Outgoing<B> {
    pub(crate) fn new(inner: B, life: &Life, in_flight: InFlight) -> Self {
        let flushed = Arc::clone(life.flushed());
        Self { inner: Box::pin(inner), flushed, failed: None, _in_flight: in_flight }
    }

    /// Two flushes: the first may have begun before the last bytes were handed over.
    fn ending(&self) -> Ending {
        let flushed = Arc::clone(&self.flushed);
        Box::pin(async move {
            let both = async {
                flushed.notified().await;
                flushed.notified().await;
            };
            // What could not leave by then is lost; the answer is cut all the same.
            let _ = timeout(LAST_WORDS, both).await;
        })
    }
}

impl<B> Body for Outgoing<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let me = self.get_mut();
        if me.failed.is_none() {
            match ready!(me.inner.as_mut().poll_frame(cx)) {
                Some(Err(cause)) => me.failed = Some((Aborted(Some(cause.into())), me.ending())),
                Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
                None => return Poll::Ready(None),
            }
        }
        if let Some((_, ending)) = &mut me.failed {
            ready!(ending.as_mut().poll(cx));
        }
        let cause = me.failed.take().map_or(Aborted(None), |(cause, _)| cause);
        Poll::Ready(Some(Err(cause)))
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
