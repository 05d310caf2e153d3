//! Decisions, approvals, errors, quotas, replacement, and what a permit says.

use std::sync::Arc;
use std::time::Duration;

use model::{Class, Clock, Code, DataClass, Facts, Refusal, Reveal, Usable};

use super::*;
use crate::proof::refusal;
use crate::sample::{authorizer, identity, llama, noon, operation, set, surroundings, target};
use crate::viewer::{Chooser, Question, Viewer};

fn ruling(policies: &str, who: &Identity, operations: &[Operation]) -> Ruling {
    let (authorizer, _) = authorizer(policies);
    decide(&authorizer, who, operations).ruling
}

fn decide(authorizer: &Authorizer, who: &Identity, operations: &[Operation]) -> Decision {
    let set = authorizer.current();
    authorizer.decide_identity(&set, who, &target(), operations, surroundings()).0
}

/// What a denied caller is told.
fn refuse(authorizer: &Authorizer, who: &Identity, operation: Operation) -> Refusal {
    let (set, operations) = (authorizer.current(), [operation]);
    let (decision, faults) = authorizer.decide_identity(&set, who, &target(), &operations, surroundings());
    assert_eq!(decision.ruling, Ruling::Denied);
    refusal(&set, &llama(), &operations, &decision, &faults)
}

/// What `who` may see in answers of `resource`, by the current set.
fn viewer(authorizer: &Arc<Authorizer>, who: Identity, resource: &str) -> impl Reveal {
    let resource = ResourceName::new(resource).unwrap();
    Viewer::new(
        Question::Reveal,
        Arc::clone(authorizer),
        authorizer.current(),
        Arc::new(who),
        resource,
        "model".into(),
    )
}

const RESEARCH: &str = r#"
    // Researchers may ask the llama models, at most eight at once.
    @id("ask")
    permit(principal in Group::"research", action in [Action::"infer", Action::"embed"], resource in Resource::"llama")
    when { context.batch <= 8 };

    // Admins may do what is ordinary, anywhere.
    @id("admins")
    permit(principal in Group::"admins", action in Action::"ordinary", resource);

    // Models may be trained with one approval, exported with two.
    @id("train")
    permit(principal in Group::"research", action == Action::"train", resource) when { context.approvals >= 1 };
    @id("export")
    permit(principal in Group::"research", action == Action::"export", resource) when { context.approvals >= 2 };

    // Nothing that looks like a secret goes to a model.
    @id("secrets")
    forbid(principal, action in Action::"operation", resource) when { context.matches.contains("secrets") };
"#;

#[test]
fn the_table() {
    let ana = identity("ana", &["research"]);
    let root = identity("root", &["admins"]);
    let batch = |n| {
        let mut op = operation(Class::Infer, "llama-3");
        op.facts.batch = n;
        op
    };
    let secret = {
        let mut op = operation(Class::Infer, "llama-3");
        op.facts.matches.insert("secrets".into());
        op
    };
    for (who, op, expected) in [
        (&ana, operation(Class::Infer, "llama-3"), Ruling::Allowed),
        (&ana, operation(Class::Embed, ""), Ruling::Allowed),
        (&ana, operation(Class::Inspect, ""), Ruling::Denied),
        (&ana, batch(8), Ruling::Allowed),
        (&ana, batch(9), Ruling::Denied),
        (&ana, batch(i64::MAX), Ruling::Denied),
        (&ana, secret.clone(), Ruling::Denied),
        (&root, secret, Ruling::Denied),
        (&root, batch(9), Ruling::Allowed),
        (&root, operation(Class::Manage, ""), Ruling::Denied),
        (&root, operation(Class::Unknown, ""), Ruling::Denied),
        (&ana, operation(Class::Train, ""), Ruling::NeedsApprovals(1)),
        (&ana, operation(Class::Export, "llama-3"), Ruling::NeedsApprovals(2)),
        (&identity("eve", &[]), operation(Class::Infer, "llama-3"), Ruling::Denied),
        (&identity("eve", &["Research"]), operation(Class::Infer, "llama-3"), Ruling::Denied),
    ] {
        assert_eq!(ruling(RESEARCH, who, std::slice::from_ref(&op)), expected, "{who:?} {op:?}");
    }
}

