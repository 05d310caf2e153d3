//! How prompts are laid out for who approves.
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(value: &Value) -> Prompt {
    Prompt::read(value.to_string().as_bytes())
}

fn shown(prompt: &Prompt) -> Vec<(&str, &str)> {
    prompt.parts.iter().map(|part| (part.label.as_str(), part.text.as_str())).collect()
}

#[test]
fn a_conversation_is_shown_by_role_and_the_rest_together() {
    let prompt = read(&json!({
        "model": "m", "max_tokens": 5, "system": "be brief",
        "messages": [
            { "role": "user", "content": "hello" },
            { "role": "assistant", "content": null, "tool_calls": [{ "function": { "name": "f" } }] },
            { "role": "user", "content": [
                { "type": "text", "text": "one" },
                { "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{}", "A".repeat(300)) } },
            ] },
        ],
    }));
    let shown = shown(&prompt);
    assert_eq!(shown[..2], [("system", "be brief"), ("user", "hello")]);
    assert_eq!(shown[2], ("assistant", ""));
    assert!(shown[3].0 == "assistant, beside the text" && shown[3].1.contains("tool_calls"), "{shown:?}");
    assert!(shown[4].1.starts_with("one\n\n"), "{shown:?}");
    assert!(shown[4].1.contains("[300 characters of data:image/png]"), "{shown:?}");
    assert!(shown[5].0 == "other fields" && shown[5].1.contains("\"max_tokens\": 5"), "{shown:?}");
    assert_eq!(prompt.hidden, 0);
}

#[test]
fn prompts_lists_and_what_is_no_object_are_shown_too() {
    assert_eq!(shown(&read(&json!({ "prompt": "once" }))), [("prompt", "once")]);
    assert_eq!(shown(&read(&json!({ "input": ["a", "b"] }))), [("input", "a"), ("input", "b")]);
    assert_eq!(shown(&read(&json!("text"))), [("body", "\"text\"")]);
    assert_eq!(shown(&Prompt::read(b"a=1&b=2")), [("body", "a=1&b=2")]);
    assert_eq!(shown(&Prompt::read(b"\xff\xfe")), [("body", "[2 bytes that are no text]")]);
    assert_eq!(Prompt::read(b""), Prompt::default());
}

#[test]
fn what_is_too_long_is_told_by_its_length_and_ends_as_it_ends() {
    let text = format!("{}the end", "word ".repeat(2_000));
    let prompt = read(&json!({ "prompt": text }));
    let part = &prompt.parts[0];
    assert!(part.text.starts_with("word ") && part.end.ends_with("the end"), "{part:?}");
    let seen = part.text.chars().count() + part.end.chars().count();
    assert_eq!((seen, part.hidden), (PART, text.chars().count() - PART));
    assert_eq!(prompt.hidden, part.hidden);
}

#[test]
fn of_many_messages_the_first_and_the_last_are_shown() {
    let messages: Vec<Value> =
        (0..100).map(|at| json!({ "role": "user", "content": format!("message {at:02}") })).collect();
    let prompt = read(&json!({ "messages": messages }));
    let note = &prompt.parts[FIRST];
    assert_eq!(note.label, "68 parts that are not shown");
    assert_eq!((note.hidden, prompt.hidden), (68 * "message 00".len(), 68 * "message 00".len()));
    assert_eq!(prompt.parts.first().unwrap().text, "message 00");
    assert_eq!(prompt.parts.last().unwrap().text, "message 99");
}

#[test]
fn what_cannot_be_seen_is_written_out() {
    assert_eq!(
        plain("a\u{202e}b\u{200b}c\x1b[31m\u{e0041}\r\nd\te"),
        "a⟨U+202E⟩b⟨U+200B⟩c⟨U+001B⟩[31m⟨U+E0041⟩\nd\te"
    );
    assert_eq!(plain("👩\u{200d}👩 ❤\u{fe0f} é"), "👩\u{200d}👩 ❤\u{fe0f} é");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let name = prop_oneof![
            Just("role".to_owned()),
            Just("content".to_owned()),
            Just("messages".to_owned()),
            "[a-z]{1,6}"
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every text in a value.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

proptest! {
    /// Nothing is left out but what is counted.
    #[test]
    fn every_word_of_a_short_request_is_there(messages in proptest::collection::vec(any_json(), 0..4), more in any_json()) {
        let value = json!({ "messages": messages, "other": more });
        let prompt = read(&value);
        prop_assert_eq!(prompt.hidden, 0);
        let all: String = prompt.parts.iter().map(|part| format!("{}\n{}\n", part.label, part.text)).collect();
        let mut words = Vec::new();
        texts(&value, &mut words);
        for word in words {
            // Within JSON a text stands escaped.
            let escaped = serde_json::to_string(&word).unwrap();
            let escaped = plain(escaped.trim_matches('"'));
            prop_assert!(all.contains(&plain(&word)) || all.contains(&escaped), "{:?} is not in {}", word, all);
        }
    }

    #[test]
    fn nothing_that_is_shown_moves_a_screen(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        for part in Prompt::read(&body).parts {
            for letter in part.text.chars().chain(part.label.chars()).chain(part.end.chars()) {
                prop_assert!(letter == '\n' || letter == '\t' || !(letter.is_control() || is_unseen(letter)));
            }
        }
    }
}
