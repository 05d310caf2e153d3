//! What flows: side by side, without one stream stopping another.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::*;
use crate::window::SEND_BUFFER;
use crate::{Asked, MOST_BYTES, MOST_CONNECTIONS, MOST_STREAMS, NoAgent, Prologue, STREAM_WINDOW};

/// More than any window holds.
const LARGE: usize = 1 << 20;

/// `/large` answers with more than a window, everything else in a word.
async fn large(_: Delegated, request: Request<Incoming>) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/large" => Response::new(Full::new(Bytes::from(vec![b'x'; LARGE]))),
        _ => Response::new(Full::new(Bytes::from_static(b"small"))),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_stalled_streams_stop_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let _agent = gateway.agent("beside", dir.path(), large).await;
    let mut stalled = Vec::new();
    for _ in 0..64 {
        let lease = gateway.lease();
        let response = send(&lease, "/large").await.unwrap();
        stalled.push((lease, response));
    }
    // All are in one connection, and nobody reads any of them.
    let connection = stalled[0].0.connection();
    assert!(stalled.iter().all(|(lease, _)| lease.connection() == connection));
    let lease = gateway.lease();
    assert_eq!(lease.connection(), connection);
    assert_eq!(ask(&lease, "/small").await.unwrap(), "small");
    // A large one passes too, whole.
    assert_eq!(ask(&gateway.lease(), "/large").await.unwrap().len(), LARGE);
    for (lease, response) in stalled {
        assert_eq!(text(response).await.unwrap().len(), LARGE);
        drop(lease);
    }
}

/// A body without end that counts what is taken of it.
struct Endless(Arc<AtomicUsize>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let piece = Bytes::from_static(&[b'x'; PIECE]);
        self.0.fetch_add(PIECE, Ordering::SeqCst);
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(piece))))
    }
}

