//! The tunnel between a gateway and its agents: an agent dials out, and then the roles turn.
//!
//! One TLS 1.3 connection: the agent dialled it and shows a certificate of the gateway's own authority
//! ([`Authority`], [`Roster`]); a few words settle the version; then the agent serves HTTP/2 on it and the
//! gateway is the client. So an agent needs no open port, and everything HTTP/2 has is there: streams that
//! do not block each other (`window`), heartbeats, a drain that loses nothing, and extended CONNECT for
//! protocols that are not HTTP ([`Stretch`]).
//!
//! The gateway's side: [`Door`] lets agents in, [`Agents`] chooses among them, a [`Lease`] carries one
//! request. The agent's side: [`Enrolled`] is who it is, [`Membership`] keeps tunnels to every gateway, and
//! a request out of one brings its [`Delegated`].

mod agents;
mod agree;
mod authority;
mod backoff;
mod client;
mod enrol;
mod error;
mod fault;
mod flow;
mod identity;
mod keep;
mod lease;
mod listen;
mod order;
mod roster;
mod secure;
mod serve;
mod sever;
mod stretch;
mod token;
mod window;
mod wire;
mod workload;

pub use agents::{AgentState, Agents, NoAgent};
pub use authority::{Authority, LASTS, RENEWED_AFTER};
pub use backoff::Backoff;
pub use client::Inflow;
pub use enrol::Enrolled;
pub use error::{Refused, TunnelError, Why};
pub use fault::{Fault, drop_ours};
pub use identity::{AgentIdentity, MOST_RESOURCES};
pub use keep::Membership;
pub use lease::{Failed, Lease};
pub use listen::Door;
pub use order::Order;
pub use roster::{Held, INVITED_FOR, INVITED_FOR_AT_MOST, Invitation, Member, Revoked, Roster, Waiting};
pub use serve::Delegated;
pub use stretch::{Asked, Prologue, Stretch};
pub use token::JoinToken;
pub use window::{CONNECTION_WINDOW, MOST_BYTES, MOST_CONNECTIONS, MOST_STREAMS, STREAM_WINDOW};
pub use workload::{Proven, Proving, Workloads};

#[cfg(test)]
mod tests;
