//! What an upstream gets to read.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use config::{Credential, CredentialScheme, SecretRef};
use http::{HeaderMap, HeaderName, Method};
use jiff::Timestamp;
use model::{Code, ExchangeId, Outcome, Question, QuestionParts};

use super::server::{Server, ask, clock, echo, question, question_with, read, resource, soon};
use crate::{ForwardError, Upstreams};

#[tokio::test]
async fn the_path_goes_below_the_base_and_the_headers_are_made_anew() {
    let server = Server::start(echo).await;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "gateway"),
        ("content-length", "999"),
        ("connection", "close, x-gone"),
        ("x-gone", "1"),
        ("transfer-encoding", "chunked"),
        ("accept-encoding", "gzip"),
        ("expect", "100-continue"),
        ("content-type", "application/json"),
    ] {
        headers.insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    let question = Question::new(QuestionParts {
        exchange: ExchangeId::at(Timestamp::UNIX_EPOCH),
        method: Method::PUT,
        path: "/v1/a%20b".to_owned(),
        query: Some("x=1&y=%2F".to_owned()),
        headers,
        body: Bytes::from_static(b"12345"),
    });
    for base in ["/base", "/base/"] {
        let urls = [format!("http://{}{base}", server.address)];
        let upstreams = Upstreams::build(&resource(&urls), clock()).unwrap();
        let answer = soon(upstreams.send_cleared(question.exchange(), &question)).await.unwrap();
        let text = read(answer.body).await.unwrap();
        let mut lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.remove(0), "PUT /base/v1/a%20b?x=1&y=%2F");
        lines.sort_unstable();
        let host = format!("host: {}", server.address);
        let wanted =
            ["accept-encoding: identity", "content-length: 5", "content-type: application/json", &host];
        assert_eq!(lines, wanted);
    }
}

#[tokio::test]
async fn the_credential_is_read_for_each_request_and_replaces_the_callers() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    let server = Server::start(echo).await;
    let mut resource = resource(&[format!("http://{}", server.address)]);
    let strict = Credential { stale: Duration::ZERO, ..Credential::bearer(SecretRef::File(file.clone())) };
    resource.credential = Some(strict);
    let upstreams = Upstreams::build(&resource, clock()).unwrap();

    let mut headers = HeaderMap::new();
    headers.append("authorization", "Bearer of-the-caller".parse().unwrap());
    headers.append("authorization", "Bearer of-the-caller-too".parse().unwrap());
    let question = question_with("/", headers);
    // Same length, so that nothing but the content tells them apart.
    for word in ["first", "other", "third"] {
        fs::write(&file, format!("{word}\n")).unwrap();
        let answer = soon(upstreams.send_cleared(question.exchange(), &question)).await.unwrap();
        let text = read(answer.body).await.unwrap();
        assert!(text.contains(&format!("authorization: Bearer {word}\n")), "{text}");
        assert!(!text.contains("of-the-caller"), "{text}");
    }

    fs::remove_file(&file).unwrap();
    let error = ask(&upstreams, "/").await.unwrap_err();
    let refusal = error.refusal();
    assert_eq!(refusal.code, Code::CredentialUnavailable);
    assert_eq!(refusal.reason, "The credential for resource `test` cannot be had.");
    assert!(refusal.detail.unwrap().contains(&*file.to_string_lossy()), "the operator is told more");
    assert_eq!(error.outcome(), Outcome::Refused);
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn no_error_shows_the_credential() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    let canary = "canary-".repeat(3);
    fs::write(&file, &canary).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            // Sends the request back as its answer.
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = super::server::request(&mut stream).await;
            assert!(request.contains("canary"));
            super::server::say(stream, request).await;
        }
    });
    let mut resource = resource(&[format!("http://{address}")]);
    let header = HeaderName::from_static("x-api-key");
    let scheme = CredentialScheme::Header { name: header, word: None };
    resource.credential = Some(Credential { scheme, ..Credential::bearer(SecretRef::File(file)) });
    let upstreams = Upstreams::build(&resource, clock()).unwrap();
    let error = ask(&upstreams, "/").await.unwrap_err();
    let shown = format!("{error} {error:?} {:?} {upstreams:?}", error.refusal());
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn a_clearance_for_another_exchange_sends_nothing() {
    let server = Server::start(echo).await;
    let urls = [format!("http://{}", server.address)];
    let upstreams = Upstreams::build(&resource(&urls), clock()).unwrap();
    let (question, other) = (question("/"), ExchangeId::at(Timestamp::MAX));
    let error = upstreams.send_cleared(other, &question).await.unwrap_err();
    assert!(matches!(error, ForwardError::Mismatch { .. }), "{error}");
    assert_eq!((error.refusal().code, error.outcome()), (Code::Internal, Outcome::Refused));
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_path_that_would_be_sent_otherwise_than_judged_is_not_sent() {
    let server = Server::start(echo).await;
    let urls = [format!("http://{}", server.address)];
    let upstreams = Upstreams::build(&resource(&urls), clock()).unwrap();
    for path in ["/v1/a#b", "v1", "", "/v1/a b", "/v1/a\r\nx: y", "//other/v1#", "*"] {
        let error = ask(&upstreams, path).await.unwrap_err();
        assert!(matches!(error, ForwardError::Target), "{path:?}: {error}");
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn urls_that_cannot_be_dialled_are_said_at_build() {
    for url in ["/path", "ftp://a/", "http://user@a/", "http://a/?q"] {
        let error = Upstreams::build(&resource(&[url.to_owned()]), clock()).unwrap_err();
        assert!(matches!(error, ForwardError::Url { .. }), "{url}: {error}");
    }
}
