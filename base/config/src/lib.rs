//! The one YAML file: read with places, checked whole, turned into what each step uses.

mod secret;
mod usable;

pub use secret::{MAX_SECRET_BYTES, SecretError, SecretRef};
pub use usable::{
    ClaimRule, ClaimTest, Config, Credential, DenyList, Durability, GroupRule, Groups, Issuer, IssuerKind,
    Ledger, Limits, Listener, Mfa, OnTokenExpiry, Policies, Resource, ResourceKind, Route, ServerKind,
    Timeouts, Tls, UnknownStreams, UpstreamTls,
};