/// Bytes of one piece of it.
const PIECE: usize = 16 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_reads_is_bounded_by_its_window() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let enrolled = gateway.join("beside").await;
    let taken = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&taken);
    let handler = move |_: Delegated, request: Request<Incoming>| {
        let endless = request.uri().path() == "/endless";
        let counts = Arc::clone(&counts);
        async move {
            Response::new(match endless {
                true => http_body_util::Either::Left(Endless(counts)),
                false => http_body_util::Either::Right(Full::new(Bytes::from_static(b"small"))),
            })
        }
    };
    let membership = Membership::new(vec![gateway.dials()], dir.path().into(), enrolled, gateway.dyn_clock());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(membership.serve(handler, stop.clone()));
    gateway.connected("beside").await;
    let mut stalled = Vec::new();
    for _ in 0..64 {
        let lease = gateway.lease();
        let response = send(&lease, "/endless").await.unwrap();
        stalled.push((lease, response));
    }
    // Much more could have come by now, if anything but windows stopped it.
    for _ in 0..200 {
        assert_eq!(gateway.ask("/small").await.unwrap(), "small");
    }
    let each = STREAM_WINDOW as usize + SEND_BUFFER + 2 * PIECE;
    let taken = taken.load(Ordering::SeqCst);
    assert!(taken <= 64 * each, "{taken} bytes of 64 streams nobody reads");
    assert!(64 * each as u64 <= MOST_BYTES, "and all of it within what an agent may make a gateway hold");
    drop(stalled);
    stop.cancel();
    soon(serving).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_grow_with_streams_up_to_their_bound() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let gate = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&gate);
    let handler = move |_: Delegated, _: Request<Incoming>| {
        let waits = Arc::clone(&waits);
        async move {
            let _ = waits.acquire().await;
            Response::new(Full::new(Bytes::from_static(b"done")))
        }
    };
    let _agent = gateway.agent("beside", dir.path(), handler).await;
    assert_eq!(gateway.connections("beside"), 1);
    let mut asked = Vec::new();
    for _ in 0..3 * MOST_STREAMS {
        // What finds no place yet comes again: the connection that makes room is on its way.
        let lease = soon(async {
            loop {
                match gateway.agents.choose(&llama(), &[], &[]) {
                    Ok(lease) => return lease,
                    Err(none) => assert_eq!(none, NoAgent::AllBusy),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        asked.push(tokio::spawn(async move { ask(&lease, "/held").await }));
    }
    until(|| gateway.connections("beside") >= 4).await;
    assert!(gateway.connections("beside") <= MOST_CONNECTIONS);
    gate.add_permits(asked.len());
    for one in asked {
        assert_eq!(one.await.unwrap().unwrap(), "done");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_to_the_least_busy_agent() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let homes = [dir.path().join("a"), dir.path().join("b")];
    let _one = gateway.agent("one", &homes[0], large).await;
    let _other = gateway.agent("other", &homes[1], large).await;
    let leases: Vec<_> = (0..40).map(|_| gateway.lease()).collect();
    let of_one = leases.iter().filter(|lease| lease.agent().as_str() == "one").count();
    assert_eq!(of_one, 20);
    // One is named: then the other is never asked.
    let named = [AgentName::new("other").unwrap()];
    let lease = gateway.agents.choose(&llama(), &named, &[]).unwrap();
    assert_eq!(lease.agent().as_str(), "other");
    assert_eq!(
        gateway.agents.choose(&llama(), &named, &[lease.connection()]).unwrap_err(),
        NoAgent::NoneConnected
    );
    let elsewhere = ResourceName::new("elsewhere").unwrap();
    assert_eq!(gateway.agents.choose(&elsewhere, &[], &[]).unwrap_err(), NoAgent::NoneConnected);
}

#[tokio::test]
async fn an_agent_serves_what_it_is_enrolled_for_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let _agent = gateway.agent("beside", dir.path(), echo).await;
    let elsewhere = ResourceName::new("elsewhere").unwrap();
    let request = Request::builder().uri("/x").body(Bytes::new()).unwrap();
    let failed = gateway.lease().send(exchange(), &elsewhere, request).await.unwrap_err();
    assert!(
        matches!(failed, Failed::Fault(crate::Fault::NotServed, _)) && !failed.may_have_run(),
        "{failed:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stretch_begins_with_its_prologue_and_carries_bytes_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    let handler = |_: Delegated, mut request: Request<Incoming>| async move {
        let asked = Asked::of(&mut request).unwrap();
        let protocol = asked.protocol().to_owned();
        let parameters = [("protocol".to_owned(), protocol)].into();
        let (response, begun) = asked.begin(Prologue { parameters, key: vec![1, 2], refused: None });
        tokio::spawn(async move {
            let stretch = begun.await.unwrap();
            let (mut read, mut write) = tokio::io::split(stretch);
            tokio::io::copy(&mut read, &mut write).await.unwrap();
            write.shutdown().await.unwrap();
        });
        response.map(|_| Full::new(Bytes::new()))
    };
    let _agent = gateway.agent("beside", dir.path(), handler).await;
    let (prologue, stretch) = soon(gateway.lease().stretch(exchange(), &llama(), "echo")).await.unwrap();
    assert_eq!(prologue.parameters.get("protocol").map(String::as_str), Some("echo"));
    assert_eq!(prologue.key, [1, 2]);
    let sent: Vec<u8> = (0..4 * LARGE).map(|n| (n % 251) as u8).collect();
    let (mut read, mut write) = tokio::io::split(stretch);
    let all = sent.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&all).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    soon(read.read_to_end(&mut back)).await.unwrap();
    assert!(back == sent);
    writing.await.unwrap();
    // It counted as one request, and counts no more.
    drop(read);
    until(|| gateway.agents.states()[0].streams == 0).await;
}

#[tokio::test]
async fn a_request_taken_back_ends_at_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::open(dir.path()).await;
    struct Gone(Arc<AtomicUsize>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (began, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler = {
        let (began, gone) = (Arc::clone(&began), Arc::clone(&gone));
        move |_: Delegated, _: Request<Incoming>| {
            began.fetch_add(1, Ordering::SeqCst);
            let gone = Gone(Arc::clone(&gone));
            async move {
                let _gone = gone;
                std::future::pending::<Response<Full<Bytes>>>().await
            }
        }
    };
    let _agent = gateway.agent("beside", dir.path(), handler).await;
    let lease = gateway.lease();
    let asking = tokio::spawn(async move { ask(&lease, "/x").await });
    until(|| began.load(Ordering::SeqCst) == 1).await;
    asking.abort();
    until(|| gone.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn an_agent_keeps_tunnels_to_every_gateway() {
    let dir = tempfile::tempdir().unwrap();
    // Two gateways of one store and one authority.
    let (one, other) = (Gateway::open(dir.path()).await, Gateway::open(dir.path()).await);
    let enrolled = one.join("beside").await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let asked = Arc::clone(&asked);
        move |_: Delegated, request: Request<Incoming>| {
            asked.lock().unwrap().push(request.uri().path().to_owned());
            async { Response::new(Full::new(Bytes::new())) }
        }
    };
    let agent =
        Agent::begin(enrolled, vec![one.dials(), other.dials()], dir.path(), one.dyn_clock(), handler);
    one.connected("beside").await;
    other.connected("beside").await;
    one.ask("/one").await.unwrap();
    other.ask("/other").await.unwrap();
    assert_eq!(*asked.lock().unwrap(), ["/one", "/other"]);
    agent.drained().await;
}
