//! Who looks at what waits, and what of it they may do.

use std::net::IpAddr;
use std::sync::Arc;

use approve::{Approval, State, Wanted};
use authorize::{Authorizer, Docket, Membership, Petition, Surroundings};
use model::{CallerKind, Identity, Marks, People, Reveal};

use crate::shown::You;

/// Somebody who looks.
#[derive(Clone, Debug)]
pub struct Looker {
    /// Who, as their token says.
    pub identity: Arc<Identity>,
    /// From where.
    pub client: IpAddr,
    /// Whether policy shows them everything that waits, theirs to approve or not.
    pub all: bool,
}

/// What an approval is to somebody.
pub(crate) struct Place {
    /// Whether they asked it themselves, by any of their names.
    pub(crate) own: bool,
    /// What they would see of answers there, if they may approve it.
    pub(crate) may: Option<Arc<dyn Reveal>>,
}

/// What policies judge an approval by.
pub(crate) fn petition(approval: &Approval) -> Petition<'_> {
    let (asked, act, membership) = match &approval.wanted {
        Wanted::Request { resource, kind, operations } => {
            (Some((resource, kind.as_str(), operations.as_slice())), None, None)
        }
        Wanted::Act { act, resource, kind } => (Some((resource, kind.as_str(), &[][..])), Some(*act), None),
        Wanted::Membership { group, minutes, .. } => {
            (None, None, Some(Membership { group, minutes: *minutes }))
        }
    };
    Petition { requester: &approval.requester, owner: approval.owner.as_deref(), asked, act, membership }
}

/// What an approval is to whoever wants to look at it.
pub fn docket(approval: &Approval) -> Docket<'_> {
    Docket::One(petition(approval))
}

impl Looker {
    pub(crate) fn place(&self, authorizer: &Arc<Authorizer>, approval: &Approval, people: &People) -> Place {
        let own = approval.is_asked_by(&self.identity, people);
        let surroundings = Surroundings { client: self.client };
        let judge = || authorizer.may_consent(&self.identity, &petition(approval), surroundings);
        let may = if own { None } else { judge() };
        Place { own, may }
    }
}

impl Place {
    /// Whether it is to be seen.
    pub(crate) fn is_seen(&self, looker: &Looker) -> bool {
        looker.all || self.own || self.may.is_some()
    }

    /// What they may do, and why not more.
    pub(crate) fn you(&self, looker: &Looker, approval: &Approval, people: &People) -> You {
        let open = approval.state.is_open();
        let person = looker.identity.kind == CallerKind::Human;
        let gave = has_given(&looker.identity, approval, people);
        let may_approve = open && person && !gave && self.may.is_some() && approval.state == State::Waiting;
        let may_deny = open && (self.may.is_some() || self.own);
        let why = match (open, self.own, &self.may) {
            (false, ..) => None,
            (true, true, _) => Some("You asked for this yourself, so others decide. You can take it back."),
            (true, false, None) => Some("No policy permits you to approve this."),
            (true, false, Some(_)) if gave => Some("You have consented already."),
            (true, false, Some(_)) if !person => Some("Only people approve."),
            (true, false, Some(_)) if approval.state == State::Approved => Some(
                "Enough people have consented. It goes on when its client asks again, and can still be denied.",
            ),
            _ => None,
        };
        You { may_approve, may_deny, own: self.own, why: why.map(str::to_owned) }
    }
}

/// Whether somebody's word is among those given, under any of their names.
fn has_given(identity: &Identity, approval: &Approval, people: &People) -> bool {
    let me = people.of_identity(identity);
    approval.consents.iter().any(|by| {
        let mut them: Marks = people.marks(&by.issuer, &by.subject, by.email.as_deref());
        them.extend(by.marks.iter().cloned());
        !them.is_disjoint(&me)
    })
}
