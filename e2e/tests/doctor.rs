//! `doctor`: what a gateway and an agent need, looked at; and a model that can be reached around them, found.
//! The upstreams run in the test while the program is waited for: so the tests have threads.

use std::path::PathBuf;
use std::process::Output;

use e2e::admin::ADMINS_ADMINISTER;
use e2e::agent::{Agent, plan};
use e2e::gateway::Gateway;
use e2e::plan::{Plan, UPSTREAM_KEY};
use e2e::process::free_address;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Received, Reply};
use serde_json::{Value, json};

/// A server that takes one key and nothing else.
fn guarded(asked: &Received) -> Reply {
    let key = format!("Bearer {UPSTREAM_KEY}");
    let takes = asked.headers.get("authorization").is_some_and(|shown| shown == key.as_str());
    Reply::json(&json!({ "data": [] })).status(if takes { 200 } else { 401 })
}

fn findings(output: &Output) -> Vec<Value> {
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["ok"], output.status.success(), "{told}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains(UPSTREAM_KEY), "the key is never shown");
    told["findings"].as_array().expect("findings").clone()
}

/// How a check came out, and what was said with it.
fn of<'a>(found: &'a [Value], check: &str) -> (&'a str, String) {
    let one = found.iter().find(|one| one["check"] == check);
    let one = one.unwrap_or_else(|| panic!("no {check} in {found:?}"));
    (one["state"].as_str().expect("a state"), format!("{} {}", one["what"], one["advice"]))
}

