//! The load: so many connections, each asking again as soon as it has its answer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::figures::{Samples, Scenario};
use crate::targets::Target;

/// No slice sends more from one connection, however long it is.
const MOST: usize = 1_000_000;
const PROMPT: &str =
    "Tell me, in a few words a visitor would understand, what the porter at the gate does all day. ";

/// Asks `target` for `length`, and gives what every request took.
pub(crate) async fn run(target: &Target, scenario: Scenario, length: Duration) -> Samples {
    let start = Instant::now();
    let until = start + length;
    let mut tasks = JoinSet::new();
    for _ in 0..scenario.connections {
        let sender = connect(target).await;
        let request = Template::new(target, scenario.stream);
        tasks.spawn(ask_until(sender, request, until));
    }
    let mut samples = Samples::default();
    while let Some(done) = tasks.join_next().await {
        samples.join(done.expect("a connection that asks"));
    }
    samples.seconds = start.elapsed().as_secs_f64();
    samples
}

async fn connect(target: &Target) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(target.address).await.expect("the target listens");
    stream.set_nodelay(true).expect("a socket");
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    sender
}

/// What every request is made from.
struct Template {
    path: &'static str,
    host: String,
    authorization: String,
    body: Bytes,
}

impl Template {
    fn new(target: &Target, stream: bool) -> Self {
        let body = json!({ "model": "tiny-llama", "max_tokens": 400, "stream": stream,
            "messages": [{ "role": "system", "content": "You are brief." }, { "role": "user", "content": PROMPT.repeat(8) }] });
        Self {
            path: target.path,
            host: target.address.to_string(),
            authorization: format!("Bearer {}", target.token),
            body: Bytes::from(body.to_string()),
        }
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let head =
            Request::post(self.path).header("host", &self.host).header("authorization", &self.authorization);
        head.header("content-type", "application/json").body(Full::new(self.body.clone())).expect("a request")
    }
}

async fn ask_until(mut sender: SendRequest<Full<Bytes>>, template: Template, until: Instant) -> Samples {
    let mut samples = Samples::default();
    while Instant::now() < until && samples.whole.len() < MOST {
        sender.ready().await.expect("the connection stays open");
        let start = Instant::now();
        let response = sender.send_request(template.request()).await.expect("an answer");
        let status = response.status();
        let mut body = response.into_body();
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.expect("a whole answer").into_data() {
                if bytes == 0 {
                    samples.first.push(start.elapsed());
                }
                bytes += data.len();
            }
        }
        // A quick refusal would look like a fast gateway.
        assert!(status.is_success() && bytes > 1000, "{status}, {bytes} bytes from {}", template.host);
        samples.whole.push(start.elapsed());
    }
    samples
}
