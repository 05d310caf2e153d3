//! How the program makes connections of its own: roots, client certificates, bounded fetches.
//!
//! Whoever dials out takes from here: [`client_tls`] says whom to trust and who we are, [`connect`]
//! opens one connection under a time limit, [`Fetcher`] reads one small document and nothing more, and
//! [`basic`] says to an issuer which client asks.
//! No process-wide TLS default is needed or set: the provider of cryptography is named here.

mod connect;
mod credentials;
mod error;
mod fetch;
mod tls;

pub use connect::{Connection, connect, is_loopback};
pub use credentials::{basic, form_encoded};
pub use error::DialError;
pub use fetch::{Fetched, Fetcher};
pub use tls::{Identity, Trust, client_tls, client_tls_as};

#[cfg(test)]
mod tests;
