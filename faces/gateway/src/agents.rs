//! The agents' side of the gateway: who may be one, who is connected, and their door.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use config::Config;
use forward::Upstreams;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use model::{Clock, ExchangeId};
use store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tunnel::{AgentIdentity, Agents, Authority, Door, Proven, Proving, Refused, Roster, Workloads};

use crate::{Gateway, SetupError};

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

/// Programs, by tokens of the issuers that callers come from.
struct ByToken(Weak<Gateway>);

impl Workloads for ByToken {
    fn prove<'a>(&'a self, token: &'a str) -> Proving<'a> {
        Box::pin(async move {
            let Some(gateway) = self.0.upgrade() else { return Err(Refused::workload()) };
            gateway.workload(token).await
        })
    }
}

impl Gateway {
    /// Which agent the bearer of this token is.
    async fn workload(&self, token: &str) -> Result<Proven, Refused> {
        let setup = self.setup();
        let Ok(value) = HeaderValue::try_from(format!("Bearer {token}")) else {
            return Err(Refused::workload());
        };
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let exchange = ExchangeId::at(self.clock.now());
        let caller = setup.authenticator.caller(exchange, &headers).await.map_err(|fault| {
            tracing::warn!(%fault, "a workload that would be an agent was not believed");
            Refused::workload()
        })?;
        let identity = caller.own();
        let settings = setup.config.agents.as_ref().map(|agents| agents.workloads.as_slice());
        let is_it = |workload: &&config::Workload| {
            workload.issuer == identity.issuer_name && workload.subject == identity.subject
        };
        match settings.unwrap_or_default().iter().find(is_it) {
            Some(workload) => Ok(Proven {
                identity: AgentIdentity {
                    name: workload.agent.clone(),
                    resources: workload.resources.clone(),
                },
                by: identity.entity_id(),
            }),
            None => {
                tracing::warn!(caller = %identity.entity_id(), "it would be an agent, and `agents.workloads` does not name it");
                Err(Refused::workload())
            }
        }
    }

    /// The agents that are connected, where any can be.
    pub fn agents(&self) -> Option<&Arc<Agents>> {
        self.agents.as_ref()
    }

    /// Opens the agents' door, where the configuration has one.
    pub(crate) async fn open_entrance(self: &Arc<Self>) -> Result<Option<Entrance>, SetupError> {
        let settings = self.setup().config.agents.clone();
        let (Some(settings), Some(agents)) = (settings, &self.agents) else { return Ok(None) };
        agents.let_in(Arc::new(ByToken(Arc::downgrade(self))));
        let door = Door::open(settings.address, Arc::clone(agents)).await?;
        let (address, stop) = (door.address(), CancellationToken::new());
        let serving = AbortOnDropHandle::new(tokio::spawn(door.serve(stop.clone())));
        Ok(Some(Entrance { address, stop, serving }))
    }
}
