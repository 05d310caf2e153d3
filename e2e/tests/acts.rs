//! Acts on Portcullis that need consent: asked for at the first try, done at the one after people gave it.

use e2e::admin::{ADMINS_ADMINISTER, call};
use e2e::gateway::Gateway;
use e2e::plan::Plan;
use e2e::provider::Provider;
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// Analysts may block callers if one person consents; admins consent, and may do all by themselves.
const BLOCK: &str = r#"
// Whoever is shut out should be so by two people's will.
@id("analysts-block")
permit(principal in Group::"analysts", action == Action::"block", resource in Area::"callers")
when { context.approvals >= 1 };
@id("admins-approve")
permit(principal in Group::"admins", action == Action::"approve", resource == Area::"callers")
when { context.operation == "block" };
"#;
/// The same without what analysts may.
const NOT_ANY_MORE: &str = r#"
@id("admins-approve")
permit(principal in Group::"admins", action == Action::"approve", resource == Area::"callers");
"#;
const SHUT_OUT: &str = "https://id.example#mallory";

async fn start(provider: &Provider) -> Gateway {
    Plan::before(provider, "http://127.0.0.1:9")
        .policy("block.cedar", BLOCK)
        .policy("admins.cedar", ADMINS_ADMINISTER)
        .administered()
        .start()
        .await
}

fn block(gateway: &Gateway, token: &str, reason: &str) -> Result<Value, String> {
    run(gateway, token, &["access", "block", SHUT_OUT, "--reason", reason])
}

fn run(gateway: &Gateway, token: &str, arguments: &[&str]) -> Result<Value, String> {
    let output = gateway.cli_as(Some(token), &[arguments, &["--json"]].concat());
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).expect("JSON")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// What waits, as `token`'s bearer sees it.
fn waiting(gateway: &Gateway, token: &str) -> Vec<Value> {
    let listed = run(gateway, token, &["approvals", "list"]).expect("a list");
    listed["approvals"].as_array().expect("approvals").clone()
}

async fn decide(gateway: &Gateway, token: &str, approval: &Value, verb: &str, reason: &str) {
    let path = format!("/approvals/{}/{verb}", approval["id"].as_str().expect("an id"));
    let told = call(gateway, Method::POST, &path, Some(token), Some(&json!({ "reason": reason }))).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text());
}

/// Lets the caller in again, and says whether it was shut out.
fn was_blocked(gateway: &Gateway, admin: &str) -> bool {
    let output = gateway.cli_as(Some(admin), &["access", "unblock", SHUT_OUT, "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    told["was_blocked"].as_bool().expect("yes or no")
}

#[tokio::test]
async fn an_act_is_done_once_when_another_consented_to_just_that() {
    let provider = Provider::start().await;
    let gateway = start(&provider).await;
    let (bob, alice) = (provider.login("bob").await, provider.login("alice").await);

    let told = block(&gateway, &bob, "left").unwrap_err();
    assert!(told.contains("approval_pending") && told.contains("one person"), "{told}");
    let waits = waiting(&gateway, &alice);
    assert_eq!((&waits[0]["wanted"], &waits[0]["resource"]), (&json!("act"), &json!("api/callers")));
    assert_eq!(waits[0]["operations"][0]["name"], "block");
    let sentence = "Whoever is shut out should be so by two people's will.";
    assert_eq!(waits[0]["policies"][0]["sentence"], sentence);
    let id = waits[0]["id"].as_str().expect("an id");
    assert!(told.contains(&format!("approval {id}")), "{told}");
    let whole = run(&gateway, &alice, &["approvals", "show", id]).expect("shown");
    assert_eq!(whole["method"], "PUT");
    assert!(whole["prompt"].to_string().contains("left"), "{whole}");
    // Nobody consents to their own, and the same again is the same approval.
    let own =
        call(&gateway, Method::POST, &format!("/approvals/{id}/approve"), Some(&bob), Some(&json!({}))).await;
    assert_eq!(own.status, StatusCode::FORBIDDEN, "{}", own.text());
    assert!(block(&gateway, &bob, "left").is_err() && !was_blocked(&gateway, &alice));
    // Another reason is another call.
    assert!(block(&gateway, &bob, "bored").is_err());
    assert_eq!(waiting(&gateway, &alice).len(), 2);

    decide(&gateway, &alice, &waits[0], "approve", "I saw the letter").await;
    assert!(
        block(&gateway, &bob, "bored").is_err() && !was_blocked(&gateway, &alice),
        "not what was consented to"
    );
    let done = block(&gateway, &bob, "left");
    assert!(done.is_ok() && was_blocked(&gateway, &alice), "{done:?}");
    // Used once; another time it needs another consent.
    assert!(block(&gateway, &bob, "left").unwrap_err().contains("approval_pending"));
    let audit = gateway.cli(&["audit", "verify"]);
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stderr));
}

#[tokio::test]
async fn a_denial_and_a_policy_that_changed_keep_an_act_from_being_done() {
    let provider = Provider::start().await;
    let gateway = start(&provider).await;
    let (bob, alice) = (provider.login("bob").await, provider.login("alice").await);
    assert!(block(&gateway, &bob, "first").is_err());
    decide(&gateway, &alice, &waiting(&gateway, &alice)[0], "deny", "he is on leave").await;
    let denied = block(&gateway, &bob, "first").unwrap_err();
    assert!(denied.contains("approval_denied") && denied.contains("on leave"), "{denied}");

    assert!(block(&gateway, &bob, "second").is_err());
    let waits = waiting(&gateway, &alice);
    decide(&gateway, &alice, waits.first().expect("the second waits"), "approve", "").await;
    std::fs::write(gateway.file("policies").join("block.cedar"), NOT_ANY_MORE).expect("a policy file");
    let reloaded = call(&gateway, Method::POST, "/policies/reload", Some(&alice), None).await;
    assert_eq!(reloaded.status, StatusCode::OK, "{}", reloaded.text());
    let refused = block(&gateway, &bob, "second").unwrap_err();
    assert!(refused.contains("policy_denied") && !was_blocked(&gateway, &alice), "{refused}");
}
