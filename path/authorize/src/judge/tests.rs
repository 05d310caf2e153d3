//! What the index leaves out could not have mattered, and what is recorded is what was asked.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::tz::TimeZone;
use model::{Facts, TokenFacts};
use proptest::prelude::*;

use super::*;
use crate::facts::Moment;
use crate::recent::Recent;
use crate::sample;

fn scene() -> Scene {
    Scene {
        client: IpAddr::from([10, 1, 2, 3]),
        moment: Moment::new(sample::noon(), &TimeZone::UTC),
        recent: Recent { requests_hour: 3, requests_day: 4, tokens_hour: 5, tokens_day: u64::MAX },
        owner: None,
    }
}

fn effect() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["permit", "forbid"])
}

fn principal() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("principal".to_owned()),
        Just("principal is Caller".to_owned()),
        (0..3).prop_map(|n| format!("principal in Group::\"g{n}\"")),
        (0..3).prop_map(|n| format!("principal is Caller in Group::\"g{n}\"")),
        (0..2).prop_map(|n| format!("principal == Caller::\"https://id.example#u{n}\"")),
        (0..2).prop_map(|n| format!("principal in Caller::\"https://id.example#u{n}\"")),
    ]
}

fn action() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "action == Action::\"infer\"",
        "action == Action::\"train\"",
        "action in Action::\"ordinary\"",
        "action in Action::\"high-risk\"",
        "action in Action::\"operation\"",
        "action in [Action::\"infer\", Action::\"high-risk\"]",
        "action in [Action::\"embed\", Action::\"train\"]",
    ])
}

fn resource() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "resource",
        "resource is Model",
        "resource is Resource",
        "resource in Resource::\"llama\"",
        "resource in Resource::\"qwen\"",
        "resource is Model in Resource::\"llama\"",
        "resource is Resource in Resource::\"llama\"",
        "resource == Model::\"llama/a\"",
        "resource in Model::\"llama/a\"",
        "resource == Model::\"qwen/a\"",
    ])
}

fn condition() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "",
        "when { context.batch <= 4 }",
        "when { context.batch > 4 }",
        "when { context.approvals >= 1 }",
        "unless { context.approvals >= 2 }",
        "when { context.batch + 9223372036854775800 > 0 }",
        "when { principal in Group::\"g1\" } unless { context.stream }",
        "when { resource in Resource::\"qwen\" || action == Action::\"train\" }",
    ])
}

fn policies() -> impl Strategy<Value = String> {
    let policy = (effect(), principal(), action(), resource(), condition())
        .prop_map(|(e, p, a, r, c)| format!("{e}({p}, {a}, {r}) {c};\n"));
    prop::collection::vec(policy, 0..12).prop_map(|policies| policies.concat())
}

