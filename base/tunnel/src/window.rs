//! How much may be under way in one connection, and in all of an agent's.
//!
//! A stream that nobody reads keeps its own window's bytes and no more. The connection's window holds all
//! streams that one connection may carry, so such a stream never takes room from another (RFC 9113,
//! section 5.2.2): with the usual windows one would stop all.

use std::time::Duration;

/// Streams one connection carries at once.
pub const MOST_STREAMS: usize = 128;
/// Connections one agent has to one gateway at most.
pub const MOST_CONNECTIONS: usize = 8;
/// The bytes of one stream that wait to be read, in one direction. With half as many, a bulk of bytes waits
/// for the word that more may come about as long as it moves.
pub const STREAM_WINDOW: u32 = 128 << 10;
/// The bytes of one connection that wait to be read: room for every stream's, and one more.
pub const CONNECTION_WINDOW: u32 = (MOST_STREAMS as u32 + 1) * STREAM_WINDOW;
/// The bytes that one agent can make a gateway hold, whatever its callers do.
pub const MOST_BYTES: u64 = MOST_CONNECTIONS as u64 * CONNECTION_WINDOW as u64;
/// The largest head of a request or an answer, in bytes.
pub(crate) const HEAD: u32 = 64 << 10;
/// The largest frame, in bytes.
pub(crate) const FRAME: u32 = 64 << 10;
/// The bytes of one stream that wait to be sent.
pub(crate) const SEND_BUFFER: usize = 128 << 10;
/// How often either side asks whether the other is there, and how long it has to answer.
pub(crate) const PING: Duration = Duration::from_secs(5);
/// Streams that may be reset for our own errors before the connection counts as hostile.
pub(crate) const MOST_RESETS: usize = 1024;

const _: () = assert!(CONNECTION_WINDOW as u64 > MOST_STREAMS as u64 * STREAM_WINDOW as u64);
