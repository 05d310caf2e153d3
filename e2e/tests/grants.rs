//! A group for a while: asked for, consented to by another, used; its end and its revocation cut what runs.

use std::time::Duration;

use e2e::admin::{ADMINS_ADMINISTER, call};
use e2e::ask::{chat, code, stream};
use e2e::client;
use e2e::gateway::Gateway;
use e2e::plan::Plan;
use e2e::provider::Provider;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::standing::{begun, endless};

/// Nobody infers but who is on call; analysts may be for two hours with a consent, admins for five minutes
/// without; admins consent.
const ON_CALL: &str = r#"
@id("on-call-infers")
permit(principal in Group::"on-call", action == Action::"infer", resource in Resource::"llama");
@id("agents-infer")
permit(principal in Group::"agents", action == Action::"infer", resource in Resource::"llama");
@id("analysts-join")
permit(principal in Group::"analysts", action == Action::"join", resource == Group::"on-call")
when { context.minutes <= 120 && context.approvals >= 1 };
@id("admins-join")
permit(principal in Group::"admins", action == Action::"join", resource == Group::"on-call")
when { context.minutes <= 5 };
@id("admins-approve")
permit(principal in Group::"admins", action == Action::"approve", resource == Group::"on-call");
@id("own")
permit(principal, action in [Action::"view", Action::"revoke"], resource) when { resource == principal };
"#;

fn plan(provider: &Provider, url: &str) -> Plan {
    Plan::before(provider, url)
        .policy("engineers.cedar", ON_CALL)
        .policy("admins.cedar", ADMINS_ADMINISTER)
        .administered()
}

fn run(gateway: &Gateway, token: &str, arguments: &[&str]) -> Result<Value, String> {
    let output = gateway.cli_as(Some(token), &[arguments, &["--json"]].concat());
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).expect("JSON")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn request(gateway: &Gateway, token: &str, lasts: &str) -> Result<Value, String> {
    run(gateway, token, &["access", "request", "--group", "on-call", "--for", lasts, "--reason", "the pager"])
}

#[tokio::test]
async fn a_grant_opens_what_its_group_may_and_its_revocation_cuts_it() {
    let (provider, upstream) = tokio::join!(Provider::start(), endless());
    let gateway = plan(&provider, &upstream.url()).start().await;
    let (alice, agent) = (provider.login("alice").await, provider.machine("agent-runner").await);
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::FORBIDDEN);

    // Longer than policy lets anybody.
    let long = request(&gateway, &alice, "3h").unwrap_err();
    assert!(long.contains("policy_denied") && long.contains("180 minutes"), "{long}");
    let granted = request(&gateway, &alice, "5m").unwrap();
    let id = granted["grant"]["id"].as_str().unwrap().to_owned();
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
    let listed = run(&gateway, &alice, &["access", "list"]).unwrap();
    assert_eq!((&listed["grants"][0]["id"], &listed["grants"][0]["group"]), (&json!(id), &json!("on-call")));

    let mut cut = stream(&gateway, &alice, "hello").await;
    let mut other = stream(&gateway, &agent, "hello").await;
    begun(cut.body_mut()).await;
    begun(other.body_mut()).await;
    let revoked = run(&gateway, &alice, &["access", "revoke", &id, "--reason", "done"]).unwrap();
    assert_eq!(revoked["grant"]["over"]["by"], format!("{}#alice", provider.issuer));
    let (told, end) = client::drain(cut.body_mut()).await;
    assert!(
        end.is_err() && String::from_utf8_lossy(&told).contains("grant_over"),
        "a cut stream never looks complete"
    );
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::FORBIDDEN);
    assert!(run(&gateway, &alice, &["access", "list"]).unwrap()["grants"].as_array().unwrap().is_empty());
    let all = run(&gateway, &alice, &["access", "list", "--all"]).unwrap();
    assert_eq!(all["grants"][0]["over"]["reason"], "done");
    // The ledger has it, and still verifies.
    let audit = gateway.cli(&["audit", "verify"]);
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stderr));
}

#[tokio::test]
async fn its_end_cuts_a_live_stream_also_after_a_restart() {
    let (provider, upstream) = tokio::join!(Provider::start(), endless());
    let mut gateway = plan(&provider, &upstream.url()).start().await;
    let alice = provider.login("alice").await;
    let granted = request(&gateway, &alice, "1m").unwrap();
    let ends: Value = granted["grant"]["ends"].clone();
    gateway.kill();
    gateway.restart().await;
    let mut cut = stream(&gateway, &alice, "hello").await;
    begun(cut.body_mut()).await;
    let again = run(&gateway, &alice, &["access", "list"]).unwrap();
    assert_eq!(again["grants"][0]["ends"], ends, "the same end");
    // Nothing else ends this stream: its text has no end, and its token lives for longer.
    let mut told = Vec::new();
    let end = loop {
        match client::next(cut.body_mut()).await {
            Some(Ok(bytes)) => told.extend_from_slice(&bytes),
            Some(Err(why)) if why.starts_with("nothing more came") => {}
            other => break other,
        }
    };
    assert!(matches!(end, Some(Err(_))) && String::from_utf8_lossy(&told).contains("grant_over"));
    let refused = chat(&gateway, &alice).await;
    assert_eq!((refused.status, code(&refused).as_str()), (StatusCode::FORBIDDEN, "policy_denied"));
    let over = gateway.eventually(|| {
        let all = run(&gateway, &alice, &["access", "list", "--all"]).ok()?;
        all["grants"][0]["over"].is_object().then_some(all)
    });
    assert_eq!(over.await["grants"][0]["over"]["by"], Value::Null, "its time was over");
}

#[tokio::test]
async fn another_consents_and_the_time_counts_from_then() {
    let (provider, upstream) = tokio::join!(Provider::start(), endless());
    let gateway = plan(&provider, &upstream.url()).start().await;
    let (bob, alice) = (provider.login("bob").await, provider.login("alice").await);
    let waits = request(&gateway, &bob, "2h").unwrap();
    let id = waits["approval"]["id"].as_str().unwrap().to_owned();
    assert_eq!((&waits["grant"], &waits["approval"]["needed"]), (&Value::Null, &json!(1)));
    // The same again is the same approval.
    assert_eq!(request(&gateway, &bob, "2h").unwrap()["approval"]["id"], id.as_str());
    assert_eq!(chat(&gateway, &bob).await.status, StatusCode::FORBIDDEN);
    let approve = |token: String| {
        let (gateway, path) = (&gateway, format!("/approvals/{id}/approve"));
        async move { call(gateway, Method::POST, &path, Some(&token), Some(&json!({ "reason": "ok" }))).await }
    };
    assert!(!approve(bob.clone()).await.status.is_success(), "nobody approves their own");
    let approved = approve(alice).await;
    assert!(approved.status.is_success(), "{}", approved.text());
    for _ in 0..500 {
        if chat(&gateway, &bob).await.status == StatusCode::OK {
            let listed = run(&gateway, &bob, &["access", "list"]).unwrap();
            let grant = &listed["grants"][0];
            assert_eq!(grant["consents"], json!([format!("{}#alice", provider.issuer)]));
            let time = |key: &str| grant[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            assert_eq!(time("ends").duration_since(time("began")).as_secs(), 7200);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never let in:\n{}", gateway.log());
}
