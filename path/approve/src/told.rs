//! Everything that happens to an approval goes into the ledger, the metrics and the log.

use model::{Decision, ExchangeId};
use record::{Approving, Ledger, LedgerError, Word};

use crate::approval::{Approval, Signature};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Asked,
    Joined,
    Consented,
    Denied,
    Released,
    Expired,
    /// More persons are needed than before; that is in what is asked and released.
    Needed,
}

impl Event {
    fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Joined => "joined",
            Self::Consented => "consented",
            Self::Denied => "denied",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Needed => "needed",
        }
    }
}

/// Where it is written.
#[derive(Clone)]
pub(crate) enum Witness {
    Ledger(Ledger),
    /// Histories of the state machine need no files.
    #[cfg(test)]
    Nobody,
}

impl Witness {
    /// Writes down what just happened to `approval`. Of a consent or denial it is the last one.
    pub(crate) async fn tell(
        &self,
        event: Event,
        approval: &Approval,
        exchange: Option<ExchangeId>,
        decision: Option<&Decision>,
    ) -> Result<(), LedgerError> {
        metrics::counter!("portcullis_approvals_total", "event" => event.as_str()).increment(1);
        let (id, of) = (approval.id, approval.wanted.name());
        tracing::info!(approval = %id, event = event.as_str(), of, state = approval.state.as_str(), "approval");
        if event == Event::Needed {
            return Ok(());
        }
        let denial = match &approval.state {
            crate::State::Denied { by } => Some(&**by),
            _ => None,
        };
        let signed: Vec<&Signature> = match event {
            Event::Consented => approval.consents.last().into_iter().collect(),
            Event::Denied => denial.into_iter().collect(),
            Event::Released => approval.consents.iter().collect(),
            Event::Asked | Event::Joined | Event::Expired | Event::Needed => Vec::new(),
        };
        let requester = approval.requester.entity_id();
        let approving = Approving {
            id: *approval.id.as_bytes(),
            event: event.as_str(),
            exchange,
            digest: *approval.digest.as_bytes(),
            resource: &of,
            requester: &requester,
            owner: approval.owner.as_deref(),
            needed: approval.needed,
            words: signed.into_iter().map(word).collect(),
            decision,
            expires: approval.expires,
        };
        match self {
            Self::Ledger(ledger) => ledger.approval(approving).await,
            #[cfg(test)]
            Self::Nobody => {
                drop(approving);
                Ok(())
            }
        }
    }
}

fn word(by: &Signature) -> Word<'_> {
    Word {
        issuer: &by.issuer,
        issuer_name: &by.issuer_name,
        subject: &by.subject,
        email: by.email.as_deref(),
        token: &by.token,
        at: by.at,
        client: by.client,
        via: by.via.as_str(),
        reason: &by.reason,
        act: by.act,
    }
}
