//! What comes back.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use model::{Code, Outcome};
use tokio::sync::mpsc;

use super::server::{ask, gone, next, raw, read, say, upstreams};
use crate::{Arrived, ForwardError};

/// What an upstream's raw answer becomes.
async fn answered(
    raw_answer: Vec<u8>,
) -> Result<(http::HeaderMap, Result<String, ForwardError>), ForwardError> {
    let address = raw(move |stream| {
        let raw_answer = raw_answer.clone();
        async move { gone(say(stream, raw_answer).await).await }
    })
    .await;
    let answer = ask(&upstreams(&[address]), "/").await?;
    Ok((answer.head.headers, read(answer.body).await))
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn with_length(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{head}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn hop_by_hop_headers_stay_behind() {
    let head = "connection: keep-alive, x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nx-end: 1\r\n";
    let (headers, text) = answered(with_length(head, b"hello")).await.unwrap();
    assert_eq!(text.unwrap(), "hello");
    let mut names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "x-end"]);
}

#[tokio::test]
async fn packed_answers_come_unpacked() {
    let plain = "hello ".repeat(100_000);
    let (headers, text) =
        answered(with_length("content-encoding: gzip\r\n", &gzip(plain.as_bytes()))).await.unwrap();
    assert_eq!(text.unwrap(), plain);
    assert!(headers.is_empty(), "{headers:?}");
}

#[tokio::test]
async fn what_came_at_once_is_taken_at_once_and_its_end_is_not_lost() {
    let chunks: String = (0..40).map(|n| format!("4\r\n{n:04}\r\n")).collect();
    let address = raw(move |stream| {
        let whole = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}1\r\n");
        async move { drop(say(stream, whole).await) }
    })
    .await;
    let mut body = ask(&upstreams(&[address]), "/").await.unwrap().body;
    for expected in [4, 156] {
        let Some(Ok(Arrived::Bytes(some))) = next(&mut body).await else { panic!("no bytes") };
        assert_eq!(some.bytes.len(), expected);
    }
    // What follows was cut off.
    assert!(matches!(next(&mut body).await, Some(Err(ForwardError::Lost(_)))));
    assert!(next(&mut body).await.is_none());
}

#[tokio::test]
async fn an_event_packed_alone_arrives_before_the_next_is_sent() {
    let (release, released) = mpsc::channel::<()>(1);
    let released = std::sync::Arc::new(tokio::sync::Mutex::new(released));
    let address = raw(move |stream| {
        let released = std::sync::Arc::clone(&released);
        async move {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(b"data: one\n\n").unwrap();
            encoder.flush().unwrap();
            let first = std::mem::take(encoder.get_mut());
            let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n";
            let stream = say(stream, [&head[..], &first].concat()).await;
            released.lock().await.recv().await.unwrap();
            encoder.write_all(b"data: two\n\n").unwrap();
            drop(say(stream, encoder.finish().unwrap()).await);
        }
    })
    .await;
    let mut body = ask(&upstreams(&[address]), "/").await.unwrap().body;
    let Some(Ok(Arrived::Bytes(first))) = next(&mut body).await else { panic!("nothing came") };
    assert_eq!(first.bytes, "data: one\n\n");
    release.send(()).await.unwrap();
    assert_eq!(read(body).await.unwrap(), "data: two\n\n");
}

#[tokio::test]
async fn what_cannot_be_unpacked_is_an_error() {
    let bomb = gzip(&vec![0; 32 << 20]);
    let (_, text) = answered(with_length("content-encoding: gzip\r\n", &bomb)).await.unwrap();
    let error = text.unwrap_err();
    assert!(matches!(error, ForwardError::Bomb(_)), "{error}");
    assert_eq!((error.refusal().code, error.outcome()), (Code::UpstreamFailed, Outcome::Cut));

    let (_, text) = answered(with_length("content-encoding: gzip\r\n", b"this is plain text")).await.unwrap();
    assert!(matches!(text, Err(ForwardError::Unreadable(_))));
    let unknown = answered(with_length("content-encoding: compress\r\n", b"x")).await;
    assert!(matches!(unknown, Err(ForwardError::Unreadable(_))));
}

#[tokio::test]
async fn interim_answers_are_passed_over_and_a_change_of_protocol_is_not() {
    let mut interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".to_vec();
    interim.extend(with_length("", b"done"));
    assert_eq!(answered(interim).await.unwrap().1.unwrap(), "done");

    let switch = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    assert!(answered(switch.to_vec()).await.is_err());
}

#[tokio::test]
async fn an_answer_cut_off_is_lost() {
    for raw_answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let address = raw(move |stream| async move { drop(say(stream, raw_answer).await) }).await;
        let mut body = ask(&upstreams(&[address]), "/").await.unwrap().body;
        assert!(matches!(next(&mut body).await, Some(Ok(Arrived::Bytes(bytes))) if bytes.bytes == "hello"));
        let Some(Err(error)) = next(&mut body).await else { panic!("the end looked like one") };
        assert!(matches!(error, ForwardError::Lost(_)), "{error}");
        assert_eq!(error.outcome(), Outcome::UpstreamLost);
        assert!(next(&mut body).await.is_none());
    }
}

#[tokio::test]
async fn trailers_arrive_last() {
    let address = raw(|stream| async {
        let text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                    5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n";
        gone(say(stream, text).await).await;
    })
    .await;
    let mut body = ask(&upstreams(&[address]), "/").await.unwrap().body;
    assert!(matches!(next(&mut body).await, Some(Ok(Arrived::Bytes(_)))));
    let Some(Ok(Arrived::Trailers(trailers))) = next(&mut body).await else { panic!("no trailers") };
    assert_eq!(trailers["x-sum"], "1");
    assert!(next(&mut body).await.is_none());
}

#[tokio::test]
async fn a_head_too_large_is_an_error() {
    let head = format!("x: {}\r\n", "a".repeat(100 << 10));
    let error = answered(with_length(&head, b"")).await.unwrap_err();
    assert!(matches!(error, ForwardError::Lost(_)), "{error}");
}
