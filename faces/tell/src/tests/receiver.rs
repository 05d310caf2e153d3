//! A receiver on loopback that does what it is told, and notes what it gets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use model::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) at: Timestamp,
    taken: bool,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

/// What a receiver answers.
pub(super) struct Answer {
    status: StatusCode,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
    never: bool,
}

impl Answer {
    pub(super) fn status(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), never: false }
    }

    pub(super) fn ok() -> Self {
        Self::status(StatusCode::NO_CONTENT)
    }

    pub(super) fn json(body: impl Into<String>) -> Self {
        Self { body: body.into(), ..Self::status(StatusCode::OK) }
    }

    /// None at all.
    pub(super) fn never() -> Self {
        Self { never: true, ..Self::status(StatusCode::OK) }
    }

    pub(super) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// Answers as Slack does.
pub(super) fn slack(got: &Got) -> Answer {
    match got.target.as_str() {
        "/api/chat.postMessage" | "/api/chat.update" => {
            Answer::json(r#"{"ok":true,"channel":"C0123456789","ts":"1700000000.000001"}"#)
        }
        _ => Answer::json(r#"{"ok":false,"error":"unknown_method"}"#),
    }
}

type Script = Box<dyn Fn(&Got) -> Answer + Send + Sync>;

struct Shared {
    got: Mutex<Vec<Got>>,
    script: Mutex<Script>,
}

/// The receiver.
pub(super) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            got: Mutex::new(Vec::new()),
            script: Mutex::new(Box::new(|_: &Got| Answer::ok())),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    /// Listens no more.
    pub(super) async fn close(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Listens again, where it did.
    pub(super) async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.task = tokio::spawn(serve(listener, Arc::clone(&self.shared)));
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn say(&self, script: impl Fn(&Got) -> Answer + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }

    /// All that came.
    pub(super) fn all(&self) -> Vec<Got> {
        self.shared.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it said yes to.
    pub(super) fn accepted(&self) -> Vec<Got> {
        self.all().into_iter().filter(|got| got.taken).collect()
    }

    /// Waits until so many requests came, and gives all.
    pub(super) async fn got(&self, count: usize) -> Vec<Got> {
        for _ in 0..1500 {
            let got = self.all();
            if got.len() >= count {
                return got;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("only {} of {count} came", self.all().len());
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(answer(request, &shared).await) }
        });
        tokio::spawn(async move {
            let served =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = served.await;
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "the body is limited on the same line")]
async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, 1 << 20).collect().await.unwrap().to_bytes();
    let mut got = Got {
        target: head.uri.to_string(),
        headers: head.headers,
        body,
        at: SystemClock::default().now(),
        taken: false,
    };
    let answer = (shared.script.lock().unwrap_or_else(PoisonError::into_inner))(&got);
    got.taken = answer.status.is_success();
    shared.got.lock().unwrap_or_else(PoisonError::into_inner).push(got);
    if answer.never {
        std::future::pending::<()>().await;
    }
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(Bytes::from(answer.body))).unwrap()
}

/// Whether one of the signatures is by the key of these bytes.
pub(super) fn verifies(got: &Got, key: [u8; 32]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let start = format!("{}.{}.", got.header("webhook-id"), got.header("webhook-timestamp"));
    let signed = [start.as_bytes(), &got.body].concat();
    got.header("webhook-signature").split(' ').any(|one| {
        let given = one.strip_prefix("v1,").and_then(|given| STANDARD.decode(given).ok());
        given.is_some_and(|given| hmac::verify(&key, &signed, &given).is_ok())
    })
}
