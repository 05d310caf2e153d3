//! A door on a Unix socket: for callers on this machine whom the file's mode lets in.

use std::error::Error;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::serve::{Server, Signals};
use crate::taking::take_until_drained;
use crate::{AcceptError, Peer};

/// What a peer's address and its listener are said to be: a socket has neither, and is on this machine.
pub const SOCKET_PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Connections the system holds ready while the door is busy.
const BACKLOG: u32 = 128;

/// An open door on a Unix socket. The file goes with it.
#[derive(Debug)]
pub struct SocketDoor {
    gate: Gate,
    limits: config::Limits,
}

/// What goes as soon as no more connections are taken.
#[derive(Debug)]
struct Gate {
    listener: UnixListener,
    place: Place,
}

impl Gate {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        self.listener.poll_accept(cx).map_ok(|(stream, _)| stream)
    }
}

/// The socket's file, removed when the door is closed, unless another took its place.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    node: (u64, u64),
}

impl Drop for Place {
    fn drop(&mut self) {
        let same = fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.node);
        if same && let Err(cause) = fs::remove_file(&self.path) {
            tracing::warn!(%cause, path = %self.path.display(), "the socket's file was left behind");
        }
    }
}

impl SocketDoor {
    /// Opens the socket at `path` with the file mode `mode`. A socket that nobody answers at is replaced.
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`AcceptError::Socket`] when the socket can't be had, or something else lies there.
    pub fn open(path: &Path, mode: u32, limits: &config::Limits) -> Result<Self, AcceptError> {
        let fault = |cause| AcceptError::Socket { path: path.to_owned(), cause };
        vacate(path).map_err(fault)?;
        let open = || {
            let socket = UnixSocket::new_stream()?;
            socket.bind(path)?;
            // Nobody gets through before `listen`, so there is no moment with another mode.
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            let meta = fs::symlink_metadata(path)?;
            let place = Place { path: path.to_owned(), node: (meta.dev(), meta.ino()) };
            Ok(Gate { listener: socket.listen(BACKLOG)?, place })
        };
        let gate = open().map_err(fault)?;
        Ok(Self { gate, limits: limits.clone() })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.gate.place.path
    }

    /// Serves each request with `handler` until `drain` is cancelled, as [`crate::Door::serve`].
    pub async fn serve<H, F, B>(self, handler: H, drain: CancellationToken)
    where
        H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Self { gate, limits } = self;
        let signals = Signals { drain, cut: CancellationToken::new() };
        let server = Server::new(&limits, handler, signals.clone());
        let peer = Peer { address: SOCKET_PEER, secure: true, listener: SOCKET_PEER };
        let take = move |cx: &mut Context<'_>| gate.poll(cx);
        take_until_drained(&limits, signals, take, |stream| server.clone().serve(stream, peer)).await;
    }
}

/// Removes a socket that a process left behind.
fn vacate(path: &Path) -> io::Result<()> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(cause),
    };
    if !meta.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket lies there"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process answers there")),
        Err(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(cause) => Err(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_file_has_its_mode_and_goes_with_the_door() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        for mode in [0o600, 0o660] {
            let door = SocketDoor::open(&path, mode, &config::Limits::default()).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
            // One that answers is not taken over.
            let second = SocketDoor::open(&path, mode, &config::Limits::default()).unwrap_err();
            assert!(second.to_string().contains("another process"), "{second}");
            drop(door);
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn what_was_left_behind_is_replaced_and_anything_else_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        // As after `kill -9`: the file is there, nobody listens.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let door = SocketDoor::open(&path, 0o600, &config::Limits::default()).unwrap();
        // A successor's file is not removed.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        drop(door);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert!(SocketDoor::open(&path, 0o600, &config::Limits::default()).is_err());
    }
}
