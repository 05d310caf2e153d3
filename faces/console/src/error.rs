//! What goes wrong with a person's visit, and what they are told of it.

use model::{Code, Refusal};

/// Why a page could not be given.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// A template that could not be filled.
    #[error("a page could not be written: {0}")]
    Page(#[from] askama::Error),
    /// The system gives no randomness.
    #[error("the system gives no random numbers")]
    Machine,
    /// The session's store.
    #[error("sessions cannot be kept: {0}")]
    Store(#[from] store::StoreError),
    /// The ledger.
    #[error("the record cannot be written: {0}")]
    Ledger(#[from] record::LedgerError),
    /// The ID token, or a session that no longer holds.
    #[error("{0}")]
    Identity(#[from] authenticate::AuthenticateError),
    /// The issuer could not be asked.
    #[error("issuer `{issuer}` cannot be asked: {why}")]
    Unreachable {
        /// The issuer's configured name.
        issuer: String,
        /// What happened.
        why: String,
    },
    /// The issuer was asked, and gave no ID token.
    #[error("issuer `{issuer}` gave no ID token: {why}")]
    NotGiven {
        /// The issuer's configured name.
        issuer: String,
        /// What it said.
        why: String,
    },
    /// The client's secret cannot be read.
    #[error("the client secret for issuer `{issuer}` cannot be used: {why}")]
    Secret {
        /// The issuer's configured name.
        issuer: String,
        /// What is wrong.
        why: String,
    },
    /// What is refused, worded already.
    #[error("{0}")]
    Refused(Refusal),
}

impl ConsoleError {
    /// What the person is told, and beside it what the operator is.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal.clone(),
            Self::Page(_) | Self::Machine => Refusal::new(Code::Internal).detail(self),
            Self::Store(_) => Refusal::new(Code::Internal)
                .because("Sessions cannot be kept just now, so nobody can be signed in.")
                .detail(self),
            Self::Ledger(fault) => Refusal::new(Code::LedgerUnavailable).retry_after(5).detail(fault),
            Self::Identity(fault) => {
                let refusal = fault.refusal();
                match refusal.code {
                    Code::IdentityUnavailable
                    | Code::StateUnavailable
                    | Code::CallerBlocked
                    | Code::TokenRevoked => refusal,
                    _ => refusal
                        .because("What your issuer sent is not accepted here, so you are not signed in."),
                }
            }
            Self::Unreachable { .. } => Refusal::new(Code::IdentityUnavailable)
                .because("Your issuer cannot be reached just now.")
                .retry_after(5)
                .detail(self),
            Self::NotGiven { .. } => Refusal::new(Code::TokenInvalid)
                .because("Your issuer did not confirm the sign-in.")
                .detail(self),
            Self::Secret { .. } => Refusal::new(Code::CredentialUnavailable)
                .because("The console cannot prove itself to your issuer.")
                .detail(self),
        }
    }
}

impl From<Refusal> for ConsoleError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
