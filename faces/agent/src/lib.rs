//! The face that models meet: it stands beside them, holds their credentials, and dials out.
//!
//! Policy, approval, masking and the record are the gateway's. An agent takes what comes out of a tunnel
//! ([`tunnel::Delegated`]) for a resource it was enrolled for, adds the credential, and sends it to the
//! upstream that its own file names: the gateway can name no other address. What the upstream echoes of
//! the credential is overwritten before it enters the tunnel. The path to the upstream is `path/forward`,
//! the same code that a gateway without agents runs.

mod answer;
mod desk;
mod reload;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use config::{AgentConfig, Join};
use model::Clock;
use secrecy::SecretString;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tunnel::{AgentIdentity, Enrolled, JoinToken, Membership, TunnelError};

use desk::Desk;
use reload::Reloading;

/// Why an agent cannot stand.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The tunnel, or the way into it.
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    /// It never joined, or too long ago.
    #[error("{why}: put a token of `portcullis agents invite` where `join` says, and start again")]
    NoMember {
        /// What is wrong.
        why: String,
    },
    /// The join token cannot be read.
    #[error("the join token cannot be read: {0}")]
    Secret(#[from] config::SecretError),
    /// A resource.
    #[error("resource `{name}`: {why}")]
    Resource {
        /// Its name.
        name: model::ResourceName,
        /// What is wrong.
        why: String,
    },
}

/// An agent that has joined, and is ready to open its tunnels.
pub struct Agent {
    membership: Membership,
    desk: Arc<ArcSwap<Desk>>,
    config: AgentConfig,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("membership", &self.membership).finish_non_exhaustive()
    }
}

impl Agent {
    /// Makes ready to reach the resources, and joins with the token if it has not yet.
    ///
    /// # Errors
    /// [`AgentError`] says what to change.
    pub async fn open(config: AgentConfig, clock: Arc<dyn Clock>) -> Result<Self, AgentError> {
        let desk = Desk::build(&config, &clock)?;
        let enrolled = match Enrolled::kept(&config.dir)? {
            Some(kept) if clock.now() < kept.expires() => kept,
            before => join(&config, before.as_ref(), &clock).await?,
        };
        tell(&enrolled, &desk);
        let (gateways, dir) = (config.gateways.clone(), config.dir.clone());
        let membership = Membership::new(gateways, dir, enrolled, Arc::clone(&clock));
        Ok(Self { membership, desk: Arc::new(ArcSwap::from_pointee(desk)), config, clock })
    }

    /// Who it is.
    pub fn identity(&self) -> Arc<AgentIdentity> {
        self.membership.identity()
    }

    /// Keeps its tunnels and answers what comes through them until `stop`; what runs then has the
    /// configured time to end. Reads `file` again when it changes, and on SIGHUP; none: never.
    pub async fn serve(self, file: Option<PathBuf>, stop: CancellationToken) {
        let Self { membership, desk, config, clock } = self;
        let drain = config.drain;
        if let Some(file) = file {
            let reloading = Reloading { file, config, desk: Arc::clone(&desk), clock };
            tokio::spawn(reloading.watch(stop.clone()));
        }
        let handler = move |delegated, request| answer::answer(desk.load_full(), delegated, request);
        let serving = membership.serve(handler, stop.clone());
        tokio::pin!(serving);
        tokio::select! {
            () = &mut serving => return,
            () = stop.cancelled() => {}
        }
        if timeout(drain, serving).await.is_err() {
            tracing::warn!("requests were cut that did not end within {drain:?}");
        }
    }
}

/// How it proves who it is.
enum Way {
    Invited(JoinToken),
    /// The token of the program's own issuer, and which authority it may be shown to.
    Workload(SecretString, [u8; 32]),
}

impl Way {
    async fn join(&self, at: &str, clock: &Arc<dyn Clock>) -> Result<Enrolled, TunnelError> {
        match self {
            Self::Invited(token) => Enrolled::join(at, token, clock).await,
            Self::Workload(token, authority) => {
                Enrolled::join_as_workload(at, *authority, token, clock).await
            }
        }
    }
}

/// Joins at the first gateway that can be reached. The token is used up by it.
async fn join(
    config: &AgentConfig,
    before: Option<&Enrolled>,
    clock: &Arc<dyn Clock>,
) -> Result<Enrolled, AgentError> {
    let why = match before {
        Some(old) => format!("the agent's certificate ended at {}", old.expires()),
        None => "the agent has not joined yet".to_owned(),
    };
    let way = match &config.join {
        None => return Err(AgentError::NoMember { why }),
        Some(Join::Token(reference)) => Way::Invited(JoinToken::read(&reference.read()?)?),
        Some(Join::Workload { token, authority }) => Way::Workload(token.read()?, *authority),
    };
    let mut last = AgentError::NoMember { why };
    for at in &config.gateways {
        match way.join(at, clock).await {
            Ok(enrolled) => {
                enrolled.keep(&config.dir)?;
                tracing::info!(agent = %enrolled.identity().name, gateway = %at, "joined");
                return Ok(enrolled);
            }
            Err(fault @ TunnelError::Refused(_)) => return Err(fault.into()),
            Err(fault) => last = fault.into(),
        }
    }
    Err(last)
}

/// Says what is enrolled and not configured, and the other way round: neither is ever asked.
fn tell(enrolled: &Enrolled, desk: &Desk) {
    let identity = enrolled.identity();
    tracing::info!(agent = %identity.name, until = %enrolled.expires(), "enrolled");
    for resource in &identity.resources {
        if !desk.has(resource) {
            tracing::warn!(%resource, "the agent is enrolled for it, and its file does not say where it stands");
        }
    }
    for resource in desk.names() {
        if !identity.resources.contains(resource) {
            tracing::warn!(%resource, "the agent's file has it, and the agent is not enrolled for it");
        }
    }
}

#[cfg(test)]
mod tests;
