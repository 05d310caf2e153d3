//! What the tunnel promises, over real connections: a gateway's door and agents that dial it.

mod enrolment;
mod flow;
mod leaving;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use jiff::Timestamp;
use model::{AgentName, Clock, ExchangeId, FixedClock, ResourceName};
use store::SqliteStore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    Agents, Authority, Delegated, Door, Enrolled, Failed, Inflow, JoinToken, Lease, Membership, Roster,
};

/// Noon of some day, which moves only when a test moves it.
fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at("2026-03-01T12:00:00Z".parse::<Timestamp>().unwrap()))
}

fn llama() -> ResourceName {
    ResourceName::new("llama").unwrap()
}

fn only_llama() -> BTreeSet<ResourceName> {
    [llama()].into()
}

fn name(name: &str) -> Option<AgentName> {
    Some(AgentName::new(name).unwrap())
}

fn exchange() -> ExchangeId {
    ExchangeId::from_bytes([7; 16])
}

/// What a future gives, unless it hangs.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("it hangs")
}

/// Waits until something is so.
async fn until(mut so: impl FnMut() -> bool) {
    soon(async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// A gateway's side.
struct Gateway {
    agents: Arc<Agents>,
    clock: Arc<FixedClock>,
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Gateway {
    async fn open(dir: &Path) -> Self {
        Self::at(dir, "127.0.0.1:0".parse().unwrap()).await
    }

    async fn at(dir: &Path, address: SocketAddr) -> Self {
        let clock = clock();
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let store = SqliteStore::open(&dir.join("state"), Arc::clone(&shared)).await.unwrap();
        let authority = Authority::open(&dir.join("agents"), Arc::clone(&shared)).unwrap();
        let agents = Agents::new(Roster::new(Arc::new(store), authority, shared));
        let door = Door::open(address, Arc::clone(&agents)).await.unwrap();
        let (address, stop) = (door.address(), CancellationToken::new());
        let serving = tokio::spawn(door.serve(stop.clone()));
        Self { agents, clock, address, stop, serving }
    }

    fn dyn_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    fn dials(&self) -> String {
        self.address.to_string()
    }

    async fn token(&self, agent: &str) -> JoinToken {
        let lasts = Duration::from_secs(60);
        let invitation = self.agents.roster().invite(name(agent), only_llama(), lasts, "ana").await.unwrap();
        JoinToken::read(&invitation.token).unwrap()
    }

    async fn join(&self, agent: &str) -> Enrolled {
        Enrolled::join(&self.dials(), &self.token(agent).await, &self.dyn_clock()).await.unwrap()
    }

    /// An agent that joined and answers with `handler`.
    async fn agent<H, F>(&self, agent: &str, dir: &Path, handler: H) -> Agent
    where
        H: Fn(Delegated, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let enrolled = self.join(agent).await;
        enrolled.keep(dir).unwrap();
        let agent = Agent::begin(enrolled, vec![self.dials()], dir, self.dyn_clock(), handler);
        self.connected(agent.name.as_str()).await;
        agent
    }

    fn connections(&self, agent: &str) -> usize {
        let states = self.agents.states();
        states.iter().find(|state| state.name.as_str() == agent).map_or(0, |state| state.connections)
    }

    async fn connected(&self, agent: &str) {
        until(|| self.connections(agent) > 0).await;
    }

    fn lease(&self) -> Lease {
        self.agents.choose(&llama(), &[], &[]).unwrap()
    }

    async fn ask(&self, path: &str) -> Result<String, Failed> {
        ask(&self.lease(), path).await
    }

    async fn close(self) {
        self.stop.cancel();
        soon(self.serving).await.unwrap();
    }
}

/// An agent's side.
struct Agent {
    name: AgentName,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Agent {
    fn begin<H, F>(
        enrolled: Enrolled,
        gateways: Vec<String>,
        dir: &Path,
        clock: Arc<dyn Clock>,
        handler: H,
    ) -> Self
    where
        H: Fn(Delegated, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let membership = Membership::new(gateways, dir.to_owned(), enrolled, clock);
        let (name, stop) = (membership.identity().name.clone(), CancellationToken::new());
        let serving = tokio::spawn(membership.serve(handler, stop.clone()));
        Self { name, stop, serving }
    }

    async fn drained(self) {
        self.stop.cancel();
        soon(self.serving).await.unwrap();
    }
}

async fn send(lease: &Lease, path: &str) -> Result<Response<Inflow>, Failed> {
    let request = Request::builder().uri(path).body(Bytes::from_static(b"asked")).unwrap();
    soon(lease.send(exchange(), &llama(), request)).await
}

async fn ask(lease: &Lease, path: &str) -> Result<String, Failed> {
    text(send(lease, path).await?).await
}

async fn text(response: Response<Inflow>) -> Result<String, Failed> {
    #[expect(clippy::disallowed_methods, reason = "it is limited")]
    let read = soon(Limited::new(response.into_body(), 64 << 20).collect()).await;
    let bytes = read.map_err(|cause| Failed::Lost(cause.to_string()))?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

/// Answers with what was asked.
async fn echo(delegated: Delegated, request: Request<Incoming>) -> Response<Full<Bytes>> {
    assert_eq!((delegated.resource(), delegated.exchange()), (&llama(), exchange()));
    let path = request.uri().path().to_owned();
    #[expect(clippy::disallowed_methods, reason = "it is limited")]
    let body = Limited::new(request.into_body(), 1 << 20).collect().await.unwrap().to_bytes();
    Response::new(Full::new(Bytes::from(format!("{path} {}", String::from_utf8_lossy(&body)))))
}
