//! How an exchange ended, what was found in it, and what keeping its record promises.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::DataClass;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The caller got the whole answer.
    Completed,
    /// Refused before anything reached the upstream.
    Refused,
    /// The caller left before the end.
    CallerGone,
    /// The upstream failed or broke off; what it did is unknown.
    UpstreamLost,
    /// Cut by the gateway: a limit, a revocation, an answer it could not judge.
    Cut,
    /// The gateway stopped in the middle; found and closed at the next start.
    Interrupted,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 6] =
        [Self::Completed, Self::Refused, Self::CallerGone, Self::UpstreamLost, Self::Cut, Self::Interrupted];

    /// The word in the record and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Refused => "refused",
            Self::CallerGone => "caller-gone",
            Self::UpstreamLost => "upstream-lost",
            Self::Cut => "cut",
            Self::Interrupted => "interrupted",
        }
    }

    /// The outcome that `word` spells.
    pub fn from_name(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// Tokens an answer says it used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
}

/// How many values of each class were masked, and how many were shown because policy reveals them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// Masked, by class.
    pub masked: BTreeMap<DataClass, u64>,
    /// Revealed, by class.
    pub revealed: BTreeMap<DataClass, u64>,
}

impl Findings {
    /// Counts what was found elsewhere too.
    pub fn add(&mut self, more: &Self) {
        for (all, more) in [(&mut self.masked, &more.masked), (&mut self.revealed, &more.revealed)] {
            for (class, count) in more {
                *all.entry(class.clone()).or_default() += count;
            }
        }
    }
}

/// What an acknowledged write to the ledger survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process, by `kill -9` too: the kernel has it. Not a power cut.
    Process,
    /// The death of the machine: each group of writes ends in `fdatasync`.
    Disk,
}
