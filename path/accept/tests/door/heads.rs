//! HTTP/1 heads, byte by byte.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{exchange, h2, limits, plain, rest, serve, told, until};

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let served = serve(&plain(), &limits());
    let received = exchange(
        served.address,
        "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
         GET /two HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /three HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbye",
    )
    .await;
    let bodies: Vec<_> = received.lines().filter(|line| line.contains("bytes to")).collect();
    assert_eq!(bodies.len(), 3, "{received}");
    for text in ["5 bytes to /one", "0 bytes to /two", "3 bytes to /three"] {
        assert!(received.contains(text), "{received}");
    }
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte() {
    let served = serve(&plain(), &limits());
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in b"\r\nPOST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok" {
        stream.write_all(&[*byte]).await.unwrap();
    }
    assert!(until(&mut stream, "bytes to").await.contains("2 bytes to /slow"));
}

#[tokio::test]
async fn a_chunked_body_is_read_and_ends_the_connection() {
    let served = serve(&plain(), &limits());
    let received = exchange(
        served.address,
        "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
         GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    )
    .await;
    assert!(received.contains("3 bytes to /c"), "{received}");
    assert!(received.contains("connection: close"), "{received}");
    assert!(!received.contains("/smuggled"), "{received}");
}

#[tokio::test]
async fn ambiguous_framing_is_refused_and_nothing_follows_it() {
    let served = serve(&plain(), &limits());
    let follow = "GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "X: a\r\n b\r\nContent-Length: 5\r\n",
        "X: a\nContent-Length: 5\r\n",
        "X: a\rContent-Length: 5\r\n",
        "X: a\0b\r\nContent-Length: 5\r\n",
        "Host: b\r\nContent-Length: 5\r\n",
        "X_Y: b\r\nContent-Length: 5\r\n",
        "Connection: close, content-length\r\nContent-Length: 5\r\n",
    ] {
        let sent = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n0\r\n\r\n{follow}");
        let received = exchange(served.address, &sent).await;
        let status = received.split(' ').nth(1).unwrap_or_default();
        assert_eq!(status, "400", "{fields:?} got {received:?}");
        let smuggled = received.contains("bytes to /smuggled");
        let framed = fields.contains("Content-Length: 5") && fields.starts_with(['H', 'X', 'C']);
        assert!(!smuggled || framed, "{fields:?} let another request through: {received:?}");
    }
}

#[tokio::test]
async fn addresses_that_disagree_are_refused() {
    let served = serve(&plain(), &limits());
    for head in [
        "GET http://other/ HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n",
    ] {
        let received = exchange(served.address, &format!("{head}Connection: close\r\n\r\n")).await;
        assert!(received.starts_with("HTTP/1.1 400"), "{head:?} got {received:?}");
    }
    let tunnels =
        ["CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"];
    for head in tunnels {
        let received = exchange(served.address, &format!("{head}Connection: close\r\n\r\n")).await;
        assert!(received.starts_with("HTTP/1.1 501"), "{head:?} got {received:?}");
    }
}

#[tokio::test]
async fn a_head_beyond_its_limit_is_refused() {
    let served = serve(&plain(), &limits());
    let long = "a".repeat(40 << 10);
    let received = exchange(served.address, &format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n")).await;
    assert!(received.starts_with("HTTP/1.1 431"), "{received:?}");
}

#[tokio::test]
async fn a_head_that_drips_is_cut() {
    let served = serve(&plain(), &limits());
    // Nothing at all, a part of a first head, a part of a later one, a part of HTTP/2's preface.
    for (sent, answered) in [
        ("", false),
        ("GET / HTTP/1.1\r\nHo", false),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHo", true),
        ("PRI * HTTP/2.0\r\n\r\nSM", false),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false),
    ] {
        let received = exchange(served.address, sent).await;
        assert_eq!(received.contains("bytes to /"), answered, "{sent:?} got {received:?}");
    }
}

#[tokio::test]
async fn a_head_sent_ahead_waits_for_the_answer_before_it() {
    let served = serve(&plain(), &limits());
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTT").await.unwrap();
    until(&mut stream, "first").await;
    // Past the time a head may take: its time does not run while an answer is under way.
    tokio::time::sleep(limits().header_timeout * 2).await;
    served.release.notify_one();
    until(&mut stream, "0\r\n\r\n").await;
    stream.write_all(b"P/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.contains("bytes to /next"));
}

#[tokio::test]
async fn http2_needs_no_tls_where_plain_is_allowed() {
    let served = serve(&plain(), &limits());
    let mut sender = h2(TcpStream::connect(served.address).await.unwrap()).await;
    assert_eq!(told(&mut sender, "/x").await.2, "0 bytes to /x");
}
