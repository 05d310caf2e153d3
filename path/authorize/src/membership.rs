//! Who may be in a group for a while: `Action::"join"` on a `Group`, with the time in context; and who may
//! consent to it.

use std::net::IpAddr;
use std::sync::Arc;

use authenticate::Caller;
use model::{Act, Code, Decision, Facts, Identity, Judgement, Refusal, Ruling};

use crate::authorizer::{Authorizer, Surroundings};
use crate::facts::{self, Value};
use crate::judge::{self, Cast, Inquiry};
use crate::office::{Person, portcullis};
use crate::players::{Other, Players};
use crate::proof::{self, Denied, Permit};
use crate::schema::vocabulary;
use crate::set::PolicySet;

/// What policies see as the class of operation of a membership that somebody consents to.
const OPERATION: &str = "join";
/// Where memberships are asked for: what policies see as the request's path.
const PATH: &str = "/api/v1/grants";

/// To be in a group for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership<'a> {
    /// The group.
    pub group: &'a str,
    /// For how long, from the approval on.
    pub minutes: u32,
}

/// What policy says of a membership that waited for consent.
#[derive(Debug)]
pub enum Joined {
    /// It may begin, with these consents.
    Permitted(Box<Decision>),
    /// It needs more persons than have consented: so many.
    Needs(u8),
    /// It may not begin, whoever consents.
    Denied(Box<Refusal>),
}

impl Authorizer {
    /// Decides whether `caller` may be in a group for a while, and with how many consents, by the groups of its
    /// token alone: one membership is no ground for another. Only a permit that names the action allows it.
    ///
    /// # Errors
    /// [`Denied`] as [`Authorizer::decide`].
    pub fn decide_join(
        self: &Arc<Self>,
        caller: Caller,
        wanted: Membership<'_>,
        surroundings: Surroundings,
    ) -> Result<Permit, Denied> {
        let set = self.current();
        let policy_set = set.hash();
        let judged = self
            .question(caller.own(), wanted, surroundings.client)
            .map(|(inquiry, judgement)| judge::with_ruling(&set, &inquiry, judgement));
        match judged.and_then(|judgement| Ok((judgement, portcullis()?))) {
            Ok((judgement, target)) if judgement.ruling != Ruling::Denied => {
                let decision = Decision { ruling: judgement.ruling, judgements: vec![judgement], policy_set };
                Ok(Permit::new(Arc::clone(self), set, caller, &target, surroundings, decision))
            }
            Ok((judgement, _)) => {
                let refusal = refused(&set, wanted, &judgement);
                let decision = Decision { ruling: Ruling::Denied, judgements: vec![judgement], policy_set };
                Err(Denied::worded(caller, decision, refusal))
            }
            Err(fault) => {
                let decision = Decision { ruling: Ruling::Denied, judgements: Vec::new(), policy_set };
                Err(Denied::worded(caller, decision, unjudged(fault)))
            }
        }
    }

    /// Judges a membership that waited again, with the consents there are, by the policies of now. `identity`
    /// is who asked, as their token said then, from `client`.
    pub fn join_again(
        &self,
        identity: &Identity,
        wanted: Membership<'_>,
        client: IpAddr,
        consents: u8,
    ) -> Joined {
        let set = self.current();
        let judged = self
            .question(identity, wanted, client)
            .and_then(|(inquiry, judgement)| judge::with_consents(&set, &inquiry, judgement, consents));
        match judged {
            Ok((judgement, true)) => {
                let (ruling, policy_set) = (judgement.ruling, set.hash());
                Joined::Permitted(Box::new(Decision { ruling, judgements: vec![judgement], policy_set }))
            }
            Ok((judgement, false)) => match judgement.ruling {
                Ruling::NeedsApprovals(needed) if needed > consents => Joined::Needs(needed),
                _ => Joined::Denied(Box::new(refused(&set, wanted, &judgement))),
            },
            Err(fault) => Joined::Denied(Box::new(unjudged(fault))),
        }
    }

