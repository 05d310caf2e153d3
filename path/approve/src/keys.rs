//! Where approvals lie in the store.
//!
//! An open one lies under its id, so that a list is in the order they were asked; a closed one under its id
//! turned round, so that the latest comes first. A third entry leads from what is asked to the approval that
//! is open for it, or to the denial that still stands.

use serde::{Deserialize, Serialize};

use crate::approval::ApprovalId;
use crate::digest::{Digest, of_caller};

/// Below this everything lies.
pub(crate) const ALL: &str = "approvals/";
/// Those that something can still happen to.
pub(crate) const OPEN: &str = "approvals/open/";
/// Those that are denied, released or expired.
pub(crate) const CLOSED: &str = "approvals/closed/";

pub(crate) fn open(id: ApprovalId) -> String {
    format!("{OPEN}{id}")
}

pub(crate) fn closed(id: ApprovalId) -> String {
    let turned: Vec<u8> = id.as_bytes().iter().map(|byte| !byte).collect();
    format!("{CLOSED}{}", model::hex(&turned))
}

/// Everything one caller asks.
pub(crate) fn asked_by(canonical: &str) -> String {
    format!("approvals/asked/{}/", of_caller(canonical))
}

pub(crate) fn asked(canonical: &str, digest: &Digest) -> String {
    format!("{}{digest}", asked_by(canonical))
}

/// What stands where something was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) id: ApprovalId,
    /// Whether it was denied: whoever asks the same is told so.
    pub(crate) denied: bool,
}
