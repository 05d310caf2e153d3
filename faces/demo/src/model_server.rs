//! The model behind the demo's gateway: an embedded one with a script, or a tap before a real one.
//! Either way it remembers what it sent, so that the demo can show it beside what the caller got.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::error::DemoError;
use crate::tap;

/// The embedded model's name.
pub(crate) const MODEL: &str = "demo-model";

/// The prompt that makes the embedded model count, slowly and for long.
pub(crate) const COUNT: &str = "Count to one thousand, slowly.";

/// What stands in the embedded model's weights.
pub(crate) const WEIGHTS: &str = "weights of demo-model";

const LIMIT: usize = 1 << 20;
const PACE: Duration = Duration::from_millis(12);

pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What was sent in answers so far.
#[derive(Clone, Default)]
pub(crate) struct Sent(Arc<Mutex<Vec<u8>>>);

impl Sent {
    pub(crate) fn add(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }

    pub(crate) fn so_far(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The server, answering until the process ends.
pub(crate) struct ModelServer {
    pub(crate) url: String,
    pub(crate) sent: Sent,
    /// Whether the embedded model answers, so that the demo knows what it will say.
    pub(crate) embedded: bool,
}

impl ModelServer {
    /// Begins to serve on a free loopback port: the script to whoever shows `key`, or `real`'s answers.
    pub(crate) async fn start(key: String, real: Option<Uri>) -> Result<Self, DemoError> {
        let failed = |fault| DemoError::new("starting the demo's model server", fault);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|e: std::io::Error| failed(e))?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let sent = Sent::default();
        let embedded = real.is_none();
        let behind = Arc::new(match real {
            Some(uri) => Behind::Real(uri),
            None => Behind::Script { key },
        });
        tokio::spawn(serve(listener, behind, sent.clone()));
        Ok(Self { url, sent, embedded })
    }
}

enum Behind {
    Script { key: String },
    Real(Uri),
}

async fn serve(listener: TcpListener, behind: Arc<Behind>, sent: Sent) {
    while let Ok((stream, _)) = listener.accept().await {
        let (behind, sent) = (Arc::clone(&behind), sent.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (behind, sent) = (Arc::clone(&behind), sent.clone());
            async move { Ok::<_, Infallible>(answer(&behind, request, sent).await) }
        });
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            // A gateway that breaks off needs no answer.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(behind: &Behind, request: Request<Incoming>, sent: Sent) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LIMIT);
    #[expect(clippy::disallowed_methods, reason = "bounded by Limited on the line above")]
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return page(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "error": { "message": "too large" } }));
    };
    match behind {
        Behind::Script { key } => scripted(key, &head, &body, sent),
        Behind::Real(uri) => match tap::pass(uri, &head, body, sent).await {
            Ok(response) => response,
            Err(fault) => {
                page(StatusCode::BAD_GATEWAY, &json!({ "error": { "message": fault.to_string() } }))
            }
        },
    }
}

fn scripted(key: &str, head: &http::request::Parts, body: &Bytes, sent: Sent) -> Response<Body> {
    let shown = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if shown != Some(&format!("Bearer {key}")) {
        return page(StatusCode::UNAUTHORIZED, &json!({ "error": { "message": "wrong API key" } }));
    }
    if head.uri.path() == "/v1/models" {
        return page(
            StatusCode::OK,
            &json!({ "object": "list", "data": [{ "id": MODEL, "object": "model" }] }),
        );
    }
    if head.uri.path() == "/weights/demo-model" {
        return page(StatusCode::OK, &json!({ "what": WEIGHTS, "layers": vec![[0.25, -1.5, 3.0]; 64] }));
    }
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = if asked.to_string().contains(COUNT) { counted() } else { told() };
    if asked.get("stream") == Some(&Value::Bool(true)) {
        return chunks(&text, sent);
    }
    sent.add(text.as_bytes());
    page(
        StatusCode::OK,
        &json!({
            "id": "chatcmpl-demo", "object": "chat.completion", "created": 0, "model": MODEL,
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 9, "completion_tokens": 40, "total_tokens": 49 },
        }),
    )
}

/// A made-up key in the published form of an AWS access key id, put together here so that no scanner
/// takes this file for a leak.
pub(crate) fn made_up_key() -> String {
    ["AKI", "AZ3DEMO", "KEY5PORT77"].concat()
}

/// What the scripted model lets slip, by class: a credential twice, and some people's data.
fn told() -> String {
    let token = ["gl", "pat-9fKq2", "LmX7RtV4bN", "8cZ1w"].concat();
    let card = ["4111 1111", "1111 1111"].join(" ");
    let key = made_up_key();
    // The third time in base64, as tools print it.
    format!(
        "Sure! To read the bucket, export the access key {key} first, and let git push with {token}. \
         In your manifest it is base64: {}. If it fails, write to ana.lima@example.com or \
         ben@example.com; the invoice goes to card {card}.",
        base64(format!("access key {key}").as_bytes()),
    )
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | three.get(at).map_or(0, |byte| u32::from(*byte)));
        for letter in 0..4 {
            let worth = usize::try_from(bits >> (18 - 6 * letter) & 63).unwrap_or(0);
            let byte = LETTERS.get(worth).copied().filter(|_| letter <= three.len());
            text.push(char::from(byte.unwrap_or(b'=')));
        }
    }
    text
}

fn counted() -> String {
    (1..=1000).map(|number| format!("{number} ")).collect()
}

/// Streams `text` three letters at a time, so that whatever is secret in it is split.
fn chunks(text: &str, sent: Sent) -> Response<Body> {
    let letters: Vec<char> = text.chars().collect();
    let mut events: Vec<String> = letters
        .chunks(3)
        .map(|piece| event(&json!({ "content": piece.iter().collect::<String>() }), Value::Null))
        .collect();
    events.push(event(&json!({}), json!("stop")));
    events.push("data: [DONE]\n\n".to_owned());
    let frames = stream::unfold(events.into_iter(), move |mut events| {
        let sent = sent.clone();
        async move {
            let event = events.next()?;
            tokio::time::sleep(PACE).await;
            sent.add(event.as_bytes());
            Some((Ok(Frame::data(Bytes::from(event))), events))
        }
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let kind = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn event(delta: &Value, finish: Value) -> String {
    let event = json!({
        "id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 0, "model": MODEL,
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
    });
    format!("data: {event}\n\n")
}

fn page(status: StatusCode, value: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(value.to_string())).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
