//! The bytes of one connection on their way to hyper and back. The wire watches HTTP/1 heads go by, cuts
//! heads that drip and readers that stall, and tells when what was written has left.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::head::{After, HeadScan, Scan};
use crate::life::{Life, Seen};

/// How long one write may wait for a peer that does not read.
const STALL: Duration = Duration::from_secs(60);

/// Where in the stream of requests the wire stands.
#[derive(Debug)]
enum Place {
    /// In a head. One read never goes past its end, so that what was seen belongs to this head.
    Head(HeadScan),
    /// In a body with this many bytes left.
    Body(u64),
    /// No longer followed.
    Through,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    inner: S,
    life: Arc<Life>,
    place: Place,
    /// Read past the end of a head.
    ahead: BytesMut,
    header_bytes: usize,
    header_timeout: Duration,
    head_deadline: Option<Pin<Box<Sleep>>>,
    stall: Option<Pin<Box<Sleep>>>,
}

impl<S> Wire<S> {
    /// A wire over `inner`. A head of more than `header_bytes` is no longer followed (hyper refuses it);
    /// one that takes longer than `header_timeout` from its first byte ends the connection.
    pub(crate) fn new(inner: S, life: Arc<Life>, header_bytes: usize, header_timeout: Duration) -> Self {
        Self {
            inner,
            life,
            place: Place::Head(HeadScan::new(header_bytes)),
            ahead: BytesMut::new(),
            header_bytes,
            header_timeout,
            head_deadline: None,
            stall: None,
        }
    }

    /// Takes the next bytes off the stream; says how many of them may be handed out at once.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        match &mut self.place {
            Place::Through => bytes.len(),
            Place::Body(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.place = Place::Head(HeadScan::new(self.header_bytes));
                }
                taken
            }
            Place::Head(scan) => {
                let (taken, now) = scan.feed(bytes);
                if let Scan::Done { after, ambiguity } = now {
                    self.head_deadline = None;
                    self.place = match after {
                        After::Body(0) => Place::Head(HeadScan::new(self.header_bytes)),
                        After::Body(length) => Place::Body(length),
                        After::Unknown | After::Http2 => Place::Through,
                    };
                    if after != After::Http2 {
                        self.life.saw(Seen { ambiguity, last: after == After::Unknown });
                    }
                }
                taken
            }
        }
    }

    /// Whether a head that has begun is overdue. A head sent ahead of an answer still under way waits
    /// for that answer, not for its sender, so its time does not run.
    fn overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let waiting = matches!(&self.place, Place::Head(scan) if scan.begun()) && self.life.in_flight() == 0;
        if !waiting {
            self.head_deadline = None;
            return false;
        }
        let timeout = self.header_timeout;
        self.head_deadline.get_or_insert_with(|| Box::pin(sleep(timeout))).as_mut().poll(cx).is_ready()
    }

    /// Passes a write's result on; ends the connection when the peer took nothing for too long.
    fn unless_stalled<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stall = None;
            return poll;
        }
        ready!(self.stall.get_or_insert_with(|| Box::pin(sleep(STALL))).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the peer reads nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if !me.ahead.is_empty() {
            let mut ahead = std::mem::take(&mut me.ahead);
            let offered = ahead.get(..out.remaining()).unwrap_or(&ahead);
            let taken = me.pass(offered);
            out.put_slice(offered.get(..taken).unwrap_or_default());
            ahead.advance(taken);
            // An empty one is let go: a request may wait long for its answer, and needs no room here.
            if !ahead.is_empty() {
                me.ahead = ahead;
            }
            return Poll::Ready(Ok(()));
        }
        if matches!(me.place, Place::Through) {
            return Pin::new(&mut me.inner).poll_read(cx, out);
        }
        let before = out.filled().len();
        let Poll::Ready(result) = Pin::new(&mut me.inner).poll_read(cx, out) else {
            return if me.overdue(cx) {
                Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the request's head did not arrive")))
            } else {
                Poll::Pending
            };
        };
        result?;
        let read = out.filled().get(before..).unwrap_or_default();
        let taken = me.pass(read);
        me.ahead.extend_from_slice(read.get(taken..).unwrap_or_default());
        out.set_filled(before + taken);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let poll = Pin::new(&mut me.inner).poll_write(cx, bytes);
        me.unless_stalled(cx, poll)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let poll = Pin::new(&mut me.inner).poll_write_vectored(cx, slices);
        me.unless_stalled(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let poll = Pin::new(&mut me.inner).poll_flush(cx);
        if poll.is_ready() {
            me.life.flushed().notify_waiters();
        }
        me.unless_stalled(cx, poll)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
