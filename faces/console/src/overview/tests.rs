//! What becomes of records and classes on their way to the page, and that nothing of it is markup.

use http_body_util::{BodyExt, Limited};
use model::ExchangeId;

use super::*;

fn at() -> Timestamp {
    "2026-11-22T12:00:00.123456789Z".parse().unwrap()
}

fn listed(ruling: &str, outcome: Option<&str>, code: Option<&str>) -> Listed {
    Listed {
        exchange: ExchangeId::at(at()),
        arrived: at(),
        session: None,
        begins: None,
        client: None,
        issuer: None,
        subject: None,
        email: None,
        kind: None,
        groups: Vec::new(),
        resource: Some("<b>llama</b>".to_owned()),
        model: Some("\"><script>alert(1)</script>".to_owned()),
        classes: Vec::new(),
        operations: vec!["openai.chat".to_owned()],
        method: None,
        path: None,
        ruling: Some(ruling.to_owned()),
        policies: vec!["engineers' \"policy\"".to_owned()],
        outcome: outcome.map(str::to_owned),
        code: code.map(str::to_owned),
        status: None,
        first_byte_after: None,
        total: Some(1_234_567_890),
        tokens: None,
        masked: vec![("pii.email".to_owned(), 2), ("credential.aws".to_owned(), 1)],
        revealed: Vec::new(),
    }
}

fn overview(recent: Recent) -> Overview {
    Overview {
        person: PersonView {
            name: "Al<i>ce".to_owned(),
            initial: "A".to_owned(),
            email: Some("alice@example.test".to_owned()),
            issuer_name: "corp".to_owned(),
            issuer: "https://id.test".to_owned(),
            subject: "\"'&".to_owned(),
            groups: vec!["ml & co".to_owned()],
            groups_from: vec!["/groups".to_owned()],
            from_userinfo: false,
            login: Vec::new(),
            mfa: false,
        },
        session: SessionView {
            began: When::new(at(), &TimeZone::UTC),
            renewed: When::new(at(), &TimeZone::UTC),
            ends: When::new(at(), &TimeZone::UTC),
        },
        resources: Vec::new(),
        recent,
        zone: "UTC".to_owned(),
        token: "the-form-token".to_owned(),
    }
}

async fn page(of: &Overview) -> String {
    let answer = pages::overview(of).unwrap();
    let mut body = Limited::new(answer.into_body(), 1 << 20);
    let bytes = body.frame().await.unwrap().unwrap().into_data().unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn nothing_that_is_shown_is_markup_or_script() {
    let rows = vec![row(listed("allowed", Some("completed"), None), &TimeZone::UTC)];
    let text =
        page(&overview(Recent::Shown { rows, older: Some("/?before=1-a&b".to_owned()), further: false }))
            .await;
    for raw in ["<b>llama", "<script", "Al<i>ce", "\"'&", " style=", "onclick", "javascript:"] {
        assert!(!text.contains(raw), "{raw} in {text}");
    }
    for shown in ["Al&#60;i&#62;ce", "ml &#38; co", "openai.chat", "3 masked", "1.2 s", "the-form-token"] {
        assert!(text.contains(shown), "{shown} not in {text}");
    }
    let hidden = page(&overview(Recent::Hidden("No policy <permits> you.".to_owned()))).await;
    assert!(hidden.contains("No policy &#60;permits&#62; you.") && !hidden.contains("<table"));
}

#[test]
fn decisions_and_outcomes_have_words_not_only_colours() {
    let marks = |ruling, outcome, code| {
        let row = row(listed(ruling, outcome, code), &TimeZone::UTC);
        (row.decision.word, row.decision.tone, row.outcome.word, row.outcome.tone)
    };
    let told = |a: &str, b, c: &str, d| (a.to_owned(), b, c.to_owned(), d);
    assert_eq!(marks("allowed", Some("completed"), None), told("allowed", "good", "completed", "plain"));
    assert_eq!(
        marks("denied", Some("refused"), Some("policy_denied")),
        told("denied", "bad", "policy denied", "bad")
    );
    assert_eq!(marks("needs-approvals", None, None), told("needs approvals", "wait", "under way", "wait"));
    assert_eq!(marks("allowed", Some("caller-gone"), None), told("allowed", "good", "caller gone", "wait"));
}

#[test]
fn times_and_families_are_for_people() {
    assert_eq!(took(900_000), "under 1 ms");
    assert_eq!(took(999_000_000), "999 ms");
    assert_eq!(took(61_500_000_000), "1 min 1 s");
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let when = When::new(at(), &zone);
    assert_eq!((when.exact.as_str(), when.time.as_str()), ("2026-11-22T12:00:00Z", "13:00:00"));
    let classes =
        ["pii.email", "pii.phone", "credential", "credential.aws"].map(|name| DataClass::new(name).unwrap());
    let told: Vec<(String, usize)> =
        families(&classes).into_iter().map(|family| (family.name, family.members.len())).collect();
    assert_eq!(told, [("credential".to_owned(), 1), ("pii".to_owned(), 2)]);
}
