//! The agent's side as a whole: tunnels to every gateway, kept open; a certificate, kept fresh.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use model::Clock;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::TunnelError;
use crate::agree::{hello, welcomed};
use crate::backoff::{Backoff, LIVED};
use crate::enrol::Enrolled;
use crate::identity::AgentIdentity;
use crate::secure;
use crate::serve::{Delegated, Load, serve};
use crate::token::random;
use crate::window::{MOST_CONNECTIONS, MOST_STREAMS};
use crate::wire::{self, Welcome};

/// How long to wait after a refusal that only an operator can change.
const PAUSE: Duration = Duration::from_secs(30);
/// How often it is looked whether fewer connections would do, and whether to renew.
const LOOK: Duration = Duration::from_secs(30);

/// An agent, enrolled, that may open its tunnels.
pub struct Membership {
    /// Its gateways, `HOST:PORT` each.
    gateways: Vec<String>,
    dir: PathBuf,
    enrolled: watch::Sender<Arc<Enrolled>>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Membership").field("gateways", &self.gateways).finish_non_exhaustive()
    }
}

impl Membership {
    /// The membership of `enrolled`, kept in `dir`, at `gateways`.
    pub fn new(gateways: Vec<String>, dir: PathBuf, enrolled: Enrolled, clock: Arc<dyn Clock>) -> Self {
        Self { gateways, dir, enrolled: watch::Sender::new(Arc::new(enrolled)), clock }
    }

    /// Who it is.
    pub fn identity(&self) -> Arc<AgentIdentity> {
        Arc::clone(self.enrolled.borrow().identity())
    }

    /// Keeps tunnels to every gateway and answers what comes through them with `handler`, until `stop`.
    /// Then it takes nothing new, and returns when what runs has finished: limit the time of it.
    pub async fn serve<H, F, B>(self, handler: H, stop: CancellationToken)
    where
        H: Fn(Delegated, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut keepers = JoinSet::new();
        for at in &self.gateways {
            let keeper = Keeper {
                at: at.clone(),
                enrolled: self.enrolled.subscribe(),
                handler: handler.clone(),
                clock: Arc::clone(&self.clock),
                load: Arc::default(),
                running: JoinSet::new(),
                live: Vec::new(),
                old: Vec::new(),
                backoff: Backoff::default(),
            };
            keepers.spawn(keeper.run(stop.clone()));
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep_fresh() => {}
        }
        while keepers.join_next().await.is_some() {}
    }

    /// Renews the certificate in time, for as long as it is polled.
    async fn keep_fresh(&self) {
        let mut backoff = Backoff::default();
        loop {
            let enrolled = Arc::clone(&self.enrolled.borrow());
            if self.clock.now() < enrolled.renew() {
                sleep(LOOK).await;
                continue;
            }
            match self.renewed(&enrolled).await {
                Ok(next) => {
                    tracing::info!(agent = %next.identity().name, until = %next.expires(), "the certificate was renewed");
                    backoff.went_well();
                    self.enrolled.send_replace(Arc::new(next));
                }
                Err(fault) => {
                    tracing::error!(%fault, until = %enrolled.expires(), "the certificate cannot be renewed; it is tried again");
                    sleep(backoff.failed(chance()).saturating_add(LOOK)).await;
                }
            }
        }
    }

