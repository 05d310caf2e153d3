//! Who may do what to Portcullis itself.

use model::{CallerKind, Facts};

use super::*;
use crate::sample::{authorizer, identity, llama, surroundings};

fn ruling(policies: &str, who: &Identity, act: Act, object: &Object) -> Ruling {
    let (authorizer, _) = authorizer(policies);
    let facts = Facts::plain("GET", "/api/v1/x");
    let set = authorizer.current();
    let judged = authorizer.judge_act(&set, who, act, object, (&facts, surroundings())).unwrap();
    // What is recorded is judged again in the same way.
    assert_eq!(judge::judge_again(&set, &judged).unwrap().ruling, judged.ruling, "{object:?}");
    judged.ruling
}

fn session(of: Option<&Identity>) -> Object {
    Object::Session {
        id: "0190f000-0000-7000-8000-000000000000".to_owned(),
        resource: Some((llama(), "model".to_owned())),
        model: Some("llama-3".to_owned()),
        caller: of.map(Person::of),
    }
}

fn every_object(me: &Identity) -> Vec<Object> {
    let other = identity("bob", &["staff"]);
    let mut all: Vec<Object> = Area::ALL.into_iter().map(Object::Area).collect();
    all.extend([
        Object::Resource { name: llama(), kind: "model".to_owned() },
        Object::Caller(Person::of(me)),
        Object::Caller(Person::of(&other)),
        session(Some(me)),
        session(Some(&other)),
        session(None),
    ]);
    all
}

/// What the schema says of an act's objects.
fn fits(act: Act, object: &Object) -> bool {
    matches!(
        (act, object),
        (Act::View, _)
            | (Act::Replay, Object::Session { .. })
            | (Act::Reload | Act::Rotate | Act::Invite | Act::Hold, Object::Area(_))
            | (Act::Rotate, Object::Resource { .. })
            | (Act::Block | Act::Revoke, Object::Caller(_))
    )
}

#[test]
fn a_permit_for_every_action_opens_no_act() {
    let ana = identity("ana", &["admins"]);
    let broad = r#"permit (principal in Group::"admins", action, resource);
        permit (principal, action in Action::"operation", resource);"#;
    let named = r#"permit (principal in Group::"admins", action in Action::"administration", resource);"#;
    for act in Act::ALL.into_iter().filter(|act| !matches!(act, Act::Approve | Act::Join)) {
        for object in every_object(&ana).iter().filter(|object| fits(act, object)) {
            assert_eq!(ruling(broad, &ana, act, object), Ruling::Denied, "{act} {object:?}");
            assert_eq!(ruling(named, &ana, act, object), Ruling::Allowed, "{act} {object:?}");
            let other = identity("bob", &["staff"]);
            assert_eq!(ruling(named, &other, act, object), Ruling::Denied, "{act} {object:?}");
        }
    }
    // A forbid needs to name nothing.
    let forbidden = format!("{named} forbid (principal, action, resource);");
    assert_eq!(ruling(&forbidden, &ana, Act::View, &Object::Area(Area::Policies)), Ruling::Denied);
}

