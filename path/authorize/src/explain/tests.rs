//! Explanations as operators read them.

use model::{Class, Identity, Operation};

use super::*;
use crate::judge::judge_again;
use crate::sample::{authorizer, identity, operation, set, surroundings, target};

const POLICIES: &str = r#"// Researchers may ask the llama models, eight at once, without tools.
@id("ask")
permit(principal in Group::"research", action in [Action::"infer", Action::"embed"], resource in Resource::"llama")
when { context.batch <= 8 && !context.tools }
unless { context.stream || context.time.weekday == "sun" };

// Robots may ask from the office network.
@id("robots")
permit(principal in Group::"robots", action == Action::"infer", resource)
when { context.client.isInRange(ip("192.168.0.0/16")) && context.token.scopes.contains("ask") };

// Training needs one approval.
@id("train")
permit(principal in Group::"research", action == Action::"train", resource) when { context.approvals >= 1 };

// Nothing that looks like a secret goes to a model.
@id("secrets")
forbid(principal, action in Action::"operation", resource) when { context.matches.contains("secrets") };
"#;

fn judged(policies: &str, who: &Identity, op: &Operation) -> (PolicySet, Judgement) {
    let (authorizer, _) = authorizer(policies);
    let set = authorizer.current();
    let (decision, faults) =
        authorizer.decide_identity(&set, who, &target(), std::slice::from_ref(op), surroundings());
    assert!(faults.is_empty(), "{faults:?}");
    (crate::sample::set(policies), decision.judgements.into_iter().next().unwrap())
}

fn explained(who: &Identity, op: &Operation) -> Explanation {
    let (set, judgement) = judged(POLICIES, who, op);
    explain(&set, &judgement)
}

