//! What stands behind: credentials that rotate, servers that fail, readers that dawdle or leave.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::ask::{chat, chat_body, code, joined, stream};
use e2e::client;
use e2e::plan::{Plan, UPSTREAM_KEY, model_at};
use e2e::process::free_address;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply, Step, chat_delta};
use http::StatusCode;
use serde_json::json;
use tokio::sync::Semaphore;

fn whole() -> Reply {
    Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [] }))
}

#[tokio::test]
async fn a_credential_rotates_between_two_requests() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(|_| whole()));
    let plan = Plan::before(&provider, &upstream.url());
    let gateway = plan
        .file("upstream.key", "the-first-key\n")
        .with(json!({ "resources": { "llama": { "credential": { "value": "file:upstream.key", "stale": "0s" } } } }))
        .start()
        .await;
    let token = provider.login("alice").await;
    assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK);
    fs::write(gateway.file("upstream.key"), "the-second-key\n").unwrap();
    assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK);
    fs::remove_file(gateway.file("upstream.key")).unwrap();
    let refused = chat(&gateway, &token).await;
    assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (503, "credential_unavailable"));
    let sent: Vec<_> = upstream
        .received()
        .iter()
        .map(|asked| asked.headers["authorization"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(sent, ["Bearer the-first-key", "Bearer the-second-key"]);
}

#[tokio::test]
async fn neither_side_sees_the_others_secret() {
    let echo = |asked: &e2e::upstream::Received| {
        whole().header("x-seen", asked.headers["authorization"].to_str().unwrap()).header("set-cookie", "a=b")
    };
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(echo));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let token = provider.login("alice").await;
    let body = chat_body("the words that were judged");
    let answer = client::post(&gateway.url("/llama/v1/chat/completions"), &token, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let asked = &upstream.received()[0];
    assert_eq!(asked.target, "/v1/chat/completions");
    assert_eq!(asked.body, body.to_string(), "the bytes that were judged are forwarded");
    for (name, value) in &asked.headers {
        assert!(!value.to_str().unwrap_or_default().contains(&token), "{name} carries the caller's token");
    }
    assert!(
        !format!("{:?} {}", answer.headers, answer.text()).contains(UPSTREAM_KEY),
        "{:?}",
        answer.headers
    );
    assert!(!answer.headers.contains_key("set-cookie") && answer.headers.contains_key("x-request-id"));
    let recorded = gateway.ledger_bytes();
    for secret in [token.as_str(), UPSTREAM_KEY] {
        let found = recorded.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the ledger holds {secret}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_said_to_be() {
    let provider = Provider::start().await;
    let nobody = format!("http://{}", free_address());
    let (live, dead) = (FakeUpstream::start(|_| whole()).await, model_at(&nobody));
    let plan = Plan::before(&provider, &live.url()).resource("dead", dead).policy(
        "dead.cedar",
        r#"permit(principal, action == Action::"infer", resource in Resource::"dead");"#,
    );
    let gateway = plan.start().await;
    let token = provider.login("alice").await;
    let refused = client::post(&gateway.url("/dead/v1/chat/completions"), &token, &chat_body("hello")).await;
    assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (503, "upstream_unavailable"));
    assert!(!refused.text().contains(nobody.trim_start_matches("http://")), "{}", refused.text());
    assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK, "the other resource still answers");
    let exchanges = gateway.sealed(2).await;
    assert_eq!(exchanges[0].code(), Some("upstream_unavailable"), "{exchanges:?}");
}

#[tokio::test]
async fn of_several_upstreams_the_living_answers() {
    let (provider, live) = tokio::join!(Provider::start(), FakeUpstream::start(|_| whole()));
    let dead = format!("http://{}", free_address());
    let plan = Plan::before(&provider, &live.url());
    let gateway =
        plan.with(json!({ "resources": { "llama": { "upstreams": [dead, live.url()] } } })).start().await;
    let token = provider.login("alice").await;
    for _ in 0..12 {
        assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK);
    }
    assert_eq!(live.received().len(), 12, "each was asked once");
    let report = client::try_get(&gateway.observe_url("/readyz")).await.unwrap().json();
    let told = &report["upstreams"]["llama"];
    assert!(told[0]["failures"].as_u64().unwrap() > 0 && !told[0]["last_failure"].is_null(), "{told}");
    assert_eq!(told[1]["failures"], 0, "{told}");
    gateway.sealed(12).await;
}

#[tokio::test]
async fn a_redirect_from_upstream_is_not_followed() {
    let elsewhere = FakeUpstream::start(|_| whole()).await;
    let target = format!("{}/steal", elsewhere.url());
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(move |_| whole().status(307).header("location", &target))
    );
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let answer = chat(&gateway, &provider.login("alice").await).await;
    assert!(!answer.status.is_success(), "{} {}", answer.status, answer.text());
    assert!(!answer.headers.contains_key("location"));
    assert!(elsewhere.received().is_empty());
}

