//! What an issuer is asked beyond its keys, and what it tells by itself.

use std::time::Duration;

use crate::SecretRef;

/// How an issuer is asked about opaque tokens (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// Where to ask, when discovery does not say.
    pub url: Option<String>,
    /// As whom.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: SecretRef,
    /// How the client proves itself.
    pub client_auth: ClientAuth,
    /// What this issuer's opaque tokens begin with. None for the one issuer that takes all of them.
    pub prefix: Option<String>,
    /// The clients whose tokens are accepted; empty for all, as long as the answer has an audience.
    pub clients: Vec<String>,
    /// How long an answer is believed. At most a minute.
    pub cache: Duration,
}

/// How a client proves itself (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// In the `Authorization` header.
    Basic,
    /// In the form.
    Post,
}

/// Where an issuer is asked for the groups that no token holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Userinfo {
    /// Where to ask, when discovery does not say.
    pub url: Option<String>,
}

/// Which logout tokens of an issuer are heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackchannelLogout {
    /// Accepted values of `aud`. Never empty.
    pub audiences: Vec<String>,
    /// Accepted values of `typ`, without regard to case. A token without `typ` counts as `JWT`.
    pub token_types: Vec<String>,
}
