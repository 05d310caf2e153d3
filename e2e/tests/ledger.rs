//! The record: nothing a caller saw is missing from it, and nothing is left open.

use std::sync::Arc;

use e2e::ask::{chat, code, joined, stream};
use e2e::client;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply, Step, chat_delta};
use http::{Method, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;

#[tokio::test]
async fn what_a_caller_saw_before_kill_9_is_in_the_ledger() {
    const WORDS: usize = 40;
    let never = Arc::new(Semaphore::new(0));
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(move |_| {
            let deltas: Vec<String> =
                (0..WORDS).map(|number| chat_delta(&format!("word-{number} "))).collect();
            Reply::events(deltas.iter().map(String::as_str)).then(Step::Wait(Arc::clone(&never)))
        })
    );
    let mut gateway = Plan::before(&provider, &upstream.url()).start().await;
    let token = provider.login("alice").await;
    let mut answer = stream(&gateway, &token, "hello").await;
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let mut seen = Vec::new();
    // The last words may be held back: they could still become something to mask.
    while !joined(&seen).contains(&format!("word-{} ", WORDS / 2)) {
        seen.extend(client::next(answer.body_mut()).await.expect("the stream is open").unwrap());
    }
    gateway.kill();
    let (rest, end) = client::drain(answer.body_mut()).await;
    seen.extend(rest);
    assert!(end.is_err(), "a killed gateway cannot end an answer well");

    gateway.restart().await;
    let exchange = &gateway.sealed(1).await[0];
    assert_eq!((exchange.id(), exchange.outcome()), (id.as_str(), Some("interrupted")));
    let recorded = joined(gateway.show(&id)["response"]["body"].as_str().unwrap().as_bytes());
    assert!(recorded.starts_with(&joined(&seen)), "seen: {}\nrecorded: {recorded}", joined(&seen));
    assert_eq!(code(&chat_as_nobody(&gateway).await), "token_missing", "it works again");
}

async fn chat_as_nobody(gateway: &e2e::gateway::Gateway) -> client::Answer {
    let url = gateway.url("/llama/v1/chat/completions");
    client::send(Method::POST, &url, None, Some(&e2e::ask::chat_body("hello"))).await
}

#[tokio::test]
async fn a_known_caller_at_an_unknown_resource_is_recorded_by_name() {
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::json(&json!({}))));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let token = provider.login("alice").await;
    for path in ["/elsewhere/v1/models", "/llama/v1//models"] {
        let refused = client::send(Method::GET, &gateway.url(path), Some(&token), None).await;
        assert!(refused.status.is_client_error(), "{path}: {}", refused.status);
    }
    for exchange in gateway.sealed(2).await {
        let shown = gateway.show(exchange.id());
        assert_eq!(shown["outcome"], "refused");
        assert_eq!(shown["caller"]["email"], "alice@example.test", "{shown}");
    }
}

#[tokio::test]
async fn a_stranger_leaves_one_record_without_a_body() {
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::json(&json!({}))));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let words = "words of a stranger";
    let url = gateway.url("/llama/v1/chat/completions");
    let refused = client::send(Method::POST, &url, None, Some(&e2e::ask::chat_body(words))).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let exchange = &gateway.sealed(1).await[0];
    assert_eq!((exchange.outcome(), exchange.code()), (Some("refused"), Some("token_missing")));
    assert_eq!(refused.headers["x-request-id"], exchange.id());
    assert!(!gateway.ledger_bytes().windows(words.len()).any(|window| window == words.as_bytes()));
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn a_record_says_who_asked_what_and_why_it_was_decided() {
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(|_| Reply::json(
            &json!({ "id": "1", "object": "chat.completion", "choices": [] })
        ))
    );
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    assert_eq!(chat(&gateway, &provider.login("alice").await).await.status, StatusCode::OK);
    assert_eq!(code(&chat(&gateway, &provider.login("bob").await).await), "policy_denied");
    let exchanges = gateway.sealed(2).await;
    assert_eq!(exchanges[0].outcome(), Some("completed"));
    let allowed = gateway.texts(exchanges[0].id());
    for word in
        ["alice", provider.issuer.as_str(), "llama", "openai.chat", "tiny-llama", "engineers-use-llama"]
    {
        assert!(allowed.contains(word), "{word} is not in {allowed}");
    }
    let why = gateway.why(exchanges[1].id()).to_string();
    for word in ["bob", "engineers-use-llama", "ml-engineers"] {
        assert!(why.contains(word), "{word} is not in {why}");
    }
}

#[tokio::test]
async fn one_ledger_has_one_writer() {
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::json(&json!({}))));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let other = gateway.cli(&["serve"]);
    assert!(!other.status.success(), "two gateways write one ledger");
    let said = String::from_utf8_lossy(&other.stderr).into_owned() + &String::from_utf8_lossy(&other.stdout);
    assert!(!said.is_empty(), "and says nothing about it");
    assert_eq!(
        chat(&gateway, &provider.login("alice").await).await.status,
        StatusCode::OK,
        "the first goes on"
    );
}
