//! The agents' side of the gateway: who may be one, who is connected, and their door.

use std::net::SocketAddr;
use std::sync::Arc;

use config::Config;
use forward::Upstreams;
use model::Clock;
use store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tunnel::{Agents, Authority, Door, Roster};

use crate::{Gateway, SetupError, workloads};

/// The agents' door, open.
pub(crate) struct Entrance {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    serving: AbortOnDropHandle<()>,
}

impl Entrance {
    /// Closes it and cuts every tunnel: what uses them has ended.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        // A task that panicked has nothing left to close.
        let _ = self.serving.await;
    }
}

/// Makes ready for agents, where the configuration lets them in. None is connected yet.
pub(crate) fn ready(
    config: &Config,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<Agents>>, SetupError> {
    let Some(settings) = &config.agents else { return Ok(None) };
    let authority = Authority::open(&settings.dir, Arc::clone(clock))?;
    Ok(Some(Agents::new(Roster::new(Arc::clone(store), authority, Arc::clone(clock)))))
}

/// How a resource is reached.
pub(crate) fn upstreams(
    resource: &config::Resource,
    agents: Option<&Arc<Agents>>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Upstreams>, String> {
    match (&resource.agent, agents) {
        (None, _) => Upstreams::build(resource, Arc::clone(clock)).map_err(|fault| fault.to_string()),
        (Some(_), Some(agents)) => Ok(Upstreams::beyond(resource, agents, Arc::clone(clock))),
        (Some(_), None) => {
            Err("an agent reaches it, and agents come in only from the next start on".to_owned())
        }
    }
}

impl Gateway {
    /// The agents that are connected, where any can be.
    pub fn agents(&self) -> Option<&Arc<Agents>> {
        self.agents.as_ref()
    }

    /// Opens the agents' door, where the configuration has one.
    pub(crate) async fn open_entrance(self: &Arc<Self>) -> Result<Option<Entrance>, SetupError> {
        let settings = self.setup().config.agents.clone();
        let (Some(settings), Some(agents)) = (settings, &self.agents) else { return Ok(None) };
        agents.let_in(workloads::of(self));
        let door = Door::open(settings.address, Arc::clone(agents)).await?;
        let (address, stop) = (door.address(), CancellationToken::new());
        let serving = AbortOnDropHandle::new(tokio::spawn(door.serve(stop.clone())));
        Ok(Some(Entrance { address, stop, serving }))
    }
}
