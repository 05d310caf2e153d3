//! Step one: listeners, TLS, and the limits a connection lives under.
//!
//! A [`Door`] listens on one address, speaks HTTP/1.1 and HTTP/2, with TLS or without, and hands each
//! request to a handler. It bounds what a peer can hold: connections, streams, heads, windows, time. An
//! answer whose body fails is aborted, never ended. [`framing`] refuses what two servers could read in two
//! ways.

mod door;
mod error;
mod framing;
mod head;
mod life;
mod local;
mod outgoing;
mod serve;
mod socket;
mod taking;
mod tls;
mod wire;

pub use door::{Door, Peer};
pub use error::AcceptError;
pub use framing::framing;
pub use socket::{SOCKET_PEER, SocketDoor};
