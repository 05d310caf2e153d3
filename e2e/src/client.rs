//! A plain HTTP client, for what no SDK would send.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// No answer in these tests is larger.
const LIMIT: usize = 64 << 20;
/// No answer in these tests takes longer.
const WITHIN: Duration = Duration::from_secs(60);

/// An answer read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {} {}", self.status, self.text()))
    }
}

/// A request with `token` and a JSON body, if they are given.
///
/// # Panics
/// When the address is malformed.
pub fn request(method: Method, url: &str, token: Option<&str>, body: Option<&Value>) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(url);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let bytes = match body {
        Some(body) => {
            request = request.header(CONTENT_TYPE, "application/json");
            Bytes::from(body.to_string())
        }
        None => Bytes::new(),
    };
    request.body(Full::new(bytes)).expect("a well-formed request")
}

/// Sends a request and reads the whole answer.
///
/// # Errors
/// What kept it from arriving whole.
pub async fn try_send(request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let response = try_open(request).await?;
    let (head, body) = response.into_parts();
    let read = tokio::time::timeout(WITHIN, Limited::new(body, LIMIT).collect()).await;
    let body = read
        .map_err(|_| format!("the body did not end within {WITHIN:?}"))?
        .map_err(|error| error.to_string())?;
    Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
}

/// Sends a request and gives the answer as soon as its head is there.
///
/// # Errors
/// What kept the head from arriving.
pub async fn try_open(request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let sent = tokio::time::timeout(WITHIN, client.request(request)).await;
    sent.map_err(|_| format!("no answer within {WITHIN:?}"))?.map_err(|error| chain(&error))
}

/// Gets `url` without a token.
///
/// # Errors
/// What kept the answer from arriving whole.
pub async fn try_get(url: &str) -> Result<Answer, String> {
    try_send(request(Method::GET, url, None, None)).await
}

/// Like [`try_send`], for requests that must be answered.
///
/// # Panics
/// When no whole answer comes.
pub async fn send(method: Method, url: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
    let sent = try_send(request(method.clone(), url, token, body)).await;
    sent.unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}

/// Posts JSON and reads the whole answer.
///
/// # Panics
/// When no whole answer comes.
pub async fn post(url: &str, token: &str, body: &Value) -> Answer {
    send(Method::POST, url, Some(token), Some(body)).await
}

/// Posts bytes of this type and reads the whole answer.
///
/// # Panics
/// When no whole answer comes.
pub async fn post_bytes(url: &str, token: &str, content_type: &str, body: &[u8]) -> Answer {
    let (mut head, _) = request(Method::POST, url, Some(token), None).into_parts();
    let content_type = content_type.parse().expect("a content type");
    head.headers.insert(http::header::CONTENT_TYPE, content_type);
    let request = Request::from_parts(head, Full::new(Bytes::copy_from_slice(body)));
    try_send(request).await.unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Gets with a token and reads the whole answer.
///
/// # Panics
/// When no whole answer comes.
pub async fn get(url: &str, token: &str) -> Answer {
    send(Method::GET, url, Some(token), None).await
}

/// The next piece of a body: nothing when it ended well, an error when it broke off.
///
/// # Errors
/// What broke it off.
pub async fn next(body: &mut Incoming) -> Option<Result<Bytes, String>> {
    loop {
        let frame = match tokio::time::timeout(WITHIN, body.frame()).await {
            Ok(frame) => frame?,
            Err(_) => return Some(Err(format!("nothing more came within {WITHIN:?}"))),
        };
        match frame {
            Ok(frame) => {
                if let Ok(bytes) = frame.into_data() {
                    return Some(Ok(bytes));
                }
            }
            Err(error) => return Some(Err(chain(&error))),
        }
    }
}

/// Everything until the end, and how it ended.
pub async fn drain(body: &mut Incoming) -> (Vec<u8>, Result<(), String>) {
    let mut read = Vec::new();
    while let Some(piece) = next(body).await {
        match piece {
            Ok(bytes) => read.extend_from_slice(&bytes),
            Err(error) => return (read, Err(error)),
        }
    }
    (read, Ok(()))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
