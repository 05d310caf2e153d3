//! Credentials that never leave the network: a gateway and agents, each a process of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use e2e::agent::{Agent, plan, state};
use e2e::ask::{chat, code, joined, stream};
use e2e::client;
use e2e::gateway::Gateway;
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

/// The first words of a stream, and then those that come when `gate` opens.
fn first(gate: &Arc<Semaphore>) -> Reply {
    Reply::of_type("text/event-stream")
        .send(format!("data: {}\n\n", chat_delta("one ")))
        .then(Step::Wait(Arc::clone(gate)))
}

async fn gateway(provider: &Provider) -> (Gateway, String) {
    let at = free_address().to_string();
    (plan(provider, json!(at)).start_unready().await, at)
}

fn beside(upstream: &FakeUpstream) -> Value {
    json!({ "llama": { "upstreams": upstream.url(), "credential": "env:LLAMA_KEY" } })
}

#[tokio::test]
async fn a_request_goes_through_and_the_credential_stays() {
    let echo = |asked: &Received| {
        let key = asked.headers["authorization"].to_str().unwrap().to_owned();
        whole().header("x-seen", &key).header("x-bare", key.trim_start_matches("Bearer "))
    };
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(echo));
    let (gateway, at) = gateway(&provider).await;
    let alice = provider.login("alice").await;
    // Nobody is there yet: said so, and nothing is waited for.
    let refused = chat(&gateway, &alice).await;
    assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (503, "upstream_unavailable"));
    let agent = Agent::start(&gateway, &at, &alice, "beside", beside(&upstream)).await;
    let answer = chat(&gateway, &alice).await;
    assert_eq!(answer.status, StatusCode::OK, "{}\n{}", answer.text(), agent.log());
    let asked = &upstream.received()[0];
    assert_eq!(asked.target, "/v1/chat/completions");
    assert_eq!(asked.headers["authorization"], format!("Bearer {UPSTREAM_KEY}"));
    assert!(
        !asked.headers.keys().any(|name| name.as_str().starts_with("portcullis-")),
        "{:?}",
        asked.headers
    );
    let ledger = gateway.ledger_bytes();
    let told = [format!("{:?} {}", answer.headers, answer.text()), gateway.log(), agent.log()];
    assert!(!told.iter().any(|text| text.contains(UPSTREAM_KEY)), "{told:?}");
    assert!(!ledger.windows(UPSTREAM_KEY.len()).any(|window| window == UPSTREAM_KEY.as_bytes()));
    // Nor does the join token stand anywhere that is kept.
    let token = std::fs::read_to_string(agent.file("join-token")).unwrap();
    let secret = token.trim().split('.').nth(2).unwrap();
    assert!(
        !ledger.windows(secret.len()).any(|window| window == secret.as_bytes())
            && !gateway.log().contains(secret)
    );
}

#[tokio::test]
async fn an_agents_file_is_read_again_whole_or_not_at_all() {
    let (provider, one, other) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| whole()), FakeUpstream::start(|_| whole()));
    let (gateway, at) = gateway(&provider).await;
    let alice = provider.login("alice").await;
    let agent = Agent::start(&gateway, &at, &alice, "beside", beside(&one)).await;
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
    let file = agent.file("agent.yaml");
    let mut said: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let told = &agent;
    let logged = |part: &'static str| eventually(PATIENCE, move || told.log().contains(part).then_some(()));
    // What cannot be used changes nothing, and says where it is wrong.
    std::fs::write(&file, "resources: {}").unwrap();
    logged("kept what the agent's file said before").await.expect("it says so");
    assert!(agent.log().contains("agent.yaml:1"), "{}", agent.log());
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
    assert_eq!((one.received().len(), other.received().len()), (2, 0));
    said["resources"] = beside(&other);
    std::fs::write(&file, said.to_string()).unwrap();
    logged("the agent's file was read again").await.expect("it says so");
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
    assert_eq!((one.received().len(), other.received().len()), (2, 1));
}

