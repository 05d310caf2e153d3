//! A recording is masked again for whoever reads it: exactly as if that reader had asked.

use e2e::admin::{copies, frames, get, played};
use e2e::ask::{chat_body, joined, say, stream};
use e2e::client;
use e2e::gateway::Gateway;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Received, Reply};
use http::StatusCode;
use serde_json::{Value, json};

/// Made up, and put together here so that no scanner takes it for a real one.
fn secret() -> String {
    ["AK", "IA", "Q3EGRZ7XPLMNT5VW"].concat()
}

const MAIL: &str = "zorba.quill@kestrelpost.com";

fn text() -> String {
    format!("the key is {} and her mail {MAIL}, that is all", secret())
}

/// Cut into pieces of three bytes, so that no chunk holds a whole value.
fn in_pieces(asked: &Received) -> Reply {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let text = text();
    if body["stream"] == true {
        let pieces: Vec<&str> =
            text.as_bytes().chunks(3).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
        return Reply::chat(pieces);
    }
    Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [
        { "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" } ] }))
}

/// Alice sees everything; Bob nothing; both may ask and read.
const POLICIES: &str = r#"
// Both may ask.
@id("ask")
permit (principal, action == Action::"infer", resource in Resource::"llama");

// Admins see everything.
@id("see")
permit (principal in Group::"admins", action == Action::"reveal", resource);

// Both may read what is recorded of llama.
@id("read")
permit (principal, action in [Action::"view", Action::"replay"], resource in Resource::"llama");
"#;

async fn stand() -> (Provider, FakeUpstream, Gateway) {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(in_pieces));
    let plan = Plan::before(&provider, &upstream.url()).policy("engineers.cedar", POLICIES).administered();
    let gateway = plan.start().await;
    (provider, upstream, gateway)
}

async fn streamed(gateway: &Gateway, token: &str) -> (String, String) {
    let mut answer = stream(gateway, token, &format!("my mail is {MAIL}")).await;
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let (raw, end) = client::drain(answer.body_mut()).await;
    assert_eq!(end, Ok(()));
    (id, String::from_utf8(raw).unwrap())
}

fn hides(text: &str) {
    for hidden in [secret(), MAIL.to_owned()] {
        for piece in hidden.as_bytes()[4..].windows(6) {
            let piece = std::str::from_utf8(piece).unwrap();
            assert!(!text.contains(piece), "{piece} is seen in {text}");
        }
    }
}

#[tokio::test]
async fn a_replayed_stream_is_what_its_reader_would_have_been_shown() {
    let (provider, _upstream, gateway) = stand().await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    let (hers, she_saw) = streamed(&gateway, &alice).await;
    assert!(joined(she_saw.as_bytes()).contains(&secret()) && she_saw.contains("data: [DONE]"));
    let (_, he_saw) = streamed(&gateway, &bob).await;
    hides(&joined(he_saw.as_bytes()));

    let path = format!("/sessions/{hers}/replay");
    let her_replay = get(&gateway, &path, &alice).await;
    assert_eq!(her_replay.headers["content-type"], "application/x-ndjson");
    let her_text = joined(played(&her_replay).as_bytes());
    assert_eq!(her_text, joined(she_saw.as_bytes()), "who may see everything is played everything");
    assert!(her_text == text() && played(&her_replay).contains("data: [DONE]"));
    let his_replay = played(&get(&gateway, &path, &bob).await);
    hides(&his_replay);
    let his_text = joined(his_replay.as_bytes());
    hides(&his_text);
    assert_eq!(his_text, joined(he_saw.as_bytes()), "masked as if he had asked");
    let times: Vec<u64> = frames(&her_replay).iter().filter_map(|frame| frame["after_ns"].as_u64()).collect();
    assert!(times.is_sorted() && times.len() == frames(&her_replay).len(), "{times:?}");

    let shown = get(&gateway, &format!("/sessions/{hers}"), &bob).await.json();
    hides(&joined(shown["response"]["body"].as_str().unwrap().as_bytes()));
    hides(&shown.to_string());
    assert!(shown["masked_again"]["pii.email"].as_u64().unwrap() >= 2, "in the question too: {shown}");
    let shown = get(&gateway, &format!("/sessions/{hers}"), &alice).await.json();
    assert_eq!(joined(shown["response"]["body"].as_str().unwrap().as_bytes()), text());
    assert!(shown["request"]["body"].as_str().unwrap().contains(MAIL), "{shown}");
    assert_eq!(shown["masked_again"], json!({}));
}

#[tokio::test]
async fn answers_lists_and_explanations_are_masked_too() {
    let (provider, _upstream, gateway) = stand().await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    let answer = say(&gateway, &alice, "hello").await;
    let id = answer.headers["x-request-id"].to_str().unwrap();
    assert!(answer.text().contains(&secret()));
    let mut named = chat_body("hello");
    named["model"] = json!(format!("model-of-{MAIL}"));
    let odd = client::post(&gateway.url("/llama/v1/chat/completions"), &alice, &named).await;
    let odd = odd.headers["x-request-id"].to_str().unwrap().to_owned();
    gateway.sealed(2).await;
    for path in [format!("/sessions/{id}"), format!("/sessions/{id}/replay"), format!("/sessions/{odd}/why")]
    {
        let seen = get(&gateway, &path, &bob).await;
        assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
        hides(&seen.text());
    }
    let list = get(&gateway, "/sessions?resource=llama", &bob).await;
    assert_eq!(list.json()["sessions"].as_array().unwrap().len(), 2, "{}", list.text());
    hides(&list.text());
    let list = get(&gateway, "/sessions?resource=llama", &alice).await;
    assert!(list.text().contains(MAIL), "{}", list.text());
    // What is shown is not kept a second time.
    let before = copies(&gateway, &secret());
    let _ = get(&gateway, &format!("/sessions/{id}"), &alice).await;
    gateway.sealed(8).await;
    assert_eq!(copies(&gateway, &secret()), before);
}

#[tokio::test]
async fn nothing_of_a_resource_that_is_gone_is_shown() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(in_pieces));
    let plan = Plan::before(&provider, &upstream.url())
        .resource("other", e2e::plan::model_at(&upstream.url()))
        .policy("engineers.cedar", POLICIES)
        .administered();
    let gateway = plan.start().await;
    let alice = provider.login("alice").await;
    let id = say(&gateway, &alice, "hello").await.headers["x-request-id"].to_str().unwrap().to_owned();
    let file = gateway.file("portcullis.yaml");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    config["resources"].as_object_mut().unwrap().remove("llama");
    std::fs::write(&file, config.to_string()).unwrap();
    gateway.reload();
    let shown = gateway.eventually(|| {
        let text = gateway.log();
        text.contains("reloaded").then_some(())
    });
    shown.await;
    let shown = get(&gateway, &format!("/sessions/{id}"), &alice).await.json();
    let body = shown["response"]["body"].as_str().unwrap();
    assert!(!body.contains(&secret()) && body.contains("not shown"), "{shown}");
}
