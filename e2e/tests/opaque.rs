//! Tokens that only their issuer can read, from two real providers.

use std::io::Write;
use std::process::{Command, Stdio};

use e2e::ask::{chat, code};
use e2e::gateway::Gateway;
use e2e::parts::portcullis;
use e2e::plan::{self, Plan};
use e2e::provider::{Glewlwyd, Provider};
use e2e::upstream::{FakeUpstream, Reply};
use http::StatusCode;
use serde_json::{Value, json};

async fn upstream() -> FakeUpstream {
    FakeUpstream::start(|_| Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [] })))
        .await
}

/// A gateway that asks the certified provider, as `issuer` says.
async fn asking(provider: &Provider, upstream: &FakeUpstream, issuer: Value) -> Gateway {
    let asked = json!({ "introspection": {
        "client_id": "gate", "client_secret": "env:GATE_SECRET", "cache": "0s",
    } });
    Plan::before(provider, &upstream.url())
        .environment("GATE_SECRET", &provider.secret)
        .with(json!({ "issuers": { "panva": asked } }))
        .with(json!({ "issuers": { "panva": issuer } }))
        .start()
        .await
}

/// What `token inspect` says of a token, as JSON.
fn inspect(gateway: &Gateway, token: &str, secret: &str) -> Value {
    let mut command = Command::new(portcullis());
    command.args(["token", "inspect", "--json", "--config"]).arg(gateway.file("portcullis.yaml"));
    command.env("LLAMA_KEY", "key").env("GATE_SECRET", secret).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}

fn failed(told: &Value) -> Vec<&str> {
    let checks = told["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["verdict"] == "failed").filter_map(|check| check["check"].as_str()).collect()
}

#[tokio::test]
async fn an_opaque_token_opens_what_its_issuer_says_and_no_longer() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let gateway = asking(&provider, &upstream, json!({})).await;
    let alice = provider.login_for("alice", "opaque").await;
    assert!(!alice.contains('.'), "{alice} is no opaque token");
    let answer = chat(&gateway, &alice).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    // A JWT of the same issuer passes as before, and was never shown to anybody.
    assert_eq!(chat(&gateway, &provider.login("alice").await).await.status, StatusCode::OK);
    // Bob's groups come from the same answer, and open nothing.
    assert_eq!(code(&chat(&gateway, &provider.login_for("bob", "opaque").await).await), "policy_denied");

    let told = inspect(&gateway, &alice, &provider.secret);
    assert_eq!((&told["accepted"], failed(&told).len()), (&json!(true), 0), "{told}");
    assert!(told["checks"].as_array().unwrap().iter().any(|check| check["check"] == "introspection"));
    assert_eq!(told["claims"]["sub"], "alice");

    provider.away(true).await;
    let away = chat(&gateway, &alice).await;
    assert_eq!(
        (away.status, code(&away).as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "identity_unavailable")
    );
    assert!(away.headers.contains_key("retry-after"));
    provider.away(false).await;
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);

    provider.revoke(&alice).await;
    let refused = chat(&gateway, &alice).await;
    assert_eq!((refused.status, code(&refused).as_str()), (StatusCode::UNAUTHORIZED, "token_invalid"));
    assert_eq!(failed(&inspect(&gateway, &alice, &provider.secret)), ["introspection"]);
    let forged = ["made", "up"].concat().repeat(5);
    assert_eq!(chat(&gateway, &forged).await.status, StatusCode::UNAUTHORIZED);
    let told = inspect(&gateway, &provider.login_for("alice", "opaque").await, "not the secret");
    assert_eq!((failed(&told), told["code"].as_str()), (vec!["introspection"], Some("identity_unavailable")));
}

#[tokio::test]
async fn groups_that_no_token_holds_come_from_userinfo() {
    let (provider, upstream) = tokio::join!(Provider::start(), upstream());
    let issuer = json!({ "introspection": { "clients": ["person"] }, "userinfo": "groups" });
    let gateway = asking(&provider, &upstream, issuer).await;
    let (alice, bob) = (provider.login_bare("alice").await, provider.login_bare("bob").await);
    let answer = chat(&gateway, &alice).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(code(&chat(&gateway, &bob).await), "policy_denied");
    let told = inspect(&gateway, &alice, &provider.secret);
    assert_eq!(told["groups"], json!(["admins", "ml-engineers"]), "{told}");
    assert!(told["checks"].as_array().unwrap().iter().any(|check| check["check"] == "userinfo"));

    // Without userinfo she has no groups, and a client that is not listed opens nothing.
    let strict = asking(&provider, &upstream, json!({ "introspection": { "clients": ["person"] } })).await;
    assert_eq!(code(&chat(&strict, &alice).await), "policy_denied");
    let other = asking(&provider, &upstream, json!({ "introspection": { "clients": ["another"] } })).await;
    assert_eq!(failed(&inspect(&other, &alice, &provider.secret)), ["audience"]);
    let without = asking(&provider, &upstream, json!({})).await;
    assert_eq!(failed(&inspect(&without, &alice, &provider.secret)), ["audience"], "it has no audience");
}

#[tokio::test]
async fn a_refresh_token_of_another_make_of_provider_is_no_access_token() {
    let (provider, upstream) = tokio::join!(Glewlwyd::start(), upstream());
    let asked =
        json!({ "introspection": { "client_id": "gateway-tests", "client_secret": "env:GATE_SECRET" } });
    let secret = ["only", "for", "tests"].join("-");
    let gateway = Plan::default()
        .glewlwyd(&provider)
        .with(json!({ "issuers": { "glewlwyd": asked } }))
        .resource("llama", plan::model_at(&upstream.url()))
        .environment("LLAMA_KEY", "key")
        .environment("GATE_SECRET", &secret)
        .policy("engineers.cedar", plan::ENGINEERS_MAY_USE)
        .start()
        .await;
    let alice = provider.login("alice").await;
    assert_eq!(chat(&gateway, alice["access_token"].as_str().unwrap()).await.status, StatusCode::OK);
    let refresh = alice["refresh_token"].as_str().unwrap_or_else(|| panic!("no refresh token in {alice}"));
    assert_eq!(code(&chat(&gateway, refresh).await), "token_invalid");
    // It was asked about as an access token, which it is not.
    assert_eq!(failed(&inspect(&gateway, refresh, &secret)), ["introspection"]);
    let wrong = inspect(&gateway, refresh, "another");
    assert_eq!(wrong["code"], "identity_unavailable", "the gateway's own client is refused: {wrong}");
    assert!(upstream.received().len() == 1);
}
