//! Changing the rules of a running gateway: a bad set is never loaded, a good one at once.

use std::fs;
use std::time::Duration;

use e2e::ask::{chat, code};
use e2e::client;
use e2e::gateway::Gateway;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply};
use http::StatusCode;
use serde_json::json;

const NOBODY: &str = r#"@id("closed") forbid(principal, action in Action::"operation", resource);"#;

async fn stand() -> (Provider, FakeUpstream, Gateway, String) {
    let answer = json!({ "id": "1", "object": "chat.completion", "choices": [] });
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(move |_| Reply::json(&answer)));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let token = provider.login("alice").await;
    assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK);
    (provider, upstream, gateway, token)
}

/// Waits until the gateway's log has come to say `word`.
async fn says(gateway: &Gateway, word: &str) {
    gateway.eventually(|| gateway.log().contains(word).then_some(())).await;
}

async fn until_refused(gateway: &Gateway, token: &str) {
    for _ in 0..200 {
        let answer = chat(gateway, token).await;
        if answer.status != StatusCode::OK {
            assert_eq!(code(&answer), "policy_denied");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the new policies never took effect:\n{}", gateway.log());
}

#[tokio::test]
async fn a_bad_set_is_said_and_not_loaded() {
    let (_provider, _upstream, gateway, token) = stand().await;
    let bad = [
        ("syntax.cedar", "forbid(principal, action, resource"),
        (
            "attribute.cedar",
            "forbid(principal, action in Action::\"operation\", resource) when { context.bacth > 1 };",
        ),
        ("action.cedar", "forbid(principal, action == Action::\"infre\", resource);"),
    ];
    for (name, text) in bad {
        let file = gateway.file("policies").join(name);
        fs::write(&file, text).unwrap();
        gateway.reload();
        says(&gateway, name).await;
        assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK, "{name}");
        fs::remove_file(file).unwrap();
    }
    // And the next good one is taken.
    fs::write(gateway.file("policies/closed.cedar"), NOBODY).unwrap();
    gateway.reload();
    until_refused(&gateway, &token).await;
}

#[tokio::test]
async fn a_good_set_takes_effect_and_is_in_the_record() {
    let (_provider, _upstream, gateway, token) = stand().await;
    fs::write(gateway.file("policies/closed.cedar"), NOBODY).unwrap();
    gateway.reload();
    until_refused(&gateway, &token).await;
    let denied = gateway.eventually(|| {
        gateway.exchanges().into_iter().rev().find(|exchange| exchange.code() == Some("policy_denied"))
    });
    let why = gateway.why(denied.await.id()).to_string();
    assert!(why.contains("closed"), "{why}");
}

#[tokio::test]
async fn a_folder_without_policies_denies_everything() {
    let (_provider, _upstream, gateway, token) = stand().await;
    fs::write(gateway.file("policies/engineers.cedar"), "// nobody may do anything\n").unwrap();
    gateway.reload();
    until_refused(&gateway, &token).await;
}

#[tokio::test]
async fn a_changed_configuration_is_taken_whole_or_not_at_all() {
    let (_provider, _upstream, gateway, token) = stand().await;
    let file = gateway.file("portcullis.yaml");
    let mut config: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let second = config["resources"]["llama"].clone();
    config["resources"]["second"] = second;
    let faulty = config.to_string().replacen("\"second\"", "\"second\":{},\"llama2\"", 1);
    fs::write(&file, faulty).unwrap();
    // No signal: the file is watched.
    says(&gateway, "resources.second").await;
    let models = gateway.url("/llama2/v1/models");
    assert_eq!(client::get(&models, &token).await.status, StatusCode::NOT_FOUND, "half a file counts");
    assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK, "the old file serves on");
    let metrics = gateway.metrics().await;
    assert!(metrics.contains(r#"portcullis_reloads_total{result="refused"} 1"#), "{metrics}");

    fs::write(&file, config.to_string()).unwrap();
    gateway.reload();
    for _ in 0..200 {
        let answer = client::get(&gateway.url("/second/v1/models"), &token).await;
        if answer.status != StatusCode::NOT_FOUND {
            assert_eq!(code(&answer), "policy_denied", "no policy names the new resource");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the new file never took effect:\n{}", gateway.log());
}
