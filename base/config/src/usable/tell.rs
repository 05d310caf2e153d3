//! Who is told about approvals.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::SecretRef;

/// Who is told about approvals, and for how long it is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// Programs that are told by signed webhooks. At most 16, each with a name of its own.
    pub webhooks: Vec<Webhook>,
    /// The Slack channel that is told, if one is.
    pub slack: Option<Slack>,
    /// What could not be delivered for so long is given up.
    pub give_up: Duration,
}

impl Default for Tell {
    fn default() -> Self {
        Self { webhooks: Vec::new(), slack: None, give_up: Duration::from_secs(24 * 3600) }
    }
}

impl Tell {
    /// Whether nobody is told.
    pub fn is_silent(&self) -> bool {
        self.webhooks.is_empty() && self.slack.is_none()
    }
}

/// A program that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// What it is called in logs and metrics.
    pub name: String,
    /// Where it listens: `https`, or `http` on this machine.
    pub url: http::Uri,
    /// What its messages are signed with, each of them. 1 to 4.
    pub secrets: Vec<SecretRef>,
    /// What it is told of. Never empty.
    pub events: BTreeSet<TellEvent>,
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// How long it may take to answer.
    pub timeout: Duration,
}

/// The Slack channel that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slack {
    /// The channel's id.
    pub channel: String,
    /// The bot's token.
    pub token: SecretRef,
    /// Below which the Web API's methods lie. Without a slash at its end.
    pub api: String,
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// What can be told of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TellEvent {
    /// It waits for people.
    Requested,
    /// One of several people consented.
    Consented,
    /// As many consented as it needs.
    Approved,
    /// Somebody said no.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// What was approved was done: the request went on its way, or the grant began.
    Released,
    /// A grant came to its end.
    Ended,
    /// A grant was taken back.
    Revoked,
}

impl TellEvent {
    /// Every one, in the order they come.
    pub const ALL: [Self; 8] = [
        Self::Requested,
        Self::Consented,
        Self::Approved,
        Self::Denied,
        Self::Expired,
        Self::Released,
        Self::Ended,
        Self::Revoked,
    ];

    /// As it is written in the file, and behind `approval.` in a message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Consented => "consented",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Released => "released",
            Self::Ended => "ended",
            Self::Revoked => "revoked",
        }
    }
}
