//! Why a verb could not be done.

use std::io;

/// Why a verb could not be done. Its text says what happened, why, and what to do next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Whoever read the output has left (`| head`): no fault at all.
    #[error("nobody reads the output any more")]
    ReaderGone,
    /// The output can't be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    /// The configuration has faults.
    #[error("{0}")]
    Config(String),
    /// The policies have faults.
    #[error("{0}")]
    Policies(#[from] authorize::PolicyFaults),
    /// The gateway can't be built.
    #[error("{0}")]
    Gateway(#[from] gateway::SetupError),
    /// The administration can't be opened.
    #[error("{0}")]
    Admin(#[from] admin::AdminError),
    /// A gateway's administration can't be asked, or says no.
    #[error("{0}")]
    Remote(#[from] crate::remote::RemoteError),
    /// The record can't be explained.
    #[error("{0}")]
    Why(#[from] admin::views::WhyError),
    /// The record can't be read.
    #[error("{0}")]
    Ledger(#[from] record::LedgerError),
    /// Nobody is logged in, or the login gives no token.
    #[error("{0}")]
    Login(#[from] login::LoginError),
    /// Anything a single verb explains itself.
    #[error("{0}")]
    Said(String),
}

impl From<io::Error> for Failure {
    fn from(fault: io::Error) -> Self {
        if fault.kind() == io::ErrorKind::BrokenPipe { Self::ReaderGone } else { Self::Output(fault) }
    }
}
