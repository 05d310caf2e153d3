//! Who may be in a group, for how long, with whose consent.

use super::*;
use crate::Petition;
use crate::judge::judge_again;
use crate::sample::{authorizer, identity, set, surroundings};

const POLICIES: &str = r#"
    @id("engineers-on-call")
    permit(principal in Group::"engineers", action == Action::"join", resource == Group::"on-call")
    when { context.minutes <= 240 && context.approvals >= 1 };
    @id("leads-on-call")
    permit(principal in Group::"leads", action == Action::"join", resource == Group::"on-call")
    when { context.minutes <= 60 };
    @id("leads-approve")
    permit(principal in Group::"leads", action == Action::"approve", resource == Group::"on-call")
    when { context.operation == "join" && context has minutes && context.minutes <= 120
        && context.requester in Group::"engineers" };
    permit(principal in Group::"wide", action, resource);
    permit(principal in Group::"admins", action in Action::"administration", resource);
"#;

fn wanted(minutes: u32) -> Membership<'static> {
    Membership { group: "on-call", minutes }
}

fn ruling(who: &Identity, wanted: Membership<'_>) -> Ruling {
    let (authorizer, _) = authorizer(POLICIES);
    let set = authorizer.current();
    let (inquiry, judgement) = authorizer.question(who, wanted, surroundings().client).unwrap();
    let judgement = judge::with_ruling(&set, &inquiry, judgement);
    // What is recorded is judged again in the same way.
    assert_eq!(judge_again(&set, &judgement).unwrap().ruling, judgement.ruling);
    judgement.ruling
}

#[test]
fn how_long_and_with_whose_consent_is_policy() {
    let engineer = identity("ana", &["engineers"]);
    assert_eq!(ruling(&engineer, wanted(240)), Ruling::NeedsApprovals(1));
    assert_eq!(ruling(&engineer, wanted(241)), Ruling::Denied, "longer than policy lets anybody");
    assert_eq!(ruling(&engineer, Membership { group: "admins", minutes: 1 }), Ruling::Denied);
    assert_eq!(ruling(&identity("lead", &["leads"]), wanted(60)), Ruling::Allowed);
    assert_eq!(ruling(&identity("lead", &["leads"]), wanted(61)), Ruling::Denied);
    for group in ["wide", "admins", "nobody"] {
        assert_eq!(ruling(&identity("x", &[group]), wanted(1)), Ruling::Denied, "{group}");
    }
}

#[test]
fn it_is_judged_again_with_the_consents_there_are() {
    let (authorizer, _) = authorizer(POLICIES);
    let engineer = identity("ana", &["engineers"]);
    let again = |consents| authorizer.join_again(&engineer, wanted(60), surroundings().client, consents);
    assert!(matches!(again(0), Joined::Needs(1)));
    let Joined::Permitted(decision) = again(1) else { panic!("permitted with one") };
    assert_eq!(decision.ruling, Ruling::NeedsApprovals(1));
    assert_eq!(decision.judgements[0].reasons[0].policy, "engineers-on-call");
    authorizer.replace(set(r#"permit(principal in Group::"engineers", action == Action::"join", resource)
        when { context.minutes <= 30 && context.approvals >= 1 };"#));
    let Joined::Denied(refusal) = again(3) else { panic!("policy has changed") };
    assert!(refusal.reason.contains("60 minutes"), "{refusal}");
}

#[test]
fn who_consents_is_policy_and_never_who_asks() {
    let (authorizer, _) = authorizer(POLICIES);
    let engineer = identity("ana", &["engineers"]);
    let judged = |who: Identity, minutes| {
        let membership = Some(wanted(minutes));
        let petition = Petition { requester: &engineer, owner: None, asked: None, act: None, membership };
        let (judgements, refusal) =
            authorizer.judge_consent(&authorizer.current(), &who, &petition, surroundings());
        for judgement in &judgements {
            assert_eq!(judge_again(&authorizer.current(), judgement).unwrap().ruling, judgement.ruling);
        }
        let also = authorizer.may_consent(&Arc::new(who), &petition, surroundings());
        assert_eq!(also.is_none(), refusal.is_some());
        refusal
    };
    assert!(judged(identity("lead", &["leads"]), 120).is_none());
    assert!(judged(identity("lead", &["leads"]), 121).unwrap().reason.contains("`on-call`"));
    assert!(judged(identity("bob", &["engineers"]), 60).is_some());
    assert!(judged(identity("all", &["wide", "admins"]), 60).is_some(), "only a permit that names it");
    let own = judged(identity("ana", &["leads", "engineers"]), 60).unwrap();
    assert!(own.reason.contains("Nobody approves"), "{own}");
}
