//! An agent beside a real upstream, a gateway's door, and the way between them as the gateway walks it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use model::{Clock, ExchangeId, ResourceName, SystemClock};
use store::SqliteStore;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tunnel::{Agents, Authority, Door, Failed, Fault, Roster};

use crate::Agent;

fn llama() -> ResourceName {
    ResourceName::new("llama").unwrap()
}

/// Made up, and put together here.
fn secret() -> String {
    ["made", "up", "for", "this", "test"].join("-")
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("it hangs")
}

/// What an upstream got.
type Got = Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>;

/// A model server that keeps what it got and answers with its headers: a debug page.
async fn upstream() -> (SocketAddr, Got) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, got) = (listener.local_addr().unwrap(), Got::default());
    let kept = Arc::clone(&got);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            let service = service_fn(move |request: Request<Incoming>| {
                let kept = Arc::clone(&kept);
                async move {
                    let (head, body) = request.into_parts();
                    #[expect(clippy::disallowed_methods, reason = "it is limited")]
                    let body = Limited::new(body, 1 << 20).collect().await.unwrap().to_bytes();
                    let echoed = format!(
                        "{:?}",
                        head.headers.get("authorization").map(|v| v.to_str().unwrap().to_owned())
                    );
                    let mut response = Response::new(Full::new(Bytes::from(echoed)));
                    if let Some(value) = head.headers.get("authorization") {
                        response.headers_mut().insert("x-echo", value.clone());
                    }
                    response.headers_mut().insert("portcullis-fault", "busy".parse().unwrap());
                    kept.lock().unwrap().push((head.uri.to_string(), head.headers, body));
                    Ok::<_, std::convert::Infallible>(response)
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (address, got)
}

struct Gateway {
    agents: Arc<Agents>,
    address: SocketAddr,
}

async fn gateway(dir: &Path) -> Gateway {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = SqliteStore::open(&dir.join("state"), Arc::clone(&clock)).await.unwrap();
    let authority = Authority::open(&dir.join("ca"), Arc::clone(&clock)).unwrap();
    let agents = Agents::new(Roster::new(Arc::new(store), authority, clock));
    let door = Door::open("127.0.0.1:0".parse().unwrap(), Arc::clone(&agents)).await.unwrap();
    let address = door.address();
    tokio::spawn(door.serve(CancellationToken::new()));
    Gateway { agents, address }
}

impl Gateway {
    /// Invites an agent for these, writes its file, and starts it.
    async fn agent(&self, dir: &Path, enrolled: &[&str], resources: &str) -> Agent {
        let resources_of: BTreeSet<_> =
            enrolled.iter().map(|name| ResourceName::new(name).unwrap()).collect();
        let invited = self.agents.roster().invite(None, resources_of, Duration::from_secs(60), "ana").await;
        std::fs::write(dir.join("join-token"), invited.unwrap().hand_over()).unwrap();
        std::fs::write(dir.join("key"), secret()).unwrap();
        let text = format!(
            "gateways: {}\njoin: file:join-token\nresources:\n{resources}\nlimits: {{drain: 5s}}\n",
            self.address
        );
        let config = config::parse_agent(&text, &dir.join("agent.yaml")).unwrap();
        Agent::open(config, Arc::new(SystemClock::default())).await.unwrap()
    }

    async fn connected(&self, resource: &ResourceName) {
        soon(async {
            while !self.agents.serve(resource, &[]) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    async fn ask(&self, path: &str, body: Bytes) -> Result<(HeaderMap, String), Failed> {
        let lease = self.agents.choose(&llama(), &[], &[]).unwrap();
        let mut request = Request::builder().method("POST").uri(path).body(body).unwrap();
        request.headers_mut().insert("x-kept", "1".parse().unwrap());
        let exchange = ExchangeId::at(SystemClock::default().now());
        let response = soon(lease.send(exchange, &llama(), request)).await?;
        let headers = response.headers().clone();
        #[expect(clippy::disallowed_methods, reason = "it is limited")]
        let body = soon(Limited::new(response.into_body(), 1 << 20).collect()).await.unwrap().to_bytes();
        Ok((headers, String::from_utf8(body.to_vec()).unwrap()))
    }
}

#[tokio::test]
async fn the_credential_goes_to_the_upstream_and_never_into_the_tunnel() {
    let dir = tempfile::tempdir().unwrap();
    let (address, got) = upstream().await;
    let gateway = gateway(dir.path()).await;
    let credential = "{value: 'file:key', stale: 0s}";
    let resources = format!("  llama: {{upstreams: 'http://{address}/base', credential: {credential}}}");
    let agent = gateway.agent(dir.path(), &["llama"], &resources).await;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(agent.serve(None, stop.clone()));
    gateway.connected(&llama()).await;

    let (headers, body) = gateway.ask("/v1/x?y=1", Bytes::from_static(b"{}")).await.unwrap();
    let masked = "*".repeat(secret().len());
    assert_eq!(body, format!("Some(\"Bearer {masked}\")"));
    assert_eq!(headers.get("x-echo").unwrap(), &format!("Bearer {masked}"));
    assert!(!headers.contains_key("portcullis-fault"), "an upstream speaks for itself alone");
    let (target, sent, asked) = got.lock().unwrap()[0].clone();
    assert_eq!((target.as_str(), &asked[..]), ("/base/v1/x?y=1", &b"{}"[..]));
    assert_eq!(sent.get("authorization").unwrap(), &format!("Bearer {}", secret()));
    assert_eq!(sent.get("host").unwrap(), &address.to_string());
    assert!(sent.contains_key("x-kept") && !sent.keys().any(|name| name.as_str().starts_with("portcullis")));

    // A changed secret counts from the next request.
    std::fs::write(dir.path().join("key"), format!("{}-new", secret())).unwrap();
    gateway.ask("/v1/x", Bytes::new()).await.unwrap();
    let sent = got.lock().unwrap()[1].1.get("authorization").unwrap().clone();
    assert_eq!(sent, format!("Bearer {}-new", secret()));
    // One that is gone refuses, since the last one may not be used on, and nothing is sent.
    std::fs::remove_file(dir.path().join("key")).unwrap();
    let failed = gateway.ask("/v1/x", Bytes::new()).await.unwrap_err();
    assert!(matches!(&failed, Failed::Fault(Fault::Credential, _)) && !failed.may_have_run(), "{failed:?}");
    assert_eq!(got.lock().unwrap().len(), 2);

    stop.cancel();
    soon(serving).await.unwrap();
}

#[tokio::test]
async fn what_is_not_here_or_too_large_or_down_is_told_and_nothing_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (address, got) = upstream().await;
    let gateway = gateway(dir.path()).await;
    // A port that nobody listens at.
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let resources = format!(
        "  llama: {{upstreams: 'http://{address}', max_request_bytes: 1KiB}}\n  down: {{upstreams: 'http://{nowhere}'}}"
    );
    let agent = gateway.agent(dir.path(), &["llama", "down", "unwritten"], &resources).await;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(agent.serve(None, stop.clone()));
    gateway.connected(&llama()).await;
    let failed = gateway.ask("/v1/x", Bytes::from(vec![b' '; 2048])).await.unwrap_err();
    assert!(matches!(failed, Failed::Fault(Fault::Unfit, _)), "{failed:?}");
    for (name, expected) in [("down", Fault::Unreachable), ("unwritten", Fault::NotServed)] {
        let resource = ResourceName::new(name).unwrap();
        let lease = gateway.agents.choose(&resource, &[], &[]).unwrap();
        let request = Request::builder().uri("/").body(Bytes::new()).unwrap();
        let exchange = ExchangeId::at(SystemClock::default().now());
        match soon(lease.send(exchange, &resource, request)).await {
            Err(failed @ Failed::Fault(..)) => {
                assert!(!failed.may_have_run());
                assert!(matches!(failed, Failed::Fault(fault, _) if fault == expected), "{failed:?}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(got.lock().unwrap().is_empty());
    stop.cancel();
    soon(serving).await.unwrap();
}

#[tokio::test]
async fn an_agent_joins_once_and_says_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = gateway(dir.path()).await;
    let resources = "  llama: {upstreams: 'http://127.0.0.1:1'}";
    let first = gateway.agent(dir.path(), &["llama"], resources).await.identity();
    // The token is used up, and not needed again.
    std::fs::remove_file(dir.path().join("join-token")).unwrap();
    let text = format!("gateways: {}\nresources:\n{resources}\n", gateway.address);
    let config = || config::parse_agent(&text, &dir.path().join("agent.yaml")).unwrap();
    let again = Agent::open(config(), Arc::new(SystemClock::default())).await.unwrap();
    assert_eq!(again.identity(), first);
    std::fs::remove_dir_all(dir.path().join("agent")).unwrap();
    let lacking = Agent::open(config(), Arc::new(SystemClock::default())).await.unwrap_err();
    assert!(lacking.to_string().contains("portcullis agents invite"), "{lacking}");
}
