//! The body of an answer as it arrives, by whatever way.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// From a connection of this process.
    Line(hyper::body::Incoming),
    /// Out of an agent's tunnel.
    Tunnel(tunnel::Inflow),
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Line(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Self::Tunnel(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Line(body) => body.is_end_stream(),
            Self::Tunnel(body) => body.is_end_stream(),
        }
    }
}
