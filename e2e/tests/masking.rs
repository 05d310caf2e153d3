//! What policy does not reveal does not reach the caller, however the upstream cuts it.

use e2e::ask::{joined, say, stream};
use e2e::client;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Received, Reply};
use http::StatusCode;
use serde_json::{Value, json};

const BEFORE: &str = "the key is ";
const AFTER: &str = " and that is all";

/// Made up, and put together here so that no scanner takes it for a real one.
fn secret() -> String {
    ["AK", "IA", "Q3EGRZ7XPLMNT5VW"].concat()
}

/// Any five characters of it in a row would be a leak.
fn leaks(text: &[u8]) -> bool {
    secret().as_bytes()[4..].windows(5).any(|piece| text.windows(5).any(|window| window == piece))
}

/// The user's words say after which bytes to cut.
fn cut_as_told(asked: &Received) -> Reply {
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    let cuts: Vec<usize> =
        body["messages"][0]["content"].as_str().unwrap().split(',').map(|cut| cut.parse().unwrap()).collect();
    let text = format!("{BEFORE}{}{AFTER}", secret());
    let ends = cuts.iter().copied().chain([text.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    Reply::chat(starts.zip(ends).map(|(start, end)| &text[start..end]))
}

#[tokio::test]
async fn a_secret_cut_at_any_byte_of_a_stream_never_arrives() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(cut_as_told));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let token = provider.login("alice").await;
    let length = BEFORE.len() + secret().len() + AFTER.len();
    let every_byte = (1..length).map(|cut| cut.to_string()).collect::<Vec<_>>().join(",");
    let mut cuts: Vec<String> = (1..length).map(|cut| cut.to_string()).collect();
    cuts.push(every_byte);
    let asked = cuts.len();
    for cuts in cuts {
        let mut answer = stream(&gateway, &token, &cuts).await;
        let (raw, end) = client::drain(answer.body_mut()).await;
        assert_eq!(end, Ok(()), "{cuts}");
        let text = joined(&raw);
        assert!(!leaks(&raw) && !leaks(text.as_bytes()), "cut at {cuts}: {}", String::from_utf8_lossy(&raw));
        assert!(text.starts_with(BEFORE) && text.ends_with(AFTER), "cut at {cuts}: {text}");
        assert!(String::from_utf8_lossy(&raw).ends_with("data: [DONE]\n\n"), "cut at {cuts}");
    }
    gateway.sealed(asked).await;
    let recorded = gateway.ledger_bytes();
    assert!(
        !recorded.windows(secret().len()).any(|window| window == secret().as_bytes()),
        "the ledger holds it"
    );
}

#[tokio::test]
async fn it_is_found_wherever_it_stands() {
    let answers = |asked: &Received| {
        let text = format!("{BEFORE}{}{AFTER}", secret());
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        match body["messages"][0]["content"].as_str().unwrap() {
            "whole" => Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [
                { "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" } ] })),
            "escaped" => {
                let escaped: String =
                    text.chars().map(|letter| format!("\\u{:04x}", letter as u32)).collect();
                Reply::of_type("application/json").send(format!(
                    r#"{{"id":"1","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"{escaped}"}}}}]}}"#
                ))
            }
            "arguments" => Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [
                { "index": 0, "message": { "role": "assistant", "content": null, "tool_calls": [{ "id": "a", "type": "function",
                  "function": { "name": "f", "arguments": json!({ "key": text }).to_string() } }] } } ] })),
            "error" => Reply::of_type("text/plain").status(500).send(text),
            "page" => Reply::of_type("text/html").status(502).send(format!("<h1>{text}</h1>")),
            _ => Reply::json(&json!({ "id": "1", "choices": [] })).header("x-note", &text),
        }
    };
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(answers));
    let plan = Plan::before(&provider, &upstream.url());
    let gateway =
        plan.with(json!({ "resources": { "llama": { "return_headers": ["x-note"] } } })).start().await;
    let token = provider.login("alice").await;
    for place in ["whole", "escaped", "arguments", "error", "page", "header"] {
        let answer = say(&gateway, &token, place).await;
        assert!(!leaks(&answer.body), "{place}: {}", answer.text());
        assert!(!leaks(format!("{:?}", answer.headers).as_bytes()), "{place}: {:?}", answer.headers);
        assert!(!leaks(answer.text().replace("\\u00", "").as_bytes()), "{place}: {}", answer.text());
        if place == "whole" || place == "escaped" {
            let body = answer.json();
            let text = body["choices"][0]["message"]["content"].as_str().unwrap();
            assert!(text.starts_with(BEFORE) && text.ends_with(AFTER), "{place}: {text}");
        }
    }
}

