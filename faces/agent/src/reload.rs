//! Reads the agent's file again: all of it or none of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use config::{AgentConfig, Watched};
use model::Clock;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::desk::Desk;

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// What is read again, and what becomes of it.
pub(crate) struct Reloading {
    pub(crate) file: PathBuf,
    /// As it was read last.
    pub(crate) config: AgentConfig,
    pub(crate) desk: Arc<ArcSwap<Desk>>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Reloading {
    /// Reloads on SIGHUP and when the file changed, until `stop`.
    pub(crate) async fn watch(mut self, stop: CancellationToken) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(fault) => {
                tracing::warn!(%fault, "SIGHUP can't be heard; the file is read at the next start");
                return;
            }
        };
        let mut watched = Watched::open_agents(&self.file, &self.config);
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                _ = hangup.recv() => true,
                () = tokio::time::sleep(EVERY) => false,
            };
            if !watched.changed() && !asked {
                continue;
            }
            match self.replace() {
                Ok(()) => tracing::info!("the agent's file was read again"),
                Err(fault) => tracing::error!("kept what the agent's file said before: {fault}"),
            }
        }
    }

    /// Builds everything new first; only then does anything change.
    fn replace(&mut self) -> Result<(), String> {
        let config = config::load_agent(&self.file).map_err(|faults| format!("it has faults:\n{faults}"))?;
        let desk = self.desk.load().after(&config, &self.clock).map_err(|fault| fault.to_string())?;
        warn_of_fixed_parts(&self.config, &config);
        self.desk.store(Arc::new(desk));
        self.config = config;
        Ok(())
    }
}

fn warn_of_fixed_parts(before: &AgentConfig, after: &AgentConfig) {
    let limits =
        |config: &AgentConfig| (config.requests_in_flight, config.body_bytes_in_flight, config.drain);
    let fixed = [
        ("gateways", before.gateways == after.gateways),
        ("dir", before.dir == after.dir),
        ("limits", limits(before) == limits(after)),
    ];
    for (key, same) in fixed {
        if !same {
            tracing::warn!("`{key}` changed: it takes effect at the next start");
        }
    }
}
