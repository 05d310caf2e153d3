//! People are told of what waits: by webhooks that anybody can verify, and in Slack.

use std::process::Command;
use std::time::Duration;

use e2e::ask::chat;
use e2e::client;
use e2e::gateway::Gateway;
use e2e::plan::Plan;
use e2e::process::{Part, eventually, free_address};
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Received, Reply, Step};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Lets the ml-engineers infer, and embed with the consent of one person.
const EMBED_WAITS: &str = r#"
@id("engineers-infer")
permit(principal in Group::"ml-engineers", action == Action::"infer", resource in Resource::"llama");
@id("engineers-embed-with-consent")
permit(principal in Group::"ml-engineers", action == Action::"embed", resource in Resource::"llama")
when { context.approvals >= 1 };
"#;

const PROMPT: &str = "the words nobody may be told in passing";

/// A signing secret, made up here.
fn secret() -> String {
    format!("whsec_{}", "c2VjcmV0".repeat(5) + "Cg==")
}

async fn model() -> FakeUpstream {
    FakeUpstream::start(|_| Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [] })))
        .await
}

fn plan(provider: &Provider, upstream: &FakeUpstream, tell: &Value) -> Plan {
    Plan::before(provider, &upstream.url())
        .policy("engineers.cedar", EMBED_WAITS)
        .environment("WEBHOOK_SECRET", &secret())
        .environment("SLACK_TOKEN", &["xoxb", "-made-up"].concat())
        .with(json!({ "approvals": { "url": "https://portcullis.example.test", "tell": tell } }))
}

fn hook(url: &str) -> Value {
    json!({ "webhooks": { "ops": { "url": url, "secrets": "env:WEBHOOK_SECRET" } } })
}

/// Asks for an embedding, without waiting for its approval.
async fn ask(gateway: &Gateway, token: &str) -> client::Answer {
    let body = json!({ "model": "tiny-llama", "input": PROMPT });
    let mut request =
        client::request(http::Method::POST, &gateway.url("/llama/v1/embeddings"), Some(token), Some(&body));
    request.headers_mut().insert("prefer", http::HeaderValue::from_static("respond-async"));
    client::try_send(request).await.unwrap()
}

fn body(received: &Received) -> Value {
    serde_json::from_slice(&received.body).unwrap()
}

/// The page's example of a receiver, as a program.
fn documented() -> String {
    let page = include_str!("../../docs/telling.md");
    let (_, rest) = page.split_once("```python\n").expect("an example in Python");
    rest.split_once("```").expect("its end").0.to_owned()
}