#[test]
fn the_strictest_operation_counts() {
    let ana = identity("ana", &["research"]);
    let (ask, train, export) =
        (operation(Class::Infer, "m"), operation(Class::Train, "m"), operation(Class::Export, "m"));
    let list = operation(Class::Inspect, "");
    assert_eq!(ruling(RESEARCH, &ana, &[ask.clone(), train.clone()]), Ruling::NeedsApprovals(1));
    assert_eq!(
        ruling(RESEARCH, &ana, &[export.clone(), train.clone(), ask.clone()]),
        Ruling::NeedsApprovals(2)
    );
    assert_eq!(ruling(RESEARCH, &ana, &[ask, export, list]), Ruling::Denied);
}

#[test]
fn no_operation_and_too_many_are_denied() {
    let ana = identity("ana", &["admins"]);
    assert_eq!(ruling(RESEARCH, &ana, &[]), Ruling::Denied);
    let many = vec![operation(Class::Infer, "m"); MAX_OPERATIONS + 1];
    assert_eq!(ruling(RESEARCH, &ana, &many), Ruling::Denied);
    assert_eq!(ruling(RESEARCH, &ana, &many[1..]), Ruling::Allowed);
}

#[test]
fn a_forbid_that_cannot_be_evaluated_denies() {
    // Cedar alone would skip the forbid and allow.
    let policies = r#"
        permit(principal, action == Action::"infer", resource);
        @id("overflow")
        forbid(principal, action == Action::"infer", resource)
        when { context.batch + 9223372036854775807 > 0 };"#;
    let (authorizer, _) = authorizer(policies);
    let decision = decide(&authorizer, &identity("ana", &[]), &[operation(Class::Infer, "m")]);
    assert_eq!(decision.ruling, Ruling::Denied);
    assert!(decision.judgements[0].errors[0].contains("overflow"), "{:?}", decision.judgements[0].errors);
    let refusal = refuse(&authorizer, &identity("ana", &[]), operation(Class::Infer, "m"));
    assert!(!refusal.reason.contains("overflow") && refusal.detail.unwrap().contains("overflow"));
}

#[test]
fn a_permit_that_cannot_be_evaluated_denies_too_with_any_number_of_approvals() {
    let policies = r#"
        permit(principal, action == Action::"infer", resource) when { context.approvals >= 1 };
        permit(principal, action == Action::"infer", resource)
        when { context.approvals * 9223372036854775807 > 0 && context.approvals > 1 };"#;
    assert_eq!(
        ruling(policies, &identity("ana", &[]), &[operation(Class::Infer, "m")]),
        Ruling::NeedsApprovals(1)
    );
    let worse = policies.replace("context.approvals * ", "(1 + context.approvals) * ");
    assert_eq!(ruling(&worse, &identity("ana", &[]), &[operation(Class::Infer, "m")]), Ruling::Denied);
}

