//! The gateway's door for agents: one address, TLS 1.3, a few words, then HTTP/2 with its roles turned.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::agents::{Agents, Arrived};
use crate::agree::agree;
use crate::client;
use crate::enrol::{self, LENGTH};
use crate::error::{Refused, Why};
use crate::secure::{self, BINDING, JOIN, Shown};
use crate::sever::Severable;
use crate::wire::{self, Hello, Issued, Join, Joined, PATIENCE, Welcome};
use crate::{LASTS, RENEWED_AFTER, TunnelError, roster};

/// Connections that may be open at once, and those of them that have not said who they are.
const MOST_OPEN: usize = 16_384;
const MOST_UNKNOWN: usize = 256;

/// The door, open. Agents may knock already; they are answered once it serves.
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
    tls: Arc<ServerConfig>,
    shown: Arc<Shown>,
    agents: Arc<Agents>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Door {
    /// Opens the door at `address`.
    ///
    /// # Errors
    /// [`TunnelError`] when the address is taken, or the authority makes no certificate.
    pub async fn open(address: SocketAddr, agents: Arc<Agents>) -> Result<Self, TunnelError> {
        let roster = agents.roster();
        let shown = Shown::of(&roster.authority)?;
        let tls = secure::gateway(&roster.authority, Arc::clone(&shown), Arc::clone(&roster.clock))?;
        let refuse = |cause: std::io::Error| TunnelError::Listen { address, why: cause.to_string() };
        let listener = TcpListener::bind(address).await.map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        Ok(Self { listener, address, tls, shown, agents })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves agents until `stop`, then cuts every tunnel: stop what uses them first.
    pub async fn serve(self, stop: CancellationToken) {
        let (open, unknown) = (Arc::new(Semaphore::new(MOST_OPEN)), Arc::new(Semaphore::new(MOST_UNKNOWN)));
        let mut tasks = JoinSet::new();
        let following = Arc::clone(&self.agents);
        tasks.spawn(async move { following.follow().await });
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
                Some(_) = tasks.join_next() => continue,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(fault) => {
                    tracing::warn!(%fault, "an agent's connection cannot be accepted");
                    // Out of file descriptors, most likely: some connection has to end first.
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            };
            let roster = self.agents.roster();
            self.shown.look_again(&roster.authority, roster.clock.now());
            let (Ok(open), Ok(unknown)) =
                (Arc::clone(&open).try_acquire_owned(), Arc::clone(&unknown).acquire_owned().await)
            else {
                continue;
            };
            let (agents, tls) = (Arc::clone(&self.agents), TlsAcceptor::from(Arc::clone(&self.tls)));
            tasks.spawn(async move {
                let _open = open;
                let knocked = async {
                    let _ = stream.set_nodelay(true);
                    let stream = tls.accept(stream).await.map_err(|fault| fault.to_string())?;
                    greet(&agents, stream, address).await
                };
                match timeout(PATIENCE.saturating_mul(2), knocked).await {
                    Ok(Ok(Some(tunnel))) => {
                        drop(unknown);
                        tunnel.run(&agents).await;
                    }
                    Ok(Ok(None)) => {}
                    Ok(Err(why)) => tracing::debug!(%address, why, "nobody came in by the agents' door"),
                    Err(_) => tracing::debug!(%address, "somebody at the agents' door said nothing"),
                }
            });
        }
        self.agents.cut_all();
        // They are gone within a moment; whoever hangs is not waited for.
        let all = async { while tasks.len() > 1 && tasks.join_next().await.is_some() {} };
        let _ = timeout(std::time::Duration::from_secs(1), all).await;
    }
}

/// Hears who it is and what they want. A tunnel is one that begins.
async fn greet(
    agents: &Agents,
    mut stream: TlsStream<TcpStream>,
    address: SocketAddr,
) -> Result<Option<Tunnel>, String> {
    let told = |fault: std::io::Error| fault.to_string();
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned();
    let shown = shown.map(CertificateDer::into_owned);
    if stream.get_ref().1.alpn_protocol() == Some(JOIN) {
        enrolled(agents, &mut stream, shown.as_ref(), address).await?;
        return Ok(None);
    }
    let hello: Hello = wire::hear(&mut stream).await.map_err(told)?;
    match arrived(agents, &hello, shown.as_ref(), address).await {
        Ok(arrived) => {
            wire::say(&mut stream, &arrived.spoken.welcome()).await.map_err(told)?;
            Ok(Some(Tunnel { stream, arrived }))
        }
        Err(refused) => {
            tracing::warn!(%address, why = %refused, "an agent was refused");
            metrics::counter!("portcullis_agents_refused_total").increment(1);
            let welcome = Welcome { accepted: None, refused: Some(refused.said()) };
            wire::say(&mut stream, &welcome).await.map_err(told)?;
            Ok(None)
        }
    }
}

