//! The requests these tests ask again and again.

use http::{Method, Response};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::client::{self, Answer};
use crate::gateway::Gateway;

/// A chat request to `tiny-llama` that says `text`.
pub fn chat_body(text: &str) -> Value {
    json!({ "model": "tiny-llama", "max_tokens": 8, "messages": [{ "role": "user", "content": text }] })
}

/// The same as a stream.
pub fn stream_body(text: &str) -> Value {
    let mut body = chat_body(text);
    body["stream"] = json!(true);
    body
}

/// Asks the gateway's `llama` for a chat answer.
pub async fn chat(gateway: &Gateway, token: &str) -> Answer {
    say(gateway, token, "hello").await
}

/// The same with other words.
pub async fn say(gateway: &Gateway, token: &str, text: &str) -> Answer {
    client::post(&gateway.url("/llama/v1/chat/completions"), token, &chat_body(text)).await
}

/// Begins a chat stream at the gateway's `llama`.
///
/// # Panics
/// When no head comes.
pub async fn stream(gateway: &Gateway, token: &str, text: &str) -> Response<Incoming> {
    let url = gateway.url("/llama/v1/chat/completions");
    let request = client::request(Method::POST, &url, Some(token), Some(&stream_body(text)));
    client::try_open(request).await.unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// The text of a chat stream: every delta's content, joined. Stops at what is no chunk.
pub fn joined(events: &[u8]) -> String {
    let text = String::from_utf8_lossy(events).into_owned();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let chunks = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

/// The code in a refusal of the OpenAI shape.
///
/// # Panics
/// When there is none.
pub fn code(answer: &Answer) -> String {
    let body = answer.json();
    body["error"]["code"]
        .as_str()
        .unwrap_or_else(|| panic!("no code in {}: {body}", answer.status))
        .to_owned()
}
