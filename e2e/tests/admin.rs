//! The administration: every call × {no token, wrong group, allowed}, one sealed record each, and the shapes
//! that are promised.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::admin::{ADMINS_ADMINISTER, call, copies, get, send};
use e2e::ask::chat;
use e2e::client::Answer;
use e2e::gateway::Gateway;
use e2e::parts::require;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Received, Reply};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

async fn stand(policies: &str) -> (Provider, FakeUpstream, Gateway) {
    stand_with(policies, json!({})).await
}

async fn stand_with(policies: &str, change: Value) -> (Provider, FakeUpstream, Gateway) {
    let answer = |asked: &Received| match asked.headers.contains_key("authorization") {
        true => Reply::chat(["one ", "two"]),
        false => Reply::json(&json!({})).status(401),
    };
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(answer));
    let plan = Plan::before(&provider, &upstream.url()).file("llama.key", "the-first-key");
    let plan = plan.policy("admin.cedar", policies).administered();
    let gateway = plan.with(change).start().await;
    (provider, upstream, gateway)
}

fn key(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

/// A call of the document, with values for what its path holds.
struct Documented {
    name: String,
    method: Method,
    path: String,
    body: Option<Value>,
    /// What it answers, by the schema's name.
    schema: Option<String>,
}

fn documented(
    document: &Value,
    (session, hold, caller, grant): (&str, &str, &str, &str),
    approvals: [&str; 2],
) -> Vec<Documented> {
    let mut calls = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let mut path = path.strip_prefix("/api/v1").unwrap().to_owned();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                if parameter["in"] != "path" {
                    continue;
                }
                let name = parameter["name"].as_str().unwrap();
                let value = match name {
                    "session" => session.to_owned(),
                    "resource" => "llama".to_owned(),
                    "caller" => key(caller),
                    "hold" => hold.to_owned(),
                    "grant" => grant.to_owned(),
                    "agent" => "rack-7".to_owned(),
                    // What is denied can't be approved: each word has one of its own.
                    "approval" => approvals[usize::from(path.ends_with("/deny"))].to_owned(),
                    other => panic!("give `{other}` a value here"),
                };
                path = path.replace(&format!("{{{name}}}"), &value);
            }
            if path.ends_with("/approvals/follow") {
                path.push_str("?for=1");
            }
            let schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
            let body = schema.map(|schema| match schema.rsplit('/').next().unwrap() {
                "ProposedSet" => json!({ "files": [{ "name": "a.cedar", "text": "permit (principal, action, resource);" }] }),
                "NewHold" => json!({ "reason": "a test", "resource": "llama" }),
                "AgentWanted" => json!({ "name": "rack-9", "resources": ["llama"] }),
                "NewGrant" => json!({ "reason": "a test", "group": "on-call", "minutes": 5 }),
                "Reason" | "Ending" | "Release" | "Consent" | "Denial" => json!({ "reason": "a test" }),
                other => panic!("give a `{other}` here"),
            });
            let answer =
                operation["responses"]["200"]["content"].as_object().unwrap().values().next().unwrap();
            let answer = answer["schema"]["$ref"].as_str();
            calls.push(Documented {
                schema: answer.map(str::to_owned),
                name: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path,
                body,
            });
        }
    }
    calls
}

fn is_problem(answer: &Answer, code: &str) {
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{}", answer.text());
    let problem = answer.json();
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["status"], answer.status.as_u16(), "{problem}");
    assert_eq!(problem["type"], format!("urn:portcullis:{code}"), "{problem}");
    let id = answer.headers["x-request-id"].to_str().unwrap();
    assert_eq!(problem["instance"], format!("urn:uuid:{id}"), "{problem}");
    assert_eq!(answer.headers["x-portcullis-code"], code);
    for text in ["title", "detail", "advice"] {
        assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
    }
    assert!(problem["policies"].is_array(), "{problem}");
}

const AGENTS_WITH_APPROVAL: &str = r#"
// Agents administer with approval.
@id("agents-with-approval")
permit (principal in Group::"agents", action in Action::"administration", resource)
when { context.approvals >= 1 };
"#;

/// Everybody may embed with consent, and admins give it.
const ADMINS_APPROVE: &str = r#"
@id("embed-with-consent")
permit (principal, action == Action::"embed", resource in Resource::"llama") when { context.approvals >= 1 };
@id("admins-approve")
permit (principal in Group::"admins", action == Action::"approve", resource in Resource::"llama");
@id("admins-join")
permit (principal in Group::"admins", action == Action::"join", resource == Group::"on-call");
"#;

