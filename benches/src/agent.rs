//! What an agent costs: the same gateway with and without one, bytes through its tunnel beside plain TLS,
//! and a thousand agents in the memory of one gateway. `cargo xtask bench agent`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::gateway::Gateway;
use e2e::plan::{Plan, model_at};
use e2e::process::free_address;
use http::Response;
use http_body_util::Empty;
use model::{AgentName, Clock, ResourceName, SystemClock};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tunnel::{Asked, Enrolled, JoinToken, Membership, Prologue};

use crate::door;
use crate::figures::{Samples, Scenario, percentile};
use crate::load;
use crate::targets::{Target, issuer};
use crate::upstream::{self, Upstream};

/// How many agents stand at one gateway.
const AGENTS: usize = 1000;
/// Bytes of one echo.
const BULK: usize = 256 << 20;
/// How often each measurement is repeated, in turns: the machine has two speeds.
const ROUNDS: u32 = 5;
/// What an agent may add to half of all requests, in µs.
const MAY_ADD: f64 = 150.0;

const POLICIES: &str = r#"
permit(principal in Group::"ml-engineers", action == Action::"infer", resource in Resource::"llama");
"#;

/// Measures, and tells.
pub(crate) fn measure(seconds: u32) -> String {
    let upstream = upstream::start();
    let mut text = String::new();
    text.push_str(&crate::runtime().block_on(beside_standalone(&upstream, seconds)));
    let two = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let two = two.expect("a runtime");
    text.push_str(&two.block_on(echo()));
    text.push_str(&two.block_on(many(&upstream)));
    text
}

fn plan(upstream: &Upstream) -> Plan {
    let url = issuer(upstream);
    let settings = json!({ "issuer": url, "jwks": format!("{url}/jwks"), "audiences": ["portcullis"], "groups": { "claims": ["/groups"] } });
    Plan::default()
        .issuer("bench", settings)
        .resource("llama", model_at(&url))
        .environment("LLAMA_KEY", "the-upstreams-own-key")
        .policy("bench.cedar", POLICIES)
}

/// One gateway that reaches the upstream itself and one that has an agent for it, in turns.
async fn beside_standalone(upstream: &Upstream, seconds: u32) -> String {
    let (mut alone, mut beyond) = (plan(upstream), plan(upstream));
    (alone.through_agent, beyond.through_agent) = (false, true);
    let gateways = [alone.start().await, beyond.start().await];
    let target = |gateway: &Gateway| {
        let token = upstream.signer.token(&issuer(upstream));
        Target { name: "gateway".into(), address: gateway.address, path: "/llama/v1/chat/completions", token }
    };
    let targets = [target(&gateways[0]), target(&gateways[1])];
    let slice = Duration::from_secs(seconds.into()) / ROUNDS;
    let mut text = String::new();
    for (name, connections) in [("chat, 1 connection", 1), ("chat, 32 connections", 32)] {
        let scenario = Scenario { name, connections, stream: false };
        // The best slice of each counts: another tenant of the machine slows some of them, and an even
        // share of luck comes to both.
        let mut best = [(f64::INFINITY, 0.0_f64); 2];
        for round in 0..=ROUNDS {
            for ((gateway, target), best) in gateways.iter().zip(&targets).zip(&mut best) {
                let before = gateway.cpu();
                let samples: Samples = load::run(target, scenario, slice).await;
                let spent = gateway.cpu().saturating_sub(before).as_secs_f64();
                if round > 0 {
                    best.0 = best.0.min(percentile(&samples.whole, 50));
                    best.1 = best.1.max(samples.whole.len() as f64 / spent);
                }
            }
        }
        let [(alone, alone_each), (beyond, beyond_each)] = best;
        let _ = writeln!(text, "{name}");
        let _ = writeln!(
            text,
            "  p50: {alone:.0} µs alone, {beyond:.0} µs with an agent, {:.0} µs added (may be {MAY_ADD})",
            beyond - alone
        );
        let _ = writeln!(
            text,
            "  requests per CPU second of the gateway: {alone_each:.0} alone, {beyond_each:.0} with an agent, {:.0} % (should be 70)",
            100.0 * beyond_each / alone_each
        );
    }
    text
}

