//! Which upstream gets a request, and which gets it a second time: none that may have had it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use model::{Code, Outcome};
use tokio::net::TcpListener;

use super::server::{Server, ask, clock, echo, gone, raw, read, request, resource, say, soon, upstreams};
use crate::{ForwardError, Upstreams};

#[tokio::test]
async fn what_was_not_sent_goes_to_another_and_the_dead_one_rests() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    let live = Server::start(echo).await;
    let (urls, clock) = ([format!("http://{dead}"), format!("http://{}", live.address)], clock());
    let upstreams = Upstreams::build(&resource(&urls), clock.clone()).unwrap();
    let failures = || upstreams.health()[0].failures;

    for n in 1..=20 {
        read(ask(&upstreams, "/").await.unwrap().body).await.unwrap();
        assert_eq!(live.requests(), n);
    }
    assert_eq!(failures(), 3);
    assert!(!upstreams.health()[0].usable);
    assert!(upstreams.health()[0].last_failure.as_ref().unwrap().contains(&dead.to_string()));

    // It is tried again after its rest, and rests longer.
    clock.advance(Duration::from_secs(1));
    for _ in 0..20 {
        read(ask(&upstreams, "/").await.unwrap().body).await.unwrap();
    }
    assert_eq!(failures(), 4);

    clock.advance(Duration::from_secs(2));
    let back = Server::listen(TcpListener::bind(dead).await.unwrap(), echo);
    for _ in 0..4 {
        read(ask(&upstreams, "/").await.unwrap().body).await.unwrap();
    }
    assert!(back.requests() >= 1);
    assert_eq!(failures(), 0);
    assert!(upstreams.health()[0].usable);
}

#[tokio::test]
async fn none_reachable_is_a_refusal_and_still_tried() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    let upstreams = upstreams(&[dead]);
    for _ in 0..5 {
        let error = ask(&upstreams, "/").await.unwrap_err();
        assert!(matches!(error, ForwardError::Unreachable(_)), "{error}");
        assert_eq!(error.outcome(), Outcome::Refused);
        let refusal = error.refusal();
        assert_eq!(refusal.code, Code::UpstreamUnavailable);
        assert!(!refusal.reason.contains(&dead.to_string()));
        assert!(refusal.detail.unwrap().contains(&dead.to_string()));
    }
    let _back = Server::listen(TcpListener::bind(dead).await.unwrap(), echo);
    ask(&upstreams, "/").await.unwrap();
}

#[tokio::test]
async fn what_may_have_been_read_is_never_sent_again() {
    let breaks = raw(|stream| async { drop(stream) }).await;
    let other = Server::start(echo).await;
    let upstreams = upstreams(&[breaks, other.address]);
    let error = ask(&upstreams, "/").await.unwrap_err();
    assert!(matches!(error, ForwardError::Lost(_)), "{error}");
    assert_eq!(error.outcome(), Outcome::UpstreamLost);
    assert_eq!(error.refusal().code, Code::UpstreamFailed);
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced() {
    let address = raw(|stream| async {
        drop(say(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await);
    })
    .await;
    let upstreams = upstreams(&[address]);
    for _ in 0..10 {
        assert_eq!(read(ask(&upstreams, "/").await.unwrap().body).await.unwrap(), "ok");
        soon(async {
            while !upstreams.keeps_closed() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    assert_eq!(upstreams.health()[0].failures, 0);
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another_but_no_longer_than_it_is_kept() {
    let server = Server::start(echo).await;
    let (urls, clock) = ([format!("http://{}", server.address)], clock());
    let upstreams = Upstreams::build(&resource(&urls), clock.clone()).unwrap();
    for _ in 0..10 {
        read(ask(&upstreams, "/").await.unwrap().body).await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    clock.advance(Duration::from_secs(5));
    read(ask(&upstreams, "/").await.unwrap().body).await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_least_busy_is_asked() {
    let held = raw(|stream| async {
        let stream = say(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        gone(stream).await;
    })
    .await;
    let other = Server::start(echo).await;
    let upstreams = upstreams(&[held, other.address]);
    // The first goes to the first in turn.
    let first = ask(&upstreams, "/").await.unwrap();
    assert_eq!(upstreams.health()[0].in_flight, 1);
    for n in 1..=10 {
        read(ask(&upstreams, "/").await.unwrap().body).await.unwrap();
        assert_eq!(other.requests(), n);
    }
    drop(first);
    assert_eq!(upstreams.health()[0].in_flight, 0);
}

#[tokio::test]
async fn dropping_an_answer_closes_the_connection_at_once() {
    let (told, mut hears) = tokio::sync::mpsc::channel(1);
    let address = raw(move |stream| {
        let told = told.clone();
        async move {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
            gone(say(stream, head).await).await;
            told.send(()).await.unwrap();
        }
    })
    .await;
    let upstreams = upstreams(&[address]);
    let mut answer = ask(&upstreams, "/").await.unwrap();
    assert!(super::server::next(&mut answer.body).await.unwrap().is_ok());
    drop(answer);
    soon(hears.recv()).await.unwrap();
}

#[tokio::test]
async fn dropping_a_request_before_its_answer_closes_the_connection_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstreams = upstreams(&[listener.local_addr().unwrap()]);
    let asking = tokio::spawn(async move { ask(&upstreams, "/").await.map(|_| ()) });
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    soon(request(&mut stream)).await;
    asking.abort();
    soon(gone(stream)).await;
}
