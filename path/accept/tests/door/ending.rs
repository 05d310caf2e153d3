//! How a door closes.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{ask, h2, limits, plain, read, rest, serve, soon, until};

#[tokio::test]
async fn a_running_answer_ends_and_no_new_connection_is_taken() {
    let served = serve(&plain(), &limits());
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    until(&mut stream, "first").await;
    let mut sender = h2(TcpStream::connect(served.address).await.unwrap()).await;
    let mut body = ask(&mut sender, "/held").await.unwrap().into_body();
    assert!(soon(body.frame()).await.unwrap().is_ok());

    served.drain.cancel();
    soon(async { while TcpStream::connect(served.address).await.is_ok() {} }).await;
    assert!(!served.task.is_finished());
    served.release.notify_waiters();
    // Released whether it waits already or not.
    served.release.notify_one();
    served.release.notify_one();
    assert!(rest(&mut stream).await.ends_with("data: last\n\n\r\n0\r\n\r\n"));
    assert_eq!(soon(body.frame()).await.unwrap().unwrap().into_data().unwrap(), "data: last\n\n");
    assert_eq!(read(body).await, "");
    soon(served.task).await.unwrap();
}

#[tokio::test]
async fn idle_connections_are_closed_by_the_drain() {
    let served = serve(&plain(), &config::Limits { drain: Duration::from_secs(3600), ..limits() });
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    until(&mut stream, "bytes to").await;
    served.drain.cancel();
    assert_eq!(rest(&mut stream).await, "");
    soon(served.task).await.unwrap();
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut() {
    let served = serve(&plain(), &config::Limits { drain: Duration::from_millis(50), ..limits() });
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    until(&mut stream, "first").await;
    served.drain.cancel();
    assert!(!rest(&mut stream).await.contains("0\r\n\r\n"));
    soon(served.task).await.unwrap();
}

#[tokio::test]
async fn connections_end_when_their_door_is_dropped() {
    let served = serve(&plain(), &limits());
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    until(&mut stream, "first").await;
    served.task.abort();
    assert!(!rest(&mut stream).await.contains("0\r\n\r\n"));
}
