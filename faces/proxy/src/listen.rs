//! The proxy's listener: a port on loopback, or a Unix socket of the person's own.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::guard::Guard;
use crate::relay::Relay;
use crate::{ProxyError, Source, Target};

/// Connections at once.
const CONNECTIONS: usize = 512;
/// How long a tool has for the head of its request.
const HEAD: Duration = Duration::from_secs(30);
/// The largest head, in bytes.
const HEAD_BYTES: usize = 64 << 10;
/// How long running answers have when the proxy ends.
const DRAIN: Duration = Duration::from_secs(5);

/// Where the proxy listens.
#[derive(Clone, Debug)]
pub enum Listen {
    /// On 127.0.0.1 at this port; 0 lets the system choose.
    Loopback(u16),
    /// On a Unix socket with this path.
    Socket(PathBuf),
}

/// A proxy that listens.
pub struct Proxy {
    relay: Arc<Relay>,
    guard: Arc<Guard>,
    door: Door,
}

enum Door {
    Port(TcpListener, u16),
    Socket(UnixListener, SocketFile),
}

/// Removes the socket's file when the proxy ends.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_file(&self.0);
    }
}

impl Proxy {
    /// Opens the listener, and sees that there is a token.
    ///
    /// # Errors
    /// [`ProxyError`] when the address is taken, the gateway's certificates cannot be read, or there is no
    /// token.
    pub async fn open(listen: &Listen, target: &Target, source: Source) -> Result<Self, ProxyError> {
        let relay = Relay::new(target, source)?;
        relay.try_source().await?;
        let (door, guard) = match listen {
            Listen::Loopback(port) => {
                let at = format!("127.0.0.1:{port}");
                let refuse =
                    |fault: std::io::Error| ProxyError::Listen { at: at.clone(), why: fault.to_string() };
                let listener = TcpListener::bind(("127.0.0.1", *port)).await.map_err(refuse)?;
                let port = listener.local_addr().map_err(refuse)?.port();
                (Door::Port(listener, port), Guard::of_port(port)?)
            }
            Listen::Socket(path) => {
                let listener = bind(path).await?;
                (Door::Socket(listener, SocketFile(path.clone())), Guard::of_socket())
            }
        };
        Ok(Self { relay: Arc::new(relay), guard: Arc::new(guard), door })
    }

    /// The base URL for tools, without `/v1`.
    pub fn base(&self) -> String {
        match &self.door {
            Door::Port(_, port) => format!("http://127.0.0.1:{port}"),
            Door::Socket(..) => "http://localhost".to_owned(),
        }
    }

    /// The key a tool needs; none on a Unix socket.
    pub fn key(&self) -> Option<&SecretString> {
        self.guard.key()
    }

    /// The Unix socket, when it is one.
    pub fn socket(&self) -> Option<&Path> {
        match &self.door {
            Door::Port(..) => None,
            Door::Socket(_, file) => Some(&file.0),
        }
    }

    /// The variables from which SDKs and tools take their address and key.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let base = self.base();
        // Where no key is asked for, SDKs still want one to be set.
        let key = self.key().map_or("unused", |key| key.expose_secret()).to_owned();
        vec![
            ("OPENAI_BASE_URL", format!("{base}/v1")),
            ("OPENAI_API_KEY", key.clone()),
            ("ANTHROPIC_BASE_URL", base),
            ("ANTHROPIC_API_KEY", key),
        ]
    }

    /// Serves until `stop`; then running answers have a few seconds to end.
    pub async fn serve(self, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
            let serve = Connection {
                relay: Arc::clone(&self.relay),
                guard: Arc::clone(&self.guard),
                stop: stop.clone(),
                _permit: permit,
            };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.door.accept() => accepted,
            };
            match accepted {
                Ok(Some(Stream::Port(stream))) => drop(connections.spawn(serve.run(stream))),
                Ok(Some(Stream::Socket(stream))) => drop(connections.spawn(serve.run(stream))),
                // Another user: closed without a word.
                Ok(None) => {}
                // Mostly too many open files, which pass.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        let all = async { while connections.join_next().await.is_some() {} };
        // Who does not end in time is cut when the set goes.
        let _ = tokio::time::timeout(DRAIN, all).await;
    }
}

enum Stream {
    Port(tokio::net::TcpStream),
    Socket(UnixStream),
}

