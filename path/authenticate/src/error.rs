//! Why a caller is not known: one variant a check, mapped to what may be said outside.

use std::sync::Arc;

use dial::DialError;
use model::{Code, Refusal};

use crate::Check;
use crate::standing::{Block, Ended, Revocation};

/// Why no caller comes of a request, or no authenticator of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// An issuer's settings cannot be used.
    #[error("issuer `{issuer}`: {why}")]
    Settings {
        /// The issuer's configured name.
        issuer: String,
        /// What is wrong, and what to write.
        why: String,
    },
    /// An issuer cannot be dialled.
    #[error("issuer `{issuer}`: {source}")]
    Dial {
        /// The issuer's configured name.
        issuer: String,
        /// What is missing.
        #[source]
        source: DialError,
    },
    /// No token came.
    #[error("no token came as `Authorization: Bearer`, `x-api-key` or `api-key`")]
    Missing,
    /// Two different tokens came, or one in a way that is not read.
    #[error("{0}")]
    Presented(&'static str),
    /// Too long.
    #[error("the {what} is {bytes} bytes long, at most {limit} are read")]
    Size {
        /// The token, or its header.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Not three parts of base64url.
    #[error("{0}")]
    Structure(String),
    /// The header is not strict JSON, or its members are not of their types.
    #[error("the header is no JOSE header: {0}")]
    Header(String),
    /// The header asks for an extension.
    #[error("the header holds `{0}`, which changes how a token is read; no extension is known here")]
    Critical(&'static str),
    /// The payload is not strict JSON.
    #[error("the payload is no set of claims: {0}")]
    Claims(String),
    /// Nobody by this name is configured.
    #[error("{0}")]
    Issuer(String),
    /// Meant for somebody else.
    #[error("{0}")]
    Audience(String),
    /// Another kind of token.
    #[error("{0}")]
    Type(String),
    /// An algorithm the issuer may not use.
    #[error("{0}")]
    Algorithm(String),
    /// The keys cannot be had.
    #[error("no keys of issuer `{issuer}` can be used: {why}")]
    Keys {
        /// The issuer's configured name.
        issuer: String,
        /// What the last fetch met.
        why: String,
        /// Seconds until the next fetch may begin.
        retry_after: u32,
    },
    /// No key fits, or several.
    #[error("{0}")]
    Key(String),
    /// Forged, damaged, or signed by another key of the same name.
    #[error("the signature is not by the issuer's key {0}")]
    Signature(String),
    /// `sub` cannot name a caller.
    #[error("{0}")]
    Subject(String),
    /// `exp` is missing or no time.
    #[error("{0}")]
    Expiry(String),
    /// Past its end.
    #[error("the token ended at {0}")]
    Expired(jiff::Timestamp),
    /// Before its begin, or no time.
    #[error("{0}")]
    NotBefore(String),
    /// From the future, or no time.
    #[error("{0}")]
    IssuedAt(String),
    /// Older than the issuer's configuration accepts.
    #[error("{0}")]
    Age(String),
    /// Too many groups to fit, so the token only says where to ask.
    #[error("{0}")]
    Overage(String),
    /// The groups cannot be read.
    #[error("{0}")]
    Groups(String),
    /// A carried claim is too long.
    #[error("{0}")]
    Carried(String),
    /// An ID token that is good, but not the answer to this sign-in; or a sign-in that no longer holds.
    #[error("{0}")]
    SignIn(String),
    /// The issuer does not stand by an opaque token.
    #[error("{0}")]
    Inactive(String),
    /// The issuer's userinfo refuses the token, or speaks of somebody else.
    #[error("{0}")]
    Userinfo(String),
    /// The issuer cannot be asked about a token, or says nothing that can be used.
    #[error("issuer `{issuer}` cannot be asked about the token: {why}")]
    Unanswered {
        /// The issuer's configured name.
        issuer: String,
        /// For what it was asked.
        check: Check,
        /// What was met.
        why: String,
        /// Seconds until it may be asked again.
        retry_after: u32,
    },
    /// An operator blocked the caller.
    #[error("the caller is blocked since {} by {}: {}", _0.at, _0.by, _0.reason.as_deref().unwrap_or("no reason given"))]
    Blocked(Arc<Block>),
    /// An operator revoked the token.
    #[error("tokens from before {} are revoked by {}: {}", _0.before, _0.by, _0.reason.as_deref().unwrap_or("no reason given"))]
    Revoked(Arc<Revocation>),
    /// The issuer says that the session, or the caller, has logged out.
    #[error("the caller has logged out at the issuer")]
    LoggedOut,
    /// A membership that the exchange began with holds no more.
    #[error(
        "the membership in `{group}` that this began with is over; it was to end at {ends} at the latest"
    )]
    GrantOver {
        /// The group.
        group: model::GroupName,
        /// Its end, had nobody taken it back.
        ends: jiff::Timestamp,
    },
    /// The store cannot be read.
    #[error("the state could not be read for too long, so it is not known who is blocked")]
    StandingUnknown,
}

