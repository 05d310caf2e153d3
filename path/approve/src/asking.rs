//! Asking for consent itself: what policy permits, perhaps with approval, is asked for in a call of its own.

use authorize::Permit;
use model::{ExchangeId, PolicyReason, Refusal};
use record::Record;

use crate::ApproveError;

/// The proof that policy lets somebody ask for something, with or without the consent of others, and that the
/// call they ask in is recorded. It forwards nothing: only [`Cleared`](crate::Cleared) does.
#[derive(Debug)]
pub struct Asking {
    exchange: ExchangeId,
    needed: u8,
    policies: Vec<PolicyReason>,
}

impl Asking {
    /// The call they ask in.
    pub fn exchange(&self) -> ExchangeId {
        self.exchange
    }

    /// How many persons must consent.
    pub fn needed(&self) -> u8 {
        self.needed
    }

    /// The policies that permit it then.
    pub fn policies(&self) -> &[PolicyReason] {
        &self.policies
    }
}

/// Lets a permitted call ask, whose record is open.
///
/// # Errors
/// `internal` when the permit and the record are not of one exchange: a permit opens no other door.
pub fn asking(permit: Permit, record: &Record) -> Result<Asking, Refusal> {
    if permit.exchange() != record.exchange() {
        return Err(ApproveError::Mismatch.refusal());
    }
    let policies = permit.decision().reasons().cloned().collect();
    Ok(Asking { exchange: permit.exchange(), needed: permit.approvals_needed(), policies })
}