impl Door {
    /// The next connection; none when it is another user's.
    async fn accept(&self) -> std::io::Result<Option<Stream>> {
        match self {
            Self::Port(listener, _) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Some(Stream::Port(stream)))
            }
            Self::Socket(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let me = rustix::process::geteuid().as_raw();
                match stream.peer_cred() {
                    Ok(peer) if peer.uid() == me => Ok(Some(Stream::Socket(stream))),
                    Ok(peer) => {
                        tracing::warn!(user = peer.uid(), "refused a connection of another user");
                        Ok(None)
                    }
                    Err(_) => Ok(None),
                }
            }
        }
    }
}

struct Connection {
    relay: Arc<Relay>,
    guard: Arc<Guard>,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let (relay, guard) = (self.relay, self.guard);
        let service = service_fn(move |request: http::Request<Incoming>| {
            let (relay, guard) = (Arc::clone(&relay), Arc::clone(&guard));
            async move { Ok::<_, Infallible>(relay.answer(guard, request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // A tool that breaks off needs no answer.
        tokio::select! {
            _ = connection.as_mut() => {}
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}

/// Binds a socket that nobody else can connect to at any moment: it is made in a folder of its own, closed
/// to others, and moved to its place.
async fn bind(path: &Path) -> Result<UnixListener, ProxyError> {
    let refuse = |why: String| ProxyError::Socket { path: path.to_owned(), why };
    let fault = |fault: std::io::Error| refuse(fault.to_string());
    match fs::symlink_metadata(path) {
        Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => {}
        Err(other) => return Err(fault(other)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(refuse("a file is there that is no socket; choose another path".to_owned()));
        }
        Ok(_) if UnixStream::connect(path).await.is_ok() => {
            return Err(refuse("another program listens there; end it, or choose another path".to_owned()));
        }
        // Left behind by one that was killed; the move below replaces it.
        Ok(_) => {}
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = login::random()?;
    let own = folder.join(format!(".{}", name.chars().take(12).collect::<String>()));
    fs::DirBuilder::new().mode(0o700).create(&own).map_err(fault)?;
    let made = own.join("s");
    let bound = UnixListener::bind(&made).and_then(|listener| {
        fs::set_permissions(&made, fs::Permissions::from_mode(0o600))?;
        fs::rename(&made, path)?;
        Ok(listener)
    });
    // Empty once the socket has moved; else what is in it goes with the folder.
    let _ = fs::remove_file(&made);
    let _ = fs::remove_dir(&own);
    bound.map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            gateway: "http://127.0.0.1:1".to_owned(),
            resource: model::ResourceName::new("llama").unwrap(),
            ca_file: None,
        }
    }

    fn source(place: &Path) -> Source {
        fs::write(place.join("token"), "a.b.c\n").unwrap();
        Source::File(place.join("token"))
    }

    #[tokio::test]
    async fn a_socket_is_the_persons_alone_and_goes_with_the_proxy() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("llama.sock");
        let listen = Listen::Socket(path.clone());
        let proxy = Proxy::open(&listen, &target(), source(place.path())).await.unwrap();
        let found = fs::symlink_metadata(&path).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        assert!(proxy.key().is_none() && proxy.socket() == Some(path.as_path()));
        let second = Proxy::open(&listen, &target(), source(place.path())).await;
        assert!(second.is_err_and(|fault| fault.to_string().contains("another program listens there")));
        drop(proxy);
        assert!(!path.exists());
        // Nothing else is left beside it.
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_another_file_is_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("llama.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let listen = Listen::Socket(path.clone());
        drop(Proxy::open(&listen, &target(), source(place.path())).await.unwrap());
        fs::write(&path, "precious").unwrap();
        assert!(Proxy::open(&listen, &target(), source(place.path())).await.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_port_has_a_key_of_its_own_and_says_what_to_set() {
        let place = tempfile::tempdir().unwrap();
        let open = async || Proxy::open(&Listen::Loopback(0), &target(), source(place.path())).await;
        let (one, other) = (open().await.unwrap(), open().await.unwrap());
        let key = |proxy: &Proxy| proxy.key().unwrap().expose_secret().to_owned();
        assert_ne!(key(&one), key(&other));
        let environment = one.environment();
        assert!(environment.contains(&("OPENAI_API_KEY", key(&one))));
        assert!(environment.contains(&("OPENAI_BASE_URL", format!("{}/v1", one.base()))));
    }

    #[tokio::test]
    async fn without_a_token_it_does_not_start() {
        let opened = Proxy::open(&Listen::Loopback(0), &target(), Source::File("/nonexistent".into())).await;
        assert!(matches!(opened, Err(ProxyError::Secret(_))));
    }
}
