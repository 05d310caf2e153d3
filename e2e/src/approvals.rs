//! A gateway at which analysts need the consent of an administrator, and what people do there.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::admin::call;
use crate::ask::{chat_body, stream_body};
use crate::client::{self, Answer};
use crate::gateway::Gateway;
use crate::plan::Plan;
use crate::process::PATIENCE;
use crate::provider::Provider;
use crate::upstream::{FakeUpstream, Reply};

/// Analysts may ask with the consent of an admin; admins too, with that of another.
pub const WITH_CONSENT: &str = r#"
// Analysts may ask the model when an administrator agrees.
@id("with-consent")
permit(principal in Group::"analysts", action == Action::"infer", resource in Resource::"llama")
when { context.approvals >= 1 };

// So may administrators.
@id("admins-with-consent")
permit(principal in Group::"admins", action == Action::"infer", resource in Resource::"llama")
when { context.approvals >= 1 };

// Administrators decide what waits.
@id("admins-approve")
permit(principal in Group::"admins", action == Action::"approve", resource in Resource::"llama");
"#;

/// What the model answers.
pub const SAID: &str = "the quarter was good";

/// The parts: alice approves, bob asks.
pub struct Stand {
    /// The gateway.
    pub gateway: Gateway,
    /// Who gives tokens.
    pub provider: Provider,
    /// The model.
    pub upstream: FakeUpstream,
}

impl Stand {
    /// Starts them all, with these settings of the resource besides.
    pub async fn start(resource: Value, change: Value) -> Self {
        let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(answer));
        let change_of_resource = json!({ "resources": { "llama": resource } });
        let plan = Plan::before(&provider, &upstream.url()).policy("engineers.cedar", WITH_CONSENT);
        let plan = plan.administered().with(change_of_resource).with(change);
        let gateway = plan.start().await;
        Self { gateway, provider, upstream }
    }

    /// How many requests reached the model.
    pub fn reached(&self) -> usize {
        self.upstream.received().len()
    }

    /// The approvals in this state, as `token` sees them.
    ///
    /// # Panics
    /// When the list is refused.
    pub async fn approvals(&self, token: &str, state: &str) -> Vec<Value> {
        let path = format!("/approvals?state={state}");
        let answer = call(&self.gateway, Method::GET, &path, Some(token), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()["approvals"].as_array().expect("a list").clone()
    }

    /// The ids of those that wait, once there are so many.
    ///
    /// # Panics
    /// When that does not come.
    pub async fn waiting(&self, token: &str, count: usize) -> Vec<String> {
        let start = std::time::Instant::now();
        loop {
            let waiting = self.approvals(token, "waiting").await;
            if waiting.len() == count {
                return waiting.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect();
            }
            assert!(start.elapsed() < PATIENCE, "{waiting:?}\n{}", self.gateway.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Gives a word: `approve` or `deny`.
    pub async fn word(&self, token: &str, id: &str, verb: &str, reason: &str) -> Answer {
        let path = format!("/approvals/{id}/{verb}");
        call(&self.gateway, Method::POST, &path, Some(token), Some(&json!({ "reason": reason }))).await
    }

    /// Gives a word that counts.
    ///
    /// # Panics
    /// When it does not.
    pub async fn says(&self, token: &str, id: &str, verb: &str, reason: &str) {
        let answer = self.word(token, id, verb, reason).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }

    /// Asks the model by hand, with these headers, and waits for the whole answer.
    ///
    /// # Panics
    /// When none comes.
    pub async fn ask(&self, token: &str, text: &str, headers: &[(&str, &str)]) -> Answer {
        client::try_send(self.request(token, &chat_body(text), headers)).await.expect("an answer")
    }

    /// The same in a task of its own.
    pub fn asking(&self, token: &str, text: &str) -> tokio::task::JoinHandle<Result<Answer, String>> {
        let request = self.request(token, &chat_body(text), &[]);
        tokio::spawn(client::try_send(request))
    }

    /// Begins a stream by hand.
    pub fn streaming(&self, token: &str, text: &str) -> http::Request<Full<Bytes>> {
        self.request(token, &stream_body(text), &[])
    }

    fn request(&self, token: &str, body: &Value, headers: &[(&str, &str)]) -> http::Request<Full<Bytes>> {
        let url = self.gateway.url("/llama/v1/chat/completions");
        let mut request = client::request(Method::POST, &url, Some(token), Some(body));
        for (name, value) in headers {
            let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
            request.headers_mut().insert(name, http::HeaderValue::from_str(value).expect("a value"));
        }
        request
    }

    /// Writes this policy file anew and waits until it decides.
    ///
    /// # Panics
    /// When it does not come to decide.
    pub async fn policy(&self, name: &str, text: &str) {
        let before = self.reloads().await;
        std::fs::write(self.gateway.file("policies").join(name), text).expect("a policy file");
        self.gateway.reload();
        self.reloaded(before).await;
    }

    /// Changes the configuration and waits until it holds.
    ///
    /// # Panics
    /// When it does not come to hold.
    pub async fn configure(&self, change: impl FnOnce(&mut Value)) {
        let before = self.reloads().await;
        let file = self.gateway.file("portcullis.yaml");
        let text = std::fs::read_to_string(&file).expect("the configuration");
        let mut config: Value = serde_json::from_str(&text).expect("JSON is YAML");
        change(&mut config);
        std::fs::write(&file, config.to_string()).expect("the configuration");
        self.gateway.reload();
        self.reloaded(before).await;
    }

    async fn reloads(&self) -> u64 {
        let metrics = self.gateway.metrics().await;
        let line =
            metrics.lines().find_map(|line| line.strip_prefix(r#"portcullis_reloads_total{result="ok"} "#));
        line.and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    async fn reloaded(&self, before: u64) {
        let start = std::time::Instant::now();
        while self.reloads().await == before {
            assert!(start.elapsed() < PATIENCE, "{}", self.gateway.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn answer(asked: &crate::upstream::Received) -> Reply {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let streams = body["stream"] == json!(true);
    match (asked.target.contains("/messages"), streams) {
        (false, true) => Reply::chat(["the quarter ", "was good"]),
        (false, false) => Reply::json(&json!({
            "id": "1", "object": "chat.completion", "model": "tiny-llama", "created": 1,
            "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": SAID } }],
        })),
        (true, _) => Reply::json(&json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "tiny-llama", "stop_reason": "end_turn",
            "stop_sequence": null, "content": [{ "type": "text", "text": SAID }],
            "usage": { "input_tokens": 1, "output_tokens": 4 },
        })),
    }
}
