//! An answer that fails must look like a failure.

use http_body_util::BodyExt;
use tokio::net::TcpStream;

use crate::harness::{ask, exchange, h2, limits, plain, serve, soon, told};

#[tokio::test]
async fn http1_ends_without_a_final_chunk_after_the_last_words() {
    let served = serve(&plain(), &limits());
    let received = exchange(served.address, "GET /cut HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(received.contains("data: one\n\n\r\n"), "{received:?}");
    assert!(received.ends_with("event: error\n\n\r\n"), "{received:?}");
}

#[tokio::test]
async fn http2_resets_the_stream_after_the_last_words() {
    let served = serve(&plain(), &limits());
    let mut sender = h2(TcpStream::connect(served.address).await.unwrap()).await;
    let mut body = ask(&mut sender, "/cut").await.unwrap().into_body();
    let mut received = Vec::new();
    let cause = loop {
        match soon(body.frame()).await {
            Some(Ok(frame)) => received.extend_from_slice(&frame.into_data().unwrap()),
            Some(Err(cause)) => break cause,
            None => panic!("the stream ended as if it were whole"),
        }
    };
    assert_eq!(received, b"data: one\n\nevent: error\n\n");
    assert!(format!("{cause:?}").contains("Reset"), "{cause:?}");
    assert_eq!(told(&mut sender, "/x").await.2, "0 bytes to /x");
}

#[tokio::test]
async fn a_panic_cuts_its_own_request_alone() {
    let served = serve(&plain(), &limits());
    assert_eq!(exchange(served.address, "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await, "");
    let mut sender = h2(TcpStream::connect(served.address).await.unwrap()).await;
    assert!(ask(&mut sender, "/panic").await.is_err());
    assert_eq!(told(&mut sender, "/x").await.2, "0 bytes to /x");
}
