//! What can keep a door from opening.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a door cannot open. Once open, a door never fails: it refuses single connections.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The address can't be had.
    #[error(
        "cannot listen on {address}: {cause}; check that no other program does and that the address is this machine's"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// A Unix socket can't be had.
    #[error("cannot open the socket {}: {cause}", path.display())]
    Socket {
        /// Where it should lie.
        path: PathBuf,
        /// What is wrong.
        cause: io::Error,
    },
    /// A file can't be read or written.
    #[error("cannot {what} {}: {cause}", path.display())]
    File {
        /// Read, write or create.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The certificate or its key can't be used.
    #[error("the certificate in {} cannot be used: {why}", path.display())]
    Certificate {
        /// The certificate's file, or the local authority's folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}
