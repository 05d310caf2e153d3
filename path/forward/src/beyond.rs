//! The second kind of line: through an agent's tunnel, to an upstream that only the agent can reach.

use std::sync::Arc;
use std::time::Duration;

use credential::NotRotated;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use model::{AgentName, ExchangeId, ResourceName};
use tokio::time::timeout;
use tunnel::{Agents, Failed, Fault, Inflow, Lease, NoAgent, Order};

use crate::ForwardError;
use crate::line::{Line, Outgoing};
use crate::look::{Seen, heard};
use crate::pool::{Pool, Unanswered};
use crate::rotate::{Rotated, rotation_heard};

/// How many connections of agents may turn out closed, or full, before a request gives up.
const MOST_TRIES: usize = 8;

/// How long an agent may take to replace a credential: the longest command there may be, and its proof.
const ORDER: Duration = Duration::from_secs(10 * 60);
/// How long an agent may take to look at its upstreams: each of them has its own time.
const LOOK: Duration = Duration::from_secs(60);
/// How many connections of agents are gone through for that.
const MOST_LOOKS: usize = 256;
/// The largest answer to an order, in bytes.
const MOST_TOLD: usize = 64 << 10;

/// The agents that reach one resource.
#[derive(Debug)]
pub(crate) struct Beyond {
    agents: Arc<Agents>,
    resource: ResourceName,
    /// Which may be asked; empty: any that is enrolled for it.
    names: Vec<AgentName>,
    timeouts: config::Timeouts,
}

/// What brings an answer: kept until the answer ends.
#[derive(Debug)]
pub(crate) enum Carrier {
    /// A connection of this process, and where it is kept.
    Line(Line, Arc<Pool>),
    /// A place in an agent's.
    Lease {
        /// Dropped with it.
        _lease: Lease,
    },
}

impl Carrier {
    /// Waits for something that it brings.
    pub(crate) async fn during<T>(&mut self, wait: impl Future<Output = T>) -> T {
        match self {
            Self::Line(line, _) => line.during(wait).await,
            Self::Lease { .. } => wait.await,
        }
    }
}

impl Beyond {
    pub(crate) fn new(agents: Arc<Agents>, resource: &config::Resource, names: &[AgentName]) -> Self {
        let (resource, timeouts) = (resource.name.clone(), resource.timeouts.clone());
        Self { agents, resource, names: names.to_vec(), timeouts }
    }

    /// As operators know it.
    pub(crate) fn shown(&self) -> String {
        let names: Vec<&str> = self.names.iter().map(AgentName::as_str).collect();
        if names.is_empty() { "agent:any".to_owned() } else { format!("agent:{}", names.join(",")) }
    }

    /// Whether an agent is connected that could be asked.
    pub(crate) fn is_there(&self) -> bool {
        self.agents.serve(&self.resource, &self.names)
    }

    /// Sends a request through the least busy agent and waits for the head of its answer. Another agent is
    /// asked only when the first never began with it.
    pub(crate) async fn send(
        &self,
        exchange: ExchangeId,
        outgoing: &Outgoing,
    ) -> Result<(Response<Inflow>, Carrier), Unanswered> {
        let mut tried = Vec::new();
        let mut last = None;
        for _ in 0..MOST_TRIES {
            let lease = match self.agents.choose(&self.resource, &self.names, &tried) {
                Ok(lease) => lease,
                Err(none) => return Err(Unanswered::NotSent(last.unwrap_or_else(|| self.nobody(none)))),
            };
            tried.push(lease.connection());
            let limit = self.timeouts.first_byte;
            match timeout(limit, lease.send(exchange, &self.resource, request(outgoing))).await {
                Ok(Ok(response)) => return Ok((response, Carrier::Lease { _lease: lease })),
                Ok(Err(failed)) if failed.may_have_run() => {
                    return Err(Unanswered::Sent(self.told(lease.agent(), failed)));
                }
                Ok(Err(failed)) => last = Some(self.told(lease.agent(), failed)),
                Err(_) => return Err(Unanswered::Sent(ForwardError::FirstByteTimeout(limit))),
            }
        }
        Err(Unanswered::NotSent(last.unwrap_or(ForwardError::NoUpstream)))
    }

    /// Has one agent replace the credential that it holds.
    pub(crate) async fn rotate(&self, exchange: ExchangeId) -> Result<Rotated, NotRotated> {
        let failed = |why: String| NotRotated::Unproved(why);
        let mut tried = Vec::new();
        let mut last = None;
        for _ in 0..MOST_TRIES {
            let lease = match self.agents.choose(&self.resource, &self.names, &tried) {
                Ok(lease) => lease,
                Err(none) => return Err(failed(last.unwrap_or_else(|| self.nobody(none).to_string()))),
            };
            tried.push(lease.connection());
            let by = |why: &str| format!("agent `{}`: {why}", lease.agent());
            let lost =
                |why: &str| failed(by(&format!("{why}. Whether the credential was replaced is not known")));
            let ordered = timeout(ORDER, lease.order(exchange, &self.resource, Order::Rotate));
            let response = match ordered.await {
                Ok(Ok(response)) => response,
                Ok(Err(refused)) if refused.may_have_run() => {
                    return Err(lost(&self.told(lease.agent(), refused).to_string()));
                }
                Ok(Err(refused)) => {
                    last = Some(self.told(lease.agent(), refused).to_string());
                    continue;
                }
                Err(_) => return Err(lost("it does not answer")),
            };
            #[expect(clippy::disallowed_methods, reason = "it is limited")]
            let body = Limited::new(response.into_body(), MOST_TOLD).collect().await;
            let body = body.map_err(|_| lost("its answer broke off"))?.to_bytes();
            return match rotation_heard(&body) {
                Some(Ok(rotated)) => Ok(rotated),
                Some(Err(why)) => Err(failed(by(&why))),
                None => Err(lost("its answer cannot be read")),
            };
        }
        Err(failed(last.unwrap_or_else(|| "no agent takes the order".to_owned())))
    }

