//! Who may consent, and what becomes of a request that waited.

use std::collections::BTreeMap;

use model::{Alias, CallerKind, Class, People, PersonAliases};

use super::*;
use crate::sample::{authorizer, identity, llama, operation, set, surroundings, target};

const POLICIES: &str = r#"
    @id("leads-approve")
    permit(principal in Group::"leads", action == Action::"approve", resource in Resource::"llama")
    when { context.operation == "train" && context.requester in Group::"ml" && context.request.batch <= 8 };
    permit(principal in Group::"admins", action in Action::"administration", resource);
    permit(principal in Group::"wide", action, resource);
"#;

fn judged(policies: &str, who: &Identity, requester: &Identity, operation: &Operation) -> Option<Refusal> {
    let (authorizer, _) = authorizer(policies);
    asked(&authorizer, who, requester, operation)
}

fn asked(
    authorizer: &Arc<Authorizer>,
    who: &Identity,
    requester: &Identity,
    operation: &Operation,
) -> Option<Refusal> {
    let resource = llama();
    let operations = std::slice::from_ref(operation);
    let petition = Petition {
        requester,
        owner: None,
        asked: Some((&resource, "model", operations)),
        act: None,
        membership: None,
    };
    let set = authorizer.current();
    let (judgements, refusal) = authorizer.judge_consent(&set, who, &petition, surroundings());
    for judgement in &judgements {
        // What is recorded is judged again in the same way.
        assert_eq!(judge::judge_again(&set, judgement).unwrap().ruling, judgement.ruling);
    }
    let also = authorizer.may_consent(&Arc::new(who.clone()), &petition, surroundings());
    assert_eq!(also.is_none(), refusal.is_some());
    refusal
}

#[test]
fn who_approves_is_policy_with_the_requester_and_the_facts() {
    let train = operation(Class::Train, "tiny");
    let (lead, ana) = (identity("lead", &["leads"]), identity("ana", &["ml"]));
    assert_eq!(judged(POLICIES, &lead, &ana, &train), None);
    let stranger = identity("eve", &["other"]);
    assert!(judged(POLICIES, &lead, &stranger, &train).is_some(), "not hers");
    assert!(judged(POLICIES, &lead, &ana, &operation(Class::Export, "tiny")).is_some(), "not that");
    let mut large = train.clone();
    large.facts.batch = 9;
    assert!(judged(POLICIES, &lead, &ana, &large).is_some(), "not so much");
    let without = judged(POLICIES, &identity("bob", &["ml"]), &ana, &train).unwrap();
    assert!(without.reason.contains("`approve`"), "{without}");
}

#[test]
fn only_a_permit_that_names_it_makes_approvers() {
    let train = operation(Class::Train, "tiny");
    let ana = identity("ana", &["ml"]);
    assert!(judged(POLICIES, &identity("root", &["admins"]), &ana, &train).is_some());
    assert!(judged(POLICIES, &identity("all", &["wide"]), &ana, &train).is_some());
}

#[test]
fn nobody_approves_their_own_under_any_name() {
    let train = operation(Class::Train, "tiny");
    let everyone = r#"permit(principal, action == Action::"approve", resource);"#;
    let (authorizer, _) = authorizer(everyone);
    let ana = identity("ana", &["ml", "leads"]);
    let own = asked(&authorizer, &ana, &ana, &train).unwrap();
    assert!(own.reason.contains("themselves"), "{own}");
    let mut elsewhere = ana.clone();
    elsewhere.issuer = "https://other.example".into();
    elsewhere.subject = "4711".into();
    assert!(asked(&authorizer, &elsewhere, &ana, &train).is_some(), "by her address");
    elsewhere.email = None;
    assert_eq!(asked(&authorizer, &elsewhere, &ana, &train), None);
    let alias = |who: &Identity| Alias::Subject(who.issuer.clone(), who.subject.clone());
    let mut job = identity("nightly", &["ml"]);
    job.kind = CallerKind::Workload;
    assert_eq!(asked(&authorizer, &ana, &job, &train), None);
    let person =
        PersonAliases { aliases: [alias(&ana), alias(&elsewhere)].into(), owns: [alias(&job)].into() };
    let people = People::new([("ana".to_owned(), person)].into(), BTreeMap::new(), []);
    authorizer.introduce(Arc::new(people));
    assert!(asked(&authorizer, &elsewhere, &ana, &train).is_some(), "by configuration");
    assert!(asked(&authorizer, &ana, &job, &train).is_some(), "her program");
    assert!(asked(&authorizer, &elsewhere, &job, &train).is_some(), "and from elsewhere");
    assert_eq!(asked(&authorizer, &identity("bob", &[]), &job, &train), None);
}

#[test]
fn a_program_without_an_owner_can_be_told() {
    let text = r#"permit(principal, action == Action::"train", resource)
        when { context.approvals >= 2 || (context.approvals >= 1 && (principal.kind == "human" || context has owner)) };"#;
    let (authorizer, _) = authorizer(text);
    let mut job = identity("nightly", &["ml"]);
    let needs = |who: &Identity| {
        let train = [operation(Class::Train, "tiny")];
        authorizer.decide_identity(&set(text), who, &target(), &train, surroundings()).0.ruling
    };
    assert_eq!(needs(&job), Ruling::NeedsApprovals(1));
    job.kind = CallerKind::Workload;
    assert_eq!(needs(&job), Ruling::NeedsApprovals(2));
    let owned = Alias::Subject(job.issuer.clone(), job.subject.clone());
    let person = PersonAliases { owns: [owned].into(), ..PersonAliases::default() };
    let people = People::new([("ana".to_owned(), person)].into(), BTreeMap::new(), []);
    authorizer.introduce(Arc::new(people));
    assert_eq!(needs(&job), Ruling::NeedsApprovals(1));
}

#[test]
fn an_act_is_consented_to_by_its_name_on_its_resource() {
    let policies = r#"
        permit(principal in Group::"security", action == Action::"approve", resource == Resource::"llama")
        when { context.operation == "rotate" && context.requester in Group::"platform" };"#;
    let (authorizer, _) = authorizer(policies);
    let (sec, ops) = (identity("sec", &["security"]), identity("ops", &["platform"]));
    let judged = |who: &Identity, requester: &Identity, resource: &str, act| {
        let resource = ResourceName::new(resource).unwrap();
        let asked = Some((&resource, "model", &[][..]));
        let petition = Petition { requester, owner: None, asked, act: Some(act), membership: None };
        let set = authorizer.current();
        let (judgements, refusal) = authorizer.judge_consent(&set, who, &petition, surroundings());
        for judgement in &judgements {
            assert_eq!(judge::judge_again(&set, judgement).unwrap().ruling, judgement.ruling);
        }
        refusal.is_none()
    };
    assert!(judged(&sec, &ops, "llama", Act::Rotate));
    assert!(!judged(&sec, &ops, "other", Act::Rotate), "not there");
    assert!(!judged(&sec, &ops, "llama", Act::Reload), "not that");
    assert!(!judged(&sec, &identity("eve", &["staff"]), "llama", Act::Rotate), "not hers");
    assert!(!judged(&ops, &ops, "llama", Act::Rotate), "nobody approves their own");
}
