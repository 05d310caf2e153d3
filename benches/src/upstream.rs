//! An upstream that costs next to nothing: a fixed JSON answer, a fixed stream of events, and the keys
//! that the tokens are signed with.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use crate::token::Signer;

/// How many events a stream has, before its end.
pub(crate) const EVENTS: usize = 40;
const SENTENCE: &str =
    "The gate opens for those whom the policy names, and the porter writes down who went through. ";

/// Where it listens, and who signs.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) signer: Signer,
}

struct Fixed {
    chat: Bytes,
    events: Vec<Bytes>,
    keys: Bytes,
}

/// Starts it on a thread of its own.
pub(crate) fn start() -> Upstream {
    let signer = Signer::new();
    let fixed: &'static Fixed = Box::leak(Box::new(fixed(&signer)));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a listener");
    let address = listener.local_addr().expect("a bound listener");
    std::thread::spawn(move || crate::runtime().block_on(serve(listener, fixed)));
    Upstream { address, signer }
}

fn fixed(signer: &Signer) -> Fixed {
    let chat = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "tiny-llama",
        "choices": [{ "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": SENTENCE.repeat(20) } }],
        "usage": { "prompt_tokens": 200, "completion_tokens": 400, "total_tokens": 600 },
    });
    let event = |text: &str| {
        let chunk = json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny-llama",
            "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }] });
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let words: Vec<&str> = SENTENCE.split_inclusive(' ').cycle().take(EVENTS).collect();
    let mut events: Vec<Bytes> = words.into_iter().map(event).collect();
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    Fixed { chat: Bytes::from(chat.to_string()), events, keys: Bytes::from(signer.keys().to_string()) }
}

async fn serve(listener: std::net::TcpListener, fixed: &'static Fixed) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| answer(request, fixed));
        tokio::spawn(async move {
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    fixed: &'static Fixed,
) -> Result<Response<Either<Full<Bytes>, Events>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, 1 << 20).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let whole = |bytes: &Bytes| Either::Left(Full::new(bytes.clone()));
    let (kind, body) = match head.uri.path() {
        "/jwks" => ("application/json", whole(&fixed.keys)),
        _ if asks_for_stream(&body) => ("text/event-stream", Either::Right(Events(fixed.events.iter()))),
        _ => ("application/json", whole(&fixed.chat)),
    };
    Ok(Response::builder().header("content-type", kind).body(body).expect("a fixed answer"))
}

/// The load writes it so; a real parser would cost more than everything else here.
fn asks_for_stream(body: &[u8]) -> bool {
    body.windows(13).any(|window| window == b"\"stream\":true")
}

/// The events, each in a piece of its own, and a turn for others between two.
struct Events(std::slice::Iter<'static, Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|event| Ok(Frame::data(event.clone()))))
    }
}
