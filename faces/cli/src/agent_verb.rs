//! `portcullis agent`: stands beside the models, holds their credentials, and dials out to the gateway.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use model::SystemClock;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::out::Out;
use crate::{log, serve};

#[derive(Args)]
pub(crate) struct Agent {
    /// The agent's own file
    #[arg(long, short, default_value = "agent.yaml", env = "PORTCULLIS_AGENT_CONFIG")]
    config: PathBuf,
    /// What to log: error, warn, info, debug, or a filter
    #[arg(long, default_value = "info", env = "PORTCULLIS_LOG")]
    log: String,
}

impl Agent {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        log::start(&self.log);
        let config = config::load_agent(&self.config);
        let config = config.map_err(|faults| {
            Failure::Config(format!("the agent's file has faults:\n{}", faults.render(out.colour())))
        })?;
        serve::runtime()?.block_on(async {
            let opened = agent::Agent::open(config, Arc::new(SystemClock::default())).await;
            let agent = opened.map_err(|fault| Failure::Said(fault.to_string()))?;
            let stop = CancellationToken::new();
            let serving = tokio::spawn(agent.serve(Some(self.config), stop.clone()));
            serve::until_told_to_stop().await?;
            tracing::info!("draining: nothing new is taken; running requests may finish");
            stop.cancel();
            serving.await.map_err(|fault| Failure::Said(format!("the agent broke off: {fault}")))?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