#[test]
fn what_is_unknown_needs_a_permit_that_names_it() {
    let (ana, op) = (identity("ana", &["g"]), [operation(Class::Unknown, "")]);
    for policy in [
        "permit(principal, action, resource);",
        "permit(principal in Group::\"g\", action in Action::\"high-risk\", resource);",
        "permit(principal, action in [Action::\"operation\", Action::\"train\"], resource);",
    ] {
        assert_eq!(ruling(policy, &ana, &op), Ruling::Denied, "{policy}");
    }
    assert_eq!(
        ruling("permit(principal, action == Action::\"unknown\", resource);", &ana, &op),
        Ruling::Allowed
    );
    let both = "permit(principal, action in [Action::\"unknown\", Action::\"train\"], resource);
                forbid(principal, action in Action::\"high-risk\", resource) when { context.batch > 0 };";
    assert_eq!(ruling(both, &ana, &op), Ruling::Denied);
}

#[test]
fn more_than_three_approvals_cannot_be_had() {
    let ask = |n| {
        format!(
            "permit(principal, action == Action::\"train\", resource) when {{ context.approvals >= {n} }};"
        )
    };
    let (ana, op) = (identity("ana", &[]), [operation(Class::Train, "")]);
    for n in 1..=3 {
        assert_eq!(ruling(&ask(n), &ana, &op), Ruling::NeedsApprovals(n));
    }
    assert_eq!(ruling(&ask(4), &ana, &op), Ruling::Denied);
    // A forbid may ask for consent as well.
    let forbid = "permit(principal, action == Action::\"train\", resource);
        forbid(principal, action == Action::\"train\", resource) unless { context.approvals > 1 };";
    assert_eq!(ruling(forbid, &ana, &op), Ruling::NeedsApprovals(2));
}

/// Whether `condition` holds for `who` asking llama-3.
fn holds(condition: &str, who: &Identity, op: &Operation) -> bool {
    let policy = format!("permit(principal, action == Action::\"infer\", resource) when {{ {condition} }};");
    ruling(&policy, who, std::slice::from_ref(op)) == Ruling::Allowed
}

#[test]
fn facts_are_as_the_schema_says() {
    let ana = identity("ana", &["research"]);
    let mut op = operation(Class::Infer, "llama-3");
    for condition in [
        "principal.kind == \"human\" && principal.issuer == \"https://id.example\" && principal.subject == \"ana\"",
        "principal.issuer_name == \"corp\" && principal.email == \"ana@example.com\" && principal.client == \"cli\"",
        "principal.hasTag(\"department\") && principal.getTag(\"department\") == \"physics\"",
        "principal == Caller::\"https://id.example#ana\"",
        "resource is Model && resource.name == \"llama-3\" && resource in Resource::\"llama\"",
        "context.model == \"llama-3\" && context.method == \"POST\" && context.path like \"/v1/*\"",
        "!context.stream && !context.tools && context.images == 0 && context.audio == 0 && context.batch == 1",
        "context.max_tokens == 256 && context.request_bytes == 0 && context.matches.isEmpty()",
        "context.client == ip(\"10.1.2.3\") && context.client.isInRange(ip(\"10.0.0.0/8\"))",
        "context.time.weekday == \"wed\" && context.time.minute == 750",
        "context.time.at == datetime(\"2026-11-18T12:30:00Z\")",
        "context.token.age_seconds == 300 && context.token.seconds_left == 1800",
        "context.token.seconds_since_login == 1000000000 && !context.token.mfa",
        "context.token.methods.contains(\"pwd\") && context.token.scopes == [\"models\"]",
        "context.token.client == \"cli\" && context.token.context_class == \"\"",
        "context.token.audiences.contains(\"portcullis\") && context.recent.requests_hour == 0",
    ] {
        assert!(holds(condition, &ana, &op), "{condition}");
    }
    op.facts.model = String::new();
    assert!(holds("resource is Resource && resource.kind == \"model\" && context.model == \"\"", &ana, &op));
}

#[test]
fn counts_are_clamped_to_their_bounds() {
    let mut ana = identity("ana", &[]);
    ana.token.issued_at = Some(noon() + jiff::SignedDuration::from_hours(1));
    ana.token.expires_at = noon() - jiff::SignedDuration::from_hours(1);
    ana.email = None;
    let mut op = operation(Class::Infer, "m");
    op.facts.batch = i64::MIN;
    op.facts.max_tokens = i64::MAX;
    op.facts.images = -1;
    let bound = Facts::BOUND;
    let condition = format!(
        "context.batch == 1 && context.max_tokens == {bound} && context.images == 0 &&
         context.token.age_seconds == 0 && context.token.seconds_left == 0 && principal.email == \"\""
    );
    assert!(holds(&condition, &ana, &op));
}

#[test]
fn the_local_time_of_the_configured_zone_counts() {
    let policy = "permit(principal, action == Action::\"infer\", resource)
        when { context.time.weekday == \"thu\" && context.time.minute == 90 };";
    let clock = Arc::new(model::FixedClock::at("2026-11-18T12:30:00Z".parse().unwrap()));
    // 13 hours ahead of UTC in November.
    let authorizer = match Authorizer::new(set(policy), "Pacific/Auckland", clock) {
        Ok(authorizer) => authorizer,
        // A machine without a time zone database can't run this.
        Err(AuthorizeError::TimeZone { .. }) => return,
        Err(e) => panic!("{e}"),
    };
    assert_eq!(
        decide(&authorizer, &identity("ana", &[]), &[operation(Class::Infer, "m")]).ruling,
        Ruling::Allowed
    );
}

#[test]
fn an_unknown_time_zone_is_an_error() {
    let clock: Arc<dyn Clock> = Arc::new(model::FixedClock::at(noon()));
    let error = Authorizer::new(set(RESEARCH), "Mars/Olympus", clock).unwrap_err();
    assert!(error.to_string().contains("Mars/Olympus"));
}

#[test]
fn quotas_count_what_was_permitted() {
    let policies = r#"
        permit(principal, action == Action::"infer", resource);
        // At most three requests an hour.
        @id("quota")
        forbid(principal, action == Action::"infer", resource) when { context.recent.requests_hour >= 3 };
        // At most a thousand tokens a day.
        forbid(principal, action == Action::"infer", resource) when { context.recent.tokens_day >= 1000 };"#;
    let (authorizer, clock) = authorizer(policies);
    let (ana, ben) = (identity("ana", &[]), identity("ben", &[]));
    let op = [operation(Class::Infer, "m")];
    for _ in 0..3 {
        assert_eq!(decide(&authorizer, &ana, &op).ruling, Ruling::Allowed);
    }
    for _ in 0..5 {
        assert_eq!(decide(&authorizer, &ana, &op).ruling, Ruling::Denied);
    }
    assert_eq!(decide(&authorizer, &ben, &op).ruling, Ruling::Allowed);
    // The refused ones did not count, and wall time does not either.
    clock.set(noon() + jiff::SignedDuration::from_hours(5));
    assert_eq!(decide(&authorizer, &ana, &op).ruling, Ruling::Denied);
    clock.advance(Duration::from_secs(3600));
    assert_eq!(decide(&authorizer, &ana, &op).ruling, Ruling::Allowed);
    authorizer.spent(&ana, Usage { input: 400, output: 600 });
    assert_eq!(decide(&authorizer, &ana, &op).ruling, Ruling::Denied);
    clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(decide(&authorizer, &ana, &op).ruling, Ruling::Allowed);
}

#[test]
fn requests_at_once_do_not_pass_a_quota_together() {
    let (authorizer, _) = authorizer(
        "permit(principal, action == Action::\"infer\", resource) when { context.recent.requests_hour < 10 };",
    );
    let allowed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let ana = identity("ana", &[]);
                    let op = [operation(Class::Infer, "m")];
                    (0..20).filter(|_| decide(&authorizer, &ana, &op).ruling == Ruling::Allowed).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(allowed, 10);
}

#[test]
fn replacement_never_mixes_two_sets() {
    // Each set alone denies one of the two operations; a mix would allow both or none.
    let sets = ["infer", "embed"]
        .map(|class| format!("@id(\"{class}\") permit(principal, action == Action::\"{class}\", resource);"));
    let (authorizer, _) = authorizer(&sets[0]);
    let hashes = sets.each_ref().map(|text| set(text).hash());
    let operations = [operation(Class::Infer, "m"), operation(Class::Embed, "m")];
    std::thread::scope(|scope| {
        let deciders: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let ana = identity("ana", &[]);
                    for _ in 0..200 {
                        let decision = decide(&authorizer, &ana, &operations);
                        let rulings: Vec<_> = decision.judgements.iter().map(|j| j.ruling).collect();
                        let expected = if decision.policy_set == hashes[0] {
                            [Ruling::Allowed, Ruling::Denied]
                        } else {
                            assert_eq!(decision.policy_set, hashes[1]);
                            [Ruling::Denied, Ruling::Allowed]
                        };
                        assert_eq!(rulings, expected);
                    }
                })
            })
            .collect();
        let mut n = 0;
        while deciders.iter().any(|thread| !thread.is_finished()) {
            n += 1;
            authorizer.replace(set(&sets[n % 2]));
        }
    });
}