    /// Has every agent that is connected look at its upstreams. How long the slowest answer took, and what is wrong
    /// with the first that has a fault.
    pub(crate) async fn look(&self, exchange: ExchangeId) -> (Duration, Option<String>) {
        let (mut tried, mut asked) = (Vec::new(), Vec::new());
        let (mut longest, mut fault) = (Duration::ZERO, None);
        while tried.len() < MOST_LOOKS {
            let lease = match self.agents.choose(&self.resource, &self.names, &tried) {
                Ok(lease) => lease,
                Err(none) if asked.is_empty() => return (longest, Some(self.nobody(none).to_string())),
                Err(_) => break,
            };
            tried.push(lease.connection());
            if asked.contains(lease.agent()) {
                continue;
            }
            asked.push(lease.agent().clone());
            let seen = self.seen(exchange, &lease).await;
            let by = |why: String| format!("agent `{}`: {why}", lease.agent());
            match seen {
                Err(why) => fault = fault.or_else(|| Some(by(why))),
                Ok(seen) => {
                    for Seen { url, took, fault: one } in seen {
                        longest = longest.max(took);
                        fault = fault.or_else(|| one.map(|why| by(format!("{url}: {why}"))));
                    }
                }
            }
        }
        (longest, fault)
    }

    async fn seen(&self, exchange: ExchangeId, lease: &Lease) -> Result<Vec<Seen>, String> {
        let ordered = timeout(LOOK, lease.order(exchange, &self.resource, Order::Look)).await;
        let ordered = ordered.map_err(|_| format!("it did not tell of its upstreams within {LOOK:?}"))?;
        let response = ordered.map_err(|failed| match failed {
            Failed::NotSent(why) | Failed::Lost(why) | Failed::Fault(_, why) => why,
        })?;
        #[expect(clippy::disallowed_methods, reason = "it is limited")]
        let body = Limited::new(response.into_body(), MOST_TOLD).collect().await;
        let body = body.map_err(|_| "what it tells of its upstreams broke off".to_owned())?;
        heard(&body.to_bytes()).ok_or_else(|| "what it tells of its upstreams cannot be read".to_owned())
    }

    fn nobody(&self, none: NoAgent) -> ForwardError {
        ForwardError::Unreachable(match none {
            NoAgent::NoneConnected => format!("no agent that serves it is connected ({})", self.shown()),
            NoAgent::AllBusy => format!("every agent that serves it is full ({})", self.shown()),
        })
    }

    fn told(&self, agent: &AgentName, failed: Failed) -> ForwardError {
        let by = |why: &str| format!("agent `{agent}`: {why}");
        match failed {
            Failed::NotSent(why) => ForwardError::Unreachable(by(&why)),
            Failed::Lost(why) => ForwardError::Lost(by(&why)),
            Failed::Fault(fault, why) => match fault {
                Fault::NotServed | Fault::Busy | Fault::Unfit | Fault::Unreachable => {
                    ForwardError::Unreachable(by(&why))
                }
                Fault::ConnectTimeout => ForwardError::ConnectTimeout(by(&why)),
                Fault::Credential => {
                    ForwardError::Credential { resource: self.resource.clone(), why: by(&why) }
                }
                Fault::FirstByteTimeout => ForwardError::FirstByteTimeout(self.timeouts.first_byte),
                Fault::ExchangeTimeout => ForwardError::ExchangeTimeout(self.timeouts.exchange),
                Fault::Unreadable => ForwardError::Unreadable(by(&why)),
                Fault::Lost | Fault::Other => ForwardError::Lost(by(&why)),
            },
        }
    }
}

/// The base URL that judged paths are put below; whoever sends it puts the resource in.
pub(crate) fn base() -> Uri {
    Uri::from_static("http://agent")
}

fn request(outgoing: &Outgoing) -> Request<bytes::Bytes> {
    let mut request = Request::new(outgoing.body.clone());
    *request.method_mut() = outgoing.method.clone();
    *request.uri_mut() = outgoing.url.clone();
    let mut headers: HeaderMap = outgoing.headers.clone();
    // What only gateway and agent say to each other comes from no caller.
    tunnel::drop_ours(&mut headers);
    *request.headers_mut() = headers;
    request
}

/// Why an agent has no answer to send back.
pub(crate) fn fault(error: &ForwardError) -> Fault {
    match error {
        ForwardError::NoUpstream | ForwardError::Mismatch { .. } => Fault::NotServed,
        ForwardError::Target | ForwardError::Parameter(_) => Fault::Unfit,
        ForwardError::Url { .. } | ForwardError::Tls(_) | ForwardError::Unreachable(_) => Fault::Unreachable,
        ForwardError::ConnectTimeout(_) => Fault::ConnectTimeout,
        ForwardError::Credential { .. } => Fault::Credential,
        ForwardError::FirstByteTimeout(_) | ForwardError::IdleTimeout(_) => Fault::FirstByteTimeout,
        ForwardError::ExchangeTimeout(_) => Fault::ExchangeTimeout,
        ForwardError::Lost(_) => Fault::Lost,
        ForwardError::Unreadable(_) | ForwardError::Bomb(_) => Fault::Unreadable,
    }
}
