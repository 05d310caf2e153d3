//! A request that waited for consent, judged again: with the consents there are, by the policies of now.

use std::fmt;
use std::sync::Arc;

use model::{Act, Decision, ExchangeId, Facts, Operation, Refusal, Reveal, Ruling, Usable};

use crate::authorizer::Target;
use crate::judge::{self, Cast};
use crate::office::{self, Object};
use crate::proof::{self, Grounds, Permit};
use crate::recent::Slots;

/// The proof that policy permits an exchange with the consents there are. Only [`Permit::renew`] makes one;
/// not `Clone`: one judgement, one release.
pub struct Renewal {
    exchange: ExchangeId,
    consents: u8,
    decision: Decision,
    grounds: Grounds,
}

/// What policy says of a request that waited.
#[derive(Debug)]
pub enum Renewed {
    /// It may go on, with these consents.
    Permitted(Box<Renewal>),
    /// It needs more persons than have consented: so many.
    Needs(u8),
    /// It may not go on, whoever consents.
    Denied(Box<Refusal>),
}

impl Renewal {
    /// The exchange it is for.
    pub fn exchange(&self) -> ExchangeId {
        self.exchange
    }

    /// The number of consents that policy was asked with.
    pub fn consents(&self) -> u8 {
        self.consents
    }

    /// The whole decision.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// As [`Permit::viewer`], by the policies of this judgement.
    pub fn viewer(&self) -> Arc<dyn Reveal> {
        self.grounds.viewer()
    }

    /// As [`Permit::usable`], by the policies of this judgement.
    pub fn usable(&self) -> Arc<dyn Usable> {
        self.grounds.usable()
    }
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Renewal({}, {} consents)", self.exchange, self.consents)
    }
}

impl Permit {
    /// The request waits now: it counts in `context.recent` when it goes on, not before.
    pub fn wait(&self) {
        let grounds = self.grounds();
        let authorizer = &grounds.authorizer;
        authorizer.tallies().give_back(&grounds.identity, Slots::of(authorizer.elapsed()));
    }

    /// Judges the request again, with so many consents, by the policies of now. `target` and `operations` are
    /// as they are read now.
    pub fn renew(&self, target: &Target<'_>, operations: &[Operation], consents: u8) -> Renewed {
        renew(self.exchange(), self.grounds(), target, operations, consents)
    }
}

impl Permit {
    /// The same of an act on Portcullis itself. `facts` are as [`Authorizer::decide_act`] was given them.
    ///
    /// [`Authorizer::decide_act`]: crate::Authorizer::decide_act
    pub fn renew_act(&self, act: Act, object: &Object, facts: &Facts, consents: u8) -> Renewed {
        act_again(self.exchange(), self.grounds(), (act, object, facts), consents)
    }
}

fn act_again(
    exchange: ExchangeId,
    before: &Grounds,
    (act, object, facts): (Act, &Object, &Facts),
    consents: u8,
) -> Renewed {
    let set = before.authorizer.current();
    let with = (facts, before.surroundings, consents);
    match before.authorizer.judge_act_with(&set, &before.identity, act, object, with) {
        Ok((judgement, true)) => {
            let (ruling, policy_set) = (judgement.ruling, set.hash());
            let decision = Decision { ruling, judgements: vec![judgement], policy_set };
            let grounds = Grounds { set, ..before.clone() };
            Renewed::Permitted(Box::new(Renewal { exchange, consents, decision, grounds }))
        }
        Ok((judgement, false)) => match judgement.ruling {
            Ruling::NeedsApprovals(needed) if needed > consents => Renewed::Needs(needed),
            _ => Renewed::Denied(Box::new(office::refusal(&set, act, object, &judgement))),
        },
        Err(fault) => Renewed::Denied(Box::new(office::unjudged(fault))),
    }
}

fn renew(
    exchange: ExchangeId,
    before: &Grounds,
    target: &Target<'_>,
    operations: &[Operation],
    consents: u8,
) -> Renewed {
    let authorizer = &before.authorizer;
    let set = authorizer.current();
    let slots = Slots::of(authorizer.elapsed());
    let scene = authorizer.scene_counting(&before.identity, before.surroundings.client, slots);
    let mut decision = Decision { ruling: Ruling::Denied, judgements: Vec::new(), policy_set: set.hash() };
    let (mut faults, mut needs, mut all) = (Vec::new(), consents, true);
    let cast = Cast::new(&before.identity, &target.name, target.kind);
    let cast = cast.map(|cast| cast.with_known(authorizer.known()));
    for operation in operations {
        let judged = match &cast {
            Ok(cast) => judge::operation_with(&set, cast, operation, &scene, consents),
            Err(fault) => Err(fault.clone()),
        };
        match judged {
            Ok((judgement, permitted)) => {
                all &= permitted;
                if let Ruling::NeedsApprovals(more) = judgement.ruling {
                    needs = needs.max(more);
                }
                decision.judgements.push(judgement);
            }
            Err(fault) => faults.push(fault),
        }
    }
    if all && faults.is_empty() && !operations.is_empty() {
        decision.ruling = if consents == 0 { Ruling::Allowed } else { Ruling::NeedsApprovals(consents) };
        let grounds =
            Grounds { set, resource: target.name.clone(), kind: target.kind.to_owned(), ..before.clone() };
        return Renewed::Permitted(Box::new(Renewal { exchange, consents, decision, grounds }));
    }
    authorizer.tallies().give_back(&before.identity, slots);
    let denied = decision.judgements.iter().any(|judgement| judgement.ruling == Ruling::Denied);
    if faults.is_empty() && !denied && needs > consents {
        return Renewed::Needs(needs);
    }
    Renewed::Denied(Box::new(proof::refusal(&set, &target.name, operations, &decision, &faults)))
}
#[cfg(test)]
mod tests {
    use model::Class;