#[test]
fn a_default_deny_shows_what_failed_and_what_would_do() {
    let mut op = operation(Class::Infer, "llama-3");
    op.facts.batch = 32;
    op.facts.stream = true;
    let said = explained(&identity("ana", &["research", "staff"]), &op).render();
    insta::assert_snapshot!(said, @r#"
    denied: `infer` on Model::"llama/llama-3"
    caller: Caller::"https://id.example#ana"
    groups: research, staff

    no policy permits it; the nearest is `ask` (test.cedar:2)
      Researchers may ask the llama models, eight at once, without tools.
      fails: batch 32 > 8
             context.batch <= 8
      fails: stream is true
             unless context.stream

    facts
      approvals                  0
      audio                      0
      batch                      32
      client                     10.1.2.3
      images                     0
      matches                    []
      max_tokens                 256
      method                     "POST"
      model                      "llama-3"
      path                       "/v1/chat/completions"
      recent.requests_day        0
      recent.requests_hour       0
      recent.tokens_day          0
      recent.tokens_hour         0
      request_bytes              0
      stream                     true
      time.at                    2026-11-18T12:30:00Z
      time.minute                750
      time.weekday               "wed"
      token.age_seconds          300
      token.audiences            ["portcullis"]
      token.client               "cli"
      token.context_class        ""
      token.methods              ["pwd"]
      token.mfa                  false
      token.scopes               ["models"]
      token.seconds_left         1800
      token.seconds_since_login  1000000000
      tools                      false

    to permit this

    // Group "research" may infer on "llama/llama-3", in requests like this one.
    permit (
      principal in Group::"research",
      action == Action::"infer",
      resource == Model::"llama/llama-3"
    )
    when {
      context.batch <= 32 &&
      context.max_tokens <= 256 &&
      context.matches.isEmpty()
    };
    "#);
}

#[test]
fn a_forbid_is_shown_with_its_sentence() {
    let mut op = operation(Class::Infer, "llama-3");
    op.facts.matches.insert("secrets".into());
    let explanation = explained(&identity("ana", &["research"]), &op);
    assert_eq!(explanation.deciding[0].effect.as_deref(), Some("forbid"));
    assert!(explanation.nearest.is_none());
    let said = explanation.render();
    let head: Vec<_> = said.lines().take_while(|line| *line != "facts").collect();
    insta::assert_snapshot!(head.join("\n"), @r#"
    denied: `infer` on Model::"llama/llama-3"
    caller: Caller::"https://id.example#ana"
    groups: research

    forbid `secrets` (test.cedar:17)
      Nothing that looks like a secret goes to a model.
    "#);
    assert!(said.ends_with("no permit to paste: `secrets` forbids it, and no permit overrides a forbid.\n"));
}

#[test]
fn a_wait_for_approval_names_the_permit_that_asks_for_it() {
    let explanation = explained(&identity("ana", &["research"]), &operation(Class::Train, "llama-3"));
    assert_eq!(explanation.deciding[0].policy, "train");
    assert_eq!(explanation.paste, Paste::NotNeeded);
    assert!(explanation.render().starts_with("waits for 1 approval: `train` on Model::\"llama/llama-3\"\n"));
}

fn findings(policy_condition: &str, op: &Operation) -> Vec<String> {
    let text = format!("permit(principal, action == Action::\"infer\", resource) {policy_condition};");
    let (set, judgement) = judged(&text, &identity("ana", &["research"]), op);
    let near = explain(&set, &judgement).nearest.expect("denied by default");
    near.failing.into_iter().map(|failing| failing.finding).collect()
}

#[test]
fn each_kind_of_condition_is_told_with_its_values() {
    let mut op = operation(Class::Infer, "llama-3");
    op.facts.batch = 32;
    op.facts.matches = ["names".to_owned()].into();
    for (condition, expected) in [
        ("when { context.batch <= 8 }", "batch 32 > 8"),
        ("when { 8 > context.batch }", "8 <= batch 32"),
        ("when { context.batch + 1 == 8 }", "batch + 1 33 != 8"),
        ("when { !(context.batch >= 8) }", "batch 32 >= 8"),
        ("unless { context.batch >= 8 }", "batch 32 >= 8"),
        ("when { context.model == \"qwen\" }", "model \"llama-3\" != \"qwen\""),
        ("when { context.token.mfa }", "token.mfa is false"),
        ("when { context.tools || context.token.mfa }", "tools is false and token.mfa is false"),
        ("unless { context.stream || context.batch > 8 }", "batch 32 > 8"),
        ("when { !(context.batch > 8 && context.images == 0) }", "batch 32 > 8 and images 0 == 0"),
        ("when { context.matches.isEmpty() }", "matches [\"names\"] is not empty"),
        ("when { context.matches.contains(\"x\") }", "matches [\"names\"] does not contain \"x\""),
        (
            "when { context.token.scopes.containsAll([\"a\"]) }",
            "token.scopes [\"models\"] does not contain all of [\"a\"]",
        ),
        (
            "when { context.token.methods.containsAny([\"hwk\"]) }",
            "token.methods [\"pwd\"] contains none of [\"hwk\"]",
        ),
        ("when { context.path like \"/v2/*\" }", "path \"/v1/chat/completions\" is not like \"/v2/*\""),
        (
            "when { context.client.isInRange(ip(\"192.168.0.0/16\")) }",
            "client ip(\"10.1.2.3\") is not in the range ip(\"192.168.0.0/16\")",
        ),
        ("when { context.client.isIpv6() }", "isIpv6(client ip(\"10.1.2.3\")) is false"),
        ("when { principal in Group::\"staff\" }", "the caller is not in Group::\"staff\""),
        ("when { principal.kind == \"workload\" }", "principal.kind \"human\" != \"workload\""),
        ("when { principal.hasTag(\"team\") }", "the caller has no claim \"team\""),
        ("when { resource is Resource }", "the resource is not a Resource"),
        (
            "when { if context.tools then context.stream else context.token.mfa }",
            "`if context.tools then context.stream else context.token.mfa` is false with tools false, stream false, \
          token {\"age_seconds\": 300",
        ),
    ] {
        let found = findings(condition, &op).join("; ");
        let fits = if expected.ends_with("300") { found.starts_with(expected) } else { found == expected };
        assert!(fits, "{condition}\n   said {found}\n wanted {expected}");
    }
}

#[test]
fn only_failing_conjuncts_are_told() {
    let mut op = operation(Class::Infer, "m");
    op.facts.batch = 9;
    let found = findings(
        "when { context.batch < 9 && context.images == 0 && context.token.mfa } unless { context.tools }",
        &op,
    );
    assert_eq!(found, ["batch 9 >= 9", "token.mfa is false"]);
}

#[test]
fn the_nearest_permit_is_the_one_that_lacks_least() {
    // Not in `research`, and no other permit lets anyone embed.
    let near = explained(&identity("eve", &["staff"]), &operation(Class::Embed, "m")).nearest.unwrap();
    assert_eq!(near.policy, "ask");
    assert_eq!(near.findings(), "the caller is not in Group::\"research\"");
    // A robot lacks two conditions of its own permit; being of another group weighs more.
    let near = explained(&identity("r2", &["robots"]), &operation(Class::Infer, "m")).nearest.unwrap();
    assert_eq!((near.policy.as_str(), near.failing.len()), ("robots", 2));
    assert!(explained(&identity("eve", &[]), &operation(Class::Write, "")).nearest.is_none());
}

#[test]
fn a_pasted_permit_allows_the_request_and_not_a_larger_one() {
    let mut plain = operation(Class::Read, "");
    plain.facts.path = "/a \"b\"\\c\nd".into();
    let mut unlimited = operation(Class::Infer, "we\"ird/\\m");
    unlimited.facts.max_tokens = i64::MAX;
    for (who, op) in [
        (identity("ana", &["research", "a\"b"]), operation(Class::Inspect, "")),
        (identity("eve", &[]), operation(Class::Infer, "llama-3")),
        (identity("e\"ve", &[]), unlimited),
        (identity("eve", &["x y"]), plain),
    ] {
        let (before, judgement) = judged(POLICIES, &who, &op);
        let Paste::Permit(text) = explain(&before, &judgement).paste else { panic!("{who:?}") };
        let with = set(&format!("{POLICIES}\n{text}"));
        assert_eq!(judge_again(&with, &judgement).unwrap().ruling, Ruling::Allowed, "{text}");
        let mut larger = op.clone();
        larger.facts.batch = 2;
        let (_, larger) = judged(POLICIES, &who, &larger);
        assert_eq!(judge_again(&with, &larger).unwrap().ruling, Ruling::Denied, "{text}");
        let mut other = op.clone();
        other.facts.model.push_str("-other");
        let (_, other) = judged(POLICIES, &who, &other);
        assert_eq!(judge_again(&with, &other).unwrap().ruling, Ruling::Denied, "{text}");
    }
}

#[test]
fn no_permit_is_offered_for_what_is_high_risk_or_unknown_or_on_a_deny_list() {
    let eve = identity("eve", &["staff"]);
    for class in Class::ALL.into_iter().filter(|class| class.is_high_risk()) {
        let Paste::Withheld(why) = explained(&eve, &operation(class, "m")).paste else { panic!("{class}") };
        assert!(why.starts_with('‼'), "{why}");
    }
    let mut op = operation(Class::Inspect, "");
    op.facts.matches.insert("names".into());
    let Paste::Withheld(why) = explained(&eve, &op).paste else { panic!() };
    assert!(why.contains("deny-list"), "{why}");
    let odd = identity("eve", &["x\ny"]);
    let Paste::Withheld(why) = explained(&odd, &operation(Class::Inspect, "")).paste else { panic!() };
    assert!(why.contains("fit no policy"), "{why}");
}

#[test]
fn an_error_is_shown_and_nothing_offered() {
    let text = "permit(principal, action == Action::\"infer\", resource) when { context.batch * 9223372036854775807 * 2 > 0 };";
    let (set, judgement) = judged(text, &identity("ana", &[]), &operation(Class::Infer, "m"));
    let explanation = explain(&set, &judgement);
    assert!(explanation.render().contains("error, which denies: "), "{}", explanation.render());
    assert!(matches!(explanation.paste, Paste::Withheld(_)));
}

#[test]
fn another_set_still_tells_the_recorded_ids() {
    let mut op = operation(Class::Infer, "m");
    op.facts.matches.insert("secrets".into());
    let (_, judgement) = judged(POLICIES, &identity("ana", &[]), &op);
    let explanation = explain(&set(""), &judgement);
    assert_eq!(explanation.deciding[0].policy, "secrets");
    assert_eq!(explanation.deciding[0].place, None);
    assert!(serde_json::to_value(&explanation).unwrap()["deciding"][0]["sentence"].is_string());
}
