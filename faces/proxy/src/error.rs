//! What can go wrong in the local proxy.

use std::path::PathBuf;
use std::time::Duration;

/// Why the proxy cannot serve. It never holds a token or the key.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The address is taken, or not allowed.
    #[error("cannot listen at {at}: {why}")]
    Listen {
        /// Where.
        at: String,
        /// Why not, and what to do.
        why: String,
    },
    /// The gateway's address or certificates cannot be used.
    #[error("the gateway cannot be used: {0}")]
    Gateway(#[from] dial::DialError),
    /// The login gives no token.
    #[error(transparent)]
    Login(#[from] login::LoginError),
    /// The token's file.
    #[error(transparent)]
    Secret(#[from] config::SecretError),
    /// The command for the token fails, or prints none.
    #[error("the command for the token {why}")]
    Command {
        /// What it did.
        why: String,
    },
    /// The command took too long.
    #[error("the command for the token still ran after {0:?}, and was ended")]
    CommandTimeout(Duration),
    /// A socket's file is in the way.
    #[error("{}: {why}", path.display())]
    Socket {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}
