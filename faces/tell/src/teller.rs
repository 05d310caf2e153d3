//! The teller: holds the lease, follows, and keeps the senders running.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::Clock;
use store::{Lease, Store};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::TellError;
use crate::follow::{Follower, Source};
use crate::outlet::Outlet;
use crate::send::Sender;
use crate::slack::Slack;
use crate::spool::Spool;
use crate::webhook::Webhook;

/// Who of several replicas tells people.
const LEASE: &str = "tell";

/// How often and for how long the teller does what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How often the store is asked what changed.
    pub(crate) follow: Duration,
    /// How long the lease lasts without a renewal.
    pub(crate) lease: Duration,
    /// How long after a failure, or while another replica tells, it is tried again.
    pub(crate) again: Duration,
    /// How long what is out may take after the end was asked for.
    pub(crate) end: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            follow: Duration::from_millis(250),
            lease: Duration::from_secs(10),
            again: Duration::from_secs(1),
            end: Duration::from_secs(5),
        }
    }
}

/// Who is told now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// By the configuration.
    pub tell: config::Tell,
    /// Where people find the console's pages: scheme and host.
    pub origin: Option<String>,
}

/// A teller that runs in a task. Dropped, it stops at once; what waits is told by the next.
pub struct Telling {
    task: AbortOnDropHandle<()>,
    stop: CancellationToken,
}

impl Telling {
    /// Ends it, after a moment for what is being sent.
    pub async fn stop(self) {
        self.stop.cancel();
        if self.task.await.is_err() {
            tracing::warn!("the telling of approvals broke off; what waits is told by the next start");
        }
    }
}

/// Tells people, for as long as it runs.
pub struct Teller {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    sources: Vec<Arc<Source>>,
    settings: Box<dyn Fn() -> Settings + Send + Sync>,
    holder: String,
    /// Nobody is told, and what was followed is forgotten.
    silent: AtomicBool,
    pub(crate) pace: Pace,
}

impl Teller {
    /// A teller of what lies in `store`. `settings` is asked now and then: a change takes effect within
    /// seconds.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        sources: Vec<Source>,
        settings: impl Fn() -> Settings + Send + Sync + 'static,
    ) -> Self {
        Self {
            store,
            clock,
            sources: sources.into_iter().map(Arc::new).collect(),
            settings: Box::new(settings),
            holder: Uuid::now_v7().to_string(),
            silent: AtomicBool::new(false),
            pace: Pace::default(),
        }
    }

    /// Tells people until `stop`. What is out then is waited for a moment; what waits is told by the next.
    pub async fn run(&self, stop: CancellationToken) {
        let mut failing = false;
        while !stop.is_cancelled() {
            let settings = (self.settings)();
            match self.lead(&settings, &stop).await {
                Ok(()) => failing = false,
                Err(fault) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%fault, "people are not told of approvals; it is tried again");
                    }
                    self.pause(&stop).await;
                }
            }
        }
    }

    /// Runs it in a task of its own.
    pub fn begin(self) -> Telling {
        let stop = CancellationToken::new();
        let told = stop.clone();
        let task = AbortOnDropHandle::new(tokio::spawn(async move { self.run(told).await }));
        Telling { task, stop }
    }

    async fn pause(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(self.pace.again) => {}
        }
    }

    /// Tells people by `settings`, until they change, the lease is lost, or `stop`.
    async fn lead(&self, settings: &Settings, stop: &CancellationToken) -> Result<(), TellError> {
        if settings.tell.is_silent() {
            // What happens while nobody is told is nobody's news later either.
            if !self.silent.swap(true, Ordering::Relaxed) {
                Follower::forget(&*self.store, &self.sources).await?;
            }
            self.pause(stop).await;
            return Ok(());
        }
        self.silent.store(false, Ordering::Relaxed);
        let outlets = outlets(settings)?;
        let Some(lease) = self.store.lease(LEASE, &self.holder, self.pace.lease).await? else {
            self.pause(stop).await;
            return Ok(());
        };
        let spool = Spool::load(&self.store, &self.clock, &outlets, settings.tell.give_up).await?;
        let spool = Arc::new(spool);
        // Ends the senders also when this future is dropped.
        let quit = stop.child_token();
        let mut senders: JoinSet<Result<(), TellError>> = JoinSet::new();
        for outlet in &outlets {
            let Some(line) = spool.line(outlet.name()) else { continue };
            let sender = Sender {
                outlet: Arc::clone(outlet),
                line,
                spool: Arc::clone(&spool),
                store: Arc::clone(&self.store),
                clock: Arc::clone(&self.clock),
            };
            senders.spawn(sender.run(quit.clone()));
        }
        let ended = tokio::select! {
            followed = self.follow(settings, &spool, &outlets, stop) => followed,
            Some(ended) = senders.join_next() => ended.unwrap_or(Err(TellError::BrokenOff)),
        };
        quit.cancel();
        let all = async { while senders.join_next().await.is_some() {} };
        if tokio::time::timeout(self.pace.end, all).await.is_err() {
            tracing::warn!("what is being sent now is not waited for; it may be sent again");
        }
        senders.shutdown().await;
        if stop.is_cancelled() {
            self.store.release(&lease).await?;
        }
        ended
    }

    async fn follow(
        &self,
        settings: &Settings,
        spool: &Spool,
        outlets: &[Arc<Outlet>],
        stop: &CancellationToken,
    ) -> Result<(), TellError> {
        let mut followers = Vec::new();
        for source in &self.sources {
            followers.push(Follower::open(&*self.store, Arc::clone(source)).await?);
        }
        let mut renewed = self.clock.elapsed();
        loop {
            for follower in &mut followers {
                follower.catch_up(&*self.store, spool, outlets).await?;
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.pace.follow) => {}
            }
            if self.clock.elapsed().saturating_sub(renewed) >= self.pace.lease / 4 {
                renewed = self.clock.elapsed();
                self.renew().await?;
                if (self.settings)() != *settings {
                    tracing::info!("who is told of approvals has changed");
                    return Ok(());
                }
            }
        }
    }

    async fn renew(&self) -> Result<Lease, TellError> {
        let lease = self.store.lease(LEASE, &self.holder, self.pace.lease).await?;
        lease.ok_or(TellError::TakenOver)
    }
}

fn outlets(settings: &Settings) -> Result<Vec<Arc<Outlet>>, TellError> {
    let origin = || settings.origin.clone();
    let mut outlets = Vec::new();
    for webhook in &settings.tell.webhooks {
        outlets.push(Arc::new(Outlet::Webhook(Webhook::new(webhook, origin())?)));
    }
    if let Some(slack) = &settings.tell.slack {
        outlets.push(Arc::new(Outlet::Slack(Slack::new(slack, origin())?)));
    }
    Ok(outlets)
}
