//! Who may be in a group for a while: `Action::"join"` on a `Group`, with the time in context; and who may
//! consent to it.

use std::net::IpAddr;
use std::sync::Arc;

use authenticate::Caller;
use model::{Act, Decision, Facts, Identity, Judgement, Refusal, Ruling};

use crate::authorizer::{Authorizer, Surroundings};
use crate::facts::{self, Value};
use crate::judge::{self, Cast, Inquiry};
use crate::office::portcullis;
use crate::petition::requester_beside;
use crate::players::Players;
use crate::proof::{self, Denied, Permit, unjudged};
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
}

/// What policies are asked of a consent to somebody's membership.
pub(crate) fn consent(
    identity: &Identity,
    (requester, owner): (&Identity, Option<&str>),
    wanted: Membership<'_>,
    scene: &facts::Scene,
) -> Result<(Inquiry, Judgement), String> {
    let words = vocabulary()?;
    let (uid, other) = requester_beside(words, identity, requester);
    let others = other.into_iter().collect();
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

fn refused(set: &PolicySet, wanted: Membership<'_>, judgement: &Judgement) -> Refusal {
    let what = format!("be in group `{}` for {} minutes", wanted.group, wanted.minutes);
    proof::denial(set, judgement, "this", &what)
}

#[cfg(test)]
mod tests;
