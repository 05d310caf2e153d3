//! A door seen from outside: over raw sockets, and with a client that is not ours.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

mod abort;
mod ending;
mod harness;
mod heads;
mod limits;
mod tls;
