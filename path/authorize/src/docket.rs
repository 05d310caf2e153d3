//! Who may look at what waits for consent: whoever policy shows all of it, and whom it concerns.
//!
//! Who may approve something must see it, and so may who asked it: neither needs a policy that says so. To
//! see what concerns others takes one that lets you `view` `Area::"approvals"`.

use std::sync::Arc;

use authenticate::Caller;
use model::{Act, Area, Decision, Facts, Identity, Judgement, ResourceName, Reveal, Ruling};

use crate::authorizer::{Authorizer, Surroundings, Target};
use crate::office::{Object, portcullis};
use crate::petition::Petition;
use crate::proof::{Denied, Permit};
use crate::schema::vocabulary;
use crate::set::PolicySet;
use crate::viewer::{Question, Viewer};

/// What somebody wants to look at.
#[derive(Clone, Debug)]
pub enum Docket<'a> {
    /// Whatever waits, or waited. What is shown of it is asked one by one.
    All,
    /// What somebody asked.
    One(Petition<'a>),
}

impl Docket<'_> {
    fn requester(&self) -> Option<&Identity> {
        match self {
            Self::All => None,
            Self::One(petition) => Some(petition.requester),
        }
    }

    /// The resource whose answers' classes the permit will be asked about.
    fn target(&self) -> Option<Target<'_>> {
        match self {
            Self::One(petition) => petition.matter.target().ok(),
            Self::All => portcullis().ok(),
        }
    }
}

impl Authorizer {
    /// Decides whether `caller` may look, and whether at everything that waits: then policy lets them `view`
    /// it. Otherwise they may if it concerns them: they may approve it, or asked it themselves. Of all that
    /// waits, whatever concerns them, if some policy could let them approve anything.
    ///
    /// # Errors
    /// [`Denied`] as [`Authorizer::decide_act`].
    pub fn decide_docket(
        self: &Arc<Self>,
        caller: Caller,
        docket: Docket<'_>,
        facts: &Facts,
        surroundings: Surroundings,
    ) -> Result<(Permit, bool), Denied> {
        let set = self.current();
        let area = Object::Area(Area::Approvals);
        let judged = self.judge_act(&set, caller.identity(), Act::View, &area, (facts, surroundings));
        let all = judged.ok().filter(|judgement| judgement.ruling == Ruling::Allowed);
        let shown = match all {
            Some(judgement) => Some((vec![judgement], true)),
            None => {
                self.concerns(&set, caller.identity(), &docket, surroundings).map(|judged| (judged, false))
            }
        };
        match (shown, docket.target()) {
            (Some((judgements, all)), Some(target)) => {
                let decision = Decision { ruling: Ruling::Allowed, judgements, policy_set: set.hash() };
                Ok((Permit::new(Arc::clone(self), set, caller, &target, surroundings, decision), all))
            }
            _ => self.decide_act(caller, Act::View, &area, facts, surroundings).map(|permit| (permit, false)),
        }
    }

    /// Decides whether `caller` may take back what is asked: who asked it may, and needs no policy.
    ///
    /// # Errors
    /// [`Denied`] for everybody else.
    pub fn decide_own(
        self: &Arc<Self>,
        caller: Caller,
        docket: Docket<'_>,
        surroundings: Surroundings,
    ) -> Result<Permit, Denied> {
        let set = self.current();
        let own = docket.requester().is_some_and(|requester| self.is_asked_by(requester, caller.identity()));
        let ruling = if own { Ruling::Allowed } else { Ruling::Denied };
        let decision = Decision { ruling, judgements: Vec::new(), policy_set: set.hash() };
        match docket.target().filter(|_| own) {
            Some(target) => Ok(Permit::new(Arc::clone(self), set, caller, &target, surroundings, decision)),
            None => {
                let refusal = model::Refusal::new(model::Code::PolicyDenied)
                    .because("No policy permits you to decide this, and you did not ask it.");
                Err(Denied::worded(caller, decision, refusal))
            }
        }
    }

    /// Says which data classes somebody may see in answers of a resource, by the policies of now.
    pub fn viewer_of(
        self: &Arc<Self>,
        identity: &Arc<Identity>,
        resource: &ResourceName,
        kind: &str,
    ) -> Arc<dyn Reveal> {
        let (set, identity) = (self.current(), Arc::clone(identity));
        let (name, kind) = (resource.clone(), kind.to_owned());
        Arc::new(Viewer::new(Question::Reveal, Arc::clone(self), set, identity, name, kind))
    }

    /// Whether it concerns them, with what was judged to know it.
    fn concerns(
        &self,
        set: &PolicySet,
        identity: &Identity,
        docket: &Docket<'_>,
        surroundings: Surroundings,
    ) -> Option<Vec<Judgement>> {
        if docket.requester().is_some_and(|requester| self.is_asked_by(requester, identity)) {
            return Some(Vec::new());
        }
        match docket {
            Docket::All => could_approve(set, identity).then(Vec::new),
            Docket::One(petition) => {
                let (judgements, refusal) = self.judge_consent(set, identity, petition, surroundings);
                refusal.is_none().then_some(judgements)
            }
        }
    }
}

/// Whether a permit names `approve` whose scope could match this caller: what its conditions say of a
/// request is asked when there is one.
fn could_approve(set: &PolicySet, identity: &Identity) -> bool {
    let Ok(words) = vocabulary() else { return false };
    let groups = identity.groups.iter().map(|group| words.group(group));
    let principals: Vec<_> = std::iter::once(words.caller(&identity.entity_id())).chain(groups).collect();
    let found = set.index.of_principals(&principals, &words.act(Act::Approve));
    found.into_iter().filter_map(|at| set.policy(at)).any(|policy| !policy.forbids() && policy.names_action)
}

#[cfg(test)]
mod tests;
