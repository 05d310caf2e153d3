//! `portcullis serve`: stands in the data path until told to stop.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use gateway::{Gateway, Running};
use model::SystemClock;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::out::Out;
use crate::{config_verb, log, pages};

#[derive(Args)]
pub(crate) struct Serve {
    /// The configuration file
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// What to log: error, warn, info, debug, or a filter
    #[arg(long, default_value = "info", env = "PORTCULLIS_LOG")]
    log: String,
}

impl Serve {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        log::start(&self.log);
        let config = config_verb::load(&self.config, out.colour())?;
        runtime()?.block_on(async {
            let gateway = Gateway::build(config, Arc::new(SystemClock::default())).await?;
            let desk = pages::desk(&gateway)?;
            let console = pages::of(&gateway, &desk);
            let admin = admin::Admin::of(Arc::clone(&gateway), desk, console)?.open()?;
            let telling = tell::Teller::of(&gateway).begin();
            let running = gateway.serve(Some(self.config)).await?;
            announce(&running);
            announce_admin(&admin);
            until_told_to_stop().await?;
            tracing::info!("draining: no new connections; running exchanges may finish");
            admin.stop().await;
            telling.stop().await;
            running.stop().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// A runtime for verbs that wait for the network.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // At least two, so that a task that a hanging disk holds up never holds up all others.
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.max(2))
        .enable_all()
        .build()
        .map_err(|fault| Failure::Said(format!("cannot start: {fault}")))
}

fn announce(running: &Running) {
    for address in running.addresses() {
        tracing::info!(%address, "open to callers");
    }
    if let Some(address) = running.observe() {
        tracing::info!(%address, "health at /healthz and /readyz, metrics at /metrics");
    }
    if let Some(address) = running.agents() {
        tracing::info!(%address, "open to agents");
    }
    if let Some(ca) = running.local_ca() {
        let ca = ca.display();
        tracing::info!(
            "clients trust this gateway with SSL_CERT_FILE={ca} NODE_EXTRA_CA_CERTS={ca} REQUESTS_CA_BUNDLE={ca}"
        );
    }
}

fn announce_admin(admin: &admin::Running) {
    if let Some(address) = admin.address() {
        tracing::info!(%address, "administered here, with a token");
    }
    if let Some(socket) = admin.socket() {
        tracing::info!(socket = %socket.display(), "administered here, with a token");
    }
    if let Some(ca) = admin.local_ca() {
        tracing::info!("administrators trust this gateway with --admin-ca {}", ca.display());
    }
}

/// Waits for a signal that ends the program.
pub(crate) async fn until_told_to_stop() -> Result<(), Failure> {
    let listen = |kind| signal(kind).map_err(|fault| Failure::Said(format!("cannot hear signals: {fault}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
