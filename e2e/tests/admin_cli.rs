//! The command line asks the gateway with a token; `--local` reads the files and says so.

use std::process::{Command, Output};

use e2e::admin::{ADMINS_ADMINISTER, call};
use e2e::ask::{chat, joined, stream};
use e2e::client;
use e2e::gateway::Gateway;
use e2e::parts::portcullis;
use e2e::plan::Plan;
use e2e::process::free_address;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply};
use http::{Method, StatusCode};
use serde_json::{Value, json};

async fn stand() -> (Provider, FakeUpstream, Gateway) {
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::chat(["one ", "two ", "three"])));
    let plan =
        Plan::before(&provider, &upstream.url()).policy("admin.cedar", ADMINS_ADMINISTER).administered();
    let gateway = plan.start().await;
    (provider, upstream, gateway)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complained(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn every_verb_goes_through_the_gateway_with_a_token() {
    let (provider, _upstream, gateway) = stand().await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    let mut answer = stream(&gateway, &alice, "hello").await;
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let (raw, _) = client::drain(answer.body_mut()).await;
    gateway.sealed(1).await;
    for (arguments, word) in [
        (&["sessions", "list"][..], id.as_str()),
        (&["sessions", "show", &id], "engineers-use-llama"),
        (&["why", &id], "allowed: `infer`"),
        (&["resources", "list"], "llama-cpp"),
        (&["policy", "show"], "admins-administer"),
        (&["policy", "reload"], "reloaded"),
        (&["policy", "check", "--by-gateway"], "\"ok\": true"),
        (&["access", "block", "https://id.example#x", "--reason", "gone"], "blocked https://id.example#x"),
        (&["callers", "list"], "blocked (gone)"),
        (&["access", "unblock", "https://id.example#x"], "unblocked https"),
        (&["access", "revoke", "https://id.example#x"], "revoked every token"),
    ] {
        let output = gateway.cli_as(Some(&alice), arguments);
        assert!(output.status.success(), "{arguments:?}: {}", complained(&output));
        assert!(said(&output).contains(word), "{arguments:?}: {}", said(&output));
        assert!(complained(&output).is_empty(), "{arguments:?}: {}", complained(&output));
        let refused = gateway.cli_as(Some(&bob), arguments);
        assert!(!refused.status.success(), "{arguments:?}");
        assert!(complained(&refused).contains("policy_denied"), "{arguments:?}: {}", complained(&refused));
        let stranger = gateway.cli_as(None, arguments);
        assert!(!stranger.status.success() && complained(&stranger).contains("PORTCULLIS_TOKEN"));
    }
    let played = gateway.cli_as(Some(&alice), &["sessions", "replay", &id, "--fast"]);
    assert_eq!(joined(said(&played).as_bytes()), joined(&raw));
    // Every one of them was recorded, as asked by whom.
    let list = gateway.cli_as(Some(&alice), &["sessions", "list", "--json", "--class", "reload"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let outcomes: Vec<_> =
        list["exchanges"].as_array().unwrap().iter().map(|one| one["outcome"].as_str()).collect();
    assert_eq!(outcomes, [Some("refused"), Some("completed")], "{list}");
}

#[tokio::test]
async fn local_reads_the_files_says_so_and_leaves_no_record() {
    let (provider, _upstream, mut gateway) = stand().await;
    let alice = provider.login("alice").await;
    let id = chat(&gateway, &alice).await.headers["x-request-id"].to_str().unwrap().to_owned();
    gateway.sealed(1).await;
    gateway.stop().await;
    for arguments in [&["sessions", "list"][..], &["sessions", "show", &id], &["why", &id]] {
        let output = gateway.cli_as(None, &[arguments, &["--local"]].concat());
        assert!(output.status.success(), "{}", complained(&output));
        assert!(said(&output).contains(&id), "{}", said(&output));
        assert!(complained(&output).contains("as their operator"), "{}", complained(&output));
    }
    assert_eq!(gateway.exchanges().len(), 1);
    // Without it, a gateway that is gone can't be asked.
    let output = gateway.cli_as(Some(&alice), &["sessions", "list"]);
    assert!(!output.status.success() && complained(&output).contains("cannot reach"), "{output:?}");
}

#[tokio::test]
async fn a_gateway_that_is_not_administered_says_what_to_do() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::chat(["hi"])));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let output = gateway.cli_as(Some("x"), &["sessions", "list"]);
    assert!(!output.status.success(), "{output:?}");
    assert!(complained(&output).contains("--admin") && complained(&output).contains("--local"));
    assert!(!gateway.file("admin.sock").exists(), "absent is off");
}

#[tokio::test]
async fn the_listener_is_its_own_with_its_own_tls() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::chat(["hi"])));
    let at = free_address();
    let admin =
        json!({ "admin": { "address": at.to_string(), "tls": { "dir": "tls" }, "socket_mode": "off" } });
    let plan = Plan::before(&provider, &upstream.url()).policy("admin.cedar", ADMINS_ADMINISTER).with(admin);
    let gateway = plan.start().await;
    let alice = provider.login("alice").await;
    let ca = gateway.file("tls/ca.pem");
    let by_name = |more: &[&str]| {
        let mut command = Command::new(portcullis());
        command.args(["resources", "list", "--json"]).args(more).env("PORTCULLIS_TOKEN", &alice);
        command.current_dir(std::env::temp_dir()).output().unwrap()
    };
    let url = format!("https://{at}");
    let output = by_name(&["--admin", &url, "--admin-ca", ca.to_str().unwrap()]);
    assert!(output.status.success() && said(&output).contains("llama"), "{output:?}");
    let untrusted = by_name(&["--admin", &url]);
    assert!(!untrusted.status.success(), "a certificate nobody vouches for: {untrusted:?}");
    let plain = by_name(&["--admin", "http://192.0.2.1:1"]);
    assert!(complained(&plain).contains("is no address"), "a token never travels readable: {plain:?}");
    // From the configuration alone.
    assert!(gateway.cli_as(Some(&alice), &["policy", "show"]).status.success());
    assert!(!gateway.file("admin.sock").exists());
    // Callers' listener knows nothing of it.
    let elsewhere = client::get(&gateway.url("/api/v1/me"), &alice).await;
    assert_eq!(elsewhere.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_reload_that_finds_faults_tells_them_and_changes_nothing() {
    let (provider, _upstream, gateway) = stand().await;
    let alice = provider.login("alice").await;
    let before = call(&gateway, Method::GET, "/policies", Some(&alice), None).await.json();
    std::fs::write(gateway.file("policies/broken.cedar"), "permit (principal, actoin, resource);").unwrap();
    let refused = call(&gateway, Method::POST, "/policies/reload", Some(&alice), None).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text());
    assert!(refused.json()["detail"].as_str().unwrap().contains("broken.cedar:1"), "{}", refused.text());
    let after = call(&gateway, Method::GET, "/policies", Some(&alice), None).await.json();
    assert_eq!(before["hash"], after["hash"]);
    // Looked at before, it would have been known.
    let files =
        json!({ "files": [{ "name": "broken.cedar", "text": "permit (principal, actoin, resource);" }] });
    let checked = call(&gateway, Method::POST, "/policies/check", Some(&alice), Some(&files)).await.json();
    assert_eq!(checked["ok"], false, "{checked}");
    assert_eq!(checked["faults"][0]["place"]["line"], 1, "{checked}");
}