#[tokio::test]
async fn a_stream_comes_as_it_is_made_and_one_who_leaves_ends_it() {
    let gate = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&gate);
    let reply = move |_: &Received| {
        let second = format!("data: {}\n\n", chat_delta("two"));
        first(&waits).send(second).send("data: [DONE]\n\n")
    };
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(reply));
    let (gateway, at) = gateway(&provider).await;
    let alice = provider.login("alice").await;
    let _agent = Agent::start(&gateway, &at, &alice, "beside", beside(&upstream)).await;
    let mut answer = stream(&gateway, &alice, "hello").await;
    assert_eq!(answer.status(), StatusCode::OK);
    gate.add_permits(1);
    let (read, end) = client::drain(answer.body_mut()).await;
    assert_eq!((joined(&read).as_str(), end), ("one two", Ok(())));
}

#[tokio::test]
async fn an_agent_killed_in_the_middle_is_upstream_lost_and_nothing_is_asked_twice() {
    let gate = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&gate);
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(move |_| first(&waits)));
    let (gateway, at) = gateway(&provider).await;
    let alice = provider.login("alice").await;
    let mut agent = Agent::start(&gateway, &at, &alice, "beside", beside(&upstream)).await;
    let mut answer = stream(&gateway, &alice, "hello").await;
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    agent.kill();
    let (_, end) = client::drain(answer.body_mut()).await;
    assert!(end.is_err(), "a cut stream never looks complete");
    let lost = eventually(PATIENCE, || {
        let exchanges = gateway.exchanges();
        let ended = exchanges.iter().find(|one| one.id() == id)?.outcome()?.to_owned();
        Some(ended)
    });
    assert_eq!(lost.await.as_deref(), Some("upstream-lost"));
    assert_eq!(upstream.received().len(), 1, "what may have run is not repeated");
    // It comes back by itself, with the membership it has.
    agent.restart();
    agent.connected(&gateway, &alice).await;
    gate.add_permits(8);
    assert_eq!(stream(&gateway, &alice, "hello").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn restarts_of_one_agent_and_of_the_gateway_lose_nothing_that_could_be_kept() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(|_| whole()));
    let (mut gateway, at) = gateway(&provider).await;
    let alice = provider.login("alice").await;
    let mut one = Agent::start(&gateway, &at, &alice, "one", beside(&upstream)).await;
    let two = Agent::start(&gateway, &at, &alice, "two", beside(&upstream)).await;
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let url = gateway.url("/llama/v1/chat/completions");
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let (over, done, url, token) = (Arc::clone(&over), Arc::clone(&done), url.clone(), alice.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let answer = client::post(&url, &token, &e2e::ask::chat_body("hello")).await;
                    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for _ in 0..2 {
        let before = done.load(Ordering::SeqCst);
        eventually(PATIENCE, || (done.load(Ordering::SeqCst) > before + 10).then_some(())).await.unwrap();
        assert!(one.stop().await.success(), "{}", one.log());
        one.restart();
        one.connected(&gateway, &alice).await;
    }
    over.store(true, Ordering::SeqCst);
    for asked in asking {
        asked.await.unwrap();
    }
    gateway.kill();
    gateway.restart().await;
    one.connected(&gateway, &alice).await;
    two.connected(&gateway, &alice).await;
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_is_revoked_is_cut_and_stays_out() {
    let never = Arc::new(Semaphore::new(0));
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(move |_| first(&never)));
    let (gateway, at) = gateway(&provider).await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    let agent = Agent::start(&gateway, &at, &alice, "beside", beside(&upstream)).await;
    let mut answer = stream(&gateway, &alice, "hello").await;
    // Who may not administer puts nobody out, and invites nobody.
    assert!(!gateway.cli_as(Some(&bob), &["agents", "revoke", "beside"]).status.success());
    assert!(!gateway.cli_as(Some(&bob), &["agents", "invite", "--resources", "llama"]).status.success());
    assert!(state(&gateway, &alice, "beside")["connected"].is_object());
    let revoked = gateway.cli_as(Some(&alice), &["agents", "revoke", "beside", "--reason", "moved"]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    let (_, end) = client::drain(answer.body_mut()).await;
    assert!(end.is_err());
    let told = state(&gateway, &alice, "beside");
    assert!(told["revoked"]["reason"] == "moved" && told["connected"].is_null(), "{told}");
    let said = eventually(Duration::from_secs(20), || agent.log().contains("was revoked").then_some(()));
    assert!(said.await.is_some(), "{}", agent.log());
    assert_eq!(chat(&gateway, &alice).await.status.as_u16(), 503);
}

#[tokio::test]
async fn a_workload_joins_by_the_token_of_its_own_issuer() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(|_| whole()));
    let alice = provider.login("alice").await;
    let at = free_address().to_string();
    let workload = json!({ "beside": { "issuer": "panva", "subject": "alice", "resources": ["llama"] } });
    let gateway = plan(&provider, json!({ "address": at, "workloads": workload })).start_unready().await;
    let listed = gateway.cli_as(Some(&alice), &["agents", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let join = json!({ "workload": "file:token", "authority": listed["authority"] });
    let bob = provider.login("bob").await;
    gateway.eventually(|| std::net::TcpStream::connect(&at).ok()).await;
    let mut agent = Agent::start_as_workload(&at, "beside", &bob, &join, beside(&upstream));
    // Another subject of the same issuer is nobody.
    assert!(!agent.end().await.success() && agent.log().contains("agents.workloads"), "{}", agent.log());
    std::fs::write(agent.file("token"), &alice).unwrap();
    agent.restart();
    agent.connected(&gateway, &alice).await;
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
    let told = [gateway.log(), agent.log()];
    assert!(!told.iter().any(|text| text.contains(&alice) || text.contains(&bob)));
    // Who became an agent, and who did not, is in the record.
    let listed = gateway.cli(&["sessions", "list", "--json", "--resource", "api/agents"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let listed = listed["exchanges"].as_array().unwrap();
    let joins = listed.iter().filter(|one| one["operations"] == json!(["agents.join"]));
    let joins: Vec<_> = joins.map(|one| [&one["subject"], &one["ruling"], &one["outcome"]]).collect();
    assert_eq!(json!(joins), json!([["alice", "allowed", "completed"], ["bob", "denied", "refused"]]));
}

#[tokio::test]
async fn an_agent_serves_two_gateways_of_one_state() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(|_| whole()));
    let alice = provider.login("alice").await;
    let shared = tempfile::tempdir().unwrap();
    let (state, authority) = (shared.path().join("state"), shared.path().join("ca"));
    let ats = [free_address().to_string(), free_address().to_string()];
    let mut gateways = Vec::new();
    for at in &ats {
        let plan = plan(&provider, json!({ "address": at, "dir": authority }))
            .with(json!({ "state": { "dir": state } }));
        gateways.push(plan.start_unready().await);
    }
    let both = ats.join(",");
    let agent = Agent::start(&gateways[0], &both, &alice, "beside", beside(&upstream)).await;
    for gateway in &gateways {
        agent.connected(gateway, &alice).await;
        assert_eq!(chat(gateway, &alice).await.status, StatusCode::OK);
    }
    // One gateway ends: the other goes on. And who is revoked at the one is out at the other.
    assert!(gateways[0].stop().await.success());
    assert_eq!(chat(&gateways[1], &alice).await.status, StatusCode::OK);
    gateways[0].restart().await;
    agent.connected(&gateways[0], &alice).await;
    assert!(gateways[0].cli_as(Some(&alice), &["agents", "revoke", "beside"]).status.success());
    let gone = eventually(PATIENCE, || state_of(&gateways[1], &alice).is_null().then_some(()));
    assert!(gone.await.is_some());
}

fn state_of(gateway: &Gateway, admin: &str) -> Value {
    state(gateway, admin, "beside")["connected"].clone()
}
