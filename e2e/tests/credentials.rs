//! Credentials: from a real vault, by a real token endpoint, over mutual TLS; refreshed when refused, replaced
//! under load and with consent, and never shown.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use e2e::admin::{ADMINS_ADMINISTER, call, copies};
use e2e::agent::Agent;
use e2e::ask::{chat, chat_body, code};
use e2e::client;
use e2e::gateway::Gateway;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Received, Reply};
use e2e::vault::Vault;
use http::{Method, StatusCode};
use serde_json::{Value, json};

fn whole() -> Reply {
    Reply::json(&json!({ "id": "1", "object": "chat.completion", "choices": [] }))
}

fn refused() -> Reply {
    Reply::json(&json!({ "error": { "message": "no" } })).status(401)
}

fn shown(asked: &Received) -> &str {
    asked.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn sent(upstream: &FakeUpstream) -> Vec<String> {
    upstream.received().iter().map(|asked| shown(asked).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_real_vault_is_read_renewed_and_outlives_a_sealed_vault_for_a_while() {
    let taken =
        |asked: &Received| if shown(asked) == "Bearer the-first-vault-key" { whole() } else { refused() };
    let both = Arc::new(AtomicBool::new(false));
    let later = Arc::clone(&both);
    let upstream = FakeUpstream::start(move |asked: &Received| match later.load(Ordering::SeqCst) {
        true if shown(asked) == "Bearer the-second-vault-key" => whole(),
        true => refused(),
        false => taken(asked),
    });
    let (provider, upstream, vault) = tokio::join!(Provider::start(), upstream, Vault::start());
    vault.put("models/llama", "api_key", "the-first-vault-key").await;
    let token = vault.token().await;
    let place = json!({
        "url": vault.url, "engine": "kv-v1", "mount": "secret", "path": "models/llama", "field": "api_key",
        "token": "file:vault.token",
    });
    let plan = |cache: &str| {
        let mut resource = e2e::plan::model_at(&upstream.url());
        resource["credential"] = json!({ "vault": place, "cache": cache, "stale": "3s" });
        Plan::before(&provider, &upstream.url()).file("vault.token", &token).resource("llama", resource)
    };
    let gateway = plan("1h").start().await;
    let alice = provider.login("alice").await;
    for _ in 0..3 {
        assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK, "{}", gateway.log());
    }
    // The cache lasts an hour; an upstream that says no is worth a look at once.
    vault.put("models/llama", "api_key", "the-second-vault-key").await;
    both.store(true, Ordering::SeqCst);
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
    let first = "Bearer the-first-vault-key";
    let second = "Bearer the-second-vault-key";
    assert_eq!(sent(&upstream), [first, first, first, first, second]);

    // Without a cache each request asks: a sealed vault is outlived for three seconds, and named then.
    let cached = gateway;
    let gateway = plan("0s").start().await;
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
    vault.seal().await;
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK, "the last value is used on");
    let answer = loop {
        let answer = chat(&gateway, &alice).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (503, "credential_unavailable"));
    assert!(
        answer.text().contains("The credential for resource `llama` cannot be had."),
        "{}",
        answer.text()
    );
    assert!(!answer.text().contains("vault"), "the caller learns nothing of it: {}", answer.text());
    assert!(gateway.log().contains("it is sealed"), "the operator does:\n{}", gateway.log());
    vault.unseal().await;
    loop {
        if chat(&gateway, &alice).await.status == StatusCode::OK {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for secret in ["the-first-vault-key", "the-second-vault-key", &token] {
        for gateway in [&cached, &gateway] {
            assert!(!gateway.log().contains(secret));
            assert_eq!(copies(gateway, secret), 0);
        }
    }
}

#[tokio::test]
async fn a_real_token_endpoint_grants_what_is_shown() {
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(|asked: &Received| {
            // Shows everything it was sent.
            whole().header("x-seen", shown(asked)).send(format!("{{\"seen\":\"{}\"}}", shown(asked)))
        })
    );
    let grant = json!({
        "token_url": format!("{}/token", provider.issuer), "client_id": "batch-runner", "scopes": ["api"],
        "resource": "urn:upstream",
    });
    let mut resource = e2e::plan::model_at(&upstream.url());
    resource["credential"] = json!({ "value": "env:CLIENT_SECRET", "oauth2": grant });
    resource["return_headers"] = json!(["x-seen"]);
    let plan = Plan::before(&provider, &upstream.url()).resource("llama", resource);
    let gateway = plan.environment("CLIENT_SECRET", &provider.secret).start().await;
    let alice = provider.login("alice").await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(chat(&gateway, &alice).await);
    }
    let sent = sent(&upstream);
    let token = sent[0].strip_prefix("Bearer ").unwrap();
    assert_eq!(token.split('.').count(), 3, "a JWT of the provider's");
    assert!(sent.iter().all(|one| *one == sent[0]), "it is kept");
    for answer in answers {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let seen = answer.headers["x-seen"].to_str().unwrap();
        assert!(seen.chars().all(|c| c == '*' || "Bearer ".contains(c)), "{seen}");
        assert!(!answer.text().contains(token) && answer.text().contains("***"), "{}", answer.text());
    }
    assert_eq!((copies(&gateway, token), copies(&gateway, &provider.secret)), (0, 0));
}

/// The upstream takes what stands in this file's lines, which a rotation changes; the probe tells who has it.
fn guarded(file: std::path::PathBuf) -> impl Fn(&Received) -> Reply + Clone + Send + Sync + 'static {
    move |asked: &Received| {
        let taken = fs::read_to_string(&file).unwrap_or_default();
        let secret = shown(asked).strip_prefix("Bearer ").unwrap_or_default();
        if taken.lines().any(|line| line == secret) { whole() } else { refused() }
    }
}