#[test]
fn a_viewer_reveals_by_the_set_it_began_with() {
    let policies = r#"
        permit(principal in Group::"hr", action == Action::"reveal", resource in DataClass::"pii")
        when { context.resource == Resource::"llama" };
        forbid(principal, action == Action::"reveal", resource in DataClass::"pii.passport");
        permit(principal, action == Action::"reveal", resource in DataClass::"opaque") when { context.token.mfa };"#;
    let (authorizer, _) = authorizer(policies);
    let viewer_then = viewer(&authorizer, identity("ana", &["hr"]), "llama");
    let class = |name: &str| DataClass::new(name).unwrap();
    for (name, expected) in [
        ("pii", true),
        ("pii.email", true),
        ("pii.passport", false),
        ("pii.passport.number", false),
        ("pii-other", false),
        ("opaque.image", false),
        ("credential.aws", false),
    ] {
        assert_eq!(viewer_then.reveals(&class(name)), expected, "{name}");
        assert_eq!(viewer_then.reveals(&class(name)), expected, "{name}, remembered");
    }
    authorizer.replace(set("permit(principal, action, resource);"));
    assert!(!viewer_then.reveals(&class("credential.gcp")));
    assert!(viewer(&authorizer, identity("ana", &["hr"]), "llama").reveals(&class("credential.aws")));
}

