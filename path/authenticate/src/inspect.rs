//! What became of a token, check by check, for the operator who asks why it is refused.

use std::collections::BTreeSet;

use model::{Code, GroupName, Identity};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{AuthenticateError, Check};

/// What a verification has read and passed so far. The request path and [`Inspection`] walk the same
/// checks, so that what is inspected is what is enforced.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    passed: Vec<Check>,
    /// Only the issuer can read it.
    pub(crate) opaque: bool,
    pub(crate) header: Option<Map<String, Value>>,
    pub(crate) claims: Option<Value>,
    /// The configured issuer, by its place.
    pub(crate) issuer: Option<usize>,
}

impl Reading {
    pub(crate) fn pass(&mut self, check: Check) {
        self.passed.push(check);
    }
}

/// Every check of one token, in order, and what was read on the way. Holds the token's claims: for the
/// operator's eyes.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Whether the token would be accepted now.
    pub accepted: bool,
    /// The code a caller with this token is refused with.
    pub code: Option<Code>,
    /// Every check, in order.
    pub checks: Vec<Checked>,
    /// The header as read, believed or not.
    pub header: Option<Map<String, Value>>,
    /// The claims as read, believed or not.
    pub claims: Option<Value>,
    /// The configured name of the issuer the token claims.
    pub issuer: Option<String>,
    /// The groups the claims map to, even when a check failed; then they count for nothing.
    pub groups: Option<BTreeSet<GroupName>>,
    /// Who the caller is, when accepted.
    pub identity: Option<Identity>,
}

/// One check and its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The check's stable name.
    pub check: &'static str,
    /// What it asks for.
    pub asks: &'static str,
    /// What it found.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// The token passed it.
    Passed,
    /// The token failed it.
    Failed {
        /// Why, with what to change where that is known.
        why: String,
    },
    /// An earlier check failed.
    NotReached,
}

impl Inspection {
    pub(crate) fn new(reading: Reading, outcome: Result<Identity, AuthenticateError>) -> Self {
        let (identity, failed) = match outcome {
            Ok(identity) => (Some(identity), None),
            Err(error) => (None, Some(error)),
        };
        let verdict = |check: Check| match &failed {
            Some(error) if error.check() == Some(check) => Verdict::Failed { why: error.to_string() },
            _ if reading.passed.contains(&check) => Verdict::Passed,
            _ => Verdict::NotReached,
        };
        let checks = Check::ALL.iter().map(|&check| (check, verdict(check)));
        let checks = checks.filter(|(check, verdict)| {
            // Not asked, or nowhere to be read: no word of them is better than a wrong one.
            let may_lack = [Check::Userinfo, Check::Standing].contains(check);
            check.concerns(reading.opaque) && (!may_lack || *verdict != Verdict::NotReached)
        });
        let checks =
            checks.map(|(check, verdict)| Checked { check: check.name(), asks: check.asks(), verdict });
        Self {
            accepted: identity.is_some(),
            code: failed.as_ref().map(|error| error.refusal().code),
            checks: checks.collect(),
            header: reading.header,
            claims: reading.claims,
            issuer: None,
            groups: None,
            identity,
        }
    }
}
