//! What policy does not let a caller send never reaches the model, nor the ledger; and what it does not
//! let a group see of an answer does not reach that group.

use e2e::ask::{chat_body, code, joined, stream};
use e2e::client;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply};
use http::StatusCode;
use serde_json::{Value, json};

/// Made up, and put together here so that no scanner takes it for a real one.
fn secret() -> String {
    ["AK", "IA", "Q3EGRZ7XPLMNT5VW"].concat()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A conversation with the secret in words, in a tool call's arguments, in escapes and in base64.
fn conversation() -> Value {
    let picture = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(40));
    json!({ "model": "tiny-llama", "max_tokens": 8, "messages": [
        { "role": "system", "content": "You help. Write to ada@example.org." },
        { "role": "user", "content": [
            { "type": "text", "text": format!("why does {} not work?", secret()) },
            { "type": "image_url", "image_url": { "url": picture } } ] },
        { "role": "assistant", "content": null, "tool_calls": [ { "id": "a", "type": "function",
            "function": { "name": "f", "arguments": json!({ "env": format!("KEY={}\n", secret()) }).to_string() } } ] },
        { "role": "tool", "tool_call_id": "a", "content": client_base64(&format!("key = {}", secret())) } ] })
}

fn client_base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test]
async fn a_key_in_a_prompt_reaches_neither_the_model_nor_the_ledger() {
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::chat(["fine"])));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let token = provider.login("alice").await;
    let url = gateway.url("/llama/v1/chat/completions");
    let asked = conversation();
    let answer = client::post(&url, &token, &asked).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());

    let received = upstream.received().remove(0);
    let length: usize = received.headers["content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(length, received.body.len());
    let body: Value = serde_json::from_slice(&received.body).unwrap();
    assert!(!holds(&received.body, &secret()[4..]), "{body}");
    assert!(!holds(&received.body, &client_base64(&secret()[4..])[..12]), "{body}");
    // Everything else is as it was sent.
    let mut expected = asked.clone();
    expected["messages"][1]["content"][0]["text"] = json!("why does [credential.aws] not work?");
    let arguments = json!({ "env": "KEY=[credential.aws]\n" }).to_string();
    expected["messages"][2]["tool_calls"][0]["function"]["arguments"] = json!(arguments);
    let coded = body["messages"][3]["content"].as_str().unwrap();
    assert!(coded.contains("[credential.aws]"), "{coded}");
    expected["messages"][3]["content"] = json!(coded);
    assert_eq!(body, expected);

    let exchanges = gateway.sealed(1).await;
    assert!(!holds(&gateway.ledger_bytes(), &secret()));
    let shown = gateway.show(exchanges[0].id());
    let (kept, sent) = (
        json!({ "class": "credential.aws", "masked": 3, "revealed": 0 }),
        json!({ "class": "pii.email", "masked": 0, "revealed": 1 }),
    );
    assert_eq!(shown["disclosed"], json!([kept, sent]));
}

#[tokio::test]
async fn what_holds_nothing_is_forwarded_byte_for_byte() {
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::chat(["fine"])));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let sent = "{ \"model\":\"tiny-llama\" , \"messages\":[{\"role\":\"user\",\"content\":\"caf\\u00e9 ada@example.org\"}], \"max_tokens\": 8.0 }";
    let url = gateway.url("/llama/v1/chat/completions");
    let token = provider.login("alice").await;
    let answer = client::post_bytes(&url, &token, "application/json", sent.as_bytes()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(upstream.received().remove(0).body, sent);
}

#[tokio::test]
async fn a_resource_may_refuse_it_and_names_the_class_alone() {
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::chat(["fine"])));
    let strict = json!({ "resources": { "llama": { "disclose": "refuse" } } });
    let gateway = Plan::before(&provider, &upstream.url()).with(strict).start().await;
    let token = provider.login("alice").await;
    let url = gateway.url("/llama/v1/chat/completions");
    let answer = client::post(&url, &token, &conversation()).await;
    assert_eq!((answer.status, code(&answer).as_str()), (StatusCode::FORBIDDEN, "disclosure_refused"));
    assert!(
        answer.text().contains("credential.aws") && !answer.text().contains(&secret()),
        "{}",
        answer.text()
    );
    // Where policy judged by it, it can't be masked in any case.
    let mut named = chat_body("hello");
    named["model"] = json!(secret());
    let lenient = json!({ "resources": { "llama": { "disclose": "mask" } } });
    let other = Plan::before(&provider, &upstream.url()).with(lenient).start().await;
    let answer = client::post(&other.url("/llama/v1/chat/completions"), &token, &named).await;
    assert_eq!(code(&answer), "disclosure_refused", "{}", answer.text());
    assert!(upstream.received().is_empty());
    for gateway in [gateway, other] {
        gateway.sealed(1).await;
        let recorded = gateway.ledger_bytes();
        assert!(!holds(&recorded, &secret()), "the ledger holds it");
    }
}

