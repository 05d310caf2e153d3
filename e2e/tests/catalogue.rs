//! Coverage is over the catalogue: every operation of every kind of server, asked by somebody unknown,
//! by somebody denied, by somebody who needs approval and by somebody allowed, leaves exactly one
//! sealed record, and reaches the upstream only in the last case.

use std::collections::BTreeMap;

use adapt_http::{CatalogueEntry, ServerKind, catalogue};
use e2e::client::{self, Answer};
use e2e::gateway::Gateway;
use e2e::plan::{Plan, model_at};
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply};
use http::Method;
use model::{Code, Fault};
use serde_json::{Value, json};

const POLICIES: &str = r#"
permit(principal in Group::"admins", action in Action::"operation", resource);
permit(principal in Group::"agents", action in Action::"operation", resource) when { context.approvals >= 1 };
"#;

/// One request for the operation, with everything any body profile looks for.
struct Asked {
    method: Method,
    target: String,
    body: Value,
}

fn asked(entry: &CatalogueEntry) -> Asked {
    let method = entry.methods.first().map_or("POST", String::as_str);
    let segments = entry.path.split('/').map(|segment| match segment {
        "{model}" | "{model*}" => "tiny-llama".to_owned(),
        segment if segment.starts_with("{model}:") => segment.replace("{model}", "tiny-llama"),
        segment if segment.starts_with('{') => "one".to_owned(),
        segment => segment.to_owned(),
    });
    let mut target = segments.collect::<Vec<_>>().join("/");
    let mut body = json!({
        "model": "tiny-llama", "max_tokens": 4, "messages": [{ "role": "user", "content": "hello" }],
        "prompt": "hello", "input": "hello", "content": "hello", "text": "hello", "query": "hello",
        "documents": ["a"], "text_1": "a", "text_2": "b", "tokens": [1], "name": "tiny-llama",
        "inputs": "hello", "instances": ["hello"], "text_input": "hello", "voice": "a", "input_prefix": "a", "input_suffix": "b",
    });
    for condition in entry.conditions() {
        if let Some(query) = condition.strip_prefix("query:") {
            target = format!("{target}{}{query}", if target.contains('?') { '&' } else { '?' });
        } else if let Some(key) = condition.strip_prefix("empty:/") {
            body[key] = Value::Null;
        } else if let Some(key) = condition.strip_prefix("zero:/") {
            body[key] = json!(0);
        }
    }
    Asked { method: method.parse().unwrap(), target, body }
}

async fn ask(gateway: &Gateway, server: ServerKind, asked: &Asked, token: Option<&str>) -> Answer {
    let url = gateway.url(&format!("/{}{}", server.as_str(), asked.target));
    let body = (![Method::GET, Method::HEAD].contains(&asked.method)).then_some(&asked.body);
    let mut request = client::request(asked.method.clone(), &url, token, body);
    // What needs approval is not waited for.
    request.headers_mut().insert("prefer", http::HeaderValue::from_static("respond-async"));
    client::try_send(request).await.unwrap_or_else(|error| panic!("{} {url}: {error}", asked.method))
}

fn code(answer: &Answer) -> Option<Code> {
    // Also where there is no body to say it in, as for HEAD.
    let code = answer.headers.get("x-portcullis-code")?;
    Code::from_name(code.to_str().ok()?)
}

#[tokio::test]
async fn every_operation_of_openai_leaves_one_sealed_record() {
    covers(ServerKind::OpenAi).await;
}

#[tokio::test]
async fn every_operation_of_vllm_leaves_one_sealed_record() {
    covers(ServerKind::Vllm).await;
}

#[tokio::test]
async fn every_operation_of_llama_cpp_leaves_one_sealed_record() {
    covers(ServerKind::LlamaCpp).await;
}

#[tokio::test]
async fn every_operation_of_ollama_leaves_one_sealed_record() {
    covers(ServerKind::Ollama).await;
}

