//! Acts on Portcullis itself that need consent: who may give it, and the act judged again with it.

use std::sync::Arc;

use model::{Act, Area, Decision, ExchangeId, Facts, Identity, Judgement, ResourceName, Ruling};

use crate::facts;
use crate::judge::{self, Inquiry};
use crate::office::{self, Object, Person};
use crate::proof::{Grounds, Permit, unjudged};
use crate::renewal::{Renewal, Renewed};
use crate::schema::vocabulary;
use crate::set::PolicySet;

/// An act that somebody asks consent for.
#[derive(Clone, Copy, Debug)]
pub struct Doing<'a> {
    /// The act,
    pub act: Act,
    /// the noun it is in,
    pub area: Area,
    /// and the resource it is on with its kind as configured, if it is on one.
    pub resource: Option<(&'a ResourceName, &'a str)>,
    /// The method of the call,
    pub method: &'a str,
    /// and its path.
    pub path: &'a str,
}

impl Doing<'_> {
    /// What consent is judged on: the resource, or all of the noun. One caller or session is too small a thing
    /// to have approvers of its own.
    pub(crate) fn object(&self) -> Object {
        match self.resource {
            Some((name, kind)) => Object::Resource { name: name.clone(), kind: kind.to_owned() },
            None => Object::Area(self.area),
        }
    }
}

/// What policies are asked of a consent to somebody's act.
pub(crate) fn consent(
    identity: &Identity,
    (requester, owner): (&Identity, Option<&str>),
    doing: Doing<'_>,
    scene: &facts::Scene,
) -> Result<(Inquiry, Judgement), String> {
    let requester = Person::of(requester);
    let uid = vocabulary()?.caller(&requester.entity_id());
    let facts = Facts::plain(doing.method, doing.path);
    let context = facts::consent_to(identity, (doing.act.as_str(), &facts), (uid, owner), scene);
    office::question(identity, Act::Approve, (&doing.object(), Some(&requester)), context)
}

impl Permit {
    /// Judges an act again, with so many consents, by the policies of now. `object` and `facts` are as it was
    /// decided with.
    pub fn renew_act(&self, act: Act, object: &Object, facts: &Facts, consents: u8) -> Renewed {
        renew(self.exchange(), self.grounds(), (act, object, facts), consents)
    }
}

fn renew(
    exchange: ExchangeId,
    before: &Grounds,
    (act, object, facts): (Act, &Object, &Facts),
    consents: u8,
) -> Renewed {
    let set = before.authorizer.current();
    match judge_with(before, &set, (act, object, facts), consents) {
        Ok((judgement, true)) => {
            let ruling = judgement.ruling;
            let decision = Decision { ruling, judgements: vec![judgement], policy_set: set.hash() };
            let grounds = Grounds { set, ..before.clone() };
            Renewed::Permitted(Box::new(Renewal::new(exchange, consents, decision, grounds)))
        }
        Ok((judgement, false)) => match judgement.ruling {
            Ruling::NeedsApprovals(needed) if needed > consents => Renewed::Needs(needed),
            _ => Renewed::Denied(Box::new(office::refusal(&set, act, object, &judgement))),
        },
        Err(fault) => Renewed::Denied(Box::new(unjudged(fault))),
    }
}

fn judge_with(
    before: &Grounds,
    set: &PolicySet,
    (act, object, facts): (Act, &Object, &Facts),
    consents: u8,
) -> Result<(Judgement, bool), String> {
    let identity: &Arc<Identity> = &before.identity;
    let scene = before.authorizer.scene(identity, before.surroundings.client);
    let context = facts::operation(identity, facts, &scene);
    let (inquiry, judgement) = office::question(identity, act, (object, None), context)?;
    judge::with_consents(set, &inquiry, judgement, consents)
}

#[cfg(test)]
mod tests;
