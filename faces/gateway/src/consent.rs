//! Who may consent to what waits here, asked by the faces of people: administration, console, command line.

use std::sync::Arc;

use approve::{Approval, Wanted};
use authenticate::Caller;
use authorize::{Denied, Membership, Permit, Petition, Surroundings};
use model::{Identity, Reveal};

use crate::Gateway;

impl Gateway {
    /// Decides whether `caller` may consent to this approval, or deny it: as an act on Portcullis, whose
    /// permit is cleared like any other before [`approve::Approvals::consent`] is asked.
    ///
    /// # Errors
    /// [`Denied`] when policy permits it not, or it is the caller's own.
    pub fn decide_consent(
        &self,
        caller: Caller,
        approval: &Approval,
        surroundings: Surroundings,
    ) -> Result<Permit, Denied> {
        self.authorizer().decide_consent(caller, &petition(approval), surroundings)
    }

    /// What the bearer of `identity` would see there, if they might consent to this approval: for inboxes.
    pub fn may_consent(
        &self,
        identity: &Arc<Identity>,
        approval: &Approval,
        surroundings: Surroundings,
    ) -> Option<Arc<dyn Reveal>> {
        self.authorizer().may_consent(identity, &petition(approval), surroundings)
    }
}

/// What policy is asked about.
fn petition(approval: &Approval) -> Petition<'_> {
    let (asked, act, membership) = match &approval.wanted {
        Wanted::Request { resource, kind, operations } => {
            (Some((resource, kind.as_str(), &operations[..])), None, None)
        }
        Wanted::Act { act, resource, kind } => (Some((resource, kind.as_str(), &[][..])), Some(*act), None),
        Wanted::Membership { group, minutes, .. } => {
            (None, None, Some(Membership { group, minutes: *minutes }))
        }
    };
    Petition { requester: &approval.requester, owner: approval.owner.as_deref(), asked, act, membership }
}