    async fn renewed(&self, enrolled: &Enrolled) -> Result<Enrolled, TunnelError> {
        let mut last = TunnelError::Unfit("there is no gateway to ask".to_owned());
        for at in &self.gateways {
            match enrolled.again(at, &self.clock).await {
                // Kept first: the old key is good until its end, a lost one is not.
                Ok(next) => return next.keep(&self.dir).map(|()| next),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }
}

/// Any number, evenly spread.
fn chance() -> u64 {
    random::<8>().map(u64::from_le_bytes).unwrap_or_default()
}

/// One connection that runs.
struct Live {
    number: u64,
    drain: CancellationToken,
}

/// Keeps connections to one gateway.
struct Keeper<H> {
    at: String,
    enrolled: watch::Receiver<Arc<Enrolled>>,
    handler: H,
    clock: Arc<dyn Clock>,
    load: Arc<Load>,
    /// Which ended, and how long it lived.
    running: JoinSet<(u64, Duration)>,
    live: Vec<Live>,
    /// Those that end once there is another in their place.
    old: Vec<Live>,
    backoff: Backoff,
}

impl<H, F, B> Keeper<H>
where
    H: Fn(Delegated, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn run(mut self, stop: CancellationToken) {
        let (mut want, mut number) = (1, 0);
        while !stop.is_cancelled() {
            if self.live.len() < want {
                let dialled = tokio::select! {
                    () = stop.cancelled() => break,
                    dialled = self.dial() => dialled,
                };
                match dialled {
                    Ok((stream, identity)) => {
                        number += 1;
                        self.begin(number, stream, identity);
                    }
                    Err(fault) => {
                        let pause = self.pause(&fault);
                        tracing::warn!(gateway = %self.at, %fault, again_in = ?pause, "no tunnel");
                        self.wait(pause, &stop).await;
                    }
                }
                continue;
            }
            let load = Arc::clone(&self.load);
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = self.running.join_next() => {
                    let pause = self.ended(ended.ok());
                    want = self.live.len().max(1);
                    self.wait(pause, &stop).await;
                }
                () = load.grow.notified() => want = want.saturating_add(1).min(MOST_CONNECTIONS),
                Ok(()) = self.enrolled.changed() => {
                    // The new certificate's connections take the place of the old one's.
                    self.old.append(&mut self.live);
                    self.count();
                    want = 1;
                }
                () = sleep(LOOK) => {
                    let streams = self.load.streams.load(Ordering::Relaxed);
                    if want > 1 && streams.saturating_mul(4) < (want - 1).saturating_mul(MOST_STREAMS) {
                        want -= 1;
                        if let Some(last) = self.live.pop() {
                            last.drain.cancel();
                        }
                        self.count();
                    }
                }
            }
        }
        for live in self.live.iter().chain(&self.old) {
            live.drain.cancel();
        }
        while self.running.join_next().await.is_some() {}
    }

    async fn wait(&self, pause: Duration, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(pause) => {}
        }
    }

    fn pause(&mut self, fault: &TunnelError) -> Duration {
        let wait = self.backoff.failed(chance());
        match fault {
            TunnelError::Refused(refused) if refused.why.is_final() => PAUSE.saturating_add(wait),
            _ => wait,
        }
    }

    /// A connection ended by itself. Says how long to wait before the next.
    fn ended(&mut self, ended: Option<(u64, Duration)>) -> Duration {
        let Some((number, lived)) = ended else { return self.backoff.failed(chance()) };
        let was_live = self.live.iter().any(|live| live.number == number);
        self.live.retain(|live| live.number != number);
        self.old.retain(|live| live.number != number);
        self.count();
        if lived >= LIVED {
            self.backoff.went_well();
        }
        if was_live { self.backoff.failed(chance()) } else { Duration::ZERO }
    }

    fn count(&self) {
        self.load.connections.store(self.live.len(), Ordering::Relaxed);
    }

    async fn dial(&mut self) -> Result<(TlsStream<TcpStream>, Arc<AgentIdentity>), TunnelError> {
        let enrolled = Arc::clone(&self.enrolled.borrow_and_update());
        let mut stream = secure::connect(&self.at, enrolled.tunnel_tls(&self.clock)?).await?;
        let broken =
            |cause: std::io::Error| TunnelError::Unreachable { at: self.at.clone(), why: cause.to_string() };
        wire::say(&mut stream, &hello()).await.map_err(broken)?;
        let welcome: Welcome = wire::hear(&mut stream).await.map_err(broken)?;
        welcomed(&welcome).map_err(TunnelError::Refused)?;
        Ok((stream, Arc::clone(enrolled.identity())))
    }

    fn begin(&mut self, number: u64, stream: TlsStream<TcpStream>, identity: Arc<AgentIdentity>) {
        tracing::info!(gateway = %self.at, agent = %identity.name, "a tunnel stands");
        let drain = CancellationToken::new();
        let (load, clock, began) = (Arc::clone(&self.load), Arc::clone(&self.clock), self.clock.elapsed());
        let served = serve(stream, identity, self.handler.clone(), load, drain.clone());
        let at = self.at.clone();
        self.running.spawn(async move {
            if let Err(fault) = served.await {
                tracing::warn!(gateway = %at, %fault, "a tunnel broke off");
            }
            (number, clock.elapsed().saturating_sub(began))
        });
        self.live.push(Live { number, drain });
        self.count();
        for old in &self.old {
            old.drain.cancel();
        }
    }
}
