//! Step seven: an operation that needs consent waits for it.
//!
//! What needs none is cleared by [`clear`], which touches no store. What needs some is asked for in the book
//! of [`Approvals`]: the same request of the same caller finds the same approval again, for as long as it is
//! open. People consent or deny there; [`Approvals::release`] uses an approval once, and only here can a
//! [`Cleared`] be made.
//!
//! [`Approval`] is the state machine: pure, so that every history of it can be tested. The book keeps it in
//! the `store` by compare-and-set, so that any replica can approve what another holds, and writes each step
//! into the ledger. Bodies are in neither: what was asked lies in the ledger, under the exchanges that wait.

mod approval;
mod asking;
mod book;
mod digest;
mod error;
mod follow;
mod keys;
mod release;
mod said;
#[cfg(test)]
mod sample;
mod seats;
mod settings;
#[cfg(test)]
mod tests;
mod told;
mod watch;

use model::{Code, ExchangeId, Refusal};

use authorize::Permit;
use record::Record;

pub use approval::{
    Approval, ApprovalId, MAX_CONSENTS, MAX_EXCHANGES, MAX_REASON, Refused, Signature, State, Step, Via,
    Wanted,
};
pub use asking::{Asking, asking};
pub use book::{Approvals, Asked, Listed, Petition, Which};
pub use digest::{BoundBody, Digest};
pub use error::ApproveError;
pub use follow::{Changes, FOLLOWED_EVERY};
pub use release::Release;
pub use said::Said;
pub use seats::{Bounds, Seat};
pub use settings::Settings;
pub use watch::Watch;

/// The proof that policy allowed an exchange, that its record is open, and that as many humans
/// consented as policy asks for. Forwarding takes one and nothing else.
#[derive(Debug)]
pub struct Cleared {
    exchange: ExchangeId,
}

impl Cleared {
    /// The exchange that may be forwarded.
    pub fn exchange(&self) -> ExchangeId {
        self.exchange
    }
}

/// Clears a permitted exchange that needs no consent, and whose record is open.
///
/// # Errors
/// `approval_required` when policy asks for approvals, and `internal` when the permit and the record
/// are not of one exchange: a permit opens no other door.
pub fn clear(permit: Permit, record: &Record) -> Result<Cleared, Refusal> {
    if permit.exchange() != record.exchange() {
        return Err(ApproveError::Mismatch.refusal());
    }
    match permit.approvals_needed() {
        0 => Ok(Cleared { exchange: permit.exchange() }),
        needed => Err(approval_required(&permit, needed)),
    }
}

fn approval_required(permit: &Permit, needed: u8) -> Refusal {
    Refusal::new(Code::ApprovalRequired)
        .because(format!(
            "Policy allows this only with the approval of {}, which is not asked for here.",
            error::people(needed)
        ))
        .by_policies(permit.decision().reasons().map(|reason| reason.policy.clone()).collect())
}
