//! Callers and upstreams that do what no honest one does.

use std::time::Duration;

use e2e::ask::{chat, chat_body, code, say, stream};
use e2e::client;
use e2e::plan::{ENGINEERS_MAY_USE, Plan, UPSTREAM_KEY};
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply, Step, chat_delta};
use http::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Made up, and put together here so that no scanner takes it for a real one.
fn secret() -> String {
    ["AK", "IA", "Q3EGRZ7XPLMNT5VW"].concat()
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn an_upstream_that_shows_its_key_shows_it_to_nobody() {
    let answers = |asked: &e2e::upstream::Received| {
        let shown = format!("you sent {:?}", asked.headers["authorization"].to_str().unwrap());
        let (start, end) = shown.split_at(30);
        Reply::of_type("text/plain")
            .status(401)
            .header("x-note", &shown)
            .send(start.to_owned())
            .send(end.to_owned())
    };
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(answers));
    let plan = Plan::before(&provider, &upstream.url());
    let gateway =
        plan.with(json!({ "resources": { "llama": { "return_headers": ["x-note"] } } })).start().await;
    let answer = chat(&gateway, &provider.login("alice").await).await;
    let head = format!("{:?}", answer.headers);
    assert!(answer.text().contains("you sent") && head.contains("you sent"), "{head} {}", answer.text());
    assert!(
        !answer.text().contains(UPSTREAM_KEY) && !head.contains(UPSTREAM_KEY),
        "{head} {}",
        answer.text()
    );
    gateway.sealed(1).await;
    assert!(!holds(&gateway.ledger_bytes(), UPSTREAM_KEY), "the ledger holds it");
}

#[tokio::test]
async fn a_secret_in_a_mislabelled_stream_never_arrives() {
    let (first, rest) = (secret()[..9].to_owned(), secret()[9..].to_owned());
    let (first_sent, rest_sent) = (first.clone(), rest.clone());
    let answers = move |asked: &e2e::upstream::Received| {
        let kind = String::from_utf8_lossy(&asked.body).into_owned();
        let kind =
            ["text/plain", "text/html", "application/json"].into_iter().find(|k| kind.contains(k)).unwrap();
        let event = |text: &str| format!("data: {}\n\n", chat_delta(text));
        Reply::of_type(kind).send(event(&first_sent)).send(event(&rest_sent)).send("data: [DONE]\n\n")
    };
    let (provider, upstream) = tokio::join!(Provider::start(), FakeUpstream::start(answers));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let token = provider.login("alice").await;
    for kind in ["text/plain", "text/html", "application/json"] {
        let answer = say(&gateway, &token, kind).await;
        assert_eq!(answer.status, StatusCode::OK, "{kind}: {}", answer.text());
        assert!(
            !answer.text().contains(&first) && !answer.text().contains(&rest),
            "{kind}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn a_letter_escaped_in_a_tool_calls_arguments_hides_nothing() {
    let tail = secret()[1..].to_owned();
    let sent = format!("{{\"key\":\"\\u0041{tail}\"}}");
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(move |_| Reply::json(
            &json!({ "id": "1", "object": "chat.completion", "choices": [{
            "index": 0, "finish_reason": "tool_calls", "message": { "role": "assistant", "content": null,
            "tool_calls": [{ "id": "a", "type": "function", "function": { "name": "f", "arguments": sent } }] } }] })
        ))
    );
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let answer = chat(&gateway, &provider.login("alice").await).await;
    assert!(!answer.text().contains(&tail), "{}", answer.text());
    let body = answer.json();
    let arguments = body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(arguments).unwrap()["key"].is_string(), "{arguments}");
}

#[tokio::test]
async fn a_token_in_the_address_goes_nowhere() {
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::json(&json!({ "choices": [] }))));
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let token = provider.login("alice").await;
    for query in [format!("access_token={token}"), format!("a=b&key={token}"), "access_token=x".to_owned()] {
        let url = gateway.url(&format!("/llama/v1/chat/completions?{query}"));
        let answer = client::send(Method::POST, &url, Some(&token), Some(&chat_body("hello"))).await;
        assert_eq!((answer.status, code(&answer).as_str()), (StatusCode::BAD_REQUEST, "header_refused"));
    }
    assert!(upstream.received().is_empty());
    assert!(!holds(&gateway.ledger_bytes(), &token), "the ledger holds the token");
}