#[tokio::test]
async fn every_operation_of_tgi_leaves_one_sealed_record() {
    covers(ServerKind::Tgi).await;
}

#[tokio::test]
async fn every_operation_of_sglang_leaves_one_sealed_record() {
    covers(ServerKind::Sglang).await;
}

#[tokio::test]
async fn every_operation_of_kserve_leaves_one_sealed_record() {
    covers(ServerKind::Kserve).await;
}

#[tokio::test]
async fn every_operation_of_triton_leaves_one_sealed_record() {
    covers(ServerKind::Triton).await;
}

/// Every kind of model server.
fn servers() -> impl Iterator<Item = ServerKind> {
    ServerKind::ALL.into_iter().filter(|server| *server != ServerKind::Plain)
}

async fn covers(server: ServerKind) {
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(|_| Reply::json(&json!({ "object": "list", "data": [], "models": [] })))
    );
    let mut plan =
        Plan::default().provider(&provider).environment("LLAMA_KEY", "key").policy("all.cedar", POLICIES);
    for server in servers() {
        let mut settings = model_at(&upstream.url());
        settings["server"] = json!(server.as_str());
        plan = plan.resource(server.as_str(), settings);
    }
    let plan = plan.with(json!({ "approvals": { "open_per_caller": 1000 } }));
    let gateway = plan.start().await;
    let tokens =
        [provider.login("bob").await, provider.machine("agent-runner").await, provider.login("alice").await];
    let wanted = [Some(Code::PolicyDenied), Some(Code::ApprovalPending), None];

    let entries: Vec<&CatalogueEntry> = catalogue().filter(|entry| entry.server == server).collect();
    assert!(entries.len() > 10, "the catalogue holds only {} operations", entries.len());
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    let mut before_policy = Vec::new();
    // Below the rate above which strangers are counted instead of recorded one by one.
    assert!(entries.len() <= 200, "more strangers than are recorded one by one");
    for entry in &entries {
        let asked = asked(entry);
        let name = format!("{} {} {} ({})", entry.server.as_str(), asked.method, asked.target, entry.name);
        let reached = upstream.received().len();
        let stranger = ask(&gateway, entry.server, &asked, None).await;
        assert_eq!(stranger.status.as_u16(), 401, "{name}: {}", stranger.text());
        assert_eq!(upstream.received().len(), reached, "{name}");
        let id = stranger.headers["x-request-id"].to_str().unwrap().to_owned();
        assert!(ids.insert(id, name.clone()).is_none(), "{name}: an id was given twice");
        let mut refused_alike = Vec::new();
        for (token, wanted) in tokens.iter().zip(wanted) {
            let reached = upstream.received().len();
            let answer = ask(&gateway, entry.server, &asked, Some(token)).await;
            let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
            assert!(ids.insert(id, name.clone()).is_none(), "{name}: an id was given twice");
            let reached = upstream.received().len() - reached;
            match code(&answer) {
                said if said == wanted => assert_eq!(reached, usize::from(wanted.is_none()), "{name}"),
                Some(said) if said.fault() == Fault::Caller => {
                    assert_eq!(reached, 0, "{name}");
                    refused_alike.push(said);
                }
                said => panic!("{name}: {said:?} and not {wanted:?}: {} {}", answer.status, answer.text()),
            }
        }
        // What cannot be understood is refused before policy, for everybody in the same way.
        if let Some(first) = refused_alike.first() {
            assert!(
                refused_alike.len() == tokens.len() && refused_alike.iter().all(|said| said == first),
                "{name}: {refused_alike:?}"
            );
            before_policy.push(name);
        }
    }
    assert!(
        before_policy.len() * 5 < entries.len(),
        "most operations must reach policy; these do not: {before_policy:#?}"
    );

    let recorded = gateway.sealed(ids.len()).await;
    let mut records: Vec<&str> = recorded.iter().map(|exchange| exchange.id()).collect();
    records.sort_unstable();
    assert!(records.iter().copied().eq(ids.keys().map(String::as_str)), "records and answers differ");
}
