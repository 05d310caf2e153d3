//! Who may consent to what others ask: `Action::"approve"`, asked of each operation of their request.

use std::iter;
use std::sync::Arc;

use authenticate::Caller;
use cedar_policy::EntityUid;
use model::{Act, Code, Decision, Identity, Judgement, Operation, Refusal, ResourceName, Reveal, Ruling};

use crate::authorizer::{Authorizer, Surroundings, Target};
use crate::doing::{self, Doing};
use crate::facts;
use crate::judge::{self, Cast, Inquiry};
use crate::membership::{self, Membership};
use crate::office::{Person, portcullis};
use crate::players::{Other, Players};
use crate::proof::{self, Denied, Permit, unjudged};
use crate::schema::{Vocabulary, vocabulary};
use crate::set::PolicySet;
use crate::viewer::{Question, Viewer};

/// What somebody asks the consent of others for.
#[derive(Clone, Debug)]
pub struct Petition<'a> {
    /// Who asks, as their token said.
    pub requester: &'a Identity,
    /// Who answers for them, if they are a program and somebody is known.
    pub owner: Option<&'a str>,
    /// What for.
    pub matter: Matter<'a>,
}

/// What consent is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Matter<'a> {
    /// A request to a resource.
    Request {
        /// The resource.
        resource: &'a ResourceName,
        /// Its kind as configured.
        kind: &'a str,
        /// What the request would do.
        operations: &'a [Operation],
    },
    /// To be in a group for a while.
    Membership(Membership<'a>),
    /// An act on Portcullis itself.
    Act(Doing<'a>),
}

impl Matter<'_> {
    /// The resource whose answers' classes a permit in this matter will be asked about.
    ///
    /// # Errors
    /// Never but by a fault of this program.
    pub fn target(&self) -> Result<Target<'_>, String> {
        match *self {
            Self::Request { resource, kind, .. } => Ok(Target { name: resource.clone(), kind }),
            Self::Act(Doing { resource: Some((name, kind)), .. }) => Ok(Target { name: name.clone(), kind }),
            Self::Membership(_) | Self::Act(_) => portcullis(),
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
        match (refusal, petition.matter.target()) {
            (None, Ok(target)) => {
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
        let target = petition.matter.target().ok().filter(|_| refusal.is_none())?;
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
        if self.is_asked_by(petition.requester, identity) {
            let own = "Nobody approves what they ask themselves, also not under another name.";
            return (Vec::new(), Some(Refusal::new(Code::PolicyDenied).because(own)));
        }
        let by = (petition.requester, petition.owner);
        let scene = self.scene(identity, surroundings.client);
        match petition.matter {
            Matter::Request { resource, kind, operations } => {
                let ask = |operation| inquiry(identity, by, (resource, kind, operation), &scene);
                let what = format!("`approve` requests to resource `{resource}`");
                judged(set, operations.iter().map(ask), &what)
            }
            Matter::Membership(wanted) => {
                let asked = membership::consent(identity, by, wanted, &scene);
                let what = format!("approve memberships in group `{}`", wanted.group);
                judged(set, iter::once(asked), &what)
            }
            Matter::Act(doing) => {
                let asked = doing::consent(identity, by, doing, &scene);
                let what = format!("approve that others `{}` {}", doing.act, doing.object().spoken());
                judged(set, iter::once(asked), &what)
            }
        }
    }
}

/// The judgements on what is asked, and why the consent is refused, if it is: unless each of them allows it, and
/// there is one. `what` is what no policy permits then.
fn judged(
    set: &PolicySet,
    asked: impl Iterator<Item = Result<(Inquiry, Judgement), String>>,
    what: &str,
) -> (Vec<Judgement>, Option<Refusal>) {
    let mut judgements = Vec::new();
    for asked in asked {
        match asked {
            Ok((inquiry, judgement)) => judgements.push(judge::with_ruling(set, &inquiry, judgement)),
            Err(fault) => return (judgements, Some(unjudged(fault))),
        }
    }
    let refused = judgements.iter().find(|judgement| judgement.ruling != Ruling::Allowed);
    let refusal = match refused {
        None if judgements.is_empty() => Some(Refusal::new(Code::PolicyDenied)),
        None => None,
        Some(judgement) => Some(proof::denial(set, judgement, "the consent", what)),
    };
    (judgements, refusal)
}

/// Who asked, and their entity, unless it is the caller's, which is told already.
pub(crate) fn requester_beside(
    words: &Vocabulary,
    identity: &Identity,
    requester: &Identity,
) -> (EntityUid, Option<Other>) {
    let requester = Person::of(requester);
    let uid = words.caller(&requester.entity_id());
    let other = (requester.entity_id() != identity.entity_id()).then(|| Other {
        uid: uid.clone(),
        attrs: requester.attributes(),
        parents: requester.groups.iter().map(|group| words.group(group)).collect(),
    });
    (uid, other)
}

fn inquiry(
    identity: &Identity,
    (requester, owner): (&Identity, Option<&str>),
    (resource, kind, operation): (&ResourceName, &str, &Operation),
    scene: &facts::Scene,
) -> Result<(Inquiry, Judgement), String> {
    let words = vocabulary()?;
    let cast = Cast::new(identity, resource, kind)?;
    let (resources, mut others) = cast.place(&operation.facts.model);
    let (uid, other) = requester_beside(words, identity, requester);
    others.extend(other);
    let players = Players::new(words, identity, resources, others)?;
    let context = facts::consent(identity, operation, (uid, owner), scene);
    cast.inquiry(words.act(Act::Approve), Arc::new(players), context)
}

#[cfg(test)]
mod tests;
