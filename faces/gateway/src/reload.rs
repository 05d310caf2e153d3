//! Reads the configuration and the policies again: all of it or none of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use authorize::PolicySet;
use model::PolicySetHash;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::setup::Setup;
use crate::{Gateway, SetupError};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Why a reload kept what was there.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration can't be used.
    #[error("the configuration has faults:\n{0}")]
    Config(config::Faults),
    /// Something it names can't be used.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// There is nothing to read.
    #[error("this gateway was started without a file to read again")]
    NoFile,
}

/// What is read again.
#[derive(Default)]
pub(crate) struct Source {
    file: OnceLock<PathBuf>,
    /// One reload at a time: an older reading must not replace a newer one.
    turn: tokio::sync::Mutex<()>,
}

impl Source {
    pub(crate) fn is(&self, file: &Path) {
        // Only the first file counts; a gateway serves once.
        let _ = self.file.set(file.to_owned());
    }
}

impl Gateway {
    /// Reads the configuration and the policies again: all of it or none of it. `by` says in the ledger
    /// who loaded the policies.
    ///
    /// # Errors
    /// [`ReloadError`] with every fault; then nothing has changed.
    pub async fn reload(&self, by: &str) -> Result<PolicySetHash, ReloadError> {
        let file = self.source.file.get().ok_or(ReloadError::NoFile)?;
        let replaced = replace(self, file, by).await;
        tell(self, &replaced);
        replaced.map(|()| self.authorizer.current().hash())
    }
}

/// Reloads on SIGHUP and when a file changed, until the gateway drains.
pub(crate) async fn watch(gateway: Arc<Gateway>, file: PathBuf, drain: CancellationToken) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(fault) => {
            tracing::warn!(%fault, "SIGHUP can't be heard; the files are still watched");
            return drain.cancelled().await;
        }
    };
    let mut watched = config::Watched::open(&file, &gateway.setup().config);
    loop {
        let asked = tokio::select! {
            () = drain.cancelled() => return,
            _ = hangup.recv() => true,
            () = tokio::time::sleep(EVERY) => false,
        };
        if watched.changed() || asked {
            let replaced = replace(&gateway, &file, "reload").await;
            tell(&gateway, &replaced);
            watched.follow(&gateway.setup().config);
        }
    }
}

fn tell(gateway: &Gateway, replaced: &Result<(), ReloadError>) {
    match replaced {
        Ok(()) => {
            metrics::counter!("portcullis_reloads_total", "result" => "ok").increment(1);
            tracing::info!(policies = %gateway.authorizer.current().hash(), "configuration and policies reloaded");
        }
        Err(fault) => {
            metrics::counter!("portcullis_reloads_total", "result" => "refused").increment(1);
            tracing::error!("kept the old configuration and policies: {fault}");
        }
    }
}

/// Builds everything new first; only then does anything change.
async fn replace(gateway: &Gateway, file: &Path, by: &str) -> Result<(), ReloadError> {
    let _turn = gateway.source.turn.lock().await;
    let config = config::load(file).map_err(ReloadError::Config)?;
    let policies = PolicySet::load(&config.policies.dir).map_err(SetupError::from)?;
    let before = gateway.setup();
    warn_of_fixed_parts(&before.config, &config);
    let setup = Setup::build(config, Some(&before), &gateway.clock, gateway.standing(), gateway.agents())?;
    if policies.hash() != gateway.authorizer.current().hash() {
        // A set that decides is in the ledger before it decides.
        gateway.ledger.policy_set(policies.hash(), policies.text(), by).await.map_err(SetupError::from)?;
        gateway.authorizer.replace(policies);
    }
    gateway.approvals().set(crate::state::settings(&setup.config));
    gateway.authorizer.introduce(Arc::new(setup.config.people.clone()));
    setup.authenticator.warm().await;
    gateway.setup.store(Arc::new(setup));
    Ok(())
}

/// What of the agents' section is fixed. Who is a workload is read again.
fn door(config: &config::Config) -> Option<(std::net::SocketAddr, &Path)> {
    config.agents.as_ref().map(|agents| (agents.address, agents.dir.as_path()))
}

fn warn_of_fixed_parts(before: &config::Config, after: &config::Config) {
    let fixed = [
        ("listeners", before.listeners == after.listeners),
        ("observe", before.observe == after.observe),
        ("admin", before.admin == after.admin),
        ("agents", door(before) == door(after)),
        ("ledger", before.ledger == after.ledger),
        ("state", before.state == after.state),
        ("limits", before.limits == after.limits),
    ];
    for (key, same) in fixed {
        if !same {
            tracing::warn!("`{key}` changed: it takes effect at the next start");
        }
    }
}
