//! What can keep somebody from being told.

use config::SecretError;
use store::StoreError;

/// Why the telling stopped, or a notice was not taken. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A secret could not be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A secret is none that signs webhooks.
    #[error(
        "the secret is not `whsec_` followed by 24 to 64 bytes in base64; make one with: echo \"whsec_$(openssl rand -base64 32)\""
    )]
    NotASigningSecret,
    /// A token that no header can carry.
    #[error("the token is not one that a header can carry")]
    NotAToken,
    /// The connection, or the answer.
    #[error(transparent)]
    Dial(#[from] dial::DialError),
    /// A sending ended without saying how.
    #[error("a sending broke off; what waits is read again")]
    BrokenOff,
    /// Another replica does it now.
    #[error("another replica tells people now")]
    TakenOver,
}