/// A gateway whose rotation command is `script`, run in the gateway's folder.
async fn rotating(script: &str, policies: &str) -> (Provider, FakeUpstream, Gateway, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    fs::write(&taken, "the-old-key\n").unwrap();
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(guarded(taken)));
    let mut resource = e2e::plan::model_at(&upstream.url());
    let rotate = json!({ "command": ["/bin/sh", "rotate.sh", folder.path()], "probe": "/v1/models" });
    resource["credential"] = json!({ "value": "file:llama.key", "rotate": rotate });
    let plan = Plan::before(&provider, &upstream.url()).resource("llama", resource);
    let plan =
        plan.file("llama.key", "the-old-key").file("rotate.sh", script).policy("admin.cedar", policies);
    (provider, upstream, plan.administered().start().await, folder)
}

async fn rotate(gateway: &Gateway, token: &str) -> client::Answer {
    call(gateway, Method::POST, "/resources/llama/credential/rotate", Some(token), None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_under_load_fails_not_one_request() {
    // The old key ends before the new one is proved: whoever holds it then is refused, and asks again.
    let script =
        "printf the-new-key > next && mv next llama.key && echo the-new-key > $1/t && mv $1/t $1/taken";
    let (provider, upstream, gateway, _folder) = rotating(script, ADMINS_ADMINISTER).await;
    let alice = provider.login("alice").await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (url, body) = (gateway.url("/llama/v1/chat/completions"), chat_body("hello"));
    let load: Vec<_> = (0..8)
        .map(|_| {
            let (stop, done, alice) = (Arc::clone(&stop), Arc::clone(&done), alice.clone());
            let (url, body) = (url.clone(), body.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let answer = client::post(&url, &alice, &body).await;
                    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let so_many = |count: usize| {
        let done = Arc::clone(&done);
        async move {
            let from = done.load(Ordering::SeqCst);
            while done.load(Ordering::SeqCst) < from + count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    so_many(100).await;
    let rotated = rotate(&gateway, &alice).await;
    assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.text());
    assert_eq!(rotated.json()["upstreams"][0]["status"], 200, "{}", rotated.text());
    so_many(100).await;
    stop.store(true, Ordering::SeqCst);
    for one in load {
        one.await.unwrap();
    }
    assert!(sent(&upstream).iter().any(|one| one == "Bearer the-new-key"));
    // The act is in the record like any other, and neither key is anywhere.
    let total = done.load(Ordering::SeqCst) + 1;
    let recorded = gateway.sealed(total).await;
    let act =
        recorded.iter().find(|exchange| exchange.0["operations"] == json!(["credentials.rotate"])).unwrap();
    assert_eq!(act.outcome(), Some("completed"), "{act:?}");
    for secret in ["the-old-key", "the-new-key"] {
        assert!(!gateway.log().contains(secret) && !rotated.text().contains(secret));
        assert_eq!(copies(&gateway, secret), 0, "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_fails_says_why_and_the_old_key_is_used_on() {
    let script = "printf a-key-that-nobody-takes > llama.key";
    let (provider, upstream, gateway, _folder) = rotating(script, ADMINS_ADMINISTER).await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    let denied = rotate(&gateway, &bob).await;
    assert_eq!(denied.json()["code"], "policy_denied", "{}", denied.text());
    let failed = gateway.cli_as(Some(&alice), &["credentials", "rotate", "llama"]);
    assert_eq!(failed.status.code(), Some(1));
    let told = String::from_utf8_lossy(&failed.stderr).into_owned();
    let why = "answers 401 Unauthorized to the new secret; the old one is used on";
    assert!(told.contains(why) && told.contains("rotation_failed"), "{told}");
    assert!(!told.contains("a-key-that-nobody-takes"));
    for _ in 0..3 {
        assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
    }
    assert_eq!(sent(&upstream).last().unwrap(), "Bearer the-old-key");
    let none = call(&gateway, Method::POST, "/resources/none/credential/rotate", Some(&alice), None).await;
    assert_eq!(none.json()["code"], "not_found");
    gateway.sealed(6).await;
}

/// Bob may rotate when somebody agrees; alice, who may not rotate by herself, may agree.
const WITH_CONSENT: &str = r#"
@id("rotate-with-consent")
permit (principal in Group::"analysts", action == Action::"rotate", resource in Resource::"llama")
when { context.approvals >= 1 };
@id("admins-agree")
permit (principal in Group::"admins", action == Action::"approve", resource in Resource::"llama")
when { context.operation == "rotate" };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn policy_can_make_a_rotation_wait_for_consent() {
    let script = "printf the-new-key > llama.key; echo the-new-key >> $1/taken; echo run >> $1/runs";
    let (provider, _upstream, gateway, folder) = rotating(script, WITH_CONSENT).await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    let waits = rotate(&gateway, &bob).await;
    assert_eq!((waits.status.as_u16(), waits.json()["code"].as_str().unwrap()), (409, "approval_pending"));
    let id = waits.json()["approval"]["id"].as_str().unwrap().to_owned();
    assert_eq!(rotate(&gateway, &bob).await.json()["approval"]["id"], id.as_str(), "the same again finds it");
    assert!(!folder.path().join("runs").exists(), "nothing is run meanwhile");
    let inbox = call(&gateway, Method::GET, "/approvals?state=waiting", Some(&alice), None).await.json();
    let waiting = &inbox["approvals"][0];
    assert_eq!(
        (&waiting["id"], &waiting["wanted"], &waiting["resource"]),
        (&json!(id), &json!("act"), &json!("llama"))
    );
    assert_eq!(waiting["operations"][0]["name"], "rotate", "{waiting}");
    assert_eq!(waiting["you"]["may_approve"], true, "{waiting}");
    let path = format!("/approvals/{id}/approve");
    let own = call(&gateway, Method::POST, &path, Some(&bob), None).await;
    assert_eq!(own.json()["code"], "policy_denied", "nobody approves their own");
    let agreed = call(&gateway, Method::POST, &path, Some(&alice), None).await;
    assert_eq!(agreed.status, StatusCode::OK, "{}", agreed.text());
    let done = gateway.cli_as(Some(&bob), &["credentials", "rotate", "llama", "--json"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&told["name"], &told["probe"]), (&json!("llama"), &json!("/v1/models")));
    assert_eq!(fs::read_to_string(folder.path().join("runs")).unwrap(), "run\n");
    // Once is once.
    assert_eq!(rotate(&gateway, &bob).await.json()["code"], "approval_pending");
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_replaces_what_only_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    fs::write(&taken, "the-old-key\n").unwrap();
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(guarded(taken)));
    let at = e2e::process::free_address().to_string();
    let plan = Plan::default()
        .provider(&provider)
        .resource("llama", json!({ "server": "llama-cpp", "agent": "any" }))
        .policy("engineers.cedar", e2e::plan::ENGINEERS_MAY_USE)
        .policy("admin.cedar", ADMINS_ADMINISTER)
        .administered()
        .with(json!({ "agents": at }));
    let gateway = plan.start_unready().await;
    let alice = provider.login("alice").await;
    let none = rotate(&gateway, &alice).await;
    assert_eq!(none.json()["code"], "rotation_failed", "{}", none.text());
    assert!(none.text().contains("no agent that serves it is connected"), "{}", none.text());

    let command = json!({ "command": ["/bin/sh", "rotate.sh", folder.path()], "probe": "/v1/models" });
    let credential = json!({ "value": "file:llama.key", "rotate": command });
    let beside = json!({ "llama": { "upstreams": upstream.url(), "credential": credential } });
    let agent = Agent::start(&gateway, &at, &alice, "beside", beside).await;
    fs::write(agent.file("llama.key"), "the-old-key").unwrap();
    fs::write(agent.file("rotate.sh"), "exit 5").unwrap();
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
    let failed = rotate(&gateway, &alice).await;
    assert_eq!(failed.json()["code"], "rotation_failed", "{}", failed.text());
    assert!(failed.text().contains("agent `beside`: the rotation command failed"), "{}", failed.text());

    let script =
        "printf the-new-key > next && mv next llama.key && echo the-new-key > $1/t && mv $1/t $1/taken";
    fs::write(agent.file("rotate.sh"), script).unwrap();
    let done = gateway.cli_as(Some(&alice), &["credentials", "rotate", "llama"]);
    assert!(done.status.success(), "{}\n{}", String::from_utf8_lossy(&done.stderr), agent.log());
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(told.contains("The credential of llama was replaced."), "{told}");
    assert!(told.contains(&format!("{}/ took the new one (/v1/models: 200)", upstream.url())), "{told}");
    assert_eq!(chat(&gateway, &alice).await.status, StatusCode::OK);
    assert_eq!(sent(&upstream).last().unwrap(), "Bearer the-new-key");
    for secret in ["the-old-key", "the-new-key"] {
        assert!(!gateway.log().contains(secret) && !agent.log().contains(secret) && !told.contains(secret));
        assert_eq!(copies(&gateway, secret), 0, "{secret}");
    }
}
