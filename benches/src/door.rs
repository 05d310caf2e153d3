//! A door for agents in this process, and the TLS that its tunnels are measured against.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use e2e::gateway::Gateway;
use model::{AgentName, Clock, ExchangeId, ResourceName, SystemClock};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use store::SqliteStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;
use tunnel::{Agents, Authority, Door, Enrolled, JoinToken, Roster, Stretch};

/// An open door.
pub(crate) struct OpenDoor {
    agents: Arc<Agents>,
    at: String,
    clock: Arc<dyn Clock>,
}

/// Opens one, its state in `folder`.
pub(crate) async fn open(folder: &Path) -> OpenDoor {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let agents = Agents::new(roster(&folder.join("state"), &folder.join("agents-ca"), &clock).await);
    let door = Door::open("127.0.0.1:0".parse().expect("an address"), Arc::clone(&agents)).await;
    let door = door.expect("a free port");
    let at = door.address().to_string();
    tokio::spawn(door.serve(CancellationToken::new()));
    OpenDoor { agents, at, clock }
}

async fn roster(state: &Path, authority: &Path, clock: &Arc<dyn Clock>) -> Arc<Roster> {
    let store = SqliteStore::open(state, Arc::clone(clock)).await.expect("a store");
    let authority = Authority::open(authority, Arc::clone(clock)).expect("an authority");
    Roster::new(Arc::new(store), authority, Arc::clone(clock))
}

/// The roster of a running gateway, by its folders.
pub(crate) async fn roster_of(gateway: &Gateway) -> Arc<Roster> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    roster(&gateway.state(), &gateway.file("agents-ca"), &clock).await
}

/// Waits until a gateway has so many agents.
pub(crate) async fn count(gateway: &Gateway, agents: usize) {
    let wanted = format!("portcullis_agents_connected {agents}");
    while !gateway.metrics().await.lines().any(|line| line == wanted) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn llama() -> ResourceName {
    ResourceName::new("llama").expect("a name")
}

impl OpenDoor {
    pub(crate) fn at(&self) -> String {
        self.at.clone()
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// An agent of this name, that serves `llama`.
    pub(crate) async fn enrol(&self, name: &str, folder: &Path) -> Enrolled {
        let name = AgentName::new(name).expect("a name");
        let lasts = Duration::from_secs(600);
        let invited = self.agents.roster().invite(Some(name), [llama()].into(), lasts, "the bench").await;
        let token = JoinToken::read(&invited.expect("an invitation").token).expect("a token");
        let enrolled = Enrolled::join(&self.at, &token, &self.clock).await.expect("it joins");
        enrolled.keep(folder).expect("its folder");
        enrolled
    }

    /// Waits until so many agents are connected.
    pub(crate) async fn connected(&self, agents: usize) {
        while self.agents.states().len() < agents {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A stretch of bytes to the one agent.
    pub(crate) async fn stretch(&self) -> Stretch {
        let lease = self.agents.choose(&llama(), &[], &[]).expect("an agent");
        let exchange = ExchangeId::at(self.clock.now());
        lease.stretch(exchange, &llama(), "echo").await.expect("a stretch").1
    }
}

/// A connection of TLS 1.3 to somebody who says everything back.
pub(crate) async fn plain_tls_echo() -> TlsStream<TcpStream> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = || Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a certificate with its key");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a listener");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a caller");
        stream.set_nodelay(true).expect("a socket");
        let stream = TlsAcceptor::from(Arc::new(server)).accept(stream).await.expect("a handshake");
        let (mut read, mut write) = tokio::io::split(stream);
        let mut piece = vec![0; 64 << 10];
        while let Ok(length @ 1..) = read.read(&mut piece).await {
            if write.write_all(&piece[..length]).await.is_err() || write.flush().await.is_err() {
                return;
            }
        }
    });
    let stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(client)).connect(name, stream).await.expect("a handshake")
}
