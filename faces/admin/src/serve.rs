//! Opens the administration's doors, answers, and closes them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use accept::{Door, Peer, SocketDoor};
use gateway::ReplyBody;
use gateway::reply;
use http::{Request, Response};
use http_body_util::Either;
use hyper::body::Incoming;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::exchange::{self, Arrival};
use crate::{Admin, AdminError, ConsoleBody, ROOM, refuse};

/// How long seals may take after the last connection is gone.
const SEALS: Duration = Duration::from_secs(5);

/// An administration whose doors are open.
pub struct Running {
    admin: Arc<Admin>,
    address: Option<SocketAddr>,
    socket: Option<PathBuf>,
    local_ca: Option<PathBuf>,
    tasks: JoinSet<()>,
    drain: CancellationToken,
}

impl Admin {
    /// Opens what the gateway's configuration names under `admin`; nothing where it names nothing. Must be
    /// called inside a tokio runtime.
    ///
    /// # Errors
    /// [`AdminError::Accept`] when the listener or the socket can't be had.
    pub fn open(self: &Arc<Self>) -> Result<Running, AdminError> {
        let config = self.gateway.config();
        let clock = self.gateway.clock();
        let named = config.admin.as_ref();
        let door = named.and_then(|admin| admin.listener.as_ref());
        let door =
            door.map(|listener| Door::open(listener, &config.limits, Arc::clone(clock))).transpose()?;
        let socket = named.and_then(|admin| Some((admin.socket.as_ref()?, admin.socket_mode)));
        let socket = socket.map(|(path, mode)| SocketDoor::open(path, mode, &config.limits)).transpose()?;
        let mut running = Running {
            admin: Arc::clone(self),
            address: door.as_ref().map(Door::address),
            socket: socket.as_ref().map(|socket| socket.path().to_owned()),
            local_ca: door.as_ref().and_then(Door::ca_path).map(Path::to_owned),
            tasks: JoinSet::new(),
            drain: CancellationToken::new(),
        };
        let admin = Arc::clone(self);
        let handler = move |request, peer| answer(Arc::clone(&admin), request, peer);
        if let Some(door) = door {
            running.tasks.spawn(door.serve(handler.clone(), running.drain.clone()));
        }
        if let Some(socket) = socket {
            running.tasks.spawn(socket.serve(handler, running.drain.clone()));
        }
        Ok(running)
    }
}

impl Running {
    /// Where the listener is, if there is one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Where the socket is, if there is one.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// The local certificate authority, where the listener says `tls: local`.
    pub fn local_ca(&self) -> Option<&Path> {
        self.local_ca.as_deref()
    }

    /// Stops accepting, lets what runs finish within the configured time, and waits for its seals: call it
    /// before the gateway's ledger is closed.
    pub async fn stop(mut self) {
        self.drain.cancel();
        while self.tasks.join_next().await.is_some() {}
        let all = u32::try_from(ROOM).unwrap_or(u32::MAX);
        let sealed = Arc::clone(&self.admin.room).acquire_many_owned(all);
        if tokio::time::timeout(SEALS, sealed).await.is_err() {
            tracing::warn!("some calls were not sealed in time; the next start closes them as interrupted");
        }
    }
}

type Answer = Response<Either<ReplyBody, ConsoleBody>>;

/// Answers one request, as the gateway does: in a task of its own, which seals whatever becomes of the
/// connection.
async fn answer(admin: Arc<Admin>, request: Request<Incoming>, peer: Peer) -> Answer {
    let path = request.uri().path();
    let ours = path == "/api" || path.starts_with("/api/");
    if let Some(console) = admin.console.as_ref().filter(|_| !ours) {
        return Arc::clone(console).answer(request, peer).await.map(Either::Right);
    }
    let arrival = Arrival::new(request, &peer, &**admin.gateway.clock());
    let came = arrival.came;
    let (reply, answered) = reply::channel();
    tokio::spawn(Box::pin(exchange::carry(Arc::clone(&admin), arrival, reply)));
    let response = tokio::select! {
        biased;
        answered = answered => answered.unwrap_or_else(|_| {
            tracing::error!(request = %came.exchange, "the call was lost");
            reply::lost()
        }),
        fault = admin.gateway.ledger().hung() => {
            let (reply, answered) = reply::channel();
            refuse::unrecorded(&admin, &came, &fault, reply).await;
            answered.await.unwrap_or_else(|_| reply::lost())
        }
    };
    response.map(Either::Left)
}
