//! One stream of HTTP/2 as bytes both ways.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::window::SEND_BUFFER;

/// Bytes both ways. At most one frame that was not read yet is kept; the rest waits in the stream's window.
pub(crate) struct Flow {
    pub(crate) sending: SendStream<Bytes>,
    pub(crate) receiving: RecvStream,
    /// What came and was not read yet.
    pub(crate) rest: Bytes,
}

fn broken(cause: h2::Error) -> io::Error {
    if cause.is_io() {
        return cause.into_io().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
    }
    io::Error::new(io::ErrorKind::ConnectionReset, cause)
}

impl AsyncRead for Flow {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { receiving, rest, .. } = self.get_mut();
        while rest.is_empty() {
            match ready!(receiving.poll_data(cx)) {
                Some(Ok(bytes)) => {
                    // Fails only when the stream is gone, which is told at the next look.
                    let _ = receiving.flow_control().release_capacity(bytes.len());
                    *rest = bytes;
                }
                Some(Err(cause)) => return Poll::Ready(Err(broken(cause))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = rest.len().min(buf.remaining());
        rest.copy_to_slice(buf.initialize_unfilled_to(length));
        buf.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flow {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let sending = &mut self.get_mut().sending;
        sending.reserve_capacity(buf.len().min(SEND_BUFFER));
        while sending.capacity() == 0 {
            match ready!(sending.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(cause)) => return Poll::Ready(Err(broken(cause))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let length = sending.capacity().min(buf.len());
        let bytes = Bytes::copy_from_slice(buf.get(..length).unwrap_or_default());
        Poll::Ready(sending.send_data(bytes, false).map(|()| length).map_err(broken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whatever drives the connection sends all it has.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // An error says that the stream is over already.
        let _ = self.get_mut().sending.send_data(Bytes::new(), true);
        Poll::Ready(Ok(()))
    }
}