async fn arrived(
    agents: &Agents,
    hello: &Hello,
    shown: Option<&CertificateDer<'_>>,
    address: SocketAddr,
) -> Result<Arrived, Refused> {
    let spoken = agree(hello)?;
    let shown = shown.ok_or_else(|| {
        Refused::new(Why::Unknown, "no certificate was shown: an agent joins before it opens a tunnel")
    })?;
    let (identity, expires) = agents.roster().admit(shown).await?;
    agents.has_room(&identity.name)?;
    Ok(Arrived { identity, fingerprint: roster::fingerprint(shown), expires, address, spoken })
}

/// Lets somebody become an agent, or stay one.
async fn enrolled(
    agents: &Agents,
    stream: &mut TlsStream<TcpStream>,
    shown: Option<&CertificateDer<'_>>,
    address: SocketAddr,
) -> Result<(), String> {
    let join: Join = wire::hear(stream).await.map_err(|fault| fault.to_string())?;
    let binding = stream
        .get_ref()
        .1
        .export_keying_material([0; LENGTH], BINDING, None)
        .map_err(|fault| fault.to_string())?;
    let answer = match certified(agents, &join, shown, &binding, address).await {
        Ok(issued) => {
            tracing::info!(%address, "an agent got a certificate");
            Joined { certificate: Some(issued), refused: None }
        }
        Err(refused) => {
            tracing::warn!(%address, why = %refused, "somebody who would be an agent was refused");
            metrics::counter!("portcullis_agents_refused_total").increment(1);
            Joined { certificate: None, refused: Some(refused.said()) }
        }
    };
    wire::say(stream, &answer).await.map_err(|fault| fault.to_string())
}

async fn certified(
    agents: &Agents,
    join: &Join,
    shown: Option<&CertificateDer<'_>>,
    binding: &[u8; LENGTH],
    address: SocketAddr,
) -> Result<Issued, Refused> {
    agree(join.hello.as_ref().unwrap_or(&Hello::default()))?;
    if !enrol::proves(join, binding) {
        return Err(Refused::new(Why::Malformed, "the key is none of P-256, or is not proved"));
    }
    let roster = agents.roster();
    let issued = match shown {
        Some(shown) => roster.renew(shown, &join.key).await?,
        None if !join.workload.is_empty() => {
            let Some(workloads) = agents.workloads() else {
                let sentence =
                    "no workload becomes an agent here by a token of its own: see `agents.workloads`";
                return Err(Refused::new(Why::Token, sentence));
            };
            roster.enlist(workloads.prove(&join.workload, address).await?, &join.key).await?
        }
        None => roster.redeem(&join.invitation, &join.secret, &join.key).await?,
    };
    Ok(Issued {
        certificate: issued.certificate.to_vec(),
        authority: roster.authority.certificate().to_vec(),
        lasts: LASTS.as_secs(),
        renew: RENEWED_AFTER.as_secs(),
    })
}

/// A tunnel that begins.
struct Tunnel {
    stream: TlsStream<TcpStream>,
    arrived: Arrived,
}

impl Tunnel {
    /// Carries requests until it ends.
    async fn run(self, agents: &Agents) {
        let cut = CancellationToken::new();
        let begun = client::begin(Severable::new(self.stream, cut.clone())).await;
        let (name, address) = (self.arrived.identity.name.clone(), self.arrived.address);
        let (sender, driver) = match begun {
            Ok(begun) => begun,
            Err(fault) => return tracing::debug!(agent = %name, %fault, "a tunnel did not begin"),
        };
        let connected = agents.join(self.arrived, sender, cut);
        // Who was put out between the look at the door and now is in no table that was reviewed.
        // Whose standing cannot be looked up is cut by it, and dials again.
        let _ = agents.look_again(&name).await;
        tracing::info!(agent = %name, %address, "an agent is connected");
        // It ends when the agent leaves, when it drains, and when it is cut.
        let ended = driver.run().await;
        agents.leave(&connected);
        let why = ended.err().unwrap_or_default();
        tracing::info!(agent = %name, %address, why, "an agent's connection has ended");
    }
}
