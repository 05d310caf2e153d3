//! Each time limit, with its own error.

use std::time::Duration;

use config::Timeouts;
use model::{Code, Outcome};
use tokio::net::TcpListener;

use super::server::{ask, clock, gone, next, raw, resource, say, soon};
use crate::{ForwardError, Upstreams};

const SHORT: Duration = Duration::from_millis(50);

fn limited(address: std::net::SocketAddr, timeouts: Timeouts) -> std::sync::Arc<Upstreams> {
    let mut resource = resource(&[format!("http://{address}")]);
    resource.timeouts = timeouts;
    Upstreams::build(&resource, clock()).unwrap()
}

fn timed_out(error: &ForwardError, outcome: Outcome) {
    assert_eq!((error.refusal().code, error.outcome()), (Code::UpstreamTimeout, outcome), "{error}");
}

#[tokio::test]
async fn an_answer_must_begin_in_time_or_the_upstream_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let timeouts = Timeouts { first_byte: SHORT, ..Timeouts::default() };
    let upstreams = limited(listener.local_addr().unwrap(), timeouts);
    let error = ask(&upstreams, "/").await.unwrap_err();
    assert!(matches!(error, ForwardError::FirstByteTimeout(_)), "{error}");
    timed_out(&error, Outcome::UpstreamLost);
    let (stream, _) = listener.accept().await.unwrap();
    soon(gone(stream)).await;
}

#[tokio::test]
async fn an_answer_must_keep_coming() {
    let address = raw(|stream| async {
        gone(say(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n").await).await;
    })
    .await;
    let upstreams = limited(address, Timeouts { idle: SHORT, ..Timeouts::default() });
    let mut body = ask(&upstreams, "/").await.unwrap().body;
    assert!(next(&mut body).await.unwrap().is_ok());
    let error = next(&mut body).await.unwrap().unwrap_err();
    assert!(matches!(error, ForwardError::IdleTimeout(_)), "{error}");
    timed_out(&error, Outcome::UpstreamLost);
    assert!(next(&mut body).await.is_none());
}

#[tokio::test]
async fn an_exchange_must_end_however_fast_it_flows() {
    let address = raw(|stream| async {
        let mut stream = say(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
        while tokio::io::AsyncWriteExt::write_all(&mut stream, b"more").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let upstreams = limited(address, Timeouts { exchange: 4 * SHORT, ..Timeouts::default() });
    let mut body = ask(&upstreams, "/").await.unwrap().body;
    let error = loop {
        if let Err(error) = next(&mut body).await.unwrap() {
            break error;
        }
    };
    assert!(matches!(error, ForwardError::ExchangeTimeout(_)), "{error}");
    timed_out(&error, Outcome::Cut);

    let silent = raw(gone).await;
    let upstreams = limited(silent, Timeouts { exchange: SHORT, ..Timeouts::default() });
    let error = ask(&upstreams, "/").await.unwrap_err();
    assert!(matches!(error, ForwardError::ExchangeTimeout(_)), "{error}");
}
