//! What agents promise, tried: networks that do not meet, a network that loses and delays, a credential
//! that is looked for everywhere, and one that changes under load.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::agent::{Agent, plan, state};
use e2e::apart::{Apart, reaches};
use e2e::ask::{chat, chat_body, joined, stream};
use e2e::client;
use e2e::gateway::Gateway;
use e2e::memory;
use e2e::plan::UPSTREAM_KEY;
use e2e::process::{PATIENCE, eventually, free_address};
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Received, Reply, Step, chat_delta};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

fn whole() -> Reply {
    Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [] }))
}

async fn gateway(provider: &Provider, at: &str) -> Gateway {
    let mut plan = plan(provider, json!(at));
    plan.through_agent = false;
    plan.start_unready().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks_that_do_not_meet_and_a_bad_line() {
    let Some(mut apart) = Apart::make().await else { return };
    // A stream of words for whoever asks for one, and as many bytes as a path of packets loses some of.
    let long = "so much ".repeat(16 << 10);
    let reply = move |asked: &Received| {
        let streams = serde_json::from_slice::<Value>(&asked.body).is_ok_and(|body| body["stream"] == true);
        let delta = json!({ "role": "assistant", "content": long });
        let answer = json!({
            "id": "1", "object": "chat.completion",
            "choices": [{ "index": 0, "message": delta, "finish_reason": "stop" }],
        });
        if streams { Reply::chat(["word "; 200]) } else { Reply::json(&answer) }
    };
    let listener = apart.listen_beside_the_model();
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::on(listener, reply));
    let at = format!("{}:{}", apart.gateway_at, free_address().port());
    let gateway = gateway(&provider, &at).await;
    let alice = provider.login("alice").await;
    let beside = json!({ "llama": {
        "upstreams": upstream.url(), "credential": "env:LLAMA_KEY", "upstream_plain": "allowed",
    } });
    let agent =
        Agent::start_by(&gateway, &at, &alice, "beside", beside, |command| apart.in_agents_network(&command))
            .await;

    // Nobody reaches the agent, and the gateway cannot reach the model.
    assert_eq!(apart.listeners_beside_the_agent(), Vec::<String>::new());
    assert!(!reaches(upstream.address), "the gateway's network reaches the model");
    let (observe, public) = (gateway.observe, gateway.address);
    assert!(apart.agent_reaches(upstream.address));
    let door: SocketAddr = at.parse().unwrap();
    assert!(apart.agent_reaches(door), "the one address that an agent needs");
    assert!(!apart.agent_reaches(observe) && !apart.agent_reaches(public));
    let answer = chat(&gateway, &alice).await;
    assert_eq!(answer.status, StatusCode::OK, "{}\n{}", answer.text(), agent.log());
    let key = upstream.received()[0].headers["authorization"].to_str().unwrap().to_owned();
    assert_eq!(key, format!("Bearer {UPSTREAM_KEY}"));

    // A twentieth of all packets is lost, each way, and the rest takes a tenth of a second.
    apart.impair(Duration::from_millis(100), 0.05).await;
    let before = state(&gateway, &alice, "beside")["connected"]["since"].clone();
    let url = gateway.url("/llama/v1/chat/completions");
    let asking: Vec<_> = (0..6)
        .map(|_| {
            let (url, token) = (url.clone(), alice.clone());
            tokio::spawn(async move {
                for _ in 0..3 {
                    let answer = client::post(&url, &token, &chat_body("hello")).await;
                    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
                    let text = answer.json()["choices"][0]["message"]["content"].to_string();
                    assert_eq!(text.matches("so much ").count(), 16 << 10);
                }
            })
        })
        .collect();
    for _ in 0..3 {
        let mut answer = stream(&gateway, &alice, "hello").await;
        let (read, end) = client::drain(answer.body_mut()).await;
        assert_eq!((joined(&read), end), ("word ".repeat(200), Ok(())));
    }
    for asked in asking {
        asked.await.unwrap();
    }
    let after = state(&gateway, &alice, "beside")["connected"]["since"].clone();
    assert_eq!(after, before, "the tunnel stood through it\n{}", agent.log());
    apart.impair(Duration::ZERO, 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_is_nowhere_but_with_agent_and_upstream() {
    // Made when it is needed, so that no file of the test and no environment of the gateway holds it.
    let canary = format!("canary-{:032x}", memory::chance());
    let control = format!("control-{:032x}", memory::chance());
    let gate = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&gate);
    // The upstream says its credential back in every way it has.
    let reply = move |asked: &Received| {
        let key = asked.headers["authorization"].to_str().unwrap().to_owned();
        let bare = key.trim_start_matches("Bearer ").to_owned();
        let event = format!("data: {}\n\n", chat_delta(&format!("in two: {bare}.")));
        let (one, other) = event.split_at(event.find(&bare).unwrap() + bare.len() / 2);
        Reply::of_type("text/event-stream")
            .header("x-key", &bare)
            .header("x-authorization", &key)
            .send(format!("data: {}\n\n", chat_delta(&format!("it is {bare}, "))))
            .send(one.to_owned())
            .then(Step::Wait(Arc::clone(&waits)))
            .send(other.to_owned())
            .send("data: [DONE]\n\n")
    };
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(reply));
    let at = free_address().to_string();
    let gateway = gateway(&provider, &at).await;
    let alice = provider.login("alice").await;
    let beside = json!({ "llama": { "upstreams": upstream.url(), "credential": "file:model-key" } });
    let agent = Agent::start(&gateway, &at, &alice, "beside", beside).await;
    fs::write(agent.file("model-key"), &canary).unwrap();

    // In the middle of an answer: the request is in the gateway's memory, and the credential is not.
    let mut answer = stream(&gateway, &alice, &control).await;
    let head = format!("{:?}", answer.headers());
    assert_eq!(upstream.received()[0].headers["authorization"], format!("Bearer {canary}"));
    let image = memory::core(gateway.pid());
    assert!(memory::holds(&image, control.as_bytes()), "what is surely there must be found");
    assert!(!memory::holds(&image, canary.as_bytes()), "the gateway's memory holds the credential");
    gate.add_permits(1);
    let (read, _) = client::drain(answer.body_mut()).await;
    // And after it, with all that was said in the ledger.
    let image = memory::mappings(gateway.pid());
    assert!(!memory::holds(&image, canary.as_bytes()), "the gateway's memory holds the credential");
    let exchanges = eventually(PATIENCE, || {
        let exchanges = gateway.exchanges();
        exchanges.iter().all(|one| one.outcome().is_some()).then_some(exchanges)
    });
    assert!(!exchanges.await.unwrap().is_empty());
    let told = [head, String::from_utf8_lossy(&read).into_owned(), gateway.log(), agent.log()];
    assert!(!told.iter().any(|text| text.contains(&canary)), "{told:?}");
    assert!(!memory::holds(&gateway.ledger_bytes(), canary.as_bytes()));
    assert!(!gateway.metrics().await.contains(&canary));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_changes_under_load_and_no_request_fails() {
    // The upstream takes what is good now, as a rotation with an overlap has it.
    let good = Arc::new(Mutex::new(vec!["key-0".to_owned()]));
    let takes = Arc::clone(&good);
    let reply = move |asked: &Received| {
        let key = asked.headers["authorization"].to_str().unwrap_or_default().to_owned();
        let known = takes.lock().unwrap().iter().any(|good| key == format!("Bearer {good}"));
        if known { whole() } else { whole().status(401) }
    };
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(reply));
    let at = free_address().to_string();
    let gateway = gateway(&provider, &at).await;
    let alice = provider.login("alice").await;
    let beside = json!({ "llama": { "upstreams": upstream.url(), "credential": "file:model-key" } });
    let agent = Agent::start(&gateway, &at, &alice, "beside", beside).await;
    fs::write(agent.file("model-key"), "key-0").unwrap();

    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let url = gateway.url("/llama/v1/chat/completions");
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let (over, done) = (Arc::clone(&over), Arc::clone(&done));
            let (url, token) = (url.clone(), alice.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let answer = client::post(&url, &token, &chat_body("hello")).await;
                    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for turn in 1..=10 {
        let (old, new) = (format!("key-{}", turn - 1), format!("key-{turn}"));
        good.lock().unwrap().push(new.clone());
        // As a secret's mount changes: whole, by a rename.
        fs::write(agent.file("model-key.next"), &new).unwrap();
        fs::rename(agent.file("model-key.next"), agent.file("model-key")).unwrap();
        // Whatever ran with the old one has ended once each caller has asked twice more.
        let before = done.load(Ordering::SeqCst);
        let went_on = eventually(PATIENCE, || (done.load(Ordering::SeqCst) > before + 16).then_some(()));
        went_on.await.expect("callers go on");
        let last = upstream.received().last().unwrap().headers["authorization"].clone();
        assert_eq!(last, format!("Bearer {new}"), "a changed secret counts from the next request");
        good.lock().unwrap().retain(|key| *key != old);
    }
    over.store(true, Ordering::SeqCst);
    for asked in asking {
        asked.await.unwrap();
    }
    assert_eq!(gateway.exchanges().iter().filter(|one| one.outcome() != Some("completed")).count(), 0);
}
