//! What can go wrong between a gateway and its agents, and what to do about it.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why there is no tunnel, or nothing came through it. Never holds a token, a key or what was said.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// A file cannot be used.
    #[error("cannot {what} {}: {why}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer, or what is wrong with the file.
        why: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen for agents at {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: String,
    },
    /// The other side cannot be reached, or it left before all was said.
    #[error("no tunnel to {at}: {why}")]
    Unreachable {
        /// Its address.
        at: String,
        /// What went wrong.
        why: String,
    },
    /// The other side said no. It said why.
    #[error("{0}")]
    Refused(Refused),
    /// A certificate or a key cannot be made, or is not what it has to be.
    #[error("a certificate cannot be used: {0}")]
    Certificate(String),
    /// A join token is not one.
    #[error("this is no join token: {0}; a new one comes from `portcullis agents invite`")]
    Token(&'static str),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// What was asked of the roster cannot be done.
    #[error("{0}")]
    Unfit(String),
}

/// A refusal at the door, told to the other side as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which, for programs.
    pub why: Why,
    /// A sentence for people, with what to do. Holds nothing the other side may not know.
    pub sentence: String,
}

impl Refused {
    pub(crate) fn new(why: Why, sentence: impl Into<String>) -> Self {
        Self { why, sentence: sentence.into() }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// Which refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Both sides speak, but no version in common.
    Version,
    /// The one side cannot do what the other relies on.
    Feature,
    /// The join token is unknown, used or too old.
    Token,
    /// The certificate is not one of an agent that is enrolled here.
    Unknown,
    /// The agent was revoked.
    Revoked,
    /// It has as many connections as an agent may have.
    Busy,
    /// What it said cannot be read.
    Malformed,
    /// The other side cannot tell now. It may be tried again.
    Unavailable,
}

impl Why {
    /// Every refusal with its number on the wire.
    const ALL: [(Self, u32); 8] = [
        (Self::Version, 1),
        (Self::Feature, 2),
        (Self::Token, 3),
        (Self::Unknown, 4),
        (Self::Revoked, 5),
        (Self::Busy, 6),
        (Self::Malformed, 7),
        (Self::Unavailable, 8),
    ];

    /// Its number on the wire.
    pub(crate) fn number(self) -> u32 {
        Self::ALL.iter().find(|(why, _)| *why == self).map_or(8, |(_, number)| *number)
    }

    /// What a number means. One from a later version may be tried again.
    pub(crate) fn from_number(number: u32) -> Self {
        Self::ALL.iter().find(|(_, known)| *known == number).map_or(Self::Unavailable, |(why, _)| *why)
    }

    /// Whether trying again changes nothing until somebody does something.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Busy | Self::Unavailable)
    }
}
