//! An upstream that does what it is told: plays a scripted answer, notes what it was asked, and sees
//! when the other side leaves.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::process::eventually;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}

/// One step of a scripted answer's body.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Send(Bytes),
    /// Sends these bytes so many times.
    Repeat(Bytes, usize),
    /// Waits until the test adds a permit.
    Wait(Arc<Semaphore>),
    /// Breaks the answer off.
    Abort,
}

/// A scripted answer.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    steps: Vec<Step>,
}

impl Reply {
    /// An answer of this type without a body yet.
    pub fn of_type(content_type: &str) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            steps: Vec::new(),
        }
    }

    /// A whole JSON answer.
    pub fn json(body: &Value) -> Self {
        Self::of_type("application/json").send(body.to_string())
    }

    /// A stream of events: each is the `data` of one, sent in a piece of its own.
    pub fn events<'a>(events: impl IntoIterator<Item = &'a str>) -> Self {
        let begun = Self::of_type("text/event-stream");
        events.into_iter().fold(begun, |reply, event| reply.send(format!("data: {event}\n\n")))
    }

    /// A chat stream whose deltas are `pieces`, with its end.
    pub fn chat<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Self {
        let mut events: Vec<String> = pieces.into_iter().map(chat_delta).collect();
        events.push(
            r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"tiny-llama","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#
                .to_owned(),
        );
        events.push("[DONE]".to_owned());
        Self::events(events.iter().map(String::as_str))
    }

    /// The same with another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with a header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with bytes more.
    #[must_use]
    pub fn send(self, bytes: impl Into<Bytes>) -> Self {
        self.then(Step::Send(bytes.into()))
    }

    /// The same with a step more.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// One chunk of a chat stream with this text.
pub fn chat_delta(text: &str) -> String {
    let text = Value::String(text.to_owned());
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"tiny-llama","choices":[{{"index":0,"delta":{{"content":{text}}},"finish_reason":null}}]}}"#
    )
}

#[derive(Default)]
struct Seen {
    received: Mutex<Vec<Received>>,
    sent: AtomicUsize,
    left: AtomicUsize,
}

/// The upstream. Dropped, it stops listening.
pub struct FakeUpstream {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

impl FakeUpstream {
    /// Listens on loopback and answers each request as `script` says.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start(script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::on(listener, script).await
    }

    /// The same on a listener that is open already, in whichever network.
    ///
    /// # Panics
    /// When it cannot be used.
    pub async fn on(
        listener: std::net::TcpListener,
        script: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        listener.set_nonblocking(true).expect("a listener");
        let listener = TcpListener::from_std(listener).expect("a listener");
        let address = listener.local_addr().expect("a bound listener has an address");
        let seen = Arc::new(Seen::default());
        let script = Arc::new(script);
        let noted = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, script) = (Arc::clone(&noted), Arc::clone(&script));
                let service = service_fn(move |request| {
                    let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                    async move { Ok::<_, Infallible>(answer(request, &seen, script.as_ref()).await) }
                });
                tokio::spawn(async move {
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, seen, task }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far, in order.
    pub fn received(&self) -> Vec<Received> {
        self.seen.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many bytes of bodies the other side has taken so far, as far as the connection tells.
    pub fn sent(&self) -> usize {
        self.seen.sent.load(Ordering::SeqCst)
    }

    /// Whether, within so long, the other side left in the middle of an answer.
    pub async fn was_left(&self, within: Duration) -> bool {
        eventually(within, || (self.seen.left.load(Ordering::SeqCst) > 0).then_some(())).await.is_some()
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: &Arc<Seen>,
    script: &(impl Fn(&Received) -> Reply + ?Sized),
) -> Response<Told> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, 64 << 20).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let received = Received { method: head.method, target, headers: head.headers, body };
    let reply = script(&received);
    seen.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
    let (tell, told) = mpsc::channel(1);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    let seen = Arc::clone(seen);
    tokio::spawn(async move {
        if play(reply.steps, &tell, &seen).await.is_none() {
            seen.left.fetch_add(1, Ordering::SeqCst);
        }
    });
    response.body(Told(told)).expect("a well-formed script")
}

/// Nothing when the other side left before the end.
async fn play(steps: Vec<Step>, tell: &mpsc::Sender<io::Result<Bytes>>, seen: &Seen) -> Option<()> {
    for step in steps {
        match step {
            Step::Send(bytes) => hand(bytes, tell, seen).await?,
            Step::Repeat(bytes, times) => {
                for _ in 0..times {
                    hand(bytes.clone(), tell, seen).await?;
                }
            }
            Step::Wait(gate) => tokio::select! {
                permit = gate.acquire() => permit.ok()?.forget(),
                () = tell.closed() => return None,
            },
            Step::Abort => {
                let _ = tell.send(Err(io::Error::other("broken off, as scripted"))).await;
                return Some(());
            }
        }
    }
    Some(())
}

async fn hand(bytes: Bytes, tell: &mpsc::Sender<io::Result<Bytes>>, seen: &Seen) -> Option<()> {
    let length = bytes.len();
    tell.send(Ok(bytes)).await.ok()?;
    seen.sent.fetch_add(length, Ordering::SeqCst);
    Some(())
}

/// A body that is told piece by piece.
struct Told(mpsc::Receiver<io::Result<Bytes>>);

impl http_body::Body for Told {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|told| told.map(|bytes| bytes.map(Frame::data)))
    }
}
