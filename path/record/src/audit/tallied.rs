//! What is counted for an auditor's report, as it is written in JSON.

use jiff::Timestamp;
use serde::Serialize;

use crate::audit::kept::DroppedSegment;

/// What happened in a stretch of time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// The first and the last leaf of it, by number.
    pub leaves: Option<(u64, u64)>,
    /// Exchanges that arrived in it,
    pub exchanges: u64,
    /// of them those that are not sealed yet.
    pub open: u64,
    /// Requests refused before there was a caller: told one by one, and counted.
    pub strangers: u64,
    /// Who used what.
    pub uses: Vec<Use>,
    /// Values of data classes, in answers and in requests.
    pub classes: Vec<ClassCount>,
    /// Refusals, by code and deciding policy.
    pub refusals: Vec<RefusalCount>,
    /// Exchanges that needed approval, the first of them.
    pub approvals: Vec<Event>,
    /// How many there were.
    pub approvals_in_all: u64,
    /// Denials by policy, the first of them.
    pub denials: Vec<Event>,
    /// How many there were.
    pub denials_in_all: u64,
    /// Acts on Portcullis itself, by who and which.
    pub acts: Vec<ActCount>,
    /// Policy sets that began to decide, keys, outages, torn ends, rules and holds: in order, the first of them.
    pub notes: Vec<Note>,
    /// Segments that were dropped, the first of them.
    pub dropped: Vec<DroppedSegment>,
    /// How many were.
    pub dropped_in_all: u64,
    /// The rules of retention at the end of it.
    pub rules: Vec<RuleShown>,
    /// What was held at the end of it.
    pub holds: Vec<HoldShown>,
    /// Damaged leaves that were passed over. `audit verify` names them.
    pub damaged: u64,
}

/// What one caller did with one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Use {
    /// `issuer#subject`.
    pub caller: String,
    /// Its e-mail address, if the token had one.
    pub email: Option<String>,
    /// The resource.
    pub resource: String,
    /// Exchanges,
    pub exchanges: u64,
    /// of them completed,
    pub completed: u64,
    /// refused,
    pub refused: u64,
    /// or ended in another way, or not yet.
    pub other: u64,
    /// Tokens read and written.
    pub tokens: (u64, u64),
    /// Bytes of answers.
    pub bytes: u64,
    /// Values masked,
    pub masked: u64,
    /// and revealed.
    pub revealed: u64,
}

/// How often values of a class were found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// The data class.
    pub class: String,
    /// In answers: values masked and revealed.
    pub answers: (u64, u64),
    /// In requests: values masked and let go.
    pub requests: (u64, u64),
    /// Exchanges that held some.
    pub exchanges: u64,
}

/// Refusals of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefusalCount {
    /// The code.
    pub code: String,
    /// The policies that decided; empty for a default denial or none.
    pub policies: String,
    /// How many.
    pub count: u64,
}

/// One exchange that is worth naming.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The request id.
    pub exchange: String,
    /// When it arrived.
    pub at: Option<Timestamp>,
    /// Who.
    pub caller: String,
    /// On what.
    pub resource: String,
    /// The operations.
    pub operations: String,
    /// The policies that decided, or how many approvals it needed.
    pub why: String,
    /// How it ended.
    pub outcome: String,
}

/// Acts of one kind by one caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ActCount {
    /// `issuer#subject`.
    pub caller: String,
    /// The call's name.
    pub act: String,
    /// How many,
    pub count: u64,
    /// of them refused.
    pub refused: u64,
}

/// Something that happened to the ledger or the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The leaf.
    pub leaf: u64,
    /// When.
    pub at: Option<Timestamp>,
    /// What, in a sentence.
    pub what: String,
}

/// A rule of retention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleShown {
    /// The class: `default`, or a resource.
    pub class: String,
    /// Seconds that bodies are kept; none for ever.
    pub age: Option<i64>,
    /// Bytes they may take; none for any.
    pub size: Option<u64>,
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HoldShown {
    /// Its id.
    pub id: String,
    /// What it holds.
    pub holds: String,
    /// Why.
    pub reason: String,
    /// Who said so,
    pub by: String,
    /// and when.
    pub at: Timestamp,
}
