//! Agents: the gateway's side of them, and what an agent's own file becomes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Resource;
use crate::SecretRef;

/// Where agents come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agents {
    /// The address of their listener.
    pub address: SocketAddr,
    /// Where their authority keeps its key.
    pub dir: PathBuf,
}

/// Everything an agent's file says.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentConfig {
    /// The gateways' listeners for agents, `HOST:PORT` each. Never empty.
    pub gateways: Vec<String>,
    /// Where the join token lies.
    pub join: Option<SecretRef>,
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
