//! What can go wrong between the gateway and an upstream.

use std::time::Duration;

use http::Uri;
use model::{Code, ExchangeId, Outcome, Refusal, ResourceName};

/// Why a request did not go upstream, or its answer did not come back whole. Never holds any part of a
/// credential, a request or an answer.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The configuration names no upstream.
    #[error("the resource names no upstream")]
    NoUpstream,
    /// An upstream's URL can't be used.
    #[error("the upstream `{url}` cannot be used: {why}")]
    Url {
        /// The URL.
        url: Uri,
        /// Why not.
        why: &'static str,
    },
    /// TLS towards the upstreams can't be set up.
    #[error(transparent)]
    Tls(#[from] dial::DialError),
    /// The clearance is for another exchange than the request.
    #[error("the clearance is for exchange {cleared}, the request of exchange {asked}")]
    Mismatch {
        /// What was cleared.
        cleared: ExchangeId,
        /// What was to be sent.
        asked: ExchangeId,
    },
    /// The judged path can't be written as HTTP without changing it.
    #[error("the request's path cannot be sent as it was judged")]
    Target,
    /// The credential can't be had.
    #[error("the credential of resource `{resource}` cannot be had: {why}")]
    Credential {
        /// Whose.
        resource: ResourceName,
        /// Why not. Names hosts and files.
        why: String,
    },
    /// The request brings the parameter that the credential goes in.
    #[error("the request's query has the parameter `{0}`, which carries the credential")]
    Parameter(String),
    /// No upstream could be reached. Nothing was sent.
    #[error("no upstream could be reached: {0}")]
    Unreachable(String),
    /// The connection took too long. Nothing was sent.
    #[error("no upstream took the connection in time: {0}")]
    ConnectTimeout(String),
    /// The answer did not begin in time.
    #[error("the upstream did not begin to answer within {0:?}")]
    FirstByteTimeout(Duration),
    /// The answer stopped coming.
    #[error("the upstream sent nothing more for {0:?}")]
    IdleTimeout(Duration),
    /// The exchange took longer than any may.
    #[error("the exchange took longer than {0:?}")]
    ExchangeTimeout(Duration),
    /// The upstream broke off. What it did with the request is unknown.
    #[error("the upstream broke off: {0}")]
    Lost(String),
    /// The upstream answered what can't be read.
    #[error("the upstream's answer cannot be read: {0}")]
    Unreadable(String),
    /// The answer unpacks to more than a compressed answer may.
    #[error("the answer unpacks to more than {0} times its size")]
    Bomb(u64),
}

impl ForwardError {
    /// What an agent tells the gateway in the place of an answer.
    pub fn fault(&self) -> tunnel::Fault {
        crate::beyond::fault(self)
    }

    /// The refusal for the caller. What names hosts or files stays in its detail.
    pub fn refusal(&self) -> Refusal {
        let code = match self {
            Self::NoUpstream | Self::Url { .. } | Self::Mismatch { .. } | Self::Target => Code::Internal,
            Self::Tls(_) | Self::Unreachable(_) | Self::ConnectTimeout(_) => Code::UpstreamUnavailable,
            Self::Credential { .. } => Code::CredentialUnavailable,
            Self::Parameter(_) => Code::RequestMalformed,
            Self::FirstByteTimeout(_) | Self::IdleTimeout(_) | Self::ExchangeTimeout(_) => {
                Code::UpstreamTimeout
            }
            Self::Lost(_) | Self::Unreadable(_) | Self::Bomb(_) => Code::UpstreamFailed,
        };
        let refusal = Refusal::new(code).detail(self);
        match self {
            Self::Credential { resource, .. } => {
                refusal.because(format!("The credential for resource `{resource}` cannot be had."))
            }
            Self::Parameter(name) => refusal.because(format!(
                "The query has the parameter `{name}`, which is the gateway's to set: leave it out."
            )),
            _ => refusal,
        }
    }

    /// How the exchange ended by it. [`Outcome::Refused`] says that nothing was sent upstream.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NoUpstream
            | Self::Url { .. }
            | Self::Tls(_)
            | Self::Mismatch { .. }
            | Self::Target
            | Self::Credential { .. }
            | Self::Parameter(_)
            | Self::Unreachable(_)
            | Self::ConnectTimeout(_) => Outcome::Refused,
            Self::FirstByteTimeout(_) | Self::IdleTimeout(_) | Self::Lost(_) => Outcome::UpstreamLost,
            Self::ExchangeTimeout(_) | Self::Unreadable(_) | Self::Bomb(_) => Outcome::Cut,
        }
    }
}