    use super::*;
    use crate::Authorizer;
    use crate::sample::{authorizer, identity, operation, set, surroundings, target};

    const ONE: &str = r#"permit(principal in Group::"ml", action == Action::"train", resource)
        when { context.approvals >= 1 };"#;

    fn grounds(authorizer: &Arc<Authorizer>) -> Grounds {
        Grounds {
            authorizer: Arc::clone(authorizer),
            set: authorizer.current(),
            identity: Arc::new(identity("ana", &["ml"])),
            resource: target().name,
            kind: "model".to_owned(),
            surroundings: surroundings(),
        }
    }

    fn renewed(authorizer: &Arc<Authorizer>, consents: u8) -> Renewed {
        let train = [operation(Class::Train, "tiny")];
        renew(ExchangeId::from_bytes([1; 16]), &grounds(authorizer), &target(), &train, consents)
    }

    #[test]
    fn it_is_judged_with_the_consents_there_are() {
        let (authorizer, _) = authorizer(ONE);
        assert!(matches!(renewed(&authorizer, 0), Renewed::Needs(1)));
        let Renewed::Permitted(renewal) = renewed(&authorizer, 1) else { panic!("one is enough") };
        assert_eq!((renewal.consents(), renewal.decision().ruling), (1, Ruling::NeedsApprovals(1)));
        let context = renewal.decision().judgements[0].context.get().to_owned();
        assert!(context.contains("\"approvals\":1"), "{context}");
        assert!(matches!(renewed(&authorizer, 2), Renewed::Permitted(_)));
    }

    #[test]
    fn the_policies_of_now_decide() {
        let (authorizer, _) = authorizer(ONE);
        authorizer.replace(set(&ONE.replace("1", "2")));
        assert!(matches!(renewed(&authorizer, 1), Renewed::Needs(2)));
        authorizer.replace(set(r#"@reason("No training today.") forbid(principal, action, resource);"#));
        let Renewed::Denied(refusal) = renewed(&authorizer, 1) else { panic!("it is forbidden") };
        assert!(refusal.reason.contains("No training today."), "{refusal}");
        authorizer.replace(set("permit(principal, action, resource);"));
        assert!(matches!(renewed(&authorizer, 1), Renewed::Permitted(_)));
        // A policy that allows so many and no more holds for exactly so many.
        authorizer.replace(set(&ONE.replace(">=", "==")));
        assert!(matches!(renewed(&authorizer, 2), Renewed::Denied(_)));
    }

    #[test]
    fn what_waits_counts_when_it_goes_on() {
        let text = r#"permit(principal, action == Action::"train", resource)
            when { context.approvals >= 1 && context.recent.requests_hour < 1 };"#;
        let (authorizer, _) = authorizer(text);
        assert!(matches!(renewed(&authorizer, 1), Renewed::Permitted(_)), "the first");
        assert!(matches!(renewed(&authorizer, 1), Renewed::Denied(_)), "the second");
    }

    #[test]
    fn nothing_is_not_permitted() {
        let (authorizer, _) = authorizer("permit(principal, action, resource);");
        let renewed = renew(ExchangeId::from_bytes([1; 16]), &grounds(&authorizer), &target(), &[], 3);
        assert!(matches!(renewed, Renewed::Denied(_)));
    }

    #[test]
    fn an_act_is_judged_with_the_consents_there_are_by_the_policies_of_now() {
        let rotate = r#"permit(principal in Group::"ml", action == Action::"rotate", resource == Resource::"llama")
            when { context.approvals >= 1 };"#;
        let (authorizer, _) = authorizer(rotate);
        let again = |consents| {
            let object = Object::Resource { name: target().name, kind: "model".to_owned() };
            let facts = Facts::plain("POST", "/api/v1/resources/llama/credential/rotate");
            let before = grounds(&authorizer);
            act_again(ExchangeId::from_bytes([1; 16]), &before, (Act::Rotate, &object, &facts), consents)
        };
        assert!(matches!(again(0), Renewed::Needs(1)));
        let Renewed::Permitted(renewal) = again(1) else { panic!("one is enough") };
        assert_eq!((renewal.consents(), renewal.decision().ruling), (1, Ruling::NeedsApprovals(1)));
        authorizer.replace(set(&rotate.replace("1", "2")));
        assert!(matches!(again(1), Renewed::Needs(2)));
        authorizer.replace(set("permit(principal, action, resource);"));
        assert!(matches!(again(3), Renewed::Denied(_)), "a permit for every action opens no act");
    }
}