/// Bytes there and back: by extended CONNECT through a tunnel, and by TLS alone.
async fn echo() -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let door = door::open(folder.path()).await;
    let stop = CancellationToken::new();
    let enrolled = door.enrol("echo", folder.path()).await;
    let membership = Membership::new(vec![door.at()], folder.path().into(), enrolled, door.clock());
    tokio::spawn(membership.serve(echoing, stop.clone()));
    door.connected(1).await;
    let (mut tunnelled, mut plain) = (0.0_f64, 0.0_f64);
    for _ in 0..ROUNDS {
        let stretch = door.stretch().await;
        tunnelled = tunnelled.max(there_and_back(stretch).await);
        plain = plain.max(there_and_back(door::plain_tls_echo().await).await);
    }
    stop.cancel();
    format!(
        "echo of {} MiB\n  {tunnelled:.0} MiB/s through the tunnel, {plain:.0} MiB/s by TLS alone, {:.2}x (should be 0.5)\n",
        BULK >> 20,
        tunnelled / plain
    )
}

async fn echoing(
    _: tunnel::Delegated,
    mut request: http::Request<hyper::body::Incoming>,
) -> Response<Empty<Bytes>> {
    let asked = Asked::of(&mut request).expect("a stretch is asked for");
    let (response, begun) = asked.begin(Prologue::default());
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(begun.await.expect("it begins"));
        let mut piece = vec![0; 64 << 10];
        while let Ok(length @ 1..) = read.read(&mut piece).await {
            if write.write_all(&piece[..length]).await.is_err() {
                break;
            }
        }
        let _ = write.shutdown().await;
    });
    response
}

/// MiB in a second, there and back counted once.
async fn there_and_back(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> f64 {
    let (mut read, mut write) = tokio::io::split(stream);
    let start = Instant::now();
    let writing = tokio::spawn(async move {
        let piece = vec![7; 64 << 10];
        for _ in 0..BULK / piece.len() {
            write.write_all(&piece).await.expect("it takes bytes");
        }
        write.flush().await.expect("it takes bytes");
        write
    });
    let (mut back, mut piece) = (0, vec![0; 64 << 10]);
    while back < BULK {
        let length = read.read(&mut piece).await.expect("bytes come back");
        assert!(length > 0, "{back} bytes came back of {BULK}");
        back += length;
    }
    let seconds = start.elapsed().as_secs_f64();
    drop(writing.await);
    (BULK >> 20) as f64 / seconds
}

/// Agents that only stand there, each with a tunnel.
async fn many(upstream: &Upstream) -> String {
    let at = free_address().to_string();
    let mut plan = plan(upstream).with(json!({ "agents": { "address": at, "dir": "agents-ca" } }));
    plan.through_agent = false;
    let gateway = plan.start().await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let roster = door::roster_of(&gateway).await;
    let homes = tempfile::tempdir().expect("a temporary folder");
    let (stop, mut agents) = (CancellationToken::new(), JoinSet::new());
    let llama = ResourceName::new("llama").expect("a name");
    let mut memory = 0;
    for number in 0..AGENTS + 1 {
        // One comes before the memory is looked at: what the first of them costs is no other's.
        if number == 1 {
            door::count(&gateway, 1).await;
            memory = gateway.resident();
        }
        let name = AgentName::new(&format!("agent-{number}")).expect("a name");
        let resources = [llama.clone()].into();
        let invited = roster.invite(Some(name), resources, Duration::from_secs(600), "the bench").await;
        let token = JoinToken::read(&invited.expect("an invitation").token).expect("a token");
        let enrolled = Enrolled::join(&at, &token, &clock).await.expect("it joins");
        let home = homes.path().join(number.to_string());
        let membership = Membership::new(vec![at.clone()], home, enrolled, Arc::clone(&clock));
        agents.spawn(membership.serve(echoing, stop.clone()));
    }
    door::count(&gateway, AGENTS + 1).await;
    let each = gateway.resident().saturating_sub(memory) / AGENTS;
    stop.cancel();
    format!("{AGENTS} agents at one gateway\n  {} KiB each (may be 100)\n", each >> 10)
}
