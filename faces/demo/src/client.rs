//! The demo's plain HTTP: asking, reading a stream, and serving a few pages on loopback.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::error::DemoError;

/// The largest answer the demo reads whole.
const LIMIT: usize = 1 << 20;

/// An answer that has begun.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The `x-request-id` the gateway gave.
    pub(crate) request: String,
    body: Incoming,
}

/// Asks for a chat completion of `prompt` with at most `max_tokens`.
pub(crate) async fn chat(
    base: &str,
    token: &str,
    model: &str,
    prompt: &str,
    max_tokens: u32,
) -> Result<Answer, DemoError> {
    let body = json!({
        "model": model, "stream": true, "max_tokens": max_tokens,
        "messages": [{ "role": "user", "content": prompt }],
    });
    let request = Request::post(format!("{base}/chat/completions"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|fault| DemoError::new("writing a request", fault))?;
    let response = plain_client().request(request).await;
    let response = response.map_err(|fault| DemoError::new("asking through the gateway", fault))?;
    let request = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    Ok(Answer { status: response.status(), request: request.to_owned(), body: response.into_body() })
}

impl Answer {
    /// The next bytes; `None` at the end, an error when the answer was cut.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, DemoError>> {
        loop {
            let frame = match self.body.frame().await? {
                Ok(frame) => frame,
                Err(fault) => return Some(Err(DemoError::new("reading the answer", fault))),
            };
            if let Ok(bytes) = frame.into_data() {
                return Some(Ok(bytes));
            }
        }
    }

    /// All of it.
    pub(crate) async fn whole(self) -> Result<Bytes, DemoError> {
        let body = Limited::new(self.body, LIMIT);
        #[expect(clippy::disallowed_methods, reason = "bounded by Limited on the line above")]
        let read = body.collect().await;
        read.map(|whole| whole.to_bytes()).map_err(|fault| DemoError::new("reading the answer", fault))
    }
}

/// What is served at `url`, whatever its status.
pub(crate) async fn get(url: &str) -> Result<(StatusCode, Bytes), DemoError> {
    let uri: Uri = url.parse().map_err(|fault| DemoError::new("reading a URL", fault))?;
    let response = plain_client().get(uri).await.map_err(|fault| DemoError::new("asking", fault))?;
    let status = response.status();
    let answer = Answer { status, request: String::new(), body: response.into_body() };
    Ok((status, answer.whole().await?))
}

/// What is answered to the bearer of `token`, once it begins.
pub(crate) async fn send_as(
    method: Method,
    url: &str,
    token: &str,
    body: Option<&Value>,
) -> Result<Answer, DemoError> {
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Full::new(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default()))
        .map_err(|fault| DemoError::new("writing a request", fault))?;
    let response = plain_client().request(request).await;
    let response = response.map_err(|fault| DemoError::new("asking through the gateway", fault))?;
    Ok(Answer { status: response.status(), request: String::new(), body: response.into_body() })
}

/// What the gateway serves at `url` to the bearer of `token`.
pub(crate) async fn get_as(url: &str, token: &str) -> Result<Bytes, DemoError> {
    send_as(Method::GET, url, token, None).await?.whole().await
}

fn plain_client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// The text of a chat stream's deltas, joined.
pub(crate) fn joined(stream: &[u8]) -> String {
    String::from_utf8_lossy(stream)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|event| Some(event.pointer("/choices/0/delta/content")?.as_str()?.to_owned()))
        .collect()
}

/// Serves whole pages on `listener` until the process ends. `page` gets path and query, and the body.
pub(crate) fn serve_plain<F>(listener: TcpListener, page: F)
where
    F: Fn(&str, &Bytes) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
{
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let page = page.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let page = page.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body = Limited::new(body, LIMIT);
                    #[expect(clippy::disallowed_methods, reason = "bounded by Limited on the line above")]
                    let body = body.collect().await.map(|whole| whole.to_bytes()).unwrap_or_default();
                    let target = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
                    Ok::<_, Infallible>(page(target, &body))
                }
            });
            tokio::spawn(async move {
                let connection = hyper::server::conn::http1::Builder::new();
                // A client that breaks off needs no answer.
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}
