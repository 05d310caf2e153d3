//! From a configuration to the parts the spine uses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use adapt_http::{AdapterSpec, HttpAdapter, Patterns, RouteSpec};
use authenticate::{Authenticator, Standing};
use authorize::{Authorizer, PolicySet, Target};
use config::Config;
use forward::Upstreams;
use http::HeaderName;
use model::{Adapter, Clock, ResourceName};
use record::Ledger;
use resolve::Table;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tunnel::Agents;

use crate::metadata::Logins;
use crate::state::State;
use crate::{Gateway, agents, session};

/// What a reload replaces, all at once.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) authenticator: Arc<Authenticator>,
    /// Keeps the issuers' keys fresh, for as long as some setup uses the authenticator.
    freshening: Arc<AbortOnDropHandle<()>>,
    pub(crate) table: Table<Arc<Place>>,
    /// Where people log in, when the configuration says so.
    pub(crate) logins: Option<Logins>,
    /// What is masked: the rules that ship and a team's own.
    pub(crate) rules: Arc<mask::Rules>,
}

/// A resource, ready to be asked.
pub(crate) struct Place {
    pub(crate) target: Target<'static>,
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) forward_headers: Vec<HeaderName>,
    pub(crate) return_headers: Vec<HeaderName>,
    pub(crate) max_request_bytes: usize,
    pub(crate) record_bodies: bool,
    /// What becomes of values in requests that policy does not disclose.
    pub(crate) disclose: config::Disclose,
    pub(crate) cut_on_token_expiry: bool,
    /// The configuration it was built from: unchanged, a reload keeps the place with its connections.
    made_from: (config::Resource, Vec<config::DenyList>),
}

