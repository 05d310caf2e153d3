//! An agent's own file, its way to the gateways, and the upstreams beside it.

use std::path::Path;
use std::time::Duration;

use model::{Clock, SystemClock};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tunnel::Enrolled;

use crate::doctor::finding::Finding;
use crate::doctor::upstreams;

/// How long a connection to a gateway may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at everything an agent needs.
pub(crate) async fn examine(file: &Path) -> Vec<Finding> {
    let config = match config::load_agent(file) {
        Ok(config) => config,
        Err(faults) => return vec![Finding::bad("config", file.display(), faults.render(false))],
    };
    let mut found =
        vec![Finding::good("config", file.display(), format!("{} resources", config.resources.len()))];
    found.push(membership(&config.dir, config.join.is_some()));
    for gateway in &config.gateways {
        found.push(reached(gateway).await);
    }
    for resource in &config.resources {
        found.extend(upstreams::examine(resource).await);
    }
    found
}

fn membership(dir: &Path, may_join: bool) -> Finding {
    let shown = dir.display();
    let now = SystemClock::default().now();
    match Enrolled::kept(dir) {
        Ok(Some(kept)) if now < kept.expires() => {
            let what = format!("enrolled as {} until {}", kept.identity().name, kept.expires());
            Finding::good("tunnel", shown, what)
        }
        Ok(Some(kept)) => {
            Finding::bad("tunnel", shown, format!("its certificate ended at {}", kept.expires()))
                .advice("Invite it again: `portcullis agents invite`, at the gateway.")
        }
        Ok(None) if may_join => {
            Finding::caution("tunnel", shown, "not enrolled yet: it joins when it starts")
        }
        Ok(None) => Finding::bad("tunnel", shown, "not enrolled, and no `join` is configured")
            .advice("Invite it: `portcullis agents invite`, at the gateway."),
        Err(fault) => Finding::bad("tunnel", shown, fault),
    }
}

async fn reached(gateway: &str) -> Finding {
    match timeout(PATIENCE, TcpStream::connect(gateway)).await {
        Ok(Ok(_)) => Finding::good("tunnel", gateway, "can be reached"),
        Ok(Err(fault)) => Finding::bad("tunnel", gateway, format!("cannot be reached: {fault}"))
            .advice("The agent dials out: let it reach this address; nothing needs to reach the agent."),
        Err(_) => Finding::bad("tunnel", gateway, format!("did not answer within {PATIENCE:?}"))
            .advice("The agent dials out: let it reach this address; nothing needs to reach the agent."),
    }
}
