//! Stretches of bytes for protocols that are not HTTP: extended CONNECT (RFC 8441) names the resource and
//! the protocol, and the agent's first words are a typed prologue: what came of the protocol's opening.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::flow::Flow;
use crate::lease::{Failed, Lease};
use crate::serve::Under;
use crate::wire;

/// What came of a protocol's opening at the upstream: it is over, and bytes follow.
#[derive(Clone, PartialEq, Message)]
pub struct Prologue {
    /// What the upstream said of itself, as `server_version` in PostgreSQL.
    #[prost(btree_map = "string, string", tag = "1")]
    pub parameters: BTreeMap<String, String>,
    /// What a key of the opening was, where the protocol gives one out, as PostgreSQL's cancel key.
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    /// Why the upstream does not go on, in its own words. Then no bytes follow.
    #[prost(string, optional, tag = "3")]
    pub refused: Option<String>,
}

/// Bytes both ways. Dropped, it ends at once.
pub struct Stretch(End);

/// Each end of it, with what counts it for as long as it runs.
enum End {
    Gateway { flow: Flow, _lease: Lease },
    Agent { stream: TokioIo<Upgraded>, _under: Option<Arc<Under>> },
}

impl std::fmt::Debug for Stretch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stretch")
    }
}

impl Stretch {
    /// The gateway's end, once the agent has said yes.
    pub(crate) async fn begun(
        receiving: RecvStream,
        sending: SendStream<Bytes>,
        lease: Lease,
    ) -> Result<(Prologue, Self), Failed> {
        let mut flow = Flow { sending, receiving, rest: Bytes::new() };
        let prologue = wire::hear::<Prologue>(&mut flow).await;
        let prologue = prologue.map_err(|cause| Failed::Lost(cause.to_string()))?;
        Ok((prologue, Self(End::Gateway { flow, _lease: lease })))
    }
}

/// A stretch that the gateway asks an agent for.
pub struct Asked {
    protocol: String,
    on: OnUpgrade,
    under: Option<Arc<Under>>,
}

impl Asked {
    /// Takes the stretch out of a request that asks for one.
    pub fn of(request: &mut Request<Incoming>) -> Option<Self> {
        if request.method() != Method::CONNECT {
            return None;
        }
        let protocol = request.extensions_mut().remove::<Protocol>()?;
        let under = request.extensions_mut().remove::<Arc<Under>>();
        Some(Self { protocol: protocol.as_str().to_owned(), on: hyper::upgrade::on(request), under })
    }

    /// Which protocol it is to carry.
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// The yes, which has to be answered before the future beside it gives the stretch.
    pub fn begin(
        self,
        prologue: Prologue,
    ) -> (Response<Empty<Bytes>>, impl Future<Output = io::Result<Stretch>> + Send) {
        let Self { on, under, .. } = self;
        let begun = async move {
            let upgraded = on.await.map_err(io::Error::other)?;
            let mut stream = TokioIo::new(upgraded);
            wire::say(&mut stream, &prologue).await?;
            Ok(Stretch(End::Agent { stream, _under: under }))
        };
        (Response::new(Empty::new()), begun)
    }
}

impl AsyncRead for Stretch {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            End::Gateway { flow, .. } => Pin::new(flow).poll_read(cx, buf),
            End::Agent { stream, .. } => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stretch {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            End::Gateway { flow, .. } => Pin::new(flow).poll_write(cx, buf),
            End::Agent { stream, .. } => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            End::Gateway { flow, .. } => Pin::new(flow).poll_flush(cx),
            End::Agent { stream, .. } => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            End::Gateway { flow, .. } => Pin::new(flow).poll_shutdown(cx),
            End::Agent { stream, .. } => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