fn identity() -> impl Strategy<Value = Identity> {
    (0..3, prop::collection::btree_set(0..3, 0..3)).prop_map(|(n, groups)| {
        let groups: Vec<String> = groups.iter().map(|g| format!("g{g}")).collect();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        sample::identity(&format!("u{n}"), &groups)
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    let class = prop::sample::select(vec![Class::Infer, Class::Embed, Class::Train, Class::Manage]);
    let model = prop::sample::select(vec!["", "a", "b"]);
    (class, model, 1..9_i64, any::<bool>()).prop_map(|(class, model, batch, stream)| {
        let mut operation = sample::operation(class, model);
        operation.facts.batch = batch;
        operation.facts.stream = stream;
        operation
    })
}

/// Cedar's own answer over all policies: the decision, the policies that decided, those that failed.
fn whole(set: &PolicySet, inquiry: &Inquiry, approvals: u8) -> (bool, BTreeSet<String>, usize) {
    let mut all = cedar_policy::PolicySet::new();
    for policy in &set.policies {
        all.add(policy.cedar.clone()).unwrap();
    }
    let response = CEDAR.is_authorized(&inquiry.request(approvals).unwrap(), &all, &inquiry.players.entities);
    let ids = response.diagnostics().reason().map(ToString::to_string).collect();
    let allowed = response.decision() == cedar_policy::Decision::Allow;
    (allowed, ids, response.diagnostics().errors().count())
}

/// The context as Cedar sees it whole.
fn contexts(inquiry: &Inquiry) -> Context {
    inquiry.request(0).unwrap().context().unwrap().clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// What was remembered of earlier questions changes no answer.
    #[test]
    fn memory_changes_nothing(
        text in policies(), who in identity(), ops in prop::collection::vec((operation(), 0..=3_u8), 1..12),
    ) {
        let parsed = PolicySet::parse(vec![("t.cedar".into(), text)]);
        prop_assume!(parsed.is_ok());
        let set = parsed.unwrap();
        let resource = sample::llama();
        let known = Known::new();
        let fresh = Cast::new(&who, &resource, "model").unwrap();
        let cast = Cast::new(&who, &resource, "model").unwrap().with_known(&known);
        for (op, approvals) in ops {
            let (inquiry, _) = cast.operation(&op, &scene()).unwrap();
            let (anew, _) = fresh.operation(&op, &scene()).unwrap();
            let candidates = inquiry.candidates(&set);
            let remembered = inquiry.weigh(&set, &candidates, approvals).unwrap();
            prop_assert_eq!(remembered, anew.weigh(&set, &candidates, approvals).unwrap());
        }
    }

    /// The candidates, weighed one by one, say what Cedar says of the whole set, except that an error
    /// denies.
    #[test]
    fn the_index_leaves_out_nothing_that_matters(
        text in policies(), who in identity(), op in operation(), approvals in 0..=3_u8,
    ) {
        let parsed = PolicySet::parse(vec![("t.cedar".into(), text)]);
        prop_assume!(parsed.is_ok());
        let set = parsed.unwrap();
        let resource = sample::llama();
        let cast = Cast::new(&who, &resource, "model").unwrap();
        let (inquiry, _) = cast.operation(&op, &scene()).unwrap();
        let verdict = inquiry.weigh(&set, &inquiry.candidates(&set), approvals).unwrap();
        let (allowed, reasons, errors) = whole(&set, &inquiry, approvals);
        prop_assert_eq!(verdict.errors.len(), errors);
        prop_assert_eq!(verdict.allows(), allowed && errors == 0);
        let deciding = if verdict.forbids.is_empty() { &verdict.permits } else { &verdict.forbids };
        let named: BTreeSet<String> = deciding.iter().map(|at| set.policies[*at].id.clone()).collect();
        prop_assert_eq!(named, reasons);
    }

    /// A record holds the question as it was asked, it fits the schema, and judged again it comes out
    /// the same.
    #[test]
    fn the_record_holds_the_question(
        text in policies(), who in identity(), op in operation(),
        words in prop::collection::vec("\\PC{0,12}", 6), counts in prop::array::uniform5(any::<i64>()),
        seconds in -62_135_596_800_i64..253_402_300_799, six in any::<bool>(),
    ) {
        let parsed = PolicySet::parse(vec![("t.cedar".into(), text)]);
        prop_assume!(parsed.is_ok());
        let set = parsed.unwrap();
        let (mut who, mut op) = (who, op);
        who.token = TokenFacts {
            client: Some(words[0].clone()),
            scopes: words.iter().cloned().collect(),
            claims: [(words[1].clone(), words[2].clone())].into(),
            issued_at: jiff::Timestamp::from_second(seconds).ok(),
            ..who.token
        };
        who.groups.insert(words[3].clone());
        op.facts = Facts {
            path: words[4].clone(),
            matches: [words[5].clone()].into(),
            max_tokens: counts[0],
            request_bytes: counts[1],
            images: counts[2],
            audio: counts[3],
            batch: counts[4],
            ..op.facts
        };
        let mut scene = scene();
        scene.moment = Moment::new(jiff::Timestamp::from_second(seconds).unwrap(), &TimeZone::UTC);
        if six {
            scene.client = "2001:db8::1".parse().unwrap();
        }
        let resource = sample::llama();
        let cast = Cast::new(&who, &resource, "model").unwrap();
        let (live, blank) = cast.operation(&op, &scene).unwrap();
        let read = Inquiry::recorded(&blank).unwrap();
        prop_assert_eq!(contexts(&read), contexts(&live));
        prop_assert!(read.players.entities.deep_eq(&live.players.entities));
        let judged = super::operation(&set, &cast, &op, &scene).unwrap();
        let again = judge_again(&set, &judged).unwrap();
        prop_assert_eq!(again.ruling, judged.ruling);
        prop_assert_eq!(again.reasons, judged.reasons);
        prop_assert_eq!(again.errors, judged.errors);
    }
}

#[test]
fn a_reveal_question_fits_the_schema() {
    let who = sample::identity("ana", &["hr"]);
    let resource = sample::llama();
    let cast = Cast::new(&who, &resource, "model").unwrap();
    let (live, blank) = cast.data("reveal", &DataClass::new("pii.passport.number").unwrap()).unwrap();
    let read = Inquiry::recorded(&blank).unwrap();
    assert_eq!(contexts(&read), contexts(&live));
    assert!(read.players.entities.deep_eq(&live.players.entities));
    assert_eq!(live.players.resources.len(), 3);
}

#[test]
fn an_address_in_ipv6_clothes_is_its_ipv4_self() {
    let set = sample::set(
        "permit(principal, action == Action::\"infer\", resource) when { context.client.isInRange(ip(\"10.0.0.0/8\")) };",
    );
    let (who, resource) = (sample::identity("ana", &[]), sample::llama());
    let cast = Cast::new(&who, &resource, "model").unwrap();
    let mut scene = scene();
    scene.client = "::ffff:10.1.2.3".parse().unwrap();
    let judged = super::operation(&set, &cast, &sample::operation(Class::Infer, "m"), &scene).unwrap();
    assert_eq!(judged.ruling, Ruling::Allowed);
}

#[test]
fn a_record_that_was_tampered_with_is_not_judged() {
    let set = sample::set("permit(principal, action == Action::\"infer\", resource);");
    let (who, resource) = (sample::identity("ana", &[]), sample::llama());
    let cast = Cast::new(&who, &resource, "model").unwrap();
    let judged = super::operation(&set, &cast, &sample::operation(Class::Infer, "m"), &scene()).unwrap();
    let mut broken = judged.clone();
    broken.context =
        RawValue::from_string(judged.context.get().replace("\"batch\":1", "\"batch\":\"1\"")).unwrap();
    assert!(judge_again(&set, &broken).is_err());
    let mut broken = judged;
    broken.action = "infer".into();
    assert!(judge_again(&set, &broken).is_err());
}