impl AuthenticateError {
    /// Whoever is shut out is not known either.
    pub(crate) fn shut_out(ended: Ended) -> Self {
        match ended {
            Ended::Blocked(block) => Self::Blocked(block),
            Ended::Revoked(revocation) => Self::Revoked(revocation),
            Ended::LoggedOut => Self::LoggedOut,
            Ended::Unknown => Self::StandingUnknown,
        }
    }

    /// The check that failed; none when the configuration did.
    pub fn check(&self) -> Option<Check> {
        Some(match self {
            Self::Settings { .. } | Self::Dial { .. } | Self::SignIn(_) => return None,
            Self::Missing | Self::Presented(_) => Check::Presented,
            Self::Size { .. } => Check::Size,
            Self::Structure(_) => Check::Structure,
            Self::Header(_) => Check::Header,
            Self::Critical(_) => Check::Critical,
            Self::Claims(_) => Check::Claims,
            Self::Issuer(_) => Check::Issuer,
            Self::Audience(_) => Check::Audience,
            Self::Type(_) => Check::Type,
            Self::Algorithm(_) => Check::Algorithm,
            Self::Keys { .. } => Check::Keys,
            Self::Key(_) => Check::Key,
            Self::Signature(_) => Check::Signature,
            Self::Subject(_) => Check::Subject,
            Self::Expiry(_) => Check::Expiry,
            Self::Expired(_) => Check::Expired,
            Self::NotBefore(_) => Check::NotBefore,
            Self::IssuedAt(_) => Check::IssuedAt,
            Self::Age(_) => Check::Age,
            Self::Overage(_) => Check::Overage,
            Self::Groups(_) => Check::Groups,
            Self::Carried(_) => Check::Carried,
            Self::Inactive(_) => Check::Introspection,
            Self::Userinfo(_) => Check::Userinfo,
            Self::Unanswered { check, .. } => *check,
            Self::Blocked(_)
            | Self::Revoked(_)
            | Self::LoggedOut
            | Self::GrantOver { .. }
            | Self::StandingUnknown => Check::Standing,
        })
    }

    /// What the caller is told, and beside it what the operator is. That a token has expired is told
    /// only once its signature was verified.
    pub fn refusal(&self) -> Refusal {
        let refusal = match self {
            Self::Settings { .. } | Self::Dial { .. } => Refusal::new(Code::Internal),
            Self::Missing => Refusal::new(Code::TokenMissing),
            Self::Presented(why) => Refusal::new(Code::TokenInvalid).because(*why),
            Self::Expired(_) | Self::Age(_) => Refusal::new(Code::TokenExpired),
            Self::Keys { retry_after, .. } | Self::Unanswered { retry_after, .. } => {
                Refusal::new(Code::IdentityUnavailable).retry_after((*retry_after).max(1))
            }
            Self::Blocked(_) => Refusal::new(Code::CallerBlocked),
            Self::Revoked(_) | Self::LoggedOut => Refusal::new(Code::TokenRevoked),
            Self::GrantOver { .. } => Refusal::new(Code::GrantOver),
            Self::StandingUnknown => Refusal::new(Code::StateUnavailable).retry_after(5),
            _ => Refusal::new(Code::TokenInvalid),
        };
        match self.check() {
            Some(check) => refusal.detail(format_args!("{check}: {self}")),
            None => refusal.detail(self),
        }
    }
}

/// Text out of a token as an error may hold it: escaped, and cut at 80 characters.
pub(crate) fn quote(text: &str) -> String {
    let mut shown: String = text.escape_debug().take(80).collect();
    if text.escape_debug().nth(80).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