#[test]
fn everything_is_in_its_area_oneself_too() {
    let ana = identity("ana", &["admins"]);
    let in_area =
        |area: &str| format!(r#"permit (principal, action == Action::"view", resource in Area::"{area}");"#);
    for object in every_object(&ana) {
        let own = match &object {
            Object::Area(area) => *area,
            Object::Resource { .. } => Area::Resources,
            Object::Caller(_) => Area::Callers,
            Object::Session { .. } => Area::Sessions,
        };
        for area in Area::ALL {
            let wanted = if area == own { Ruling::Allowed } else { Ruling::Denied };
            assert_eq!(
                ruling(&in_area(area.as_str()), &ana, Act::View, &object),
                wanted,
                "{object:?} {area}"
            );
        }
    }
}

#[test]
fn a_session_is_known_by_its_resource_its_model_and_who_asked() {
    let (ana, bob) = (identity("ana", &["staff"]), identity("bob", &["staff"]));
    let own = r#"permit (principal, action in [Action::"view", Action::"replay"], resource is Session)
        when { resource has caller && resource.caller == principal };"#;
    assert_eq!(ruling(own, &ana, Act::Replay, &session(Some(&ana))), Ruling::Allowed);
    assert_eq!(ruling(own, &ana, Act::Replay, &session(Some(&bob))), Ruling::Denied);
    assert_eq!(ruling(own, &ana, Act::Replay, &session(None)), Ruling::Denied);
    for (scope, wanted) in [
        (r#"Resource::"llama""#, Ruling::Allowed),
        (r#"Model::"llama/llama-3""#, Ruling::Allowed),
        (r#"Resource::"other""#, Ruling::Denied),
    ] {
        let policy = format!(r#"permit (principal, action == Action::"replay", resource in {scope});"#);
        assert_eq!(ruling(&policy, &ana, Act::Replay, &session(Some(&bob))), wanted, "{scope}");
    }
    // Attributes of who asked are those of the record.
    let machines = r#"permit (principal, action == Action::"view", resource)
        when { resource has caller && resource.caller.kind == "workload" };"#;
    let mut job = identity("job", &[]);
    job.kind = CallerKind::Workload;
    let policies = machines.replace("resource)", "resource is Session)");
    assert_eq!(ruling(&policies, &ana, Act::View, &session(Some(&job))), Ruling::Allowed);
    assert_eq!(ruling(&policies, &ana, Act::View, &session(Some(&bob))), Ruling::Denied);
}

#[test]
fn an_act_can_need_approval_and_a_policy_that_fails_denies_it() {
    let ana = identity("ana", &["admins"]);
    let reload = Object::Area(Area::Policies);
    let approved = r#"permit (principal in Group::"admins", action == Action::"reload", resource)
        when { context.approvals >= 2 };"#;
    assert_eq!(ruling(approved, &ana, Act::Reload, &reload), Ruling::NeedsApprovals(2));
    let failing = r#"permit (principal in Group::"admins", action == Action::"reload", resource);
        forbid (principal, action == Action::"reload", resource)
        when { context.batch * 9223372036854775807 * 2 > 1 };"#;
    assert_eq!(ruling(failing, &ana, Act::Reload, &reload), Ruling::Denied);
}

#[test]
fn acts_are_not_counted_as_operations_and_classes_are_told() {
    let policies = r#"permit (principal, action in [Action::"infer", Action::"train"], resource)
        when { context.recent.requests_hour == 0 };
        permit (principal, action == Action::"view", resource in Area::"callers")
        when { context.recent.requests_hour == 0 };"#;
    let (authorizer, _) = authorizer(policies);
    let ana = identity("ana", &[]);
    let set = authorizer.current();
    let (me, facts) = (Object::Caller(Person::of(&ana)), Facts::plain("GET", "/api/v1/me"));
    for _ in 0..3 {
        let judged = authorizer.judge_act(&set, &ana, Act::View, &me, (&facts, surroundings())).unwrap();
        assert_eq!(judged.ruling, Ruling::Allowed);
        assert_eq!(
            authorizer.classes(&ana, &crate::sample::target(), surroundings()),
            [Class::Infer, Class::Train]
        );
    }
}

#[test]
fn a_refusal_names_the_act_and_not_what_others_may() {
    let (authorizer, _) = authorizer(
        r#"permit (principal in Group::"secret-group", action == Action::"view", resource in Area::"policies");"#,
    );
    let ana = identity("ana", &[]);
    let object = Object::Area(Area::Policies);
    let (set, facts) = (authorizer.current(), Facts::plain("GET", "/api/v1/policies"));
    let judged = authorizer.judge_act(&set, &ana, Act::View, &object, (&facts, surroundings())).unwrap();
    let refusal = refusal(&set, Act::View, &object, &judged);
    assert_eq!(refusal.reason, "No policy permits you to `view` the policies.");
    assert!(refusal.detail.unwrap().contains("secret-group"));
}
