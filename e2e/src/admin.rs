//! A client of the administration's socket.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::client::Answer;
use crate::gateway::Gateway;

/// Lets the admins do every act, and nobody else any.
pub const ADMINS_ADMINISTER: &str = r#"
// Admins administer.
@id("admins-administer")
permit (principal in Group::"admins", action in Action::"administration", resource);
"#;

/// Calls the administration of `gateway` over its socket. `path` is below `/api/v1`, unless it begins with
/// `//`.
///
/// # Panics
/// When no whole answer comes.
pub async fn call(
    gateway: &Gateway,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Answer {
    let target = match path.strip_prefix("//") {
        Some(whole) => format!("/{whole}"),
        None => format!("/api/v1{path}"),
    };
    let mut request = Request::builder().method(method).uri(target).header(HOST, "localhost");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let mut bytes = Bytes::new();
    if let Some(body) = body {
        request = request.header(CONTENT_TYPE, "application/json");
        bytes = Bytes::from(body.to_string());
    }
    send(gateway, request.body(Full::new(bytes)).expect("a well-formed request")).await
}

/// Sends a request over the socket.
///
/// # Panics
/// When no whole answer comes.
pub async fn send(gateway: &Gateway, request: Request<Full<Bytes>>) -> Answer {
    let stream = UnixStream::connect(gateway.file("admin.sock")).await.expect("the socket is open");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP is spoken");
    tokio::spawn(connection);
    let whole = async {
        let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
        let body = Limited::new(body, 64 << 20).collect().await.expect("a whole answer").to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    };
    tokio::time::timeout(Duration::from_secs(60), whole).await.expect("an answer in time")
}

/// Gets a path with a token.
pub async fn get(gateway: &Gateway, path: &str, token: &str) -> Answer {
    call(gateway, Method::GET, path, Some(token), None).await
}

/// How often `text` stands in the ledger's files.
pub fn copies(gateway: &Gateway, text: &str) -> usize {
    let (ledger, text) = (gateway.ledger_bytes(), text.as_bytes());
    let (mut rest, mut count) = (&ledger[..], 0);
    while let Some(at) = rest.iter().position(|byte| Some(byte) == text.first()) {
        count += usize::from(rest[at..].starts_with(text));
        rest = &rest[at + 1..];
    }
    count
}

/// The frames of a replay.
///
/// # Panics
/// When a line is no JSON.
pub fn frames(answer: &Answer) -> Vec<Value> {
    answer.text().lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// What the frames of a replay say together.
pub fn played(answer: &Answer) -> String {
    frames(answer).iter().filter_map(|frame| frame["data"].as_str()).collect()
}
