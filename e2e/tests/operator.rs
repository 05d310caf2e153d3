//! What an operator asks after the fact: which check failed, who asked what, why, and what would allow it.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::ask::{chat_body, stream};
use e2e::client;
use e2e::gateway::Gateway;
use e2e::parts::portcullis;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const SHORT_ONLY: &str = r#"
// Engineers may ask for short answers.
@id("short-answers")
permit (
  principal in Group::"ml-engineers",
  action == Action::"infer",
  resource in Resource::"llama"
)
when { context.max_tokens <= 8 };

// Training needs a second pair of eyes.
@id("train-with-approval")
permit (principal in Group::"ml-engineers", action == Action::"administer", resource in Resource::"llama")
when { context.approvals >= 1 };
"#;

async fn stand() -> (Provider, FakeUpstream, Gateway) {
    let words = ["one ", "two ", "three ", "four "];
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(move |_| Reply::chat(words)));
    let plan = Plan::before(&provider, &upstream.url()).policy("engineers.cedar", SHORT_ONLY);
    let plan = plan.with(json!({ "resources": { "llama": { "hold": "0s" } } }));
    (provider, upstream, plan.start().await)
}

/// Runs `token inspect` with the token on standard input, as it should be given.
fn inspect(gateway: &Gateway, token: &str, more: &[&str]) -> (bool, String) {
    let mut command = Command::new(portcullis());
    command.args(["token", "inspect", "--config"]).arg(gateway.file("portcullis.yaml")).args(more);
    command.env("LLAMA_KEY", "key").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn the_check_that_fails_is_named() {
    let (provider, _upstream, gateway) = stand().await;
    let good = provider.login("alice").await;
    let (accepted, said) = inspect(&gateway, &good, &[]);
    assert!(accepted && said.contains("groups   admins, ml-engineers"), "{said}");
    let elsewhere = provider.login_for("alice", "elsewhere").await;
    // Another token's signature.
    let (signed, _) = good.rsplit_once('.').unwrap();
    let (_, signature) = elsewhere.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{signature}");
    for (token, failing, why) in [
        (elsewhere.as_str(), "audience", "elsewhere"),
        ("garbage", "structure", "dots"),
        (forged.as_str(), "signature", ""),
        ("", "presented", "no token"),
    ] {
        let (accepted, said) = inspect(&gateway, token, &[]);
        assert!(!accepted, "{said}");
        let failed: Vec<&str> = said.lines().filter(|line| line.starts_with('✗')).collect();
        assert!(failed.len() == 1 && failed[0].contains(failing), "{failing}: {said}");
        assert!(said.contains(why), "{said}");
        let (_, told) = inspect(&gateway, token, &["--json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        let checks = told["checks"].as_array().unwrap();
        let failed: Vec<_> = checks.iter().filter(|check| check["verdict"] == "failed").collect();
        assert_eq!((told["accepted"].as_bool(), failed.len()), (Some(false), 1), "{told}");
        assert_eq!(failed[0]["check"], failing);
    }
}

#[tokio::test]
async fn a_stream_is_played_again_as_it_came() {
    let (provider, _upstream, gateway) = stand().await;
    let mut answer = stream(&gateway, &provider.login("alice").await, "hello").await;
    let (raw, end) = client::drain(answer.body_mut()).await;
    assert_eq!(end, Ok(()));
    let seen = String::from_utf8(raw).unwrap();
    let id = gateway.sealed(1).await[0].id().to_owned();
    for more in [&["--fast"][..], &[]] {
        let output = gateway.cli(&[&["sessions", "replay", id.as_str()], more].concat());
        assert!(output.status.success(), "{output:?}");
        let played = String::from_utf8(output.stdout).unwrap();
        assert!(played.contains(&seen), "{played}\n---\n{seen}");
    }
    // A prefix that is the only one is enough; one that names nothing is said to.
    let output = gateway.cli(&["sessions", "replay", &id[..20], "--json", "--fast"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let frames = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let frames: Vec<Value> = frames.collect::<Result<_, _>>().unwrap();
    let data: String = frames.iter().filter_map(|frame| frame["data"].as_str()).collect();
    assert_eq!(data, seen);
    let times: Vec<u64> = frames.iter().filter_map(|frame| frame["after_ns"].as_u64()).collect();
    assert!(times.len() == frames.len() && times.is_sorted(), "{times:?}");
    let unknown = gateway.cli(&["sessions", "replay", "ffffffff"]);
    assert!(!unknown.status.success() && !unknown.stderr.is_empty());
}

/// What `why` says of an answer, for people and for machines.
fn why(gateway: &Gateway, answer: &client::Answer) -> (String, Value) {
    let id = answer.headers["x-request-id"].to_str().unwrap();
    let output = gateway.cli(&["why", id]);
    assert!(output.status.success(), "{output:?}");
    (String::from_utf8(output.stdout).unwrap(), gateway.why(id))
}

#[tokio::test]
async fn why_tells_what_failed_and_offers_no_more_than_was_asked() {
    let (provider, _upstream, gateway) = stand().await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    let url = gateway.url("/llama/v1/chat/completions");
    let mut long = chat_body("hello");
    long["max_tokens"] = json!(32);

    let (text, told) = why(&gateway, &client::post(&url, &alice, &long).await);
    assert!(text.contains("max_tokens 32 > 8") && text.contains("groups: admins, ml-engineers"), "{text}");
    let nearest = &told["explanations"][0]["nearest"];
    assert_eq!(nearest["policy"], "short-answers", "{told}");
    // The permit it offers lets just this through, when it is pasted.
    let permit = told["explanations"][0]["paste"]["permit"].as_str().unwrap_or_else(|| panic!("{told}"));
    assert!(text.contains(permit), "{text}");
    std::fs::write(gateway.file("policies/pasted.cedar"), permit).unwrap();
    gateway.reload();
    let mut passed = client::post(&url, &alice, &long).await;
    for _ in 0..200 {
        if passed.status == StatusCode::OK {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        passed = client::post(&url, &alice, &long).await;
    }
    assert_eq!(passed.status, StatusCode::OK, "{}", passed.text());
    let (text, _) = why(&gateway, &passed);
    assert!(text.contains("allowed: `infer`") && text.contains("pasted.cedar"), "{text}");
    long["max_tokens"] = json!(33);
    assert_eq!(client::post(&url, &alice, &long).await.status, StatusCode::FORBIDDEN);

    let erase = gateway.url("/llama/slots/0?action=erase");
    let (text, told) = why(&gateway, &client::post(&erase, &bob, &json!({})).await);
    assert!(told["explanations"][0]["paste"]["withheld"].as_str().unwrap().contains('‼'), "{told}");
    assert!(text.contains("no permit to paste"), "{text}");
    let (text, _) = why(&gateway, &client::post(&erase, &alice, &json!({})).await);
    assert!(text.contains("waits for 1 approval") && text.contains("approval_pending"), "{text}");

    let stranger = client::send(Method::POST, &url, None, Some(&chat_body("hello"))).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert!(stranger.headers.contains_key("www-authenticate"));
    let (text, told) = why(&gateway, &stranger);
    assert!(text.contains("token_missing") && told["explanations"] == json!([]), "{text}");
}

#[test]
fn every_shell_gets_completions() {
    for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef portcullis"), ("fish", "complete -c")] {
        let output = Command::new(portcullis()).args(["completions", shell]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains(word) && text.contains("replay"), "{shell}");
    }
}
