//! What a peer can hold.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{exchange, h2, limits, plain, rest, serve, soon, until};

#[tokio::test]
async fn one_connection_too_many_is_closed_and_a_place_comes_free() {
    let served = serve(&plain(), &config::Limits { connections: 1, ..limits() });
    let mut first = TcpStream::connect(served.address).await.unwrap();
    first.write_all(b"GET /held HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    until(&mut first, "first").await;
    assert_eq!(exchange(served.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await, "");
    served.release.notify_one();
    rest(&mut first).await;
    let again = "GET /again HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    soon(async { while exchange(served.address, again).await.is_empty() {} }).await;
}

#[tokio::test]
async fn a_thousand_idle_connections_leave_room_for_work() {
    let patient = config::Limits { header_timeout: std::time::Duration::from_secs(30), ..limits() };
    let served = serve(&plain(), &patient);
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(TcpStream::connect(served.address).await.unwrap());
    }
    let received = exchange(served.address, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(received.contains("0 bytes to /x"), "{received:?}");
}

#[tokio::test]
async fn unread_bodies_do_not_stop_another_stream() {
    // As many streams as a connection may have, less one, each with a window full of body that the
    // handler does not read.
    let few = config::Limits { streams_per_connection: 30, ..limits() };
    let served = serve(&plain(), &few);
    let mut sender = h2(TcpStream::connect(served.address).await.unwrap()).await;
    let mut held = Vec::new();
    for _ in 0..29 {
        let body = Full::new(Bytes::from(vec![0; 64 << 10]));
        let request = Request::post("https://localhost/held").body(body).unwrap();
        held.push(soon(sender.send_request(request)).await.unwrap());
    }
    let body = Full::new(Bytes::from(vec![0; 60 << 10]));
    let request = Request::post("https://localhost/x").body(body).unwrap();
    let answer = soon(sender.send_request(request)).await.unwrap();
    assert_eq!(crate::harness::read(answer.into_body()).await, "61440 bytes to /x");
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let served = serve(&plain(), &limits());
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    // The preface, empty settings, then HEADERS (`:method GET`, `:scheme https`, `:path /`,
    // `:authority a`) each with its RST_STREAM, as in CVE-2023-44487.
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream_id in (1u32..20_000).step_by(2) {
        flood.extend_from_slice(b"\0\0\x06\x01\x05");
        flood.extend_from_slice(&stream_id.to_be_bytes());
        flood.extend_from_slice(b"\x82\x87\x84\x41\x01a");
        flood.extend_from_slice(b"\0\0\x04\x03\0");
        flood.extend_from_slice(&stream_id.to_be_bytes());
        flood.extend_from_slice(b"\0\0\0\x08");
    }
    let (mut reader, mut writer) = stream.split();
    let write = async {
        let _ = writer.write_all(&flood).await;
    };
    let read = async {
        let mut received = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut received).await;
        received
    };
    let (received, ()) = soon(async { tokio::join!(read, write) }).await;
    // GOAWAY (type 7) with ENHANCE_YOUR_CALM (11).
    let goaway = received.windows(17).any(|frame| frame[3] == 7 && frame[13..17] == [0, 0, 0, 11]);
    assert!(goaway, "{} bytes received", received.len());
}
