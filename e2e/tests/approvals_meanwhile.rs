//! What happens while a request waits: other bytes, other policies, other groups, an old token, a dead
//! gateway. What is released is what was approved, by what holds then.

use e2e::approvals::{SAID, Stand, WITH_CONSENT};
use e2e::ask::code;
use e2e::client;
use http::StatusCode;
use serde_json::{Value, json};

const ASYNC: &[(&str, &str)] = &[("prefer", "respond-async")];

async fn stand() -> (Stand, String, String) {
    stand_with(json!({}), json!({})).await
}

async fn stand_with(resource: Value, change: Value) -> (Stand, String, String) {
    let stand = Stand::start(resource, change).await;
    let (alice, bob) = (stand.provider.login("alice").await, stand.provider.login("bob").await);
    (stand, alice, bob)
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_need_their_own_approval() {
    let (stand, alice, bob) =
        stand_with(json!({}), json!({ "approvals": { "url": "https://gate.example" } })).await;
    let pending = stand.ask(&bob, "one", ASYNC).await;
    assert_eq!((pending.status, code(&pending).as_str()), (StatusCode::CONFLICT, "approval_pending"));
    let wait: u32 = pending.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(wait <= 5 && !pending.headers.contains_key("x-should-retry"), "{:?}", pending.headers);
    let told = pending.json()["error"]["approval"].clone();
    let id = told["id"].as_str().unwrap();
    assert_eq!(told["url"], format!("https://gate.example/approvals/{id}"));
    assert_eq!(pending.headers["x-portcullis-approval"], id);
    stand.says(&alice, id, "approve", "").await;
    let other = stand.ask(&bob, "two", ASYNC).await;
    assert_eq!(code(&other), "approval_pending");
    assert_ne!(other.json()["error"]["approval"]["id"], id);
    assert_eq!(stand.reached(), 0);
    let same = stand.ask(&bob, "one", ASYNC).await;
    assert_eq!(same.status, StatusCode::OK, "{}", same.text());
    assert!(same.text().contains(SAID));
    // Once is once.
    assert_eq!(code(&stand.ask(&bob, "one", ASYNC).await), "approval_pending");
    assert_eq!(stand.reached(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_identical_requests_each_needs_its_own() {
    let (stand, alice, bob) = stand().await;
    let both = [stand.asking(&bob, "same"), stand.asking(&bob, "same")];
    let first = stand.waiting(&alice, 1).await[0].clone();
    // Both wait for it before it is given.
    let held = || {
        let ledger = String::from_utf8_lossy(&stand.gateway.ledger_bytes()).into_owned();
        ledger.contains("joined").then_some(())
    };
    stand.gateway.eventually(held).await;
    stand.says(&alice, &first, "approve", "").await;
    let second = stand.waiting(&alice, 1).await[0].clone();
    assert_ne!(second, first);
    assert_eq!(stand.reached(), 1);
    stand.says(&alice, &second, "approve", "").await;
    for answer in both {
        assert_eq!(answer.await.unwrap().unwrap().status, StatusCode::OK);
    }
    assert_eq!(stand.reached(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_approve_now_approves_and_never_their_own() {
    let (stand, alice, bob) = stand().await;
    let waits = stand.asking(&bob, "hello");
    let id = stand.waiting(&alice, 1).await[0].clone();
    let mallory = stand.provider.login("mallory").await;
    for nobody in [&mallory, &bob] {
        let refused = stand.word(nobody, &id, "approve", "").await;
        assert!(matches!(refused.status.as_u16(), 403 | 404), "{}", refused.text());
    }
    // Alice is in no group any more.
    stand.configure(|config| config["issuers"]["panva"]["groups"]["claims"] = json!(["/none"])).await;
    let refused = stand.word(&alice, &id, "approve", "").await;
    assert!(matches!(refused.status.as_u16(), 403 | 404), "{}", refused.text());
    stand.configure(|config| config["issuers"]["panva"]["groups"]["claims"] = json!(["/groups"])).await;
    // What she asks herself is for others to approve.
    let own =
        stand.ask(&alice, "mine", ASYNC).await.json()["error"]["approval"]["id"].as_str().unwrap().to_owned();
    let refused = stand.word(&alice, &own, "approve", "").await;
    assert!(!refused.status.is_success(), "{}", refused.text());
    assert_eq!(stand.reached(), 0);
    stand.says(&alice, &id, "approve", "").await;
    assert_eq!(waits.await.unwrap().unwrap().status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policies_of_the_release_decide() {
    let (stand, alice, bob) = stand().await;
    let waits = stand.asking(&bob, "forbidden");
    let id = stand.waiting(&alice, 1).await[0].clone();
    let never = r#"
// No questions to the model today.
@id("not-today")
forbid(principal, action == Action::"infer", resource);"#;
    stand.policy("never.cedar", never).await;
    stand.says(&alice, &id, "approve", "").await;
    let refused = waits.await.unwrap().unwrap();
    assert_eq!((refused.status, code(&refused).as_str()), (StatusCode::FORBIDDEN, "policy_denied"));
    assert!(refused.text().contains("No questions to the model today."), "{}", refused.text());
    assert_eq!(refused.headers["x-should-retry"], "false");
    // The approval is still there when policy allows again.
    stand.policy("never.cedar", "").await;
    assert_eq!(stand.ask(&bob, "forbidden", &[]).await.status, StatusCode::OK);

    // Where policy asks for two by then, one is too few.
    let waits = stand.asking(&bob, "more");
    let id = stand.waiting(&alice, 1).await[0].clone();
    stand
        .policy("engineers.cedar", &WITH_CONSENT.replace("context.approvals >= 1", "context.approvals >= 2"))
        .await;
    stand.says(&alice, &id, "approve", "").await;
    let shown = stand.gateway.eventually(|| {
        let ledger = String::from_utf8_lossy(&stand.gateway.ledger_bytes()).into_owned();
        (ledger.matches("consented").count() >= 2).then_some(())
    });
    shown.await;
    assert_eq!(stand.waiting(&alice, 1).await, [id]);
    assert_eq!(stand.reached(), 1);
    stand.policy("engineers.cedar", WITH_CONSENT).await;
    waits.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_while_it_waits_leaves_the_approval_for_a_fresh_one() {
    let (stand, alice, _) = stand().await;
    stand.provider.access_lives(4).await;
    let short = stand.provider.login("bob").await;
    stand.provider.access_lives(600).await;
    let refused = stand.ask(&short, "later", &[]).await;
    assert_eq!((refused.status, code(&refused).as_str()), (StatusCode::UNAUTHORIZED, "token_expired"));
    let id = stand.waiting(&alice, 1).await[0].clone();
    stand.says(&alice, &id, "approve", "").await;
    let fresh = stand.provider.login("bob").await;
    assert_eq!(stand.ask(&fresh, "later", &[]).await.status, StatusCode::OK);
    assert_eq!(stand.approvals(&alice, "released").await[0]["id"], json!(id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_forgets_no_approval() {
    let (mut stand, alice, bob) = stand().await;
    let waits = stand.asking(&bob, "hello");
    let id = stand.waiting(&alice, 1).await[0].clone();
    stand.gateway.kill();
    assert!(waits.await.unwrap().is_err(), "its connection is gone");
    stand.gateway.restart().await;
    assert_eq!(stand.waiting(&alice, 1).await, std::slice::from_ref(&id));
    stand.says(&alice, &id, "approve", "").await;
    assert_eq!(stand.ask(&bob, "hello", &[]).await.status, StatusCode::OK);
    assert_eq!(stand.reached(), 1);
    let outcomes: Vec<_> =
        stand.gateway.exchanges().iter().filter_map(|one| one.outcome().map(str::to_owned)).collect();
    assert!(outcomes.contains(&"interrupted".to_owned()), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_leaves_the_approval_and_a_drain_ends_the_wait() {
    let (mut stand, alice, bob) = stand().await;
    let waits = stand.asking(&bob, "hello");
    let id = stand.waiting(&alice, 1).await[0].clone();
    waits.abort();
    let gone =
        || stand.gateway.exchanges().iter().any(|one| one.outcome() == Some("caller-gone")).then_some(());
    stand.gateway.eventually(gone).await;
    assert_eq!(stand.waiting(&alice, 1).await, std::slice::from_ref(&id));
    let waits = stand.asking(&bob, "hello");
    let held = || String::from_utf8_lossy(&stand.gateway.ledger_bytes()).contains("joined").then_some(());
    stand.gateway.eventually(held).await;
    stand.gateway.stop().await;
    let told = waits.await.unwrap().unwrap();
    assert_eq!((told.status, code(&told).as_str()), (StatusCode::SERVICE_UNAVAILABLE, "draining"));
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_are_held_as_may_and_the_rest_are_told() {
    let limits = json!({ "approvals": { "held_per_caller": 1 } });
    let (stand, alice, bob) = stand_with(json!({}), limits).await;
    let waits = stand.asking(&bob, "one");
    let id = stand.waiting(&alice, 1).await[0].clone();
    let full = stand.ask(&bob, "two", &[]).await;
    assert_eq!(full.status, StatusCode::TOO_MANY_REQUESTS, "{}", full.text());
    stand.says(&alice, &id, "approve", "").await;
    assert_eq!(waits.await.unwrap().unwrap().status, StatusCode::OK);
    let waits = stand.asking(&bob, "two");
    stand.waiting(&alice, 1).await;
    waits.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_before_its_answer_and_is_cut_when_denied() {
    let (stand, alice, bob) = stand().await;
    let mut held = client::try_open(stand.streaming(&bob, "stream")).await.unwrap();
    assert_eq!(
        (held.status(), &held.headers()["content-type"]),
        (StatusCode::OK, &"text/event-stream; charset=utf-8".parse().unwrap())
    );
    let first = client::next(held.body_mut()).await.unwrap().unwrap();
    let id = held.headers()["x-portcullis-approval"].to_str().unwrap().to_owned();
    assert_eq!(first, format!(": waiting for approval {id}\n\n"));
    stand.says(&alice, &id, "deny", "not so").await;
    let (rest, end) = client::drain(held.body_mut()).await;
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains("approval_denied") && rest.contains("not so"), "{rest}");
    assert!(end.is_err(), "it must not look complete");
}