/// Why the gateway could not be built from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// An issuer.
    #[error("an issuer cannot be used: {0}")]
    Issuer(#[from] authenticate::AuthenticateError),
    /// The policies.
    #[error("the policies cannot be used:\n{0}")]
    Policies(#[from] authorize::PolicyFaults),
    /// The engine that decides.
    #[error("decisions cannot be made: {0}")]
    Decide(#[from] authorize::AuthorizeError),
    /// The ledger.
    #[error("the ledger cannot be opened: {0}")]
    Ledger(#[from] record::LedgerError),
    /// The state.
    #[error("the state cannot be opened, so it is not known who is blocked: {0}")]
    State(#[from] store::StoreError),
    /// The rules on who is shut out.
    #[error("it cannot be read who is blocked: {0}")]
    Standing(#[from] authenticate::standing::StandingError),
    /// A deny-list.
    #[error("a deny-list cannot be used: {0}")]
    DenyList(#[from] adapt_http::PatternFault),
    /// The masking rules.
    #[error("the masking rules cannot be built: {0}")]
    Mask(#[from] mask::MaskError),
    /// What waits for consent.
    #[error("the approvals cannot be read: {0}")]
    Approvals(#[from] approve::ApproveError),
    /// The agents' listener, or their authority.
    #[error("agents cannot come in: {0}")]
    Agents(#[from] tunnel::TunnelError),
    /// A listener.
    #[error("a listener cannot be opened: {0}")]
    Accept(#[from] accept::AcceptError),
    /// A resource.
    #[error("resource `{name}`: {why}")]
    Resource {
        /// Its name.
        name: ResourceName,
        /// What is wrong.
        why: String,
    },
    /// The addresses of resources.
    #[error("resources cannot be told apart: {0}")]
    Resolve(#[from] resolve::ResolveError),
    /// The listener for health and metrics.
    #[error("the listener for health and metrics at {address} cannot be opened: {why}")]
    Observe {
        /// Where it should listen.
        address: std::net::SocketAddr,
        /// What is wrong.
        why: String,
    },
}

impl Gateway {
    /// Builds every part, opens the ledger and records which policies rule. Serves nobody yet.
    ///
    /// # Errors
    /// [`SetupError`] names the part that can't be built and why.
    pub async fn build(config: Config, clock: Arc<dyn Clock>) -> Result<Arc<Self>, SetupError> {
        let policies = PolicySet::load(&config.policies.dir)?;
        let ledger = Ledger::open(ledger_settings(&config), Arc::clone(&clock))?;
        ledger.policy_set(policies.hash(), policies.text(), "start").await?;
        let state = State::open(&config, &clock, &ledger).await?;
        let limits = &config.limits;
        let room = Arc::new(Semaphore::new(limits.requests_in_flight));
        let memory = Arc::new(Semaphore::new(limits.body_bytes_in_flight / session::MEMORY_UNIT));
        let authorizer = Authorizer::new(policies, &config.policies.timezone, Arc::clone(&clock))?;
        authorizer.introduce(Arc::new(config.people.clone()));
        let agents = agents::ready(&config, state.store(), &clock)?;
        let setup = Setup::build(config, None, &clock, &state.standing, agents.as_ref())?;
        Ok(Arc::new(Self {
            setup: arc_swap::ArcSwap::from_pointee(setup),
            authorizer,
            ledger,
            clock,
            source: crate::reload::Source::default(),
            state,
            drain: CancellationToken::new(),
            agents,
            room,
            memory,
        }))
    }
}

impl Setup {
    /// Builds what a reload replaces. Parts of `before` whose configuration did not change are kept,
    /// with their keys and connections.
    pub(crate) fn build(
        config: Config,
        before: Option<&Self>,
        clock: &Arc<dyn Clock>,
        standing: &Arc<Standing>,
        agents: Option<&Arc<Agents>>,
    ) -> Result<Self, SetupError> {
        let (authenticator, freshening) = match before {
            Some(before) if before.config.issuers == config.issuers => {
                (Arc::clone(&before.authenticator), Arc::clone(&before.freshening))
            }
            _ => {
                let (clock, standing) = (Arc::clone(clock), Arc::clone(standing));
                let new = Authenticator::build(&config.issuers, &config.limits, clock, standing)?;
                let kept_fresh = Arc::clone(&new);
                let task = tokio::spawn(async move { kept_fresh.keep_fresh().await });
                (new, Arc::new(AbortOnDropHandle::new(task)))
            }
        };
        let old = before.map(Self::places).unwrap_or_default();
        let patterns = Arc::new(deny_lists(&config)?);
        let places: Result<Vec<_>, SetupError> = config
            .resources
            .iter()
            .map(|resource| {
                let made_from = (resource.clone(), config.deny_lists.clone());
                let place = match old.get(&resource.name) {
                    Some(place) if place.made_from == made_from => Arc::clone(place),
                    _ => Arc::new(Place::build(resource, made_from, &patterns, clock, agents)?),
                };
                Ok((resource.name.clone(), resource.hosts.clone(), place))
            })
            .collect();
        let table = Table::build(places?.into_iter())?;
        let rules = match before {
            Some(before) if before.config.masking == config.masking => Arc::clone(&before.rules),
            _ => crate::own_rules::build(&config.masking)?,
        };
        let logins = Logins::of(&config);
        Ok(Self { authenticator, freshening, table, logins, rules, config })
    }

    /// The place of a resource.
    pub(crate) fn find(&self, name: &ResourceName) -> Option<Arc<Place>> {
        self.table.iter().find(|(known, _)| *known == name).map(|(_, place)| Arc::clone(place))
    }

    /// Every place by name.
    pub(crate) fn places(&self) -> HashMap<ResourceName, Arc<Place>> {
        self.table.iter().map(|(name, place)| (name.clone(), Arc::clone(place))).collect()
    }
}

impl Place {
    /// How long a caller may read nothing of an answer that waits for it.
    pub(crate) fn patience(&self) -> Duration {
        self.made_from.0.timeouts.idle
    }

    /// How long a request waits for its approval before it is told to come again.
    pub(crate) fn hold(&self) -> Duration {
        self.made_from.0.hold
    }

    fn build(
        resource: &config::Resource,
        made_from: (config::Resource, Vec<config::DenyList>),
        patterns: &Arc<Patterns>,
        clock: &Arc<dyn Clock>,
        agents: Option<&Arc<Agents>>,
    ) -> Result<Self, SetupError> {
        let wrong = |why: &dyn std::fmt::Display| SetupError::Resource {
            name: resource.name.clone(),
            why: why.to_string(),
        };
        let adapter = HttpAdapter::build(adapter_spec(resource, patterns)).map_err(|fault| wrong(&fault))?;
        let upstreams = agents::upstreams(resource, agents, clock).map_err(|fault| wrong(&fault))?;
        Ok(Self {
            target: Target { name: resource.name.clone(), kind: resource.kind.as_str() },
            adapter: Arc::new(adapter),
            upstreams,
            forward_headers: resource.forward_headers.clone(),
            return_headers: resource.return_headers.clone(),
            max_request_bytes: resource.max_request_bytes,
            record_bodies: resource.record_bodies,
            disclose: resource.disclose,
            cut_on_token_expiry: resource.on_token_expiry == config::OnTokenExpiry::Cut,
            made_from,
        })
    }
}

fn adapter_spec(resource: &config::Resource, patterns: &Arc<Patterns>) -> AdapterSpec {
    let routes = resource.routes.iter().map(|route| RouteSpec {
        methods: route.methods.clone(),
        // The file writes `{rest...}`, as people do; the catalogue writes `{rest*}`.
        path: route.path.replace("...}", "*}"),
        class: route.class,
        name: route.name.clone(),
    });
    AdapterSpec {
        routes: routes.collect(),
        patterns: Arc::clone(patterns),
        max_held_answer_bytes: resource.max_held_answer_bytes,
        unknown_streams: resource.unknown_streams,
        fields: resource.fields.clone(),
        ..AdapterSpec::new(resource.server)
    }
}

fn deny_lists(config: &Config) -> Result<Patterns, SetupError> {
    let lists: Vec<_> = config
        .deny_lists
        .iter()
        .map(|list| (list.name.clone(), list.patterns.clone(), list.words.clone()))
        .collect();
    Ok(Patterns::build(&lists)?)
}

/// The digest key lies beside the ledger's folder, never in it: a copy of the ledger must not carry it.
fn ledger_settings(config: &Config) -> record::Settings {
    let ledger = &config.ledger;
    let digest_key = ledger.dir.with_extension("digest-key");
    record::Settings {
        durability: ledger.durability,
        segment_bytes: ledger.segment_bytes,
        queue: ledger.queue,
        write_timeout: ledger.write_timeout,
        reserve_bytes: ledger.reserve_bytes,
        signing_key: ledger.checkpoints.key.clone(),
        checkpoint_every: ledger.checkpoints.every,
        checkpoint_leaves: ledger.checkpoints.leaves,
        indexing: record::Indexing {
            session_idle: ledger.finding.session_idle,
            full_text: ledger.finding.full_text,
        },
        retention: retention(config),
        seal_to: ledger.seal_to.clone(),
        ..record::Settings::new(&ledger.dir, digest_key)
    }
}

/// How long bodies are kept: the ledger's rule, and those of resources that have their own.
fn retention(config: &Config) -> record::Retention {
    let policy = |keep: &config::Keep| record::Policy { age: keep.age, size: keep.size };
    let own = |resource: &config::Resource| {
        resource.retention.as_ref().map(|keep| (resource.name.as_str().to_owned(), policy(keep)))
    };
    let kept = &config.ledger.retention;
    record::Retention {
        default: policy(&kept.keep),
        resources: config.resources.iter().filter_map(own).collect(),
        compress_after: kept.compress_after,
        pace: kept.pace,
    }
}
