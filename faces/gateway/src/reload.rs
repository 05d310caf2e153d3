//! Reads the configuration and the policies again: all of it or none of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use authorize::PolicySet;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::setup::Setup;
use crate::{Gateway, SetupError};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Why a reload kept what was there.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error("the configuration has faults:\n{0}")]
    Config(config::Faults),
    #[error(transparent)]
    Setup(#[from] SetupError),
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
            reload(&gateway, &file).await;
            watched.follow(&gateway.setup().config);
        }
    }
}

async fn reload(gateway: &Gateway, file: &Path) {
    match replace(gateway, file).await {
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
async fn replace(gateway: &Gateway, file: &Path) -> Result<(), ReloadError> {
    let config = config::load(file).map_err(ReloadError::Config)?;
    let policies = PolicySet::load(&config.policies.dir).map_err(SetupError::from)?;
    let before = gateway.setup();
    warn_of_fixed_parts(&before.config, &config);
    let setup = Setup::build(config, Some(&before), &gateway.clock, gateway.standing())?;
    if policies.hash() != gateway.authorizer.current().hash() {
        // A set that decides is in the ledger before it decides.
        gateway
            .ledger
            .policy_set(policies.hash(), policies.text(), "reload")
            .await
            .map_err(SetupError::from)?;
        gateway.authorizer.replace(policies);
    }
    setup.authenticator.warm().await;
    gateway.setup.store(Arc::new(setup));
    Ok(())
}

fn warn_of_fixed_parts(before: &config::Config, after: &config::Config) {
    let fixed = [
        ("listeners", before.listeners == after.listeners),
        ("observe", before.observe == after.observe),
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
