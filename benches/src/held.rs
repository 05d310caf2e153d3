//! What requests cost that wait for consent: a thousand of them, in memory and for everybody else.
//! `cargo xtask bench held`.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use e2e::gateway::Gateway;
use e2e::plan::{Plan, model_at};
use http::Request;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::figures::{Samples, Scenario, percentile};
use crate::load;
use crate::targets::{Target, issuer};
use crate::upstream::{self, Upstream};

/// How many wait.
const HELD: usize = 1000;
/// The bytes of each one's body, which may cost themselves.
const BODY: usize = 4096;
/// What each may cost besides, in bytes.
const MAY_COST: usize = 64 << 10;

const POLICIES: &str = r#"
permit(principal in Group::"ml-engineers", action == Action::"infer", resource in Resource::"llama");
permit(principal in Group::"ml-engineers", action == Action::"embed", resource in Resource::"llama")
  when { context.approvals >= 1 };
"#;

/// Measures, and tells.
pub(crate) fn measure(seconds: u32) -> String {
    let upstream = upstream::start();
    let runtime = crate::runtime();
    runtime.block_on(async {
        let gateway = gateway(&upstream).await;
        let token = upstream.signer.token(&issuer(&upstream));
        let path = "/llama/v1/chat/completions";
        let target = Target { name: "portcullis".into(), address: gateway.address, path, token };
        let ordinary = Scenario { name: "chat, 4 connections", connections: 4, stream: false };
        let slice = Duration::from_secs(seconds.into()) / 2;
        // Caches, pools and arenas are warm before anything counts.
        load::run(&target, ordinary, slice).await;
        let (memory, mut alone, mut beside) = (gateway.resident(), Samples::default(), Samples::default());
        alone.join(load::run(&target, ordinary, slice).await);
        let held = hold(&target).await;
        settled(&gateway).await;
        let cost = gateway.resident().saturating_sub(memory) / HELD;
        for _ in 0..2 {
            beside.join(load::run(&target, ordinary, slice).await);
        }
        drop(held);
        alone.join(load::run(&target, ordinary, slice).await);
        told(cost, &alone, &beside)
    })
}

fn told(cost: usize, alone: &Samples, beside: &Samples) -> String {
    let mut text = format!("{HELD} requests of {BODY} bytes wait for consent\n");
    let beyond = cost.saturating_sub(BODY);
    let _ = writeln!(text, "  memory each, beyond the body: {beyond} bytes (may be {MAY_COST})");
    for percent in [50, 99] {
        let (alone, beside) = (percentile(&alone.whole, percent), percentile(&beside.whole, percent));
        let ratio = beside / alone;
        let _ = writeln!(
            text,
            "  others' p{percent}: {alone:.0} µs alone, {beside:.0} µs beside them, {ratio:.2}x"
        );
    }
    text
}

async fn gateway(upstream: &Upstream) -> Gateway {
    let url = issuer(upstream);
    let settings = json!({ "issuer": url, "jwks": format!("{url}/jwks"), "audiences": ["portcullis"], "groups": { "claims": ["/groups"] } });
    let most = HELD * 2;
    let approvals = json!({ "held": most, "held_per_caller": most, "open": most, "open_per_caller": most });
    Plan::default()
        .issuer("bench", settings)
        .resource("llama", model_at(&url))
        .environment("LLAMA_KEY", "the-upstreams-own-key")
        .with(json!({ "approvals": approvals, "resources": { "llama": { "hold": "1h" } } }))
        .policy("held.cedar", POLICIES)
        .start()
        .await
}

/// Requests on connections of their own, each of its own bytes.
async fn hold(target: &Target) -> JoinSet<()> {
    let mut held = JoinSet::new();
    for number in 0..HELD {
        let (mut sender, request) = (connect(target).await, request(target, number));
        held.spawn(async move {
            let answer = sender.send_request(request).await;
            panic!("it was not held: {:?}", answer.map(|answer| answer.status()));
        });
    }
    held
}

async fn connect(target: &Target) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(target.address).await.expect("the gateway listens");
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    sender
}

fn request(target: &Target, number: usize) -> Request<Full<Bytes>> {
    let input = format!("{number} {}", "x".repeat(BODY - 64));
    let body = json!({ "model": "tiny-llama", "input": input }).to_string();
    let head = Request::post("/llama/v1/embeddings").header("host", target.address.to_string());
    let head = head.header("authorization", format!("Bearer {}", target.token));
    head.header("content-type", "application/json").body(Full::new(Bytes::from(body))).expect("a request")
}

/// Waits until all of them are held.
async fn settled(gateway: &Gateway) {
    let wanted = format!("portcullis_held_requests {HELD}");
    while !gateway.metrics().await.lines().any(|line| line == wanted) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
