//! What the file becomes: plain structs, checked whole, that each step takes its part of. Every value
//! here is usable as it stands: paths are resolved, URLs parsed, durations within their bounds.

mod admin;
mod agents;
mod approvals;
mod asked;
mod checkpoints;
mod console;
mod credential;
mod fields;
mod finding;
mod identity;
mod login;
mod masking;
mod resource;
mod retention;
mod state;
mod tell;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use admin::Admin;
pub use agents::{AgentConfig, Agents, Join, Workload};
pub use approvals::Approvals;
pub use asked::{BackchannelLogout, ClientAuth, Introspection, Userinfo};
pub use checkpoints::Checkpoints;
pub use console::{Console, Session, SignIn};
pub use credential::{
    Credential, CredentialScheme, Rotation, SecretCommand, SecretSource, TokenGrant, VaultEngine, VaultSecret,
};
pub use fields::Disclose;
pub use finding::Finding;
pub use identity::{ClaimRule, ClaimTest, GroupRule, Groups, Issuer, IssuerKind, Mfa};
pub use login::{IssuerLogin, LOGIN_METADATA_PATH};
pub use masking::{Masking, MaskingRule, MaskingWords, Placeholder};
pub use model::{Durability, FieldPlace, FieldRule, ServerKind, UnknownStreams};
pub use resource::{OnTokenExpiry, Resource, ResourceKind, Route, Timeouts, UpstreamTls};
pub use retention::{Keep, Retention};
pub use state::State;
pub use tell::{Slack, Tell, TellEvent, Webhook};

/// Everything one file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where callers come in. Never empty.
    pub listeners: Vec<Listener>,
    /// Where callers reach this gateway, when that is not what their requests say. Without a slash at its
    /// end.
    pub public_url: Option<String>,
    /// Where the operator's tools read health and metrics, if anywhere. Plain HTTP, loopback only unless
    /// the file says `plain: allowed`.
    pub observe: Option<SocketAddr>,
    /// Where Portcullis itself is administered, if anywhere.
    pub admin: Option<Admin>,
    /// Where agents come in, if anywhere.
    pub agents: Option<Agents>,
    /// Whose tokens are accepted, by name. Never empty, no two with one issuer URL and audience.
    pub issuers: Vec<Issuer>,
    /// What is protected, by name. Never empty.
    pub resources: Vec<Resource>,
    /// Where the policies lie.
    pub policies: Policies,
    /// Where the record is written.
    pub ledger: Ledger,
    /// Where the state is kept.
    pub state: State,
    /// What one gateway takes on at once.
    pub limits: Limits,
    /// How requests wait for the consent of people.
    pub approvals: Approvals,
    /// Who is who, and who answers for whom.
    pub people: model::People,
    /// Named patterns that policies see in `context.matches`.
    pub deny_lists: Vec<DenyList>,
    /// The pages for people, if there are any.
    pub console: Option<Console>,
    /// What a team has masked besides.
    pub masking: Masking,
    /// The folder of the configuration file, absolute. Every other path is resolved against it already.
    pub base_dir: PathBuf,
}

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address. Port 0 lets the system choose.
    pub address: SocketAddr,
    /// What stands on it.
    pub tls: Tls,
}

/// How a listener is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain HTTP: on loopback, or where the file says `plain: allowed`.
    Plain,
    /// A certificate authority of this gateway's own, made on first start and kept in `dir`.
    Local {
        /// Where the authority and its certificate are kept.
        dir: PathBuf,
        /// The host names and addresses the certificate is for. Never empty.
        names: Vec<String>,
    },
    /// A certificate the operator brings.
    Files {
        /// The chain in PEM, leaf first.
        certificate: PathBuf,
        /// The private key in PEM.
        key: PathBuf,
    },
}

/// Where the policies lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies {
    /// The folder that holds `*.cedar`.
    pub dir: PathBuf,
    /// The IANA time zone policies read weekday and minute in.
    pub timezone: String,
}

/// Where and how the record is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// The folder. Made if it is not there.
    pub dir: PathBuf,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// A segment is closed at this size, in bytes.
    pub segment_bytes: u64,
    /// How many writes may wait. When it is full, requests are refused.
    pub queue: usize,
    /// How long a write may take before the ledger counts as gone.
    pub write_timeout: Duration,
    /// Bytes kept free for seals, so that what was begun can be closed when the disk is full.
    pub reserve_bytes: u64,
    /// Signed checkpoints of it.
    pub checkpoints: Checkpoints,
    /// How it is made findable.
    pub finding: Finding,
    /// How long bodies are kept.
    pub retention: Retention,
    /// The age recipients who alone can read what was said. None: it is recorded in the clear.
    pub seal_to: Vec<age::x25519::Recipient>,
}

impl Ledger {
    /// A ledger in `dir`, everything else as by default.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self {
            checkpoints: Checkpoints::of(&dir),
            dir,
            durability: Durability::Process,
            segment_bytes: 256 << 20,
            queue: 4096,
            write_timeout: Duration::from_secs(5),
            reserve_bytes: 16 << 20,
            finding: Finding::default(),
            retention: Retention::default(),
            seal_to: Vec::new(),
        }
    }
}

/// What one gateway takes on at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections a listener.
    pub connections: usize,
    /// Requests between head and seal.
    pub requests_in_flight: usize,
    /// Bytes of request and held answer bodies in memory, all requests together.
    pub body_bytes_in_flight: usize,
    /// Bytes of one request's head.
    pub header_bytes: usize,
    /// Time for a request's head to arrive, and for a TLS handshake.
    pub header_timeout: Duration,
    /// Time for a request's body to arrive.
    pub body_timeout: Duration,
    /// Streams an HTTP/2 connection.
    pub streams_per_connection: u32,
    /// Time that running exchanges have to end after a stop signal.
    pub drain: Duration,
    /// Verified tokens that are remembered.
    pub token_cache: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            requests_in_flight: 4096,
            body_bytes_in_flight: 1 << 30,
            header_bytes: 32 << 10,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            streams_per_connection: 100,
            drain: Duration::from_secs(30),
            token_cache: 10_000,
        }
    }
}

/// A named list of what requests should not hold. It denies nothing by itself: a policy does, when it
/// reads `context.matches`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyList {
    /// The name policies compare with.
    pub name: String,
    /// Regular expressions, compiled once already so that they are known to be good.
    pub patterns: Vec<String>,
    /// Plain words, found also inside longer words, without regard to case.
    pub words: Vec<String>,
}

/// Names to texts, in order.
pub(crate) type Names = BTreeMap<String, String>;
