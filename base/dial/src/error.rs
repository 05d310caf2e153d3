//! What can go wrong on the way out.

use std::path::PathBuf;
use std::time::Duration;

/// Why a connection was not made, or a document not read.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The system holds no root certificates.
    #[error(
        "this system has no root certificates ({why}): install the package `ca-certificates`, or name a file of certificates to trust"
    )]
    NoRoots {
        /// What the search met, if anything.
        why: String,
    },
    /// A PEM file cannot be used.
    #[error("cannot use {} as {what}: {why}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it was to hold.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The TLS settings contradict each other.
    #[error("cannot set up TLS: {0}")]
    Settings(#[source] rustls::Error),
    /// The URL is not one that is dialled.
    #[error("will not dial `{url}`: {why}")]
    Url {
        /// The URL.
        url: String,
        /// Why not.
        why: &'static str,
    },
    /// Nobody answered at the address.
    #[error("cannot connect to {host}: {source}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Somebody answered, but not in TLS, or with a certificate that is not trusted.
    #[error(
        "no TLS with {host}: {source}; check the address, and that the certificates to trust include the server's authority"
    )]
    Tls {
        /// Host and port.
        host: String,
        /// What TLS said.
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("{host} did not answer within {after:?}")]
    Timeout {
        /// Host and port.
        host: String,
        /// The limit.
        after: Duration,
    },
    /// The answer is not HTTP, or broke off.
    #[error("the answer of {host} cannot be read: {source}")]
    Http {
        /// Host and port.
        host: String,
        /// What HTTP said.
        #[source]
        source: hyper::Error,
    },
    /// The answer's body broke off or is larger than the limit.
    #[error("the answer of {host} cannot be read whole, within {limit} bytes: {why}")]
    Body {
        /// Host and port.
        host: String,
        /// The limit, in bytes.
        limit: usize,
        /// What went wrong.
        why: String,
    },
}
