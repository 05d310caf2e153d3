//! Who is shut out of a running gateway: from the next request on, in the middle of a stream, after
//! `kill -9`; and a gateway that cannot know lets nobody in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use e2e::ask::{chat, code, joined, stream};
use e2e::client;
use e2e::gateway::Gateway;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply, Step, chat_delta};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// An upstream that begins a stream and never ends it, or answers at once.
pub(crate) async fn endless() -> FakeUpstream {
    FakeUpstream::start(|received| {
        if String::from_utf8_lossy(&received.body).contains("stream") {
            let never = Step::Wait(Arc::new(Semaphore::new(0)));
            return Reply::events([chat_delta("it has begun, and so ").as_str()]).then(never);
        }
        Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [] }))
    })
    .await
}

/// The stream's text so far, once it has begun.
pub(crate) async fn begun(body: &mut hyper::body::Incoming) -> Vec<u8> {
    let mut read = Vec::new();
    while !joined(&read).contains("begun") {
        read.extend(client::next(body).await.expect("the stream begins").expect("and is not broken off"));
    }
    read
}

fn local(gateway: &Gateway, arguments: &[&str]) -> Value {
    gateway.cli_json(&[arguments, &["--local", "--json"]].concat())
}

#[tokio::test]
async fn a_block_cuts_a_live_stream_and_outlives_the_process() {
    let (provider, upstream) = tokio::join!(Provider::start(), endless());
    let mut gateway = Plan::before(&provider, &upstream.url()).start().await;
    let alice = provider.login("alice").await;
    let agent = provider.machine("agent-runner").await;
    let id = format!("{}#alice", provider.issuer);
    let mut cut = stream(&gateway, &alice, "hello").await;
    let mut other = stream(&gateway, &agent, "hello").await;
    let seen = begun(cut.body_mut()).await;
    begun(other.body_mut()).await;

    let blocked = local(&gateway, &["access", "block", &id, "--reason", "left the company"]);
    assert_eq!(blocked["blocked"]["reason"], "left the company");
    let (rest, end) = client::drain(cut.body_mut()).await;
    assert!(end.is_err(), "a cut stream never looks complete");
    let told = String::from_utf8([seen, rest].concat()).unwrap();
    assert!(told.contains("caller_blocked") && !told.contains("left the company"), "{told}");
    let refused = chat(&gateway, &alice).await;
    assert_eq!((refused.status, code(&refused).as_str()), (StatusCode::FORBIDDEN, "caller_blocked"));
    assert_eq!(chat(&gateway, &provider.login("alice").await).await.status, StatusCode::FORBIDDEN);
    assert_eq!(chat(&gateway, &agent).await.status, StatusCode::OK);
    let sealed =
        gateway.eventually(|| gateway.exchanges().into_iter().find(|one| one.outcome() == Some("cut")));
    assert_eq!(sealed.await.code(), Some("caller_blocked"));

    let inspected = gateway.cli(&["token", "inspect", &alice, "--json"]);
    let inspected: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!((&inspected["accepted"], &inspected["code"]), (&json!(false), &json!("caller_blocked")));

    gateway.kill();
    gateway.restart().await;
    assert_eq!(code(&chat(&gateway, &alice).await), "caller_blocked");
    let listed = local(&gateway, &["callers", "list", "--shut-out"]);
    assert_eq!(listed["callers"][0]["id"], id.as_str(), "{listed}");
    let unblocked = local(&gateway, &["access", "unblock", &id]);
    assert_eq!(unblocked["was_blocked"], true);
    // Another process changed it: it is seen a moment later.
    for _ in 0..200 {
        if chat(&gateway, &alice).await.status == StatusCode::OK {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("never let in again:\n{}", gateway.log());
}

#[tokio::test]
async fn a_block_ends_what_still_waits_for_the_upstream() {
    let silent = FakeUpstream::start(|_| {
        Reply::of_type("application/json").then(Step::Wait(Arc::new(Semaphore::new(0))))
    });
    let (provider, upstream) = tokio::join!(Provider::start(), silent);
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let alice = provider.login("alice").await;
    let asking = chat(&gateway, &alice);
    let blocking = async {
        while upstream.received().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        local(&gateway, &["access", "block", &format!("{}#alice", provider.issuer)])
    };
    let (answer, _) = tokio::join!(asking, blocking);
    assert_eq!((answer.status, code(&answer).as_str()), (StatusCode::FORBIDDEN, "caller_blocked"));
    assert_eq!(gateway.sealed(1).await[0].outcome(), Some("cut"));
}

#[tokio::test]
async fn a_revocation_ends_tokens_of_before_and_callers_are_listed() {
    let (provider, upstream) = tokio::join!(Provider::start(), endless());
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let alice = provider.login("alice").await;
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
    let listed = gateway.eventually(|| {
        let listed = local(&gateway, &["callers", "list"]);
        (!listed["callers"].as_array()?.is_empty()).then_some(listed)
    });
    let listed = listed.await;
    let caller = &listed["callers"][0];
    assert_eq!(caller["id"], format!("{}#alice", provider.issuer));
    assert_eq!(caller["seen"]["groups"], json!(["admins", "ml-engineers"]));
    assert_eq!((&caller["seen"]["issuer_name"], &caller["blocked"]), (&json!("panva"), &Value::Null));

    let mut cut = stream(&gateway, &alice, "hello").await;
    begun(cut.body_mut()).await;
    // By e-mail address: she was seen. The token's second began before now.
    let far = ["access", "revoke", "alice@example.test", "--before", "2099-01-01T00:00:00Z"];
    assert_eq!(local(&gateway, &far)["revoked"]["subject"], "alice");
    let (told, end) = client::drain(cut.body_mut()).await;
    assert!(end.is_err() && String::from_utf8_lossy(&told).contains("token_revoked"));
    let refused = chat(&gateway, &alice).await;
    assert_eq!((refused.status, code(&refused).as_str()), (StatusCode::UNAUTHORIZED, "token_revoked"));
    assert!(refused.headers.contains_key("www-authenticate"));

    let text = gateway.cli(&["callers", "list", "--local"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("alice@example.test") && text.contains("revoked before"), "{text}");
    let unknown = gateway.cli(&["access", "block", "nobody", "--local"]);
    assert!(!unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("issuer#subject"));
}

#[tokio::test]
async fn a_gateway_that_cannot_read_its_state_does_not_start() {
    let (provider, upstream) = tokio::join!(Provider::start(), endless());
    let mut gateway = Plan::before(&provider, &upstream.url()).start().await;
    let file = gateway.file("ledger.state/state.db");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(gateway.stop().await.success());
    for name in ["state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(gateway.file("ledger.state").join(name));
    }
    fs::write(&file, "no database at all, but long enough to be taken for one".repeat(20)).unwrap();
    let refused = gateway.cli(&["serve"]);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("state.db"), "{said}");
    fs::remove_file(&file).unwrap();
    gateway.restart().await;
}
