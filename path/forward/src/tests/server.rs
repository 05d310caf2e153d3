//! Upstreams to forward to, and the ways to ask them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use config::{Resource, ServerKind};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use model::{ExchangeId, FixedClock, Question, QuestionParts, ResourceName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::{Answer, AnswerBody, Arrived, ForwardError, Upstreams};

pub(super) fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at(Timestamp::UNIX_EPOCH))
}

/// A resource at these base URLs.
pub(super) fn resource(urls: &[String]) -> Resource {
    let mut resource =
        Resource::model(ResourceName::new("test").unwrap(), ServerKind::OpenAi, urls[0].parse().unwrap());
    resource.upstreams = urls.iter().map(|url| url.parse().unwrap()).collect();
    resource
}

pub(super) fn upstreams(addresses: &[SocketAddr]) -> Arc<Upstreams> {
    let urls: Vec<_> = addresses.iter().map(|address| format!("http://{address}")).collect();
    Upstreams::build(&resource(&urls), clock()).unwrap()
}

pub(super) fn question_with(path: &str, headers: HeaderMap) -> Question {
    Question::new(QuestionParts {
        exchange: ExchangeId::at(Timestamp::UNIX_EPOCH),
        method: Method::POST,
        path: path.to_owned(),
        query: None,
        headers,
        body: Bytes::from_static(b"{}"),
    })
}

pub(super) fn question(path: &str) -> Question {
    question_with(path, HeaderMap::new())
}

pub(super) async fn ask(upstreams: &Upstreams, path: &str) -> Result<Answer, ForwardError> {
    let question = question(path);
    soon(upstreams.send_cleared(question.exchange(), &question)).await
}

/// What a future gives, unless it hangs.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.expect("it hangs")
}

pub(super) async fn next(body: &mut AnswerBody) -> Option<Result<Arrived, ForwardError>> {
    soon(body.next()).await
}

/// Reads a body to its end.
pub(super) async fn read(mut body: AnswerBody) -> Result<String, ForwardError> {
    let mut text = Vec::new();
    while let Some(arrived) = next(&mut body).await {
        if let Arrived::Bytes(unmasked) = arrived? {
            text.extend_from_slice(&unmasked.bytes);
        }
    }
    Ok(String::from_utf8(text).unwrap())
}

/// A server on hyper, HTTP/1.1, that answers with `answer` and counts connections and requests.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) requests: Arc<AtomicUsize>,
    pub(super) connections: Arc<AtomicUsize>,
}

impl Server {
    pub(super) async fn start<F>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
    {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
    }

    pub(super) fn listen<F>(listener: TcpListener, answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
    {
        let address = listener.local_addr().unwrap();
        let (requests, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let server = Self { address, requests: Arc::clone(&requests), connections: Arc::clone(&connections) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (answer, requests) = (answer.clone(), Arc::clone(&requests));
                let service = service_fn(move |request| {
                    requests.fetch_add(1, Ordering::SeqCst);
                    let answer = answer(request);
                    async move { Ok::<_, std::convert::Infallible>(answer) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        server
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// An answer that tells the request line and headers of its request.
pub(super) fn echo(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, _) = request.into_parts();
    let mut text = format!("{} {}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    Response::new(Full::from(text))
}

/// A server over raw bytes, for one connection after another: it reads a request's head and body, then
/// `talk` has the connection.
pub(super) async fn raw<T, F>(talk: T) -> SocketAddr
where
    T: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            request(&mut stream).await;
            tokio::spawn(talk(stream));
        }
    });
    address
}

/// Reads one request, body and all; the tests' bodies are `{}`.
pub(super) async fn request(stream: &mut TcpStream) -> String {
    let mut received = String::new();
    let mut buffer = [0; 4096];
    while !received.ends_with("\r\n\r\n{}") {
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "closed within the request: {received:?}");
        received.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    received
}

/// Sends bytes and keeps the connection.
pub(super) async fn say(mut stream: TcpStream, text: impl AsRef<[u8]>) -> TcpStream {
    stream.write_all(text.as_ref()).await.unwrap();
    stream
}

/// Waits until the other side is gone.
pub(super) async fn gone(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // A reset is as good as a close.
    let _ = stream.read_to_end(&mut rest).await;
}
