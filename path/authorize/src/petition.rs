//! Who may consent to what others ask: `Action::"approve"`, asked of each operation of their request.

use std::sync::Arc;

use authenticate::Caller;
use model::{
    Act, Code, Decision, Facts, Identity, Judgement, Operation, Refusal, ResourceName, Reveal, Ruling,
};

use crate::authorizer::{Authorizer, Surroundings, Target};
use crate::facts;
use crate::judge::{self, Cast};
use crate::membership::Membership;
use crate::office::{Person, portcullis};
use crate::players::{Other, Players};
use crate::proof::{self, Denied, Permit};
use crate::schema::vocabulary;
use crate::set::PolicySet;
use crate::viewer::{Question, Viewer};

/// What policies see as method and path of an act on Portcullis itself.
const METHOD: &str = "POST";
const PATH: &str = "/api/v1/resources";

/// What somebody asks the consent of others for.
#[derive(Clone, Debug)]
pub struct Petition<'a> {
    /// Who asks, as their token said.
    pub requester: &'a Identity,
    /// Who answers for them, if they are a program and somebody is known.
    pub owner: Option<&'a str>,
    /// The resource, its kind as configured, and what their request would do. None of what is no request.
    pub asked: Option<(&'a ResourceName, &'a str, &'a [Operation])>,
    /// The act on Portcullis itself that they ask for on that resource, where it is one: then there are no
    /// operations.
    pub act: Option<Act>,
    /// The membership they ask for, where it is one.
    pub membership: Option<Membership<'a>>,
}

impl Petition<'_> {
    /// What the permit to consent will be asked about: whose answers show what.
    fn target(&self) -> Option<Target<'_>> {
        match (self.asked, self.membership) {
            (Some((name, kind, _)), _) => Some(Target { name: name.clone(), kind }),
            (None, Some(_)) => portcullis().ok(),
            (None, None) => None,
        }
    }
}

impl Authorizer {
    /// Decides whether `caller` may consent to this, or deny it: as an act, with a permit of its own.
    ///
    /// # Errors
    /// [`Denied`] as [`Authorizer::decide`]; also when it is the caller's own.
    pub fn decide_consent(
        self: &Arc<Self>,
        caller: Caller,
        petition: &Petition<'_>,
        surroundings: Surroundings,
    ) -> Result<Permit, Denied> {
        let set = self.current();
        let (judgements, refusal) = self.judge_consent(&set, caller.identity(), petition, surroundings);
        let ruling = if refusal.is_none() { Ruling::Allowed } else { Ruling::Denied };
        let decision = Decision { ruling, judgements, policy_set: set.hash() };
        match (refusal, petition.target()) {
            (None, Some(target)) => {
                Ok(Permit::new(Arc::clone(self), set, caller, &target, surroundings, decision))
            }
            (refusal, _) => {
                let refusal = refusal.unwrap_or_else(|| Refusal::new(Code::PolicyDenied));
                Err(Denied::worded(caller, decision, refusal))
            }
        }
    }

    /// What the bearer of `identity` would see of answers there, if they might consent to this: for lists of
    /// what waits. None if they may not. The call it is asked in was decided as an act of its own.
    pub fn may_consent(
        self: &Arc<Self>,
        identity: &Arc<Identity>,
        petition: &Petition<'_>,
        surroundings: Surroundings,
    ) -> Option<Arc<dyn Reveal>> {
        let set = self.current();
        let (_, refusal) = self.judge_consent(&set, identity, petition, surroundings);
        let target = petition.target().filter(|_| refusal.is_none())?;
        let (name, kind) = (target.name, target.kind.to_owned());
        Some(Arc::new(Viewer::new(Question::Reveal, Arc::clone(self), set, Arc::clone(identity), name, kind)))
    }

    pub(crate) fn judge_consent(
        &self,
        set: &PolicySet,
        identity: &Identity,
        petition: &Petition<'_>,
        surroundings: Surroundings,
    ) -> (Vec<Judgement>, Option<Refusal>) {
        let denied = || Refusal::new(Code::PolicyDenied);
        if self.is_asked_by(petition.requester, identity) {
            let own = "Nobody approves what they ask themselves, also not under another name.";
            return (Vec::new(), Some(denied().because(own)));
        }
        if let Some(wanted) = petition.membership {
            let by = (petition.requester, petition.owner);
            return self.consent_to_membership(set, identity, by, wanted, surroundings);
        }
        let scene = self.scene(identity, surroundings.client);
        let mut judgements = Vec::new();
        let Some((resource, kind, operations)) = petition.asked else { return (judgements, Some(denied())) };
        let act = petition.act.map(|act| (act.as_str(), Facts::plain(METHOD, PATH)));
        let asked = operations.iter().map(|operation| (operation.class.as_str(), &operation.facts));
        let asked = asked.chain(act.as_ref().map(|(act, facts)| (*act, facts)));
        for asked in asked {
            let inquiry = inquiry(identity, petition, (resource, kind, asked), &scene);
            match inquiry.map(|(inquiry, judgement)| judge::with_ruling(set, &inquiry, judgement)) {
                Ok(judgement) => judgements.push(judgement),
                Err(fault) => {
                    let refusal = denied().because("This cannot be judged by policy, so it is refused.");
                    return (judgements, Some(refusal.detail(fault)));
                }
            }
        }
        let refused = judgements.iter().find(|judgement| judgement.ruling != Ruling::Allowed);
        let refusal = match refused {
            None if judgements.is_empty() => Some(denied()),
            None => None,
            Some(judgement) => Some(worded(set, resource, judgement)),
        };
        (judgements, refusal)
    }
}

fn inquiry(
    identity: &Identity,
    petition: &Petition<'_>,
    (resource, kind, asked): (&ResourceName, &str, (&str, &Facts)),
    scene: &facts::Scene,
) -> Result<(judge::Inquiry, Judgement), String> {
    let words = vocabulary()?;
    let cast = Cast::new(identity, resource, kind)?;
    let (resources, mut others) = cast.place(&asked.1.model);
    let requester = Person::of(petition.requester);
    let uid = words.caller(&requester.entity_id());
    if requester.entity_id() != identity.entity_id() {
        let parents = requester.groups.iter().map(|group| words.group(group)).collect();
        others.push(Other { uid: uid.clone(), attrs: requester.attributes(), parents });
    }
    let players = Players::new(words, identity, resources, others)?;
    let context = facts::consent_to(identity, asked, (uid, petition.owner), scene);
    cast.inquiry(words.act(Act::Approve), Arc::new(players), context)
}

fn worded(set: &PolicySet, on: &ResourceName, judgement: &Judgement) -> Refusal {
    let refusal = Refusal::new(Code::PolicyDenied);
    let policies: Vec<String> = judgement.reasons.iter().map(|reason| reason.policy.clone()).collect();
    if !judgement.errors.is_empty() {
        return refusal
            .because("A policy could not be evaluated, so the consent is refused.")
            .by_policies(policies)
            .detail(judgement.errors.join("; "));
    }
    if !policies.is_empty() && judgement.ruling == Ruling::Denied {
        return refusal.because(proof::forbidden(judgement)).by_policies(policies);
    }
    let refusal = refusal.because(format!("No policy permits you to `approve` requests to resource `{on}`."));
    match crate::explain::nearest(set, judgement) {
        Some(nearest) => refusal.detail(nearest),
        None => refusal.detail("no permit is near: none names this action"),
    }
}

#[cfg(test)]
mod tests;
