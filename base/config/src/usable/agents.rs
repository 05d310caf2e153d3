//! Agents: the gateway's side of them, and what an agent's own file becomes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use model::{AgentName, ResourceName};

use super::Resource;
use crate::SecretRef;

/// Where agents come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agents {
    /// The address of their listener.
    pub address: SocketAddr,
    /// Where their authority keeps its key.
    pub dir: PathBuf,
    /// Who becomes an agent by a token of their own issuer. Issuer and subject together stand once.
    pub workloads: Vec<Workload>,
}

/// A program that may be an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Which agent it is.
    pub agent: AgentName,
    /// The name of its issuer, one of the configuration's.
    pub issuer: String,
    /// Its subject, exactly.
    pub subject: String,
    /// What it may serve. Never empty.
    pub resources: BTreeSet<ResourceName>,
}

/// How an agent becomes one.
#[derive(Clone, Debug, PartialEq)]
pub enum Join {
    /// By an invitation's token.
    Token(SecretRef),
    /// By a token of the program's own issuer.
    Workload {
        /// Where it lies.
        token: SecretRef,
        /// The SHA-256 of the certificate of the gateways' authority.
        authority: [u8; 32],
    },
}

/// Everything an agent's file says.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentConfig {
    /// The gateways' listeners for agents, `HOST:PORT` each. Never empty.
    pub gateways: Vec<String>,
    /// How it becomes an agent.
    pub join: Option<Join>,
    /// Where the agent keeps its key and certificate.
    pub dir: PathBuf,
    /// What it serves. Never empty. Of each, only what an agent's file has is set.
    pub resources: Vec<Resource>,
    /// Requests under way at once.
    pub requests_in_flight: usize,
    /// Bytes of request bodies in memory, all requests together.
    pub body_bytes_in_flight: usize,
    /// Time that running requests have to end after a stop signal.
    pub drain: Duration,
}