/// Asks for what needs consent, without waiting for it: the request's id, and the approval's.
async fn pending(gateway: &Gateway, token: &str, input: &str) -> (String, String) {
    let body = json!({ "model": "tiny-llama", "input": input }).to_string();
    let request = Request::post(gateway.url("/llama/v1/embeddings"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("prefer", "respond-async")
        .body(http_body_util::Full::from(body))
        .unwrap();
    let answer = e2e::client::try_send(request).await.unwrap();
    assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.text());
    let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    (id, answer.headers["x-portcullis-approval"].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_call_is_closed_to_strangers_and_other_groups_and_leaves_one_sealed_record() {
    let policies = [ADMINS_ADMINISTER, AGENTS_WITH_APPROVAL, ADMINS_APPROVE].concat();
    // Every call can be answered, also the one that looks for words.
    let rotate = json!({ "command": ["/bin/sh", "-c", "echo $$-is-the-newest-key > llama.key"], "probe": "/v1/models" });
    let words = json!({
        "agents": "127.0.0.1:0",
        "ledger": { "full_text": true },
        "resources": { "llama": { "credential": { "value": "file:llama.key", "rotate": rotate } } },
    });
    let (provider, _upstream, gateway) = stand_with(&policies, words).await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    let agent = provider.machine("agent-runner").await;
    let session = chat(&gateway, &alice).await.headers["x-request-id"].to_str().unwrap().to_owned();
    let mut ids = BTreeMap::from([(session.clone(), "the chat".to_owned())]);
    let document = get(&gateway, "/openapi.json", &alice).await;
    ids.insert(document.headers["x-request-id"].to_str().unwrap().to_owned(), "the document".to_owned());
    let somebody = format!("{}#somebody", provider.issuer);
    let block = format!("/callers/{}/block", key(&somebody));
    let blocked = call(&gateway, Method::PUT, &block, Some(&alice), None).await;
    ids.insert(blocked.headers["x-request-id"].to_str().unwrap().to_owned(), "a block".to_owned());
    let new = json!({ "reason": "a test", "caller": "nobody" });
    let held = call(&gateway, Method::POST, "/holds", Some(&alice), Some(&new)).await;
    ids.insert(held.headers["x-request-id"].to_str().unwrap().to_owned(), "a hold".to_owned());
    let held = held.json()["id"].as_str().unwrap().to_owned();
    let wish = json!({ "reason": "a test", "group": "on-call", "minutes": 5 });
    let granted = call(&gateway, Method::POST, "/grants", Some(&alice), Some(&wish)).await;
    ids.insert(granted.headers["x-request-id"].to_str().unwrap().to_owned(), "a grant".to_owned());
    let grant = granted.json()["grant"]["id"].as_str().unwrap().to_owned();
    let mallory = provider.login("mallory").await;
    let mut approvals = Vec::new();
    for input in ["one", "two"] {
        let (request, approval) = pending(&gateway, &mallory, input).await;
        ids.insert(request, "a wish".to_owned());
        approvals.push(approval);
    }
    let approvals = [approvals[0].as_str(), approvals[1].as_str()];
    let calls = documented(&document.json(), (&session, &held, &somebody, &grant), approvals);
    assert!(calls.len() >= 15, "{}", calls.len());
    let mut wanted: BTreeMap<String, (String, &str, Option<&str>)> = BTreeMap::new();
    let mut answers: Vec<Value> = Vec::new();
    for Documented { name, method, path, body, schema } in &calls {
        for (token, code) in [
            (None, Some("token_missing")),
            (Some(&bob), Some("policy_denied")),
            // Who administers is no approver by that, and no member of a group.
            (Some(&agent), Some(if is_word(name) { "policy_denied" } else { "approval_pending" })),
            // There is no agent here; those that are have tests of their own.
            (Some(&alice), (name == "agents.revoke").then_some("not_found")),
        ] {
            let answer = call(&gateway, method.clone(), path, token.map(String::as_str), body.as_ref()).await;
            let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
            match code {
                Some(code) => is_problem(&answer, code),
                None => {
                    assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.text());
                    assert_eq!(answer.headers["cache-control"], "no-store");
                    answers.extend(schema.iter().flat_map(|schema| {
                        let text = answer.text();
                        let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
                        values.map(|value| json!([schema, value.unwrap()])).collect::<Vec<_>>()
                    }));
                }
            }
            assert!(ids.insert(id.clone(), name.clone()).is_none(), "{name}: an id was given twice");
            let outcome = if code.is_some() { "refused" } else { "completed" };
            wanted.insert(id, (name.clone(), outcome, code));
        }
    }
    assert!(answers.len() > 15, "{}", answers.len());
    fit_their_schemas(&document.json(), &answers);
    let recorded = gateway.sealed(ids.len()).await;
    for exchange in &recorded {
        let Some((name, outcome, code)) = wanted.remove(exchange.id()) else {
            assert!(ids.contains_key(exchange.id()), "{exchange:?}");
            continue;
        };
        assert_eq!((exchange.outcome(), exchange.code()), (Some(outcome), code), "{name}: {exchange:?}");
        if code != Some("token_missing") {
            assert_eq!(exchange.0["operations"], json!([name]), "{exchange:?}");
            assert!(exchange.0["resource"].as_str().unwrap().starts_with("api/"), "{exchange:?}");
        }
    }
    assert!(wanted.is_empty(), "no record of {wanted:?}");
    // Who acted, by which policy, is in the record as for any exchange.
    let reload = recorded.iter().find(|exchange| {
        exchange.0["operations"] == json!(["policies.reload"]) && exchange.outcome() == Some("completed")
    });
    let shown = gateway.show(reload.unwrap().id());
    assert_eq!(shown["judgements"][0]["reasons"][0]["policy"], "admins-administer", "{shown}");
    assert!(shown["response"]["body"].as_str().unwrap().contains("hash"), "{shown}");
}

fn is_word(name: &str) -> bool {
    matches!(name, "approvals.approve" | "approvals.deny" | "grants.ask")
}

/// Holds every answer against the schema that the document promises for it.
fn fit_their_schemas(document: &Value, answers: &[Value]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("answers.json");
    std::fs::write(&file, json!({ "document": document, "answers": answers }).to_string()).unwrap();
    let check = r#"
import json, sys
from jsonschema import Draft202012Validator as V
told = json.load(open(sys.argv[1]))
for schema, answer in told["answers"]:
    V({"$ref": schema, "components": told["document"]["components"]}).validate(answer)
print("all fit")
"#;
    let output = Command::new(require().python()).args(["-c", check]).arg(&file).output().unwrap();
    assert!(output.stdout.starts_with(b"all fit"), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_document_is_valid_and_published_as_it_is_served() {
    let (provider, _upstream, gateway) = stand(ADMINS_ADMINISTER).await;
    let served = get(&gateway, "/openapi.json", &provider.login("alice").await).await;
    let parts = require();
    let published = parts.root.join("docs/openapi.json");
    let text = std::fs::read_to_string(&published).unwrap();
    assert_eq!(served.json(), serde_json::from_str::<Value>(&text).unwrap());
    let check = "import json, sys; from openapi_spec_validator import OpenAPIV31SpecValidator as V; \
                 V(json.load(open(sys.argv[1]))).validate(); print('valid')";
    let output = Command::new(parts.python()).args(["-c", check]).arg(&published).output().unwrap();
    assert!(
        output.status.success() && output.stdout.starts_with(b"valid"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn refusals_are_problem_details_whatever_is_wrong() {
    let (provider, _upstream, gateway) = stand(ADMINS_ADMINISTER).await;
    let alice = provider.login("alice").await;
    for (path, code) in [
        ("//api", "not_found"),
        ("/nothing", "not_found"),
        ("/resources/none", "not_found"),
        ("/resources/NONE", "not_found"),
        ("/sessions/ffffffff", "not_found"),
        ("/sessions/zzz/why", "not_found"),
        ("/callers/%%%", "path_refused"),
        ("/callers/AAAA", "not_found"),
        ("/sessions?limit=0", "request_malformed"),
        ("/sessions?limit=1001", "request_malformed"),
        ("/sessions?limit=2&limit=2", "request_malformed"),
        ("/sessions?cursor=AAAA", "request_malformed"),
        ("/sessions?ruling=perhaps", "request_malformed"),
        ("/sessions?since=yesterday", "request_malformed"),
        ("/sessions?access_token=abc", "request_malformed"),
        ("/me?x=1", "request_malformed"),
        ("//", "not_found"),
        ("//llama/v1/models", "not_found"),
    ] {
        is_problem(&get(&gateway, path, &alice).await, code);
    }
    let wrong_method = call(&gateway, Method::DELETE, "/policies/reload", Some(&alice), None).await;
    is_problem(&wrong_method, "method_refused");
    assert_eq!(wrong_method.headers["allow"], "POST");
    for (body, code) in [
        (r#"{"files":[],"files":[]}"#.to_owned(), "request_malformed"),
        (r#"{"files":[],"more":1}"#.to_owned(), "request_malformed"),
        ("{".to_owned(), "request_malformed"),
    ] {
        let answer = posted(&gateway, "/policies/check", &alice, "application/json", body).await;
        is_problem(&answer, code);
    }
    // Small enough to be sent whole before the answer is there.
    let revoke = format!("/callers/{}/revoke", key("https://id.example#x"));
    let large = json!({ "reason": "x".repeat(9 << 10) }).to_string();
    is_problem(&posted(&gateway, &revoke, &alice, "application/json", large).await, "request_too_large");
    let form = posted(&gateway, "/policies/check", &alice, "text/plain", "{}".to_owned()).await;
    is_problem(&form, "encoding_unsupported");
    let surplus = posted(&gateway, "/policies/reload", &alice, "application/json", "{}".to_owned()).await;
    is_problem(&surplus, "request_malformed");
    let forged = call(&gateway, Method::GET, "/me", Some("garbage"), None).await;
    is_problem(&forged, "token_invalid");
    assert!(forged.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    assert_eq!(copies(&gateway, "access_token=abc"), 0, "a query was kept");
}

async fn posted(gateway: &Gateway, path: &str, token: &str, kind: &str, body: String) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/api/v1{path}"))
        .header("host", "localhost")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", kind);
    send(gateway, request.body(http_body_util::Full::new(body.into())).unwrap()).await
}

#[tokio::test]
async fn lists_come_in_pages_that_miss_nothing() {
    let (provider, _upstream, gateway) = stand(ADMINS_ADMINISTER).await;
    let alice = provider.login("alice").await;
    let mut asked = Vec::new();
    for _ in 0..7 {
        asked.push(chat(&gateway, &alice).await.headers["x-request-id"].to_str().unwrap().to_owned());
    }
    gateway.sealed(7).await;
    let (mut found, mut next) = (Vec::new(), None::<String>);
    loop {
        let cursor = next.map(|next| format!("&cursor={next}")).unwrap_or_default();
        let page = get(&gateway, &format!("/sessions?resource=llama&limit=3{cursor}"), &alice).await.json();
        let sessions = page["sessions"].as_array().unwrap();
        assert!(sessions.len() <= 3);
        found.extend(sessions.iter().map(|session| session["exchange"].as_str().unwrap().to_owned()));
        next = page["next"].as_str().map(str::to_owned);
        if next.is_none() {
            break;
        }
        // Another list's cursor is none of this one.
        let other = get(&gateway, &format!("/resources?cursor={}", next.as_ref().unwrap()), &alice).await;
        is_problem(&other, "request_malformed");
    }
    asked.reverse();
    assert_eq!(found, asked, "newest first, each once");
    let one = get(&gateway, "/resources?limit=1", &alice).await.json();
    assert_eq!((one["resources"][0]["name"].as_str(), one["next"].is_null()), (Some("llama"), true), "{one}");
    assert_eq!(one["resources"][0]["has_credential"], true);
    let text = one.to_string();
    assert!(!text.contains(e2e::plan::UPSTREAM_KEY) && !text.contains("LLAMA_KEY"), "{text}");
}

const OWN_AND_APPROVED: &str = r#"
// Everybody may see who they are, and list and read what they asked themselves.
@id("own")
permit (principal, action in [Action::"view", Action::"replay"], resource)
when {
  (resource is Caller && resource == principal) ||
  (resource is Session && resource has caller && resource.caller == principal)
};

// A reload needs a second pair of eyes.
@id("reload-with-approval")
permit (principal in Group::"admins", action == Action::"reload", resource)
when { context.approvals >= 1 };
"#;

#[tokio::test]
async fn policies_can_open_to_each_their_own_and_ask_for_approval() {
    let (provider, _upstream, gateway) = stand(OWN_AND_APPROVED).await;
    let (alice, bob) = (provider.login("alice").await, provider.login("bob").await);
    let hers = chat(&gateway, &alice).await.headers["x-request-id"].to_str().unwrap().to_owned();
    let his = chat(&gateway, &bob).await.headers["x-request-id"].to_str().unwrap().to_owned();
    let me = get(&gateway, "/me", &alice).await.json();
    assert_eq!(me["groups"], json!(["admins", "ml-engineers"]), "{me}");
    assert_eq!(me["resources"][0]["may"], json!(["infer", "embed", "tokenize", "inspect"]), "{me}");
    assert_eq!(get(&gateway, "/me", &bob).await.json()["resources"], json!([]));
    for (token, own, other) in [(&alice, &hers, &his), (&bob, &his, &hers)] {
        for what in ["", "/why", "/replay"] {
            let mine = get(&gateway, &format!("/sessions/{own}{what}"), token).await;
            assert_eq!(mine.status, StatusCode::OK, "{}", mine.text());
            is_problem(&get(&gateway, &format!("/sessions/{other}{what}"), token).await, "policy_denied");
            // What is not there is refused alike: nobody learns what others asked.
            let none = "/sessions/00000000-0000-7000-8000-000000000000";
            is_problem(&get(&gateway, &format!("{none}{what}"), token).await, "policy_denied");
        }
        let list = get(&gateway, "/sessions?caller=me&resource=llama", token).await.json();
        let ids: Vec<_> = list["sessions"].as_array().unwrap().iter().map(|one| &one["exchange"]).collect();
        assert_eq!(ids, [own.as_str()], "{list}");
        is_problem(&get(&gateway, "/sessions", token).await, "policy_denied");
    }
    let id = me["id"].as_str().unwrap();
    let escaped = id.replace('#', "%23");
    is_problem(&get(&gateway, &format!("/sessions?caller={escaped}"), &bob).await, "policy_denied");
    let reload = call(&gateway, Method::POST, "/policies/reload", Some(&alice), None).await;
    is_problem(&reload, "approval_pending");
    assert!(reload.json()["approval"]["id"].is_string(), "{}", reload.text());
    assert_eq!(reload.json()["policies"], json!(["reload-with-approval"]));
    let denied = call(&gateway, Method::POST, "/policies/reload", Some(&bob), None).await;
    is_problem(&denied, "policy_denied");
}

#[tokio::test]
async fn who_is_blocked_stays_out_until_let_in_again() {
    let (provider, _upstream, gateway) = stand(ADMINS_ADMINISTER).await;
    let (alice, runner) = (provider.login("alice").await, provider.machine("agent-runner").await);
    assert_eq!(chat(&gateway, &runner).await.status, StatusCode::OK);
    let seen = call(&gateway, Method::GET, "/callers?name=agent-runner", Some(&alice), None).await;
    let id = seen.json()["callers"][0]["id"].as_str().map(str::to_owned);
    // Who was seen is written down after a while; the id is known without.
    let id = id.unwrap_or_else(|| format!("{}#agent-runner", provider.issuer));
    let block = format!("/callers/{}/block", key(&id));
    let reason = json!({ "reason": "lost its laptop" });
    let blocked = call(&gateway, Method::PUT, &block, Some(&alice), Some(&reason)).await;
    assert_eq!(blocked.status, StatusCode::OK, "{}", blocked.text());
    assert!(blocked.json()["by"].as_str().unwrap().starts_with(&provider.issuer), "{}", blocked.text());
    let refused = chat(&gateway, &runner).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    assert!(!refused.text().contains("laptop"), "the caller is not told why");
    is_problem(&get(&gateway, "/me", &runner).await, "caller_blocked");
    let shown = get(&gateway, &format!("/callers/{}", key(&id)), &alice).await.json();
    assert_eq!(shown["blocked"]["reason"], "lost its laptop", "{shown}");
    let listed = get(&gateway, "/callers", &alice).await.json();
    assert!(listed["callers"].as_array().unwrap().iter().any(|one| one["id"] == id.as_str()), "{listed}");
    let back = call(&gateway, Method::DELETE, &block, Some(&alice), None).await;
    assert_eq!(back.json()["was_blocked"], true);
    assert_eq!(chat(&gateway, &runner).await.status, StatusCode::OK);
    let revoke = format!("/callers/{}/revoke", key(&id));
    let revoked = call(&gateway, Method::POST, &revoke, Some(&alice), None).await;
    assert_eq!(revoked.status, StatusCode::OK, "{}", revoked.text());
    is_problem(&get(&gateway, "/me", &runner).await, "token_revoked");
}

#[tokio::test]
async fn the_socket_lets_in_whom_its_mode_lets_in_and_goes_with_the_gateway() {
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::chat(["hi"])));
    let plan = Plan::before(&provider, &upstream.url()).policy("admin.cedar", ADMINS_ADMINISTER);
    for (mode, wanted) in [("owner", 0o600), ("group", 0o660)] {
        let admin = json!({ "admin": { "socket": "admin.sock", "socket_mode": mode } });
        let mut gateway = plan.clone().with(admin).start().await;
        let file = gateway.file("admin.sock");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, wanted);
        is_problem(&call(&gateway, Method::GET, "/me", None, None).await, "token_missing");
        gateway.kill();
        assert!(file.exists(), "kill -9 leaves it behind");
        gateway.restart().await;
        let me = get(&gateway, "/me", &provider.login("alice").await).await;
        assert_eq!(me.status, StatusCode::OK, "{}", me.text());
        assert!(gateway.stop().await.success());
        assert!(!file.exists());
    }
}
