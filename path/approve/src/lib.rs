//! Step seven: an operation that needs consent waits for it.
//!
//! Consent cannot be collected yet, so an operation that needs any is refused with exactly that
//! reason. What needs none is cleared, and only here can a [`Cleared`] be made.

use authorize::Permit;
use model::{Code, ExchangeId, Refusal};
use record::Record;

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

/// Clears a permitted exchange whose record is open.
///
/// # Errors
/// `approval_required` when policy asks for approvals, and `internal` when the permit and the record
/// are not of one exchange: a permit opens no other door.
pub fn clear(permit: Permit, record: &Record) -> Result<Cleared, Refusal> {
    if permit.exchange() != record.exchange() {
        return Err(Refusal::new(Code::Internal).detail("the permit and the record name different exchanges"));
    }
    match permit.approvals_needed() {
        0 => Ok(Cleared { exchange: permit.exchange() }),
        needed => Err(approval_required(&permit, needed)),
    }
}

fn approval_required(permit: &Permit, needed: u8) -> Refusal {
    let people = if needed == 1 { "one person".to_owned() } else { format!("{needed} people") };
    let policies = permit.decision().judgements.iter().flat_map(|judgement| &judgement.reasons);
    Refusal::new(Code::ApprovalRequired)
        .because(format!(
            "Policy allows this only with the approval of {people}, and this gateway cannot collect approvals yet."
        ))
        .by_policies(policies.map(|reason| reason.policy.clone()).collect())
}
