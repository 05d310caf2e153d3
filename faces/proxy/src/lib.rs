//! The local way in for tools that cannot keep a token fresh.
//!
//! A [`Proxy`] listens on this machine alone, for one resource of one gateway, and sends what comes on
//! with a fresh token from its [`Source`]. Who may use it is decided by [`guard`]: on a Unix socket the
//! person's own processes, on loopback whoever has the random key, and never a web page. It judges
//! nothing else: that is the gateway's.

mod error;
mod guard;
mod line;
mod listen;
mod relay;
mod source;

pub use error::ProxyError;
pub use listen::{Listen, Proxy};
pub use source::{Source, TOKEN_COMMAND_TIMEOUT};

/// What a proxy leads to.
#[derive(Clone, Debug)]
pub struct Target {
    /// The gateway: scheme, host and port.
    pub gateway: String,
    /// The resource there.
    pub resource: model::ResourceName,
    /// Certificates to trust for the gateway instead of the system's.
    pub ca_file: Option<std::path::PathBuf>,
}
