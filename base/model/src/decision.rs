//! What policy said of an exchange, complete enough to be judged again.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// SHA-256 over the policy set's canonical text: which policies decided.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PolicySetHash(pub [u8; 32]);

impl fmt::Display for PolicySetHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::hex(&self.0))
    }
}

impl fmt::Debug for PolicySetHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What policy rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// Goes on.
    Allowed,
    /// Goes on once this many humans consent (1 to 3).
    NeedsApprovals(u8),
    /// Refused.
    Denied,
}

/// One policy that decided, by its id and the sentence above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReason {
    /// The `@id` annotation, or `file.cedar#n`.
    pub policy: String,
    /// The English sentence above the policy (its comment, or `@reason`).
    pub sentence: Option<String>,
}

/// The ruling on one operation, with the complete Cedar request it was made from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Judgement {
    /// The ruling.
    pub ruling: Ruling,
    /// The policies that determined it: permits when allowed, forbids when denied by one, none when
    /// nothing permitted it.
    pub reasons: Vec<PolicyReason>,
    /// Evaluation errors. Any error denies.
    pub errors: Vec<String>,
    /// Cedar's principal, as `Caller::"…"`.
    pub principal: String,
    /// Cedar's action, as `Action::"…"`.
    pub action: String,
    /// Cedar's resource, as `Model::"…"` or `Resource::"…"`.
    pub resource: String,
    /// Cedar's context, in Cedar's JSON.
    pub context: Box<RawValue>,
    /// The entities, in Cedar's JSON.
    pub entities: Box<RawValue>,
}

impl Judgement {
    /// The ids of the policies that determined it.
    pub fn policies(&self) -> Vec<String> {
        self.reasons.iter().map(|reason| reason.policy.clone()).collect()
    }
}

/// What policy said of an exchange: the strictest ruling over its operations, each with its reasons.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The strictest ruling.
    pub ruling: Ruling,
    /// One judgement an operation, in order.
    pub judgements: Vec<Judgement>,
    /// Which policies decided.
    pub policy_set: PolicySetHash,
}

impl Decision {
    /// The policies that determined its judgements, in order; one may come several times.
    pub fn reasons(&self) -> impl Iterator<Item = &PolicyReason> {
        self.judgements.iter().flat_map(|judgement| &judgement.reasons)
    }
}
