//! What was decided, read back: the judgements of an exchange and the policy set that made them.

use model::{Judgement, PolicyReason, Ruling};
use prost::Message;
use serde_json::value::RawValue;

use crate::leaf::{Leaf, What};
use crate::opened;
use crate::reader::{Exchange, Reader};
use crate::segment::Position;
use crate::{LedgerError, Series};

impl Exchange {
    /// The judgements as policy made them, one an operation. Empty when policy judged nothing. A
    /// judgement whose Cedar request is no JSON any more is left out: it can't be judged again.
    pub fn judgements(&self) -> Vec<Judgement> {
        let decision = self.opened.as_ref().and_then(|opened| opened.decision.as_ref());
        decision.into_iter().flat_map(|decision| &decision.judgements).filter_map(judgement).collect()
    }
}

impl Reader {
    /// The canonical text of the policy set with this hash, if the ledger holds it. Reads leaves from the
    /// newest segment backward.
    ///
    /// # Errors
    /// [`LedgerError`] when the leaves can't be listed.
    pub async fn policy_set(&self, hash: &[u8]) -> Result<Option<String>, LedgerError> {
        let leaves = Series::leaves(self.dir());
        let mut numbers =
            leaves.numbers().map_err(|error| LedgerError::file("list the leaves", &leaves.dir, error))?;
        numbers.sort_unstable();
        for number in numbers.into_iter().rev() {
            let mut reader = leaves.read(Position { segment: number, offset: 0 });
            while let Ok(Some((at, frame))) = reader.next() {
                if at.segment != number {
                    break;
                }
                let leaf = Leaf::decode(frame.payload.as_slice());
                if let Ok(Leaf { what: Some(What::PolicySet(set)), .. }) = leaf
                    && set.hash == hash
                {
                    return Ok(Some(set.text));
                }
            }
        }
        Ok(None)
    }
}

fn judgement(stored: &opened::Judgement) -> Option<Judgement> {
    let ruling = match stored.ruling.as_str() {
        "allowed" => Ruling::Allowed,
        "needs-approvals" => Ruling::NeedsApprovals(u8::try_from(stored.approvals).ok()?),
        _ => Ruling::Denied,
    };
    let reason = |reason: &opened::Reason| PolicyReason {
        policy: reason.policy.clone(),
        sentence: reason.sentence.clone(),
    };
    Some(Judgement {
        ruling,
        reasons: stored.reasons.iter().map(reason).collect(),
        errors: stored.errors.clone(),
        principal: stored.principal.clone(),
        action: stored.action.clone(),
        resource: stored.resource.clone(),
        context: RawValue::from_string(stored.context.clone()).ok()?,
        entities: RawValue::from_string(stored.entities.clone()).ok()?,
    })
}