#[tokio::test]
async fn refused_and_unreadable_requests_leave_no_secret_either() {
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::chat(["fine"])));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let token = provider.login("alice").await;
    let denied = json!({ "model": "tiny-llama", "lora_path": format!("/x {}", secret()) });
    let answer = client::post(&gateway.url("/llama/lora-adapters"), &token, &denied).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let broken = format!("{{\"model\":\"tiny-llama\",\"messages\":[{{\"content\":\"{}\"}}", secret());
    let url = gateway.url("/llama/v1/chat/completions");
    let answer = client::post_bytes(&url, &token, "application/json", broken.as_bytes()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    gateway.sealed(2).await;
    assert!(!holds(&gateway.ledger_bytes(), &secret()), "the ledger holds it");
}

#[tokio::test]
async fn policy_says_who_may_send_what() {
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::chat(["fine"])));
    let policy = r#"
// Admins may send anything.
@id("admins-send")
permit(principal in Group::"admins", action == Action::"disclose", resource);
"#;
    let gateway = Plan::before(&provider, &upstream.url()).policy("disclose.cedar", policy).start().await;
    let url = gateway.url("/llama/v1/chat/completions");
    let words = format!("{} and ada@example.org", secret());
    client::post(&url, &provider.login("alice").await, &chat_body(&words)).await;
    client::post(&url, &provider.machine("agent-runner").await, &chat_body(&words)).await;
    let said = |at: usize| -> String {
        let body: Value = serde_json::from_slice(&upstream.received()[at].body).unwrap();
        body["messages"][0]["content"].as_str().unwrap().to_owned()
    };
    assert_eq!(said(0), words);
    // A policy names the action, so the built-in rule that lets personal data pass holds no more.
    assert_eq!(said(1), "[credential.aws] and [pii.email]");
}

#[tokio::test]
async fn a_group_sees_the_fields_that_policy_shows_it() {
    let answers = |asked: &e2e::upstream::Received| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        if body["stream"] == true {
            let event = |text: &str| {
                format!(
                    r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":"{text}"}},"logprobs":{{"content":[]}},"score":0.5}}]}}"#
                )
            };
            return Reply::events([event("one ").as_str(), event("two ").as_str(), "[DONE]"]);
        }
        Reply::json(
            &json!({ "id": "c", "object": "chat.completion", "user": { "name": "Ada", "ssn": "on file" },
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hi" }, "score": 0.5 }] }),
        )
        .header("x-cost", "12")
    };
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(answers));
    let fields = json!({ "resources": { "llama": { "return_headers": ["x-cost"], "fields": {
        "/choices/*/score": { "class": "model.internals", "masked": "drop" },
        "/user/ssn": "pii.us-ssn",
        "header:x-cost": "model.internals" } } } });
    let policy = r#"
// Admins see how the model came to its answer, and whose it is.
@id("admins-see-internals")
permit(principal in Group::"admins", action == Action::"reveal", resource)
when { resource in DataClass::"model" || resource in DataClass::"pii" };
"#;
    let gateway =
        Plan::before(&provider, &upstream.url()).with(fields).policy("fields.cedar", policy).start().await;
    let url = gateway.url("/llama/v1/chat/completions");
    let (admin, agent) = (provider.login("alice").await, provider.machine("agent-runner").await);
    let shown = client::post(&url, &admin, &chat_body("hello")).await;
    assert_eq!(shown.headers["x-cost"], "12");
    assert_eq!(
        (&shown.json()["user"]["ssn"], &shown.json()["choices"][0]["score"]),
        (&json!("on file"), &json!(0.5))
    );
    let hidden = client::post(&url, &agent, &chat_body("hello")).await;
    assert_eq!(hidden.headers["x-cost"], "[model.internals]");
    assert_eq!(hidden.json()["user"], json!({ "name": "Ada", "ssn": "[pii.us-ssn]" }));
    assert!(hidden.json()["choices"][0].get("score").is_none(), "{}", hidden.text());
    assert_eq!(hidden.json()["choices"][0]["message"]["content"], "hi");
    for (token, sees) in [(admin, true), (agent, false)] {
        let mut answer = stream(&gateway, &token, "hello").await;
        let (raw, _) = client::drain(answer.body_mut()).await;
        assert_eq!(joined(&raw), "one two ");
        assert_eq!(holds(&raw, "score"), sees, "{}", String::from_utf8_lossy(&raw));
    }
    let exchanges = gateway.sealed(4).await;
    assert_eq!(exchanges[1].0["masked"], json!({ "model.internals": 2, "pii.us-ssn": 1 }));
}
