//! Parts of answers whose class is known by their place, for those who may see them and those who may not.

use serde_json::Value;

use super::shapes::{SSE, got};
use super::*;
use crate::ServerKind::OpenAi;
use crate::{FieldPlace, FieldRule};

/// Made up, and put together here so that no scanner takes it for a real one.
fn secret() -> String {
    ["AK", "IA", "Q3EGRZ7XPLMNT5VW"].concat()
}

fn rule(place: &str, class: &str, dropped: bool) -> FieldRule {
    let place = match place.strip_prefix("header:") {
        Some(name) => FieldPlace::Header(http::HeaderName::try_from(name).unwrap()),
        None => {
            let steps = place.split('/').skip(1);
            FieldPlace::Body(steps.map(|step| (step != "*").then(|| step.to_owned())).collect())
        }
    };
    FieldRule { place, class: DataClass::new(class).unwrap(), dropped }
}

fn with(fields: Vec<FieldRule>) -> AdapterSpec {
    AdapterSpec { fields, ..spec(OpenAi) }
}

fn json(fields: Vec<FieldRule>, sees: &'static [&'static str], answer: &str) -> String {
    let kind = [("content-type", "application/json")];
    let got = got(with(fields), "/v1/chat/completions", &kind, sees, &[answer.as_bytes()]).unwrap();
    serde_json::from_str::<Value>(&got.text).unwrap_or_else(|fault| panic!("{fault}: {}", got.text));
    got.text
}

#[test]
fn fields_are_replaced_or_left_out_for_those_who_may_not_see_them() {
    let answer = r#"{"user":{"name":"Ada","ssn":"none of yours","n":[1,2]}, "choices":[{"score":0.5,"x":{"y":1}},{"score":null}],"last":true}"#;
    let one = |place, dropped| vec![rule(place, "pii.us-ssn", dropped)];
    assert_eq!(json(one("/user/ssn", false), &[], answer), answer.replace("none of yours", "[pii.us-ssn]"));
    assert_eq!(json(one("/user/ssn", true), &[], answer), answer.replace(r#","ssn":"none of yours""#, ""));
    assert_eq!(json(one("/user/ssn", false), &["pii"], answer), answer);
    assert_eq!(json(one("/user/name", true), &[], answer), answer.replace(r#""name":"Ada","#, ""));
    assert_eq!(
        json(one("/user", false), &[], answer),
        answer.replace(r#"{"name":"Ada","ssn":"none of yours","n":[1,2]}"#, "null")
    );
    assert_eq!(json(one("/choices/*/score", false), &[], answer), answer.replace("0.5", "\"[pii.us-ssn]\""));
    assert_eq!(json(one("/choices/1", true), &[], answer), answer.replace(r#",{"score":null}"#, ""));
    assert_eq!(json(one("/user/n/*", true), &[], answer), answer.replace("[1,2]", "[]"));
    assert_eq!(json(one("/last", false), &[], answer), answer.replace("true", "\"[pii.us-ssn]\""));
    assert_eq!(json(one("/*", true), &[], answer), "{}");
    let several =
        vec![rule("/user/*", "a", true), rule("/user/ssn", "b", false), rule("/choices", "c", true)];
    assert_eq!(json(several, &[], answer), r#"{"user":{},"last":true}"#);
    let escaped = r#"{"us\u0065r":{"ssn":"a","ssn":"b"}}"#;
    assert_eq!(json(one("/user/ssn", true), &[], escaped), r#"{"us\u0065r":{}}"#);
    // What is revealed is still looked into.
    let inside = format!(r#"{{"user":{{"ssn":"{}"}}}}"#, secret());
    assert_eq!(json(one("/user/ssn", false), &["pii"], &inside), r#"{"user":{"ssn":"[credential.aws]"}}"#);
}

#[test]
fn fields_are_hidden_in_every_message_of_a_stream() {
    let kind = [("content-type", SSE)];
    let event = |text: &str| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\",\"score\":1}}}}],\"usage\":{{\"a\":1}}}}\n\n"
        )
    };
    let sent = event("Hel ") + &event("lo. ") + "data: [DONE]\n\n";
    let hide = |fields| got(with(fields), "/v1/chat/completions", &kind, &[], &[sent.as_bytes()]).unwrap();
    let replaced = hide(vec![rule("/choices/*/delta/content", "model.words", false)]);
    let expected = event("[model.words]") + &event("") + "data: [DONE]\n\n";
    assert_eq!(replaced.text, expected);
    let dropped = hide(vec![rule("/choices/*/delta/score", "a", true), rule("/usage", "b", true)]);
    assert_eq!(dropped.text, sent.replace(",\"score\":1", "").replace(",\"usage\":{\"a\":1}", ""));
    assert_eq!(dropped.findings.masked.values().sum::<u64>(), 4);
}

#[test]
fn headers_are_hidden_and_what_is_no_json_is_refused() {
    let headers = [("content-type", "application/json"), ("x-score", "9"), ("x-team", "blue")];
    let fields = vec![rule("header:x-score", "model.score", false), rule("header:x-team", "org.team", true)];
    let got_all = got(with(fields.clone()), "/v1/x", &headers, &["model", "org"], &[b"{}"]).unwrap();
    assert_eq!(
        (&got_all.headers["x-score"], &got_all.headers["x-team"]),
        (&"9".parse().unwrap(), &"blue".parse().unwrap())
    );
    let none = got(with(fields.clone()), "/v1/x", &headers, &[], &[b"{}"]).unwrap();
    assert_eq!(none.headers["x-score"], "[model.score]");
    assert!(!none.headers.contains_key("x-team"));
    // Hidden headers need no JSON; hidden fields do, whatever the answer calls itself.
    let text = [("content-type", "text/plain")];
    assert_eq!(got(with(fields), "/v1/x", &text, &[], &[b"plain"]).unwrap().text, "plain");
    for kind in ["text/plain", "text/html", "application/yaml", "application/xml", "application/json"] {
        let answer =
            got(with(vec![rule("/a", "a", false)]), "/v1/x", &[("content-type", kind)], &[], &[b"a: b"]);
        assert!(answer.is_err(), "{kind}");
        let answer =
            got(with(vec![rule("/a", "a", false)]), "/v1/x", &[("content-type", kind)], &["a"], &[b"a: b"]);
        assert_eq!(answer.unwrap().text, "a: b", "{kind}");
    }
}
