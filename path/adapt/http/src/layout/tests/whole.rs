//! Whatever JSON an answer is, what comes out is JSON in UTF-8, the same for every way to cut it.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::shapes::{SSE, got};
use super::*;
use crate::{FieldPlace, FieldRule};

/// Texts that hold values in the ways answers hold them.
fn text() -> impl Strategy<Value = String> {
    // Made up, and put together here so that no scanner takes them for real ones.
    let key = ["AK", "IA", "Q3EGRZ7XPLMNT5VW"].concat();
    let token = ["gl", "pat-9fKq2LmX7RtV4bN8cZ1w"].concat();
    let inner = serde_json::json!({ "k": format!("a\n{key}\"{token}"), "pwd": "password=\"x\\" }).to_string();
    let twice = serde_json::json!({ "in": inner.clone() }).to_string();
    let pieces = vec![
        key.clone(),
        token,
        inner,
        twice,
        key.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
        key.bytes().map(|b| format!("%{b:02x}")).collect(),
        "QUtJQVEzRUdSWjdYUExNTlQ1Vlc=".to_owned(),
        "ada@example.org".to_owned(),
        " ".to_owned(),
        "\"".to_owned(),
        "\\".to_owned(),
        "\n".to_owned(),
        "é😀\u{0}".to_owned(),
        "password: ".to_owned(),
    ];
    let part = prop_oneof![4 => prop::sample::select(pieces), 1 => "\\PC{0,12}"];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::from(4_111_111_111_111_111_u64)),
        any::<f32>().prop_map(|f| Value::from(f64::from(f))),
        text().prop_map(Value::from),
    ];
    let key = prop_oneof![
        prop::sample::select(vec![
            "choices", "message", "content", "id", "logprobs", "usage", "data", "text"
        ])
        .prop_map(str::to_owned),
        text(),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn fields() -> impl Strategy<Value = Vec<FieldRule>> {
    let step = prop::sample::select(vec![None, Some("choices"), Some("message"), Some("content"), Some("0")]);
    let rule = (prop::collection::vec(step, 1..4), any::<bool>()).prop_map(|(steps, dropped)| FieldRule {
        place: FieldPlace::Body(steps.into_iter().map(|step| step.map(str::to_owned)).collect()),
        class: DataClass::new("model.hidden").unwrap(),
        dropped,
    });
    prop::collection::vec(rule, 0..3)
}

fn cut<'b>(bytes: &'b [u8], places: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_stays_json(
        value in json(),
        fields in fields(),
        pretty in any::<bool>(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        server in prop::sample::select(vec![ServerKind::OpenAi, ServerKind::Plain, ServerKind::Ollama]),
    ) {
        let sent = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let spec = AdapterSpec { fields, ..spec(server) };
        let kind = [("content-type", "application/json")];
        let path = "/v1/chat/completions";
        let whole = got(spec.clone(), path, &kind, &[], &[sent.as_bytes()]).unwrap();
        let read: Result<Value, _> = serde_json::from_str(&whole.text);
        prop_assert!(read.is_ok(), "{:?} of {}: {}", read, sent, whole.text);
        let chunked = got(spec, path, &kind, &[], &cut(sent.as_bytes(), &places)).unwrap();
        prop_assert_eq!(chunked.text, whole.text);
        prop_assert_eq!(chunked.findings, whole.findings);
    }

    #[test]
    fn streams_stay_events_of_json(
        texts in prop::collection::vec(text(), 1..6),
        fields in fields(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let event = |text: &String| {
            let event = serde_json::json!({ "choices": [{ "index": 0, "delta": { "content": text, "x": text } }] });
            format!(": {}\ndata: {event}\n\n", text.replace(['\n', '\r', '\u{0}'], " "))
        };
        let sent: String = texts.iter().map(event).collect::<String>() + "data: [DONE]\n\n";
        let spec = AdapterSpec { fields, ..spec(ServerKind::OpenAi) };
        let kind = [("content-type", SSE)];
        let whole = got(spec.clone(), "/v1/chat/completions", &kind, &[], &[sent.as_bytes()]);
        let chunked = got(spec, "/v1/chat/completions", &kind, &[], &cut(sent.as_bytes(), &places));
        match (whole, chunked) {
            (Ok(whole), Ok(chunked)) => {
                prop_assert_eq!(&chunked.text, &whole.text);
                for line in whole.text.lines().filter_map(|line| line.strip_prefix("data: ")) {
                    prop_assert!(line == "[DONE]" || serde_json::from_str::<Value>(line).is_ok(), "{}", line);
                }
            }
            (whole, chunked) => prop_assert_eq!(whole.err(), chunked.err()),
        }
    }
}

#[test]
fn a_value_split_over_comments_and_unknown_fields_never_arrives() {
    let key = ["AK", "IA", "Q3EGRZ7XPLMNT5VW"].concat();
    for field in [": ", ":", "x: ", "note:"] {
        let sent: String = key
            .chars()
            .map(|letter| format!("{field}{letter}\ndata: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"a \"}}}}]}}\n\n"))
            .collect();
        let got = got(
            spec(ServerKind::OpenAi),
            "/v1/chat/completions",
            &[("content-type", SSE)],
            &[],
            &[sent.as_bytes()],
        )
        .unwrap();
        let lines = got.text.lines().filter(|line| !line.starts_with("data"));
        let said: String =
            lines.map(|line| line.trim_start_matches(['x', 'n', 'o', 't', 'e', ':', ' '])).collect();
        assert!(said.len() < 4 || said.contains("[credential.aws]"), "{field}: {said}");
        assert_eq!(got.text.matches("\"a \"").count(), key.len());
    }
}
