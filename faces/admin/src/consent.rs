//! Acts that wait for consent: the call is answered with 409 while people have not given it, and the same call
//! again finds its approval, which is used once.
//!
//! Nothing is held open: an act is made by a person or a script that can come again, not by a client that
//! knows nothing of it. What is bound is the caller, the act and the resource.

use approve::{Asked, Cleared, Digest, Petition, Release, State, Wanted};
use authorize::{Object, Permit, Renewed};
use model::{Act, Facts, Refusal};
use record::Record;

use crate::Admin;
use crate::table::Route;

/// Whether a call waits for the consent that policy asks for. Others are refused then.
pub(crate) fn waits(route: &Route, permit: &Permit) -> bool {
    route.act == Act::Rotate && permit.approvals_needed() > 0
}

/// Asks for consent, or uses what was given.
///
/// # Errors
/// What the caller is told while it waits, when it was denied, or when policy does not permit it any more.
pub(crate) async fn cleared(
    admin: &Admin,
    (route, object, facts): (&Route, &Object, &Facts),
    permit: Permit,
    record: &Record,
) -> Result<Cleared, Refusal> {
    let Object::Resource { name, kind } = object else { return approve::clear(permit, record) };
    let book = admin.gateway.approvals();
    let digest = Digest::of_act(permit.identity(), route.act, name);
    let reasons = permit.decision().judgements.iter().flat_map(|judgement| judgement.reasons.iter().cloned());
    let petition = Petition {
        exchange: Some(permit.exchange()),
        requester: permit.identity().clone(),
        wanted: Wanted::Act { act: route.act, resource: name.clone(), kind: kind.clone() },
        digest,
        needed: permit.approvals_needed(),
        policies: reasons.collect(),
    };
    let asked = Box::pin(book.ask(&petition)).await.map_err(|fault| fault.refusal())?;
    let approval = match asked {
        Asked::Open(mut watch) => watch.now(),
        Asked::Denied(approval) => return Err(book.refusal(&approval)),
    };
    if approval.state != State::Approved {
        return Err(book.refusal(&approval));
    }
    let given = approval.given(&book.settings().people);
    match permit.renew_act(route.act, object, facts, given) {
        Renewed::Permitted(renewal) => {
            let released = Box::pin(book.release(approval.id, *renewal, &digest, record)).await;
            match released.map_err(|fault| fault.refusal())? {
                Release::Cleared(cleared) => Ok(cleared),
                Release::NotNow(approval) => Err(book.refusal(&approval)),
            }
        }
        Renewed::Needs(more) => {
            let approval = Box::pin(book.need(approval.id, more)).await.map_err(|fault| fault.refusal())?;
            Err(book.refusal(&approval))
        }
        Renewed::Denied(refusal) => Err(*refusal),
    }
}
