//! One connection, in plain TCP or TLS, under a time limit.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::DialError;

/// An open connection.
#[derive(Debug)]
pub enum Connection {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS, the server's certificate checked.
    Secure(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// The protocol that ALPN agreed on, if it did.
    pub fn protocol(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Secure(stream) => stream.get_ref().1.alpn_protocol(),
        }
    }
}

/// Whether `url` names this machine by a loopback address or as `localhost`. Other names never count,
/// whatever they resolve to: a name can be made to point anywhere.
pub fn is_loopback(url: &Uri) -> bool {
    match url.host() {
        Some("localhost") => true,
        Some(host) => address(host).is_some_and(|ip| ip.is_loopback()),
        None => false,
    }
}

/// Connects to the host and port of `url`, with TLS if its scheme is `https`, within `limit`.
///
/// # Errors
/// [`DialError::Url`] for any other scheme than `http` and `https`, and for `https` when there are no
/// TLS settings; else what kept the connection from standing.
pub async fn connect(
    url: &Uri,
    tls: Option<&Arc<ClientConfig>>,
    limit: Duration,
) -> Result<Connection, DialError> {
    let host = authority(url)?;
    tokio::time::timeout(limit, open(url, tls, &host))
        .await
        .map_err(|_| DialError::Timeout { host: host.clone(), after: limit })?
}

async fn open(url: &Uri, tls: Option<&Arc<ClientConfig>>, host: &str) -> Result<Connection, DialError> {
    let failed = |source| DialError::Connect { host: host.to_owned(), source };
    let refuse = |why| DialError::Url { url: url.to_string(), why };
    let name = url.host().unwrap_or_default();
    let secure = match (url.scheme(), tls) {
        (Some(scheme), _) if *scheme == Scheme::HTTP => None,
        (Some(scheme), Some(tls)) if *scheme == Scheme::HTTPS => Some((
            TlsConnector::from(Arc::clone(tls)),
            ServerName::try_from(name.trim_matches(['[', ']']).to_owned())
                .map_err(|_| refuse("its host is neither a DNS name nor an address"))?,
        )),
        (Some(scheme), None) if *scheme == Scheme::HTTPS => {
            return Err(refuse("TLS is not set up for this connection"));
        }
        _ => return Err(refuse("its scheme is neither `https` nor `http`")),
    };
    let port = url.port_u16().unwrap_or(if secure.is_some() { 443 } else { 80 });
    let socket = match address(name) {
        Some(ip) => TcpStream::connect(SocketAddr::new(ip, port)).await,
        // `localhost` is this machine, whatever the resolver says.
        None if name == "localhost" => {
            let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
                .map(|ip| (ip, port).into());
            TcpStream::connect(&here[..]).await
        }
        None => TcpStream::connect((name, port)).await,
    }
    .map_err(failed)?;
    socket.set_nodelay(true).map_err(failed)?;
    match secure {
        None => Ok(Connection::Plain(socket)),
        Some((connector, name)) => match connector.connect(name, socket).await {
            Ok(stream) => Ok(Connection::Secure(Box::new(stream))),
            Err(source) => Err(DialError::Tls { host: host.to_owned(), source }),
        },
    }
}

/// Host and port as an error names them and as `Host` carries them.
pub(crate) fn authority(url: &Uri) -> Result<String, DialError> {
    let refuse = |why| DialError::Url { url: url.to_string(), why };
    let authority = url.authority().ok_or_else(|| refuse("it names no host"))?;
    if authority.as_str().contains('@') {
        return Err(refuse("it holds a user name or password"));
    }
    Ok(authority.as_str().to_owned())
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Secure(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Secure(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secure(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
