//! Who may consent to an act on Portcullis, and what becomes of one that waited.

use model::{ExchangeId, Refusal};

use super::*;
use crate::judge::judge_again;
use crate::sample::{authorizer, identity, llama, set, surroundings, target};
use crate::{Matter, Petition};

const POLICIES: &str = r#"
    @id("two-block")
    permit(principal in Group::"operators", action == Action::"block", resource in Area::"callers")
    when { context.approvals >= 2 };
    @id("leads-approve")
    permit(principal in Group::"leads", action == Action::"approve", resource == Area::"callers")
    when { context.operation == "block" && context.requester in Group::"operators" };
    permit(principal in Group::"leads", action == Action::"approve", resource in Resource::"llama");
    permit(principal in Group::"wide", action, resource);
    permit(principal in Group::"admins", action in Action::"administration", resource);
"#;

fn block() -> Doing<'static> {
    Doing { act: Act::Block, area: Area::Callers, resource: None, method: "POST", path: "/api/callers/block" }
}

fn judged(who: &Identity, by: &Identity, doing: Doing<'_>) -> Option<Refusal> {
    let (authorizer, _) = authorizer(POLICIES);
    let petition = Petition { requester: by, owner: None, matter: Matter::Act(doing) };
    let set = authorizer.current();
    let (judgements, refusal) = authorizer.judge_consent(&set, who, &petition, surroundings());
    for judgement in &judgements {
        // What is recorded is judged again in the same way.
        assert_eq!(judge_again(&set, judgement).unwrap().ruling, judgement.ruling);
    }
    let also = authorizer.may_consent(&Arc::new(who.clone()), &petition, surroundings());
    assert_eq!(also.is_none(), refusal.is_some());
    refusal
}

#[test]
fn who_consents_to_an_act_is_policy_and_never_who_asks() {
    let (lead, ops) = (identity("lead", &["leads"]), identity("ops", &["operators"]));
    assert!(judged(&lead, &ops, block()).is_none());
    let revoke = Doing { act: Act::Revoke, ..block() };
    let refusal = judged(&lead, &ops, revoke).unwrap();
    assert!(refusal.reason.contains("`revoke`") && refusal.reason.contains("callers"), "{refusal}");
    assert!(judged(&lead, &identity("eve", &["other"]), block()).is_some(), "not hers");
    assert!(judged(&ops, &identity("ann", &["operators"]), block()).is_some(), "no approver");
    assert!(
        judged(&identity("all", &["wide", "admins"]), &ops, block()).is_some(),
        "only a permit that names it"
    );
    let own = judged(&identity("ops", &["leads", "operators"]), &ops, block()).unwrap();
    assert!(own.reason.contains("Nobody approves"), "{own}");
}

#[test]
fn an_act_on_a_resource_is_consented_to_there() {
    let (lead, ops) = (identity("lead", &["leads"]), identity("ops", &["operators"]));
    let (llama, other) = (llama(), ResourceName::new("other").unwrap());
    let on =
        |name| Doing { act: Act::View, area: Area::Resources, resource: Some((name, "model")), ..block() };
    assert!(judged(&lead, &ops, on(&llama)).is_none());
    assert!(judged(&lead, &ops, on(&other)).is_some());
}

#[test]
fn an_act_is_judged_again_with_the_consents_there_are() {
    let (authorizer, _) = authorizer(POLICIES);
    let grounds = Grounds {
        authorizer: Arc::clone(&authorizer),
        set: authorizer.current(),
        identity: Arc::new(identity("ops", &["operators"])),
        resource: target().name,
        kind: "model".to_owned(),
        surroundings: surroundings(),
    };
    let facts = Facts::plain("POST", "/api/callers/block");
    let object = Object::Area(Area::Callers);
    let again =
        |consents| renew(ExchangeId::from_bytes([1; 16]), &grounds, (Act::Block, &object, &facts), consents);
    assert!(matches!(again(0), Renewed::Needs(2)));
    assert!(matches!(again(1), Renewed::Needs(2)));
    let Renewed::Permitted(renewal) = again(2) else { panic!("permitted with two") };
    assert_eq!(renewal.decision().ruling, Ruling::NeedsApprovals(2));
    assert_eq!(renewal.decision().judgements[0].reasons[0].policy, "two-block");
    authorizer.replace(set(r#"permit(principal in Group::"other", action == Action::"block", resource);"#));
    let Renewed::Denied(refusal) = again(3) else { panic!("policy has changed") };
    assert!(refusal.reason.contains("`block`"), "{refusal}");
}
