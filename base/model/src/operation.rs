//! What a request would do: a class, and the facts a policy may weigh.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A class of operation: the action a policy permits. What no catalogue lists is [`Class::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Ask a model for an answer.
    Infer,
    /// Embed, score, rerank, classify or pool.
    Embed,
    /// Offline jobs and endpoints made for many inputs.
    Batch,
    /// Count or turn text into tokens, and back.
    Tokenize,
    /// List, health, metadata, metrics.
    Inspect,
    /// Read over an internal HTTP interface.
    Read,
    /// Write over an internal HTTP interface.
    Write,
    /// Load, unload, adapt, scale; high risk.
    Manage,
    /// Train or fine-tune; high risk.
    Train,
    /// Take weights or artifacts out; high risk.
    Export,
    /// Debug, cache, profile, log and process control; high risk.
    Administer,
    /// Not in any table: denied unless a policy names it; high risk.
    Unknown,
}

impl Class {
    /// Every class, in the order above.
    pub const ALL: [Self; 12] = [
        Self::Infer,
        Self::Embed,
        Self::Batch,
        Self::Tokenize,
        Self::Inspect,
        Self::Read,
        Self::Write,
        Self::Manage,
        Self::Train,
        Self::Export,
        Self::Administer,
        Self::Unknown,
    ];

    /// The action's name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::Embed => "embed",
            Self::Batch => "batch",
            Self::Tokenize => "tokenize",
            Self::Inspect => "inspect",
            Self::Read => "read",
            Self::Write => "write",
            Self::Manage => "manage",
            Self::Train => "train",
            Self::Export => "export",
            Self::Administer => "administer",
            Self::Unknown => "unknown",
        }
    }

    /// The class that `name` spells in policies and tables.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// Whether it changes, exports or re-configures the model, shows other users' data, or is not
    /// known: never the subject of a pasted permit.
    pub fn is_high_risk(self) -> bool {
        matches!(self, Self::Manage | Self::Train | Self::Export | Self::Administer | Self::Unknown)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing a request would do. A request may hold several; all must be permitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its class: the action.
    pub class: Class,
    /// The catalogue's name for it, such as `openai.chat`: stable, for people and for the record.
    pub name: String,
    /// What a policy may weigh.
    pub facts: Facts,
}

/// What a policy may weigh of an operation. Every field always has a value, so no policy can meet a
/// missing attribute; counts are clamped to [`Facts::BOUND`] so no arithmetic can overflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The model asked for; empty when the operation has none.
    pub model: String,
    /// The method as sent, upper case.
    pub method: String,
    /// The normalised path below the resource.
    pub path: String,
    /// Whether the answer would stream.
    pub stream: bool,
    /// How many answers or inputs one request holds: the product of array inputs, `n` and `best_of`.
    /// At least 1.
    pub batch: i64,
    /// The most tokens the request allows the model to write, over the whole batch. A request that
    /// states no limit counts as [`Facts::BOUND`]; one that writes no tokens as 0.
    pub max_tokens: i64,
    /// The body's length in bytes.
    pub request_bytes: i64,
    /// Whether the model is given tools to call.
    pub tools: bool,
    /// How many image parts the request holds.
    pub images: i64,
    /// How many audio parts the request holds.
    pub audio: i64,
    /// The names of the deny-list patterns that match in the request.
    pub matches: BTreeSet<String>,
}

impl Facts {
    /// The largest value of any count. A larger one is clamped to it.
    pub const BOUND: i64 = 1_000_000_000;

    /// `count` within 0 and [`Facts::BOUND`].
    pub fn clamp(count: i128) -> i64 {
        i64::try_from(count.clamp(0, i128::from(Self::BOUND))).unwrap_or(Self::BOUND)
    }

    /// Facts of a request that has nothing but a method and a path.
    pub fn plain(method: &str, path: &str) -> Self {
        Self {
            model: String::new(),
            method: method.to_owned(),
            path: path.to_owned(),
            stream: false,
            batch: 1,
            max_tokens: 0,
            request_bytes: 0,
            tools: false,
            images: 0,
            audio: 0,
            matches: BTreeSet::new(),
        }
    }
}
