//! What operators' tools read: health, readiness, counters, and a log that holds no secret.

use e2e::ask::{chat, code, say};
use e2e::client;
use e2e::plan::{Plan, UPSTREAM_KEY};
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply};
use http::StatusCode;
use serde_json::{Value, json};

const PROMPT: &str = "a-canary-in-the-question";
const ANSWER: &str = "a-canary-in-the-answer";

async fn upstream() -> FakeUpstream {
    FakeUpstream::start(|_| {
        Reply::json(&json!({ "id": "1", "object": "chat.completion",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": ANSWER } }] }))
    })
    .await
}

#[tokio::test]
async fn it_lives_is_ready_and_counts() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let health = client::try_get(&gateway.observe_url("/healthz")).await.unwrap();
    assert_eq!((health.status, health.text().trim()), (StatusCode::OK, "ok"));
    let ready = client::try_get(&gateway.observe_url("/readyz")).await.unwrap();
    assert_eq!(ready.status, StatusCode::OK);
    assert_eq!((&ready.json()["ready"], &ready.json()["missing"]), (&json!(true), &json!([])));

    assert_eq!(chat(&gateway, &provider.login("alice").await).await.status, StatusCode::OK);
    assert_eq!(chat(&gateway, &provider.login("bob").await).await.status, StatusCode::FORBIDDEN);
    gateway.sealed(2).await;
    let metrics = gateway.metrics().await;
    let counted = |labels: &[&str]| {
        let mut lines = metrics.lines().filter(|line| line.starts_with("portcullis_exchanges_total{"));
        lines.any(|line| labels.iter().all(|label| line.contains(label)) && line.ends_with(" 1"))
    };
    assert!(counted(&[r#"outcome="completed""#]), "{metrics}");
    assert!(counted(&[r#"outcome="refused""#, r#"code="policy_denied""#]), "{metrics}");

    // Callers' doors tell nothing of this.
    let outside = client::try_get(&gateway.url("/metrics")).await.unwrap();
    assert_eq!(outside.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn it_is_not_ready_before_any_issuer_was_reached_and_says_so() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    provider.away(true).await;
    let mut gateway = Plan::before(&provider, &upstream.url()).start_unready().await;
    let missing = gateway.readiness(StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(missing["missing"].to_string().contains("issuer"), "{missing}");
    provider.away(false).await;
    gateway.readiness(StatusCode::OK).await;
    assert!(gateway.stop().await.success());
}

/// The log is JSON lines, since a test is no terminal, and each names the request it tells of.
#[tokio::test]
async fn the_log_tells_every_request_and_no_secret() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let plan = Plan::before(&provider, &upstream.url()).environment("PORTCULLIS_LOG", "trace");
    let mut gateway = plan.start().await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    let touched = format!("{}x", &alice[..alice.len() - 1]);
    let answers = [
        say(&gateway, &alice, PROMPT).await,
        say(&gateway, &bob, PROMPT).await,
        say(&gateway, &touched, PROMPT).await,
    ];
    assert_eq!(answers[0].status, StatusCode::OK);
    assert_eq!(code(&answers[2]), "token_invalid");
    gateway.sealed(3).await;
    assert!(gateway.stop().await.success());
    let log = gateway.log();
    for answer in &answers {
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert!(log.contains(id), "{id} is not in {log}");
    }
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
    let signature = |token: &str| token.rsplit('.').next().unwrap_or_default()[..20].to_owned();
    for secret in [PROMPT, ANSWER, UPSTREAM_KEY, &alice, &bob, &signature(&alice), &signature(&bob)] {
        assert!(!log.contains(secret), "the log holds {secret}:\n{log}");
    }
}