fn doctor(gateway: &Gateway) -> Vec<Value> {
    findings(&gateway.cli(&["doctor", "--json"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_well_where_a_model_asks_for_its_key() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(guarded));
    let mut gateway = Plan::before(&provider, &upstream.url()).start().await;
    let found = doctor(&gateway);
    for check in ["config", "policies", "clock", "issuer", "gateway", "credential", "upstream", "bypass"] {
        let (state, said) = of(&found, check);
        assert_eq!(state, "good", "{check}: {said}");
    }
    assert!(of(&found, "bypass").1.contains("401"));
    // People read the same.
    let told = gateway.cli(&["doctor"]);
    let text = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success() && text.contains("0 bad") && !text.contains(UPSTREAM_KEY), "{text}");
    // Without the gateway and its issuer, both are missed.
    gateway.kill();
    drop(provider);
    let found = doctor(&gateway);
    assert_eq!((of(&found, "issuer").0, of(&found, "gateway").0), ("bad", "caution"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_answers_everybody_is_found_with_the_rule_that_shuts_it() {
    let open = |_: &Received| Reply::json(&json!({ "data": [] }));
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(open));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let told = gateway.cli(&["doctor", "--json"]);
    assert_eq!(told.status.code(), Some(1));
    let found = findings(&told);
    let (state, said) = of(&found, "bypass");
    let port = upstream.url().rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    assert!(state == "bad" && said.contains("without any credential"), "{said}");
    assert!(said.contains("nft add rule") && said.contains(&format!("dport {port}")), "{said}");
    assert_eq!(of(&found, "upstream").0, "good", "it does answer");
    // From outside: what opens is too much, and what does not is as it should be.
    let outside = |url: &str| gateway.cli(&["doctor", "--json", "--outside", url]);
    let reached = outside(&upstream.url());
    assert_eq!((reached.status.code(), of(&findings(&reached), "bypass").0), (Some(1), "bad"));
    let away = outside(&format!("http://{}", free_address()));
    assert_eq!((away.status.code(), of(&findings(&away), "bypass").0), (Some(0), "good"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_not_taken_and_one_that_is_not_there_are_told_apart() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(guarded));
    let plan = || Plan::before(&provider, &upstream.url());
    let with = |credential: &str| json!({ "resources": { "llama": { "credential": credential } } });
    let other = plan().file("other.key", "another-key").with(with("file:other.key")).start().await;
    let found = doctor(&other);
    let (state, said) = of(&found, "upstream");
    assert!(state == "bad" && said.contains("does not take the credential"), "{said}");
    assert!(!said.contains("another-key"));
    let missing = plan().with(with("file:not-there.key")).start().await;
    let found = doctor(&missing);
    assert_eq!((of(&found, "credential").0, of(&found, "bypass").0), ("bad", "good"), "{found:?}");
}

/// What an agent serves whose key lies in a file.
fn keyed(folder: &tempfile::TempDir, upstream: &FakeUpstream) -> (PathBuf, Value) {
    let key = folder.path().join("key");
    std::fs::write(&key, UPSTREAM_KEY).unwrap();
    let credential = format!("file:{}", key.display());
    (key, json!({ "llama": { "upstreams": upstream.url(), "credential": credential } }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_looked_at_where_it_stands() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(guarded));
    let at = free_address().to_string();
    let gateway = plan(&provider, json!(at)).start_unready().await;
    let before = doctor(&gateway);
    assert_eq!(of(&before, "agents").0, "bad", "none is connected");
    let alice = provider.login("alice").await;
    let folder = tempfile::tempdir().unwrap();
    let (_, beside) = keyed(&folder, &upstream);
    let agent = Agent::start(&gateway, &at, &alice, "beside", beside).await;
    gateway.eventually(|| (of(&doctor(&gateway), "agents").0 == "good").then_some(())).await;
    let file = agent.file("agent.yaml");
    let found = findings(&gateway.cli(&["doctor", "--json", "--agent", file.to_str().unwrap()]));
    for check in ["config", "tunnel", "credential", "upstream", "bypass"] {
        let (state, said) = of(&found, check);
        assert_eq!(state, "good", "{check}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_reaches_is_looked_at_by_the_agent() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(guarded));
    let at = free_address().to_string();
    let often = json!({ "resources": { "llama": { "probe_every": "1s" } } });
    let gateway = plan(&provider, json!(at)).with(often).start_unready().await;
    let alice = provider.login("alice").await;
    let probed = || {
        let listed = gateway.cli_as(Some(&alice), &["resources", "list", "--json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).ok()?;
        Some(listed["resources"][0]["upstreams"][0]["probed"].clone()).filter(Value::is_object)
    };
    let fault = |part: &'static str| {
        gateway.eventually(move || {
            probed().filter(|one| one["fault"].as_str().is_some_and(|why| why.contains(part)))
        })
    };
    fault("no agent that serves it is connected").await;
    let folder = tempfile::tempdir().unwrap();
    let (key, beside) = keyed(&folder, &upstream);
    let _agent = Agent::start(&gateway, &at, &alice, "beside", beside).await;
    let well = gateway.eventually(|| probed().filter(|one| one["fault"].is_null())).await;
    assert!(well["seconds"].as_f64().unwrap() > 0.0, "{well}");
    // The server's key is another one now. Nobody has asked, and it is known which agent sees it.
    std::fs::write(&key, "a-key-that-nobody-takes").unwrap();
    fault("does not take the credential").await;
    fault("agent `beside`: http://").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_looks_at_its_upstreams_before_callers_meet_a_fault() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(guarded));
    let often = json!({ "resources": { "llama": { "probe_every": "1s" } } });
    let plan = Plan::before(&provider, &upstream.url()).file("llama.key", UPSTREAM_KEY).with(often);
    let keyed = json!({ "resources": { "llama": { "credential": "file:llama.key" } } });
    let gateway = plan.with(keyed).policy("admin.cedar", ADMINS_ADMINISTER).administered().start().await;
    let alice = provider.login("alice").await;
    let resource = || {
        let listed = gateway.cli_as(Some(&alice), &["resources", "list", "--json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).ok()?;
        Some(listed["resources"][0]["upstreams"][0].clone())
    };
    let well = gateway.eventually(|| {
        resource().filter(|one| one["probed"]["fault"].is_null() && one["probed"].is_object())
    });
    let well = well.await;
    assert!(well["probed"]["seconds"].as_f64().unwrap() > 0.0 && well["usable"] == true, "{well}");
    assert!(gateway.metrics().await.contains("portcullis_upstream_up{"), "{}", gateway.metrics().await);
    // Nobody has asked anything when the server's key is changed: it is known all the same, and why.
    std::fs::write(gateway.file("llama.key"), "a-key-that-nobody-takes").unwrap();
    let ailing = gateway.eventually(|| resource().filter(|one| one["probed"]["fault"].is_string())).await;
    let fault = ailing["probed"]["fault"].as_str().unwrap();
    assert!(fault.contains("401") && fault.contains("does not take the credential"), "{fault}");
    let told = gateway.cli_as(Some(&alice), &["resources", "list"]);
    let text = String::from_utf8_lossy(&told.stdout);
    assert!(text.contains("ailing") && !text.contains("a-key-that"), "{text}");
}