#[tokio::test]
async fn bodies_that_are_only_announced_take_no_memory_from_others() {
    let (provider, upstream) =
        tokio::join!(Provider::start(), FakeUpstream::start(|_| Reply::json(&json!({ "choices": [] }))));
    let plan = Plan::before(&provider, &upstream.url());
    let gateway = plan.with(json!({ "limits": { "body_bytes_in_flight": "17MiB" } })).start().await;
    let token = provider.login("alice").await;
    let address = gateway.url("").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut waiting = Vec::new();
    for framing in ["transfer-encoding: chunked", "content-length: 16000000"] {
        let mut connection = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /llama/v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\nexpect: 100-continue\r\n{framing}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        // The gateway asks for the body once it has made room for it.
        let mut asked = [0; 12];
        connection.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100", "{framing}");
        waiting.push(connection);
    }
    assert_eq!(chat(&gateway, &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_caller_that_reads_nothing_is_left_in_the_end() {
    let event = format!("data: {}\n\n", chat_delta(&"a".repeat(8000)));
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(move |_| {
            Reply::of_type("text/event-stream").then(Step::Repeat(event.clone().into(), 100_000))
        })
    );
    let plan = Plan::before(&provider, &upstream.url()).policy("engineers.cedar", ENGINEERS_MAY_USE);
    let gateway =
        plan.with(json!({ "resources": { "llama": { "timeouts": { "idle": "1s" } } } })).start().await;
    let answer = stream(&gateway, &provider.login("alice").await, "hello").await;
    assert!(upstream.was_left(Duration::from_secs(30)).await, "{}", gateway.log());
    gateway.sealed(1).await;
    drop(answer);
}

#[tokio::test]
async fn an_answer_whose_record_was_removed_is_cut() {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let (event, wait) = (format!("data: {}\n\n", chat_delta("hello. ")), std::sync::Arc::clone(&gate));
    let (provider, upstream) = tokio::join!(
        Provider::start(),
        FakeUpstream::start(move |_| {
            let reply =
                Reply::of_type("text/event-stream").send(event.clone()).then(Step::Wait(wait.clone()));
            reply.send(event.clone()).send("data: [DONE]\n\n")
        })
    );
    let ledger = tempfile::tempdir().unwrap();
    let mut plan = Plan::before(&provider, &upstream.url());
    plan.ledger = Some(ledger.path().join("ledger"));
    let gateway = plan.start().await;
    let token = provider.login("alice").await;
    let mut answer = stream(&gateway, &token, "hello").await;
    assert!(client::next(answer.body_mut()).await.unwrap().is_ok());
    std::fs::remove_dir_all(ledger.path().join("ledger")).unwrap();
    gate.add_permits(1);
    let (rest, end) = client::drain(answer.body_mut()).await;
    assert!(end.is_err() && !holds(&rest, "[DONE]"), "{}", String::from_utf8_lossy(&rest));
    let asked = upstream.received().len();
    assert_eq!(chat(&gateway, &token).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(upstream.received().len(), asked, "what can't be recorded is not sent");
}

/// Answers every request with these bytes.
async fn raw_upstream(answer: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while !seen.ends_with(b"}") && stream.read_buf(&mut seen).await.unwrap_or(0) > 0 {}
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn trailers_come_back_by_the_same_list_as_headers() {
    use http_body_util::BodyExt;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;

    let url = raw_upstream(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntrailer: x-note, set-cookie, server\r\n\
         transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx-note: passes\r\nset-cookie: a=b\r\nserver: inside\r\n\r\n",
    )
    .await;
    let provider = Provider::start().await;
    let plan = Plan::before(&provider, &url);
    let gateway =
        plan.with(json!({ "resources": { "llama": { "return_headers": ["x-note"] } } })).start().await;
    let token = provider.login("alice").await;
    let url = gateway.url("/llama/v1/chat/completions");
    let request = client::request(Method::POST, &url, Some(&token), Some(&chat_body("hello")));
    // Only HTTP/2 carries trailers that were not announced.
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let answer = client.request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = http_body_util::Limited::new(answer.into_body(), 1 << 20).collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    assert_eq!(trailers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-note"]);
}