#[test]
fn reveal_decisions_are_not_shared_between_tokens_groups_or_resources() {
    let (authorizer, _) = authorizer(
        "permit(principal in Group::\"hr\", action == Action::\"reveal\", resource in DataClass::\"pii\")
         when { context.resource == Resource::\"llama\" };",
    );
    // The same subject and, made up, the same digest.
    let sees = |groups: &[&str], resource: &str| {
        viewer(&authorizer, identity("ana", groups), resource).reveals(&DataClass::new("pii.email").unwrap())
    };
    assert!(sees(&["hr"], "llama"));
    assert!(!sees(&[], "llama"));
    assert!(!sees(&["hr"], "qwen"));
    assert!(sees(&["hr"], "llama"));
}

#[test]
fn a_reveal_policy_that_fails_masks() {
    let (authorizer, _) = authorizer(
        r#"permit(principal, action == Action::"reveal", resource);
        forbid(principal, action == Action::"reveal", resource)
        when { datetime("2024-01-01").offset(duration("9223372036854775807ms")) > datetime("2024-01-01") };"#,
    );
    assert!(
        !viewer(&authorizer, identity("ana", &[]), "llama").reveals(&DataClass::new("pii.email").unwrap())
    );
}

#[test]
fn usable_models_are_those_the_mildest_request_may_ask() {
    let (authorizer, _) = authorizer(
        r#"permit(principal, action == Action::"infer", resource == Model::"llama/small") when { context.batch < 2 };
        permit(principal, action == Action::"embed", resource == Model::"llama/vectors");
        permit(principal, action == Action::"infer", resource == Model::"llama/big") when { context.approvals >= 3 };
        permit(principal, action == Action::"train", resource == Model::"llama/raw");
        permit(principal, action == Action::"infer", resource == Model::"qwen/other");"#,
    );
    let ana = Arc::new(identity("ana", &[]));
    let scene = authorizer.scene(&ana, surroundings().client);
    let usable = Chooser::new(authorizer.current(), ana, llama(), "model".into(), scene);
    for (model, expected) in
        [("small", true), ("vectors", true), ("big", true), ("raw", false), ("other", false), ("", false)]
    {
        assert_eq!(usable.may_use(model), expected, "{model}");
        assert_eq!(usable.may_use(model), expected, "{model}, remembered");
    }
}

#[test]
fn refusals_tell_people_the_sentence_and_name_the_policy() {
    let (authorizer, _) = authorizer(RESEARCH);
    let mut op = operation(Class::Infer, "llama-3");
    op.facts.matches.insert("secrets".into());
    let refusal = refuse(&authorizer, &identity("ana", &["research"]), op);
    assert_eq!(refusal.code, Code::PolicyDenied);
    assert_eq!(refusal.reason, "Nothing that looks like a secret goes to a model.");
    assert_eq!(refusal.policies, ["secrets"]);

    let refusal = refuse(&authorizer, &identity("eve", &[]), operation(Class::Infer, "llama-3"));
    assert_eq!(refusal.reason, "No policy permits you to `infer` on model `llama-3` of resource `llama`.");
    assert!(refusal.policies.is_empty());
    // Which groups would do is for the operator alone.
    assert!(refusal.detail.unwrap().contains("Group::\"research\""));

    let mut op = operation(Class::Infer, "llama-3");
    op.facts.batch = 32;
    let refusal = refuse(&authorizer, &identity("ana", &["research"]), op);
    assert_eq!(
        refusal.reason,
        "No policy permits you to `infer` on model `llama-3` of resource `llama`. \
         The nearest permit does not cover it: batch 32 > 8."
    );
}

#[test]
fn what_a_refusal_tells_holds_no_name_from_a_condition() {
    let (authorizer, _) = authorizer(
        "permit(principal, action == Action::\"infer\", resource)
         when { [\"boss@example.com\"].contains(principal.email) };",
    );
    let refusal = refuse(&authorizer, &identity("eve", &[]), operation(Class::Infer, "m\u{7}odel"));
    assert_eq!(refusal.reason, "No policy permits you to `infer` on model `model` of resource `llama`.");
    assert!(refusal.detail.unwrap().contains("boss@example.com"));
}

#[test]
fn what_a_refusal_tells_holds_no_name_of_a_deny_list() {
    let (authorizer, _) = authorizer(
        "permit(principal, action == Action::\"infer\", resource) when { context.matches.isEmpty() };",
    );
    let mut op = operation(Class::Infer, "m");
    op.facts.matches.insert("merger".into());
    assert!(!refuse(&authorizer, &identity("eve", &[]), op).reason.contains("merger"));
}

#[test]
fn a_permit_deep_in_a_large_set_is_found_and_decides() {
    let many: String = (0..1000)
        .map(|n| {
            format!(
                "permit(principal in Group::\"g{n}\", action == Action::\"infer\", resource in Resource::\"llama\")
                 when {{ context.batch <= {n} }};\n"
            )
        })
        .collect();
    let (authorizer, _) = authorizer(&many);
    let mut op = operation(Class::Infer, "m");
    op.facts.batch = 900;
    let who = identity("ana", &["g900"]);
    assert_eq!(decide(&authorizer, &who, std::slice::from_ref(&op)).ruling, Ruling::Allowed);
    op.facts.batch = 901;
    let refusal = refuse(&authorizer, &who, op);
    assert!(refusal.reason.ends_with("The nearest permit does not cover it: batch 901 > 900."), "{refusal}");
}