#[tokio::test]
async fn the_documented_receiver_verifies_what_is_sent_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("receiver.py");
    std::fs::write(&program, documented()).unwrap();
    let address = free_address();
    let start = || {
        let mut command = Command::new("python3");
        command.arg(&program).arg(address.port().to_string()).env("WEBHOOK_SECRET", secret());
        Part::start("the receiver", &mut command)
    };
    let (provider, upstream) = tokio::join!(Provider::start(), model());
    let tell = hook(&format!("http://{address}/"));
    let mut gateway =
        plan(&provider, &upstream, &tell).with(json!({ "approvals": { "expires": "8s" } })).start().await;
    let alice = provider.login("alice").await;

    // Nobody listens yet; and what waits to be told outlives the process.
    let told = ask(&gateway, &alice).await;
    assert_eq!(told.status, StatusCode::CONFLICT, "{}", told.text());
    let failed = r#"portcullis_tell_failures_total{to="webhook:ops"}"#;
    let mut metrics = String::new();
    while !metrics.contains(failed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        metrics = gateway.metrics().await;
    }
    gateway.kill();
    let mut receiver = start();
    gateway.restart().await;
    let first = receiver.ready().await;
    assert_eq!(first["message"]["type"], "approval.requested", "{first}");
    let data = &first["message"]["data"];
    let id = data["approval"].as_str().unwrap();
    assert_eq!(data["url"], format!("https://portcullis.example.test/approvals/{id}"));
    assert_eq!(data["about"], json!({ "kind": "request", "resource": "llama", "operations": ["embed"] }));
    assert_eq!(data["requester"]["subject"], "alice");
    assert!(told.text().contains(id), "{}", told.text());
    let second = receiver.ready().await;
    assert_eq!(second["message"]["type"], "approval.expired", "{second}");
    assert_eq!(second["message"]["data"]["approval"], id);
    assert!(!receiver.log().contains(PROMPT) && !receiver.log().contains(&alice));

    // What anybody else sends is not believed.
    let forged = client::post(&format!("http://{address}/"), "x", &first["message"]).await;
    assert_eq!(forged.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn slack_shows_one_message_that_changes_with_the_outcome() {
    // As the Web API is documented: `ok` and `ts`, 429 with `Retry-After`, form or JSON bodies.
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let slack = FakeUpstream::start(move |received| {
        if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            return Reply::json(&json!({ "ok": false, "error": "ratelimited" }))
                .status(429)
                .header("retry-after", "1");
        }
        let bearer = received.headers.get("authorization").and_then(|value| value.to_str().ok());
        match bearer.is_some_and(|bearer| bearer.starts_with("Bearer xoxb-")) {
            true => Reply::json(&json!({ "ok": true, "channel": "C0123456789", "ts": "1700000000.000001" })),
            false => Reply::json(&json!({ "ok": false, "error": "not_authed" })),
        }
    });
    let (provider, upstream, slack) = tokio::join!(Provider::start(), model(), slack);
    let tell = json!({ "slack": {
        "channel": "C0123456789", "token": "env:SLACK_TOKEN", "api": format!("{}/api", slack.url()),
    } });
    let plan = plan(&provider, &upstream, &tell).with(json!({ "approvals": { "expires": "4s" } }));
    let gateway = plan.start().await;
    let alice = provider.login("alice").await;
    assert_eq!(ask(&gateway, &alice).await.status, StatusCode::CONFLICT);
    let got = gateway.eventually(|| Some(slack.received()).filter(|got| got.len() >= 3)).await;
    let targets: Vec<&str> = got.iter().map(|one| one.target.as_str()).collect();
    assert_eq!(targets, ["/api/chat.postMessage", "/api/chat.postMessage", "/api/chat.update"]);
    let (posted, updated) = (body(&got[1]), body(&got[2]));
    assert!(posted.to_string().contains("https://portcullis.example.test/approvals/"), "{posted}");
    assert!(posted["text"].as_str().unwrap().starts_with("Approval needed: alice@example.test"), "{posted}");
    assert!(updated["text"].as_str().unwrap().starts_with("Expired"), "{updated}");
    assert_eq!(updated["ts"], "1700000000.000001");
    for one in [posted, updated] {
        let text = one.to_string();
        assert!(!text.contains(PROMPT) && !text.contains(&alice) && !text.contains("xoxb"), "{text}");
    }
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_up_nothing() {
    let silent = FakeUpstream::start(|_| {
        Reply::of_type("text/plain").then(Step::Wait(std::sync::Arc::new(Semaphore::new(0))))
    });
    // Its head comes at once, its body never does: the teller waits for the whole of it.
    let (provider, upstream, silent) = tokio::join!(Provider::start(), model(), silent);
    let mut gateway = plan(&provider, &upstream, &hook(&silent.url())).start().await;
    let alice = provider.login("alice").await;
    assert_eq!(ask(&gateway, &alice).await.status, StatusCode::CONFLICT);
    let waits = eventually(Duration::from_secs(30), || (!silent.received().is_empty()).then_some(())).await;
    assert!(waits.is_some(), "the receiver was asked");
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
    assert!(gateway.stop().await.success(), "the end does not wait for it for long");
}

#[tokio::test]
async fn a_secret_that_is_none_is_told_of_and_sends_nothing() {
    let receiver = FakeUpstream::start(|_| Reply::of_type("text/plain"));
    let (provider, upstream, receiver) = tokio::join!(Provider::start(), model(), receiver);
    let plan = plan(&provider, &upstream, &hook(&receiver.url()));
    let plan =
        plan.with(json!({ "approvals": { "tell": { "webhooks": { "ops": { "secrets": "file:bad" } } } } }));
    let gateway = plan.file("bad", "hunter2hunter2\n").start().await;
    let alice = provider.login("alice").await;
    assert_eq!(ask(&gateway, &alice).await.status, StatusCode::CONFLICT);
    gateway.eventually(|| gateway.log().contains("openssl rand").then_some(())).await;
    assert!(receiver.received().is_empty());
    assert!(!gateway.log().contains("hunter2"));
    // Mended while it runs: the file is read at each sending.
    std::fs::write(gateway.file("bad"), secret()).unwrap();
    gateway.eventually(|| (!receiver.received().is_empty()).then_some(())).await;
}
