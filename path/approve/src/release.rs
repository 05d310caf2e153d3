//! The one way from an approval to a forwarded request.

use authorize::Renewal;
use model::ExchangeId;
use record::Record;

use crate::Cleared;
use crate::approval::{Approval, ApprovalId, Refused, State};
use crate::book::Approvals;
use crate::digest::Digest;
use crate::error::ApproveError;
use crate::told::Event;

/// What became of a release.
#[derive(Debug)]
pub enum Release {
    /// The exchange may be forwarded. The approval is used.
    Cleared(Cleared),
    /// Another exchange used it first, or more persons consented or are needed since: look again.
    NotNow(Box<Approval>),
}

impl Approvals {
    /// Uses an approval, once, for the exchange of `record`. `renewal` is the proof that policy permits that
    /// exchange now, with the consents there are; `digest` is of the bytes that will be forwarded.
    ///
    /// # Errors
    /// [`ApproveError::Mismatch`] when the proofs are not of one exchange or the digest is another's, or why
    /// it could not be written down: then nothing may be forwarded.
    pub async fn release(
        &self,
        id: ApprovalId,
        renewal: Renewal,
        digest: &Digest,
        record: &Record,
    ) -> Result<Release, ApproveError> {
        let exchange = renewal.exchange();
        if exchange != record.exchange() {
            return Err(ApproveError::Mismatch);
        }
        let used = self.spend(id, Some(exchange), renewal.consents(), digest, Some(renewal.decision())).await;
        match used? {
            Spent::Used => Ok(Release::Cleared(Cleared { exchange })),
            Spent::Not(approval) => Ok(Release::NotNow(approval)),
        }
    }

    /// Uses an approval, once, for what is no exchange: a membership begins. `consents` is the number policy
    /// was asked with.
    ///
    /// # Errors
    /// As [`Approvals::release`]; [`ApproveError::Refused`] when it is not approved.
    pub async fn begin(&self, id: ApprovalId, consents: u8, digest: &Digest) -> Result<(), ApproveError> {
        match self.spend(id, None, consents, digest, None).await? {
            Spent::Used => Ok(()),
            Spent::Not(approval) => {
                let why = if approval.state.is_open() { Refused::TooFew } else { Refused::Closed };
                Err(ApproveError::Refused(why, approval))
            }
        }
    }

    async fn spend(
        &self,
        id: ApprovalId,
        exchange: Option<ExchangeId>,
        consents: u8,
        digest: &Digest,
        decision: Option<&model::Decision>,
    ) -> Result<Spent, ApproveError> {
        let people = self.settings().people.clone();
        let use_it = |approval: &mut Approval, now| {
            if approval.digest != *digest {
                return Err(Refused::OtherDigest);
            }
            approval.release(exchange, consents, &people, now)
        };
        match self.step(id, Event::Released, (exchange, decision), use_it).await {
            Ok(approval) => match approval.state {
                State::Released { exchange: by, .. } if by == exchange => Ok(Spent::Used),
                _ => Ok(Spent::Not(Box::new(Approval::clone(&approval)))),
            },
            Err(ApproveError::Refused(Refused::OtherDigest, _)) => Err(ApproveError::Mismatch),
            Err(ApproveError::Refused(_, approval)) => Ok(Spent::Not(approval)),
            Err(fault) => Err(fault),
        }
    }
}

enum Spent {
    Used,
    Not(Box<Approval>),
}
