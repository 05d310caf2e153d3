//! The ground itself: each part does what the other tests take for granted.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::client;
use e2e::llama::LlamaServer;
use e2e::provider::{Glewlwyd, Provider};
use e2e::script;
use e2e::upstream::{FakeUpstream, Reply, Step};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

fn part_of(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

#[tokio::test]
async fn the_provider_issues_tokens_to_people_and_workloads() {
    let provider = Provider::start().await;
    let alice = part_of(&provider.login("alice").await, 1);
    assert_eq!(alice["iss"], json!(provider.issuer));
    assert_eq!(alice["aud"], "portcullis");
    assert_eq!(alice["groups"], json!(["ml-engineers", "admins"]));
    assert_eq!(part_of(&provider.login_for("bob", "elsewhere").await, 1)["aud"], "elsewhere");
    assert_eq!(part_of(&provider.machine("batch-runner").await, 1)["groups"], json!(["batch-jobs"]));
    assert_eq!(part_of(&provider.id_token("mallory").await, 1)["groups"], json!([]));
}

#[tokio::test]
async fn the_provider_moves_its_keys_and_goes_away() {
    let provider = Provider::start_signing("ES256").await;
    let before = part_of(&provider.login("alice").await, 0)["kid"].clone();
    provider.keys("add").await;
    let after = part_of(&provider.login("alice").await, 0)["kid"].clone();
    assert_ne!(before, after);
    let keys = format!("{}/jwks", provider.issuer);
    assert!(client::try_get(&keys).await.unwrap().text().contains(before.as_str().unwrap()));
    provider.keys("retire").await;
    assert!(!client::try_get(&keys).await.unwrap().text().contains(before.as_str().unwrap()));
    provider.away(true).await;
    assert!(client::try_get(&keys).await.is_err());
    provider.away(false).await;
    assert!(client::try_get(&keys).await.unwrap().text().contains(after.as_str().unwrap()));
}

#[tokio::test]
async fn the_other_provider_joins_groups_with_commas() {
    let provider = Glewlwyd::start().await;
    let told = provider.login("alice").await;
    let access = part_of(told["access_token"].as_str().unwrap(), 1);
    assert_eq!(access["iss"], json!(provider.issuer));
    assert_eq!(access["groups"], "ml-engineers,admins");
    assert_eq!(access["aud"], "openid groups api");
    assert_eq!(part_of(told["id_token"].as_str().unwrap(), 1)["groups"], json!(["ml-engineers", "admins"]));
}

#[tokio::test]
async fn the_model_server_answers_both_sdks_and_nobody_without_its_key() {
    let llama = LlamaServer::start().await;
    let base = format!("{}/v1", llama.url);
    let environment = [("BASE", base.as_str()), ("KEY", llama.key.as_str())];
    let python = script::python(
        r#"
import json, os, openai
client = openai.OpenAI(base_url=os.environ["BASE"], api_key=os.environ["KEY"])
answer = client.chat.completions.create(model="tiny-llama", max_tokens=8, messages=[{"role": "user", "content": "hello"}])
print(json.dumps({"text": answer.choices[0].message.content, "used": answer.usage.completion_tokens}))
"#,
        &environment,
    );
    let node = script::node(
        r#"
import OpenAI from 'openai';
const client = new OpenAI({ baseURL: process.env.BASE, apiKey: process.env.KEY });
const list = await client.models.list();
console.log(JSON.stringify(list.data.map((model) => model.id)));
"#,
        &environment,
    );
    let (python, node) = tokio::join!(python, node);
    assert_eq!(python["used"], 8, "{python}");
    assert_eq!(node, json!(["tiny-llama"]));
    let body = json!({ "model": "tiny-llama", "messages": [{ "role": "user", "content": "hello" }] });
    let refused = client::post(&format!("{base}/chat/completions"), "another key", &body).await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn the_scripted_upstream_notes_what_it_was_asked_and_sees_who_leaves() {
    let gate = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&gate);
    let upstream = FakeUpstream::start(move |received| match received.target.as_str() {
        "/waits" => {
            Reply::of_type("text/plain").send("first").then(Step::Wait(Arc::clone(&waits))).send("second")
        }
        "/breaks" => Reply::of_type("text/plain").send("first").then(Step::Abort),
        _ => Reply::json(&json!({ "asked": received.target })),
    })
    .await;
    let url = |path: &str| format!("{}{path}", upstream.url());
    assert_eq!(client::post(&url("/a?b"), "token", &json!({})).await.json(), json!({ "asked": "/a?b" }));
    assert_eq!(upstream.received()[0].headers["authorization"], "Bearer token");

    let open = |path: &str| client::try_open(client::request(Method::GET, &url(path), None, None));
    let (read, end) = client::drain(open("/breaks").await.unwrap().body_mut()).await;
    assert_eq!((read.as_slice(), end.is_err()), (&b"first"[..], true));

    gate.add_permits(1);
    let (read, end) = client::drain(open("/waits").await.unwrap().body_mut()).await;
    assert_eq!((read.as_slice(), end), (&b"firstsecond"[..], Ok(())));

    assert!(!upstream.was_left(Duration::ZERO).await);
    let mut answer = open("/waits").await.unwrap();
    assert_eq!(client::next(answer.body_mut()).await.unwrap().unwrap(), "first");
    drop(answer);
    assert!(upstream.was_left(Duration::from_secs(10)).await);
}
