//! Runs the gateway: opens its doors, reloads, drains.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use accept::{Door, Peer};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::agents::Entrance;
use crate::reply::{self, ReplyBody};
use crate::ride::Ride;
use crate::session::Arrival;
use crate::{Gateway, SetupError, deliver, exchange, grants, logout, observe, probe, refuse, reload};

/// A gateway whose doors are open.
pub struct Running {
    gateway: Arc<Gateway>,
    addresses: Vec<SocketAddr>,
    observe: Option<SocketAddr>,
    local_ca: Option<PathBuf>,
    /// Where agents come in. Closed when nothing needs them any more.
    entrance: Option<Entrance>,
    tasks: JoinSet<()>,
    /// They take checkpoints outside, until the ledger is closed.
    deliveries: JoinSet<()>,
    drain: CancellationToken,
}

impl Gateway {
    /// Opens every listener and serves. With `file`, the configuration and the policies are read again
    /// when they change, and on [`Running::reload`].
    ///
    /// # Errors
    /// [`SetupError`] when a listener can't be opened; none is left open then.
    pub async fn serve(self: &Arc<Self>, file: Option<PathBuf>) -> Result<Running, SetupError> {
        let setup = self.setup();
        let drain = self.drain.clone();
        let mut tasks = JoinSet::new();
        let mut addresses = Vec::new();
        let mut local_ca = None;
        let doors: Result<Vec<Door>, _> = setup
            .config
            .listeners
            .iter()
            .map(|listener| Door::open(listener, &setup.config.limits, Arc::clone(&self.clock)))
            .collect();
        let watch = observe::open(setup.config.observe).await?;
        let observe = watch.as_ref().and_then(|listener| listener.local_addr().ok());
        let entrance = self.open_entrance().await?;
        for door in doors? {
            addresses.push(door.address());
            local_ca = local_ca.or_else(|| door.ca_path().map(PathBuf::from));
            let gateway = Arc::clone(self);
            let handler = move |request, peer| answer(Arc::clone(&gateway), request, peer);
            tasks.spawn(door.serve(handler, drain.clone()));
        }
        if let Some(listener) = watch {
            tasks.spawn(observe::serve(Arc::clone(self), listener, drain.clone()));
        }
        if let Some(file) = file {
            self.source.is(&file);
            tasks.spawn(reload::watch(Arc::clone(self), file, drain.clone()));
        }
        tasks.spawn(grants::keep(Arc::clone(self), drain.clone()));
        tasks.spawn(probe::keep(Arc::clone(self), drain.clone()));
        let authenticator = Arc::clone(&setup.authenticator);
        tokio::spawn(async move { authenticator.warm().await });
        let deliveries = deliver::begin(&setup.config.ledger.checkpoints, &self.ledger);
        let gateway = Arc::clone(self);
        Ok(Running { gateway, addresses, observe, local_ca, entrance, tasks, deliveries, drain })
    }
}

impl Running {
    /// Where callers are served, in the configuration's order.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where health and metrics are served.
    pub fn observe(&self) -> Option<SocketAddr> {
        self.observe
    }

    /// Where agents come in.
    pub fn agents(&self) -> Option<SocketAddr> {
        self.entrance.as_ref().map(|entrance| entrance.address)
    }

    /// The local certificate authority, where a listener says `tls: local`.
    pub fn local_ca(&self) -> Option<&PathBuf> {
        self.local_ca.as_ref()
    }

    /// The gateway itself.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Stops accepting, lets what runs finish within the configured time, cuts the rest, and closes the
    /// ledger once everything is sealed.
    pub async fn stop(mut self) {
        self.drain.cancel();
        while self.tasks.join_next().await.is_some() {}
        // Exchanges outlive their connections by the time a seal takes; all room free means all sealed.
        let all = u32::try_from(self.gateway.setup().config.limits.requests_in_flight).unwrap_or(u32::MAX);
        let sealed = Arc::clone(&self.gateway.room).acquire_many_owned(all);
        if tokio::time::timeout(std::time::Duration::from_secs(5), sealed).await.is_err() {
            tracing::warn!(
                "some exchanges were not sealed in time; the next start closes them as interrupted"
            );
        }
        if let Some(entrance) = self.entrance.take() {
            entrance.close().await;
        }
        self.gateway.standing().flush().await;
        if let Err(fault) = self.gateway.ledger.clone().close().await {
            tracing::warn!(%fault, "the ledger could not be closed cleanly; the next start mends it");
        }
        deliver::finish(self.deliveries).await;
    }
}

/// Answers one request; one that a hanging disk holds up is not waited for.
async fn answer(gateway: Arc<Gateway>, request: Request<Incoming>, peer: Peer) -> Response<ReplyBody> {
    if logout::issuer(request.uri().path()).is_some() {
        return Box::pin(logout::answer(&gateway, request)).await;
    }
    let arrival = Arrival::new(request, &peer, &*gateway.clock);
    let came = arrival.came;
    let (reply, answered) = reply::channel();
    let ride = Ride::begin(exchange::carry(Arc::clone(&gateway), arrival, reply), answered);
    tokio::select! {
        biased;
        answered = ride => answered.unwrap_or_else(|| {
            tracing::error!(request = %came.exchange, "the exchange was lost");
            reply::lost()
        }),
        fault = gateway.ledger.hung() => {
            let (reply, mut answered) = reply::channel();
            refuse::unrecorded(&gateway, &came, &fault, reply).await;
            answered.try_recv().unwrap_or_else(|_| reply::lost())
        }
    }
}