    fn question(
        &self,
        identity: &Identity,
        wanted: Membership<'_>,
        client: IpAddr,
    ) -> Result<(Inquiry, Judgement), String> {
        let words = vocabulary()?;
        let scene = self.scene(identity, client);
        let players = Players::new(words, identity, vec![words.group(wanted.group)], Vec::new())?;
        let context = facts::join(identity, wanted.minutes, &scene);
        let target = portcullis()?;
        Cast::new(identity, &target.name, target.kind)?.inquiry(
            words.act(Act::Join),
            Arc::new(players),
            context,
        )
    }

    /// The judgement on a consent to somebody's membership, and why it is refused, if it is. That nobody
    /// consents to their own is seen to before.
    pub(crate) fn consent_to_membership(
        &self,
        set: &PolicySet,
        identity: &Identity,
        (requester, owner): (&Identity, Option<&str>),
        wanted: Membership<'_>,
        surroundings: Surroundings,
    ) -> (Vec<Judgement>, Option<Refusal>) {
        let scene = self.scene(identity, surroundings.client);
        let (inquiry, judgement) = match inquiry(identity, (requester, owner), wanted, &scene) {
            Ok(inquiry) => inquiry,
            Err(fault) => return (Vec::new(), Some(unjudged(fault))),
        };
        let judgement = judge::with_ruling(set, &inquiry, judgement);
        let what = format!("approve memberships in group `{}`", wanted.group);
        let refusal = (judgement.ruling != Ruling::Allowed).then(|| worded(set, &what, &judgement));
        (vec![judgement], refusal)
    }
}

fn inquiry(
    identity: &Identity,
    (requester, owner): (&Identity, Option<&str>),
    wanted: Membership<'_>,
    scene: &facts::Scene,
) -> Result<(Inquiry, Judgement), String> {
    let words = vocabulary()?;
    let requester = Person::of(requester);
    let uid = words.caller(&requester.entity_id());
    let mut others = Vec::new();
    if requester.entity_id() != identity.entity_id() {
        let parents = requester.groups.iter().map(|group| words.group(group)).collect();
        others.push(Other { uid: uid.clone(), attrs: requester.attributes(), parents });
    }
    let players = Players::new(words, identity, vec![words.group(wanted.group)], others)?;
    let facts = Facts::plain("POST", PATH);
    let mut context = facts::consent_to(identity, (OPERATION, &facts), (uid, owner), scene);
    if let Value::Record(fields) = &mut context {
        fields.push(("minutes", Value::Long(wanted.minutes.into())));
    }
    let target = portcullis()?;
    let cast = Cast::new(identity, &target.name, target.kind)?;
    cast.inquiry(words.act(Act::Approve), Arc::new(players), context)
}

pub(crate) fn unjudged(fault: String) -> Refusal {
    Refusal::new(Code::PolicyDenied)
        .because("This cannot be judged by policy, so it is refused.")
        .detail(fault)
}

fn refused(set: &PolicySet, wanted: Membership<'_>, judgement: &Judgement) -> Refusal {
    let what = format!("be in group `{}` for {} minutes", wanted.group, wanted.minutes);
    worded(set, &what, judgement)
}

/// The refusal for a question that was denied. `what` is what no policy permits.
pub(crate) fn worded(set: &PolicySet, what: &str, judgement: &Judgement) -> Refusal {
    let refusal = Refusal::new(Code::PolicyDenied);
    let policies: Vec<String> = judgement.reasons.iter().map(|reason| reason.policy.clone()).collect();
    if !judgement.errors.is_empty() {
        return refusal
            .because("A policy could not be evaluated, so this is refused.")
            .by_policies(policies)
            .detail(judgement.errors.join("; "));
    }
    if !policies.is_empty() && judgement.ruling == Ruling::Denied {
        return refusal.because(proof::forbidden(judgement)).by_policies(policies);
    }
    let refusal = refusal.because(format!("No policy permits you to {what}."));
    match crate::explain::nearest(set, judgement) {
        Some(nearest) => refusal.detail(nearest),
        None => refusal.detail("no permit is near: none names this action"),
    }
}

#[cfg(test)]
mod tests;