/// 64 MiB of words in 4096 events, to somebody who does not read: the gateway must stop taking long
/// before it holds them all, and must lose none of them.
#[tokio::test]
async fn a_slow_reader_holds_the_upstream_back_and_loses_nothing() {
    const EVENTS: usize = 4096;
    let words = "word ".repeat(3200);
    let event = format!("data: {}\n\n", chat_delta(&words));
    let size = event.len();
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(move |_| {
            let reply = Reply::of_type("text/event-stream");
            reply.then(Step::Repeat(event.clone().into(), EVENTS)).send("data: [DONE]\n\n")
        })
    );
    let plan = Plan::before(&provider, &upstream.url());
    let gateway = plan.start().await;
    let mut answer = stream(&gateway, &provider.login("alice").await, "hello").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let taken = at_rest(&upstream).await;
    assert!(taken < size * EVENTS / 4, "{taken} bytes were taken for a reader that does not read");
    let (read, end) = client::drain(answer.body_mut()).await;
    assert_eq!(end, Ok(()));
    let text = joined(&read);
    assert_eq!(text.len(), words.len() * EVENTS);
    assert!(text.as_bytes().chunks(5).all(|word| word == b"word "));
    assert_eq!(gateway.sealed(1).await[0].outcome(), Some("completed"));
}

/// How much the upstream got rid of, once it gets rid of nothing more.
async fn at_rest(upstream: &FakeUpstream) -> usize {
    let (mut last, mut since) = (0, Instant::now());
    while since.elapsed() < Duration::from_secs(2) {
        let sent = upstream.sent();
        if sent != last {
            (last, since) = (sent, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    last
}

#[tokio::test]
async fn when_the_caller_leaves_the_upstream_is_let_go() {
    let never = Arc::new(Semaphore::new(0));
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(move |_| {
            let begun =
                Reply::events([chat_delta("the first words ").as_str(), chat_delta("and more ").as_str()]);
            begun.then(Step::Wait(Arc::clone(&never)))
        })
    );
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let mut answer = stream(&gateway, &provider.login("alice").await, "hello").await;
    let first = client::next(answer.body_mut()).await.unwrap().unwrap();
    assert!(!joined(&first).is_empty(), "{first:?}");
    drop(answer);
    // Within a second on an idle machine; the tests' machine is not idle.
    assert!(upstream.was_left(Duration::from_secs(10)).await, "{}", gateway.log());
    assert_eq!(gateway.sealed(1).await[0].outcome(), Some("caller-gone"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_badly_for_the_caller_too() {
    let gate = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&gate);
    let reply = move |_: &e2e::upstream::Received| {
        let begun = Reply::events([chat_delta("half of ").as_str()]);
        begun.then(Step::Wait(Arc::clone(&waits))).then(Step::Abort)
    };
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(reply));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let mut answer = stream(&gateway, &provider.login("alice").await, "hello").await;
    assert_eq!(answer.status(), StatusCode::OK);
    // The head is out: from here on nothing but the stream itself can tell of the loss.
    gate.add_permits(1);
    let (read, end) = client::drain(answer.body_mut()).await;
    assert!(end.is_err(), "a cut stream looks like a whole one");
    let text = String::from_utf8_lossy(&read).into_owned();
    assert!(text.contains("upstream_failed"), "no error event: {text}");
    assert!(!text.contains("[DONE]"), "{text}");
    assert_eq!(gateway.sealed(1).await[0].outcome(), Some("upstream-lost"));
}

#[tokio::test]
async fn when_it_is_asked_to_end_it_finishes_what_runs_and_takes_nothing_new() {
    let gate = Arc::new(Semaphore::new(0));
    let opens = Arc::clone(&gate);
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(move |_| {
            let begun = Reply::events([chat_delta("before ").as_str()]).then(Step::Wait(Arc::clone(&gate)));
            begun.send(format!("data: {}\n\ndata: [DONE]\n\n", chat_delta("after")))
        })
    );
    let mut gateway = Plan::before(&provider, &upstream.url()).start().await;
    let token = provider.login("alice").await;
    let mut answer = stream(&gateway, &token, "hello").await;
    let mut read = client::next(answer.body_mut()).await.unwrap().unwrap().to_vec();
    let reading = tokio::spawn(async move {
        let (rest, end) = client::drain(answer.body_mut()).await;
        read.extend(rest);
        (read, end)
    });
    let ending = async {
        // Nothing new is taken as soon as it says so; only then does the upstream go on.
        let ready = gateway.observe_url("/readyz");
        while client::try_get(&ready).await.is_ok_and(|answer| answer.status.is_success()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        opens.add_permits(1);
    };
    gateway.terminate();
    ending.await;
    let (read, end) = reading.await.unwrap();
    assert_eq!((joined(&read).as_str(), end), ("before after", Ok(())));
    assert!(gateway.end().await.success(), "{}", gateway.log());
    let exchanges = gateway.sealed(1).await;
    assert_eq!(exchanges[0].outcome(), Some("completed"));
}