#[tokio::test]
async fn who_may_see_it_sees_it() {
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::chat([BEFORE, &secret(), AFTER])));
    let reveal = r#"permit(principal in Group::"admins", action == Action::"reveal", resource in DataClass::"credential");"#;
    let gateway = Plan::before(&provider, &upstream.url()).policy("reveal.cedar", reveal).start().await;
    let read = async |token: String| {
        let mut answer = stream(&gateway, &token, "hello").await;
        joined(&client::drain(answer.body_mut()).await.0)
    };
    assert_eq!(read(provider.login("alice").await).await, format!("{BEFORE}{}{AFTER}", secret()));
    let masked = read(provider.machine("agent-runner").await).await;
    assert!(!leaks(masked.as_bytes()) && masked.starts_with(BEFORE) && masked.ends_with(AFTER), "{masked}");
}

#[tokio::test]
async fn what_holds_nothing_to_mask_arrives_byte_for_byte() {
    // Odd on purpose: spaces, escapes, an unknown key, a number that floats would change.
    let events = [
        r#"{"id":"chatcmpl-1", "object":"chat.completion.chunk","created":1,"model":"tiny-llama","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"x":12345678901234567890.5}"#,
        r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"caf\u00e9 \ud83d\ude00 \/ tab\t!"},"finish_reason":null}]}"#,
        r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ];
    let sent: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(move |_| Reply::events(events)));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let mut answer = stream(&gateway, &provider.login("alice").await, "hello").await;
    let (raw, end) = client::drain(answer.body_mut()).await;
    assert_eq!(end, Ok(()));
    assert_eq!(String::from_utf8_lossy(&raw), sent);
}

#[tokio::test]
async fn an_opaque_value_is_hidden_from_those_who_may_not_see_its_kind() {
    let vector = "AACAPwAAAEAAAEBA".repeat(8);
    let sent = vector.clone();
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(move |_| Reply::json(&json!({ "object": "list", "model": "tiny-llama",
            "data": [{ "object": "embedding", "index": 0, "embedding": sent }] })))
    );
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let body = json!({ "model": "tiny-llama", "input": "hello", "encoding_format": "base64" });
    let answer =
        client::post(&gateway.url("/llama/v1/embeddings"), &provider.login("alice").await, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert!(!answer.text().contains(&vector), "{}", answer.text());
    assert!(answer.json()["data"][0]["embedding"].is_string());
}

/// Ollama's own interface streams a JSON object a line.
#[tokio::test]
async fn a_secret_split_over_lines_of_json_never_arrives() {
    let line = |text: &str, done: bool| {
        let line = json!({ "model": "tiny-llama", "created_at": "2026-01-01T00:00:00Z",
            "message": { "role": "assistant", "content": text }, "done": done });
        format!("{line}\n")
    };
    let text = format!("{BEFORE}{}{AFTER}", secret());
    let upstream = FakeUpstream::start(move |_| {
        let letters = text.chars().map(|letter| line(&letter.to_string(), false));
        let lines = letters.chain([line("", true)]);
        lines.fold(Reply::of_type("application/x-ndjson"), |reply, line| reply.send(line))
    });
    let (provider, upstream) = tokio::join!(Provider::start(), upstream);
    let gateway = Plan::before(&provider, &upstream.url())
        .with(json!({ "resources": { "llama": { "server": "ollama" } } }))
        .start()
        .await;
    let body = json!({ "model": "tiny-llama", "messages": [{ "role": "user", "content": "hello" }] });
    let url = gateway.url("/llama/api/chat");
    let answer = client::post(&url, &provider.login("alice").await, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let lines: Vec<Value> =
        answer.text().lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
    let said: String = lines.iter().filter_map(|line| line["message"]["content"].as_str()).collect();
    assert!(!leaks(answer.text().as_bytes()) && !leaks(said.as_bytes()), "{said}");
    assert_eq!(said, format!("{BEFORE}[credential.aws]{AFTER}"));
    assert_eq!(lines.last().unwrap()["done"], true);
    let exchanges = gateway.sealed(1).await;
    assert_eq!(exchanges[0].0["masked"]["credential.aws"], 1, "{:?}", exchanges[0]);
}
