//! A door: one address that callers come in by, from its opening to its close.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use model::Clock;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::AcceptError;
use crate::serve::{Server, Signals};
use crate::taking::take_until_drained;
use crate::tls::{Certificates, LOOK_AGAIN};

/// Connections the system holds ready while the door is busy.
const BACKLOG: u32 = 1024;

/// The far end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the connection is TLS.
    pub secure: bool,
    /// The door's address it came in by.
    pub listener: SocketAddr,
}

/// An open door. Callers may knock already; they are answered once it serves.
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<(Certificates, Arc<ServerConfig>)>,
    limits: config::Limits,
    clock: Arc<dyn Clock>,
}

impl Door {
    /// Opens a door: takes the address, reads or makes the certificate. Must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`AcceptError`] when the address can't be had or the certificate can't be used.
    pub fn open(
        listener: &config::Listener,
        limits: &config::Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AcceptError> {
        let tls = match Certificates::open(&listener.tls, &*clock)? {
            Some(certificates) => {
                let server = certificates.server()?;
                Some((certificates, server))
            }
            None => None,
        };
        let (listener, address) = listen(listener.address)
            .map_err(|cause| AcceptError::Listen { address: listener.address, cause })?;
        Ok(Self { listener, address, tls, limits: limits.clone(), clock })
    }

    /// The address it listens on, with the port the system chose if it was to choose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate callers must trust, when the door stands on an authority of its own. SDKs take it
    /// through `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` and `NODE_EXTRA_CA_CERTS`.
    pub fn ca_path(&self) -> Option<&Path> {
        self.tls.as_ref().and_then(|(certificates, _)| certificates.authority())
    }

    /// Serves each request with `handler` until `drain` is cancelled; then takes no new connection, lets
    /// running exchanges end within [`config::Limits::drain`], and cuts what is left. Returns when no
    /// connection is left.
    ///
    /// An error from an answer's body aborts the answer: RST_STREAM on HTTP/2, a closed connection without
    /// final chunk on HTTP/1. So does a panic in `handler`. The handler must be quick to return: what
    /// runs longer belongs in a task of its own, because the handler is dropped when its caller leaves.
    pub async fn serve<H, F, B>(self, handler: H, drain: CancellationToken)
    where
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Self { listener, address, tls, limits, clock } = self;
        let signals = Signals { drain, cut: CancellationToken::new() };
        let acceptor = tls.map(|(certificates, server)| {
            tokio::spawn(keep_fresh(certificates, clock, signals.cut.clone()));
            TlsAcceptor::from(server)
        });
        let server = Server::new(&limits, handler, signals.clone());
        let door = Doorway { address, acceptor, header_timeout: limits.header_timeout };
        let take = move |cx: &mut Context<'_>| listener.poll_accept(cx);
        let admit = |(stream, from)| door.clone().admit(stream, from, server.clone());
        take_until_drained(&limits, signals, take, admit).await;
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What every connection of a door shares.
#[derive(Clone)]
struct Doorway {
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    header_timeout: Duration,
}

impl Doorway {
    /// One connection, from its handshake to its end.
    async fn admit<H, F, B>(self, stream: TcpStream, from: SocketAddr, server: Server<H>)
    where
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        // Without this, small pieces of a stream wait for each other's acknowledgement.
        if let Err(cause) = stream.set_nodelay(true) {
            tracing::debug!(%cause, "cannot set TCP_NODELAY");
        }
        let peer = Peer { address: from, secure: self.acceptor.is_some(), listener: self.address };
        // Boxed, so that a connection takes no more room than its own kind needs.
        let Some(acceptor) = self.acceptor else {
            return Box::pin(server.serve(stream, peer)).await;
        };
        let greeted = tokio::select! {
            () = server.cut() => return,
            greeted = Box::pin(greet(acceptor, stream, self.header_timeout)) => greeted,
        };
        match greeted {
            Ok(stream) => Box::pin(server.serve(*stream, peer)).await,
            Err(cause) => {
                metrics::counter!("portcullis_accept_refused_total", "cause" => "tls").increment(1);
                tracing::debug!(%from, %cause, "no TLS");
            }
        }
    }
}

/// The handshake, or why there was none.
async fn greet(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    patience: Duration,
) -> Result<Box<TlsStream<TcpStream>>, String> {
    match timeout(patience, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(cause)) => Err(cause.to_string()),
        Err(_) => Err("the handshake took too long".to_owned()),
    }
}

fn listen(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Looks at the certificate again and again, until the door is closed.
async fn keep_fresh(mut certificates: Certificates, clock: Arc<dyn Clock>, end: CancellationToken) {
    let mut ticks = interval(LOOK_AGAIN);
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let clock = Arc::clone(&clock);
        let looked = tokio::task::spawn_blocking(move || {
            certificates.look_again(&*clock);
            certificates
        });
        let Ok(back) = looked.await else { return };
        certificates = back;
    }
}
