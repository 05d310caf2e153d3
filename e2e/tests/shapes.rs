//! The streams of a real server through the gateway: the same text as without it, tokens counted, and
//! packed answers read.

use e2e::client;
use e2e::llama::LlamaServer;
use e2e::plan::Plan;
use e2e::provider::Provider;
use e2e::upstream::{FakeUpstream, Reply};
use http::StatusCode;
use serde_json::{Value, json};

/// What a client joins from a stream whose texts are at one of these pointers.
fn joined(stream: &str, pointers: &[&str]) -> String {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let messages = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let texts = messages.filter_map(|message| {
        pointers
            .iter()
            .find_map(|pointer| message.pointer(pointer).and_then(Value::as_str).map(str::to_owned))
    });
    texts.collect()
}

#[tokio::test]
async fn every_stream_of_a_real_server_passes_with_its_text_and_its_tokens() {
    let (provider, llama) = tokio::join!(Provider::start(), LlamaServer::start());
    let gateway = Plan::usual(&provider, &llama).start().await;
    let token = provider.login("alice").await;
    let fixed = json!({ "model": "tiny-llama", "stream": true, "temperature": 0, "seed": 7, "cache_prompt": false,
        "max_tokens": 24, "max_output_tokens": 24, "n_predict": 24 });
    let said = json!([{ "role": "user", "content": "hello there" }]);
    let shapes = [
        (
            "/v1/chat/completions",
            "messages",
            said.clone(),
            vec!["/choices/0/delta/content", "/choices/0/delta/reasoning_content"],
        ),
        ("/v1/completions", "prompt", json!("hello there"), vec!["/choices/0/text"]),
        ("/completion", "prompt", json!("hello there"), vec!["/content"]),
        ("/v1/messages", "messages", said, vec!["/delta/text", "/delta/thinking"]),
        ("/v1/responses", "input", json!("hello there"), vec!["/delta"]),
    ];
    let count = shapes.len();
    for (path, key, input, pointers) in shapes {
        let mut body = fixed.clone();
        body[key] = input;
        let direct = client::post(&format!("{}{path}", llama.url), &llama.key, &body).await;
        assert_eq!(direct.status, StatusCode::OK, "{path}: {}", direct.text());
        let through = client::post(&gateway.url(&format!("/llama{path}")), &token, &body).await;
        assert_eq!(through.status, StatusCode::OK, "{path}: {}", through.text());
        let (direct, through) = (direct.text(), through.text());
        let expected = joined(&direct, &pointers);
        assert!(!expected.is_empty(), "{path}: {direct}");
        assert_eq!(joined(&through, &pointers), expected, "{path}: {through}");
        // As many messages, and the one that held text comes in beside them at most.
        let messages = |text: &str| text.matches("data: ").count();
        assert!(
            (messages(&direct)..messages(&direct) + 3).contains(&messages(&through)),
            "{path}: {through}"
        );
    }
    for exchange in gateway.sealed(count).await {
        let (path, written) = (&exchange.0["path"], &exchange.0["output_tokens"]);
        assert!(written.as_u64().is_some_and(|tokens| tokens > 0), "{path}: {written} tokens");
    }
}

/// Servers pack although they are asked not to.
#[tokio::test]
async fn a_secret_in_a_packed_answer_is_found() {
    // Made up, and put together here so that no scanner takes it for a real one.
    let secret = ["AK", "IA", "Q3EGRZ7XPLMNT5VW"].concat();
    let event = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"key {secret} ok\"}}}}]}}\n\ndata: [DONE]\n\n"
    );
    // gzip of a stored block (RFC 1951, section 3.2.4; RFC 1952).
    let bytes = event.into_bytes();
    let length = u16::try_from(bytes.len()).unwrap();
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(&bytes);
    packed.extend(crc32(&bytes).to_le_bytes());
    packed.extend(u32::from(length).to_le_bytes());
    let upstream = FakeUpstream::start(move |_| {
        let begun = Reply::of_type("text/event-stream").header("content-encoding", "gzip");
        packed.chunks(9).fold(begun, |reply, piece| reply.send(piece.to_vec()))
    });
    let (provider, upstream) = tokio::join!(Provider::start(), upstream);
    let gateway = Plan::before(&provider, &upstream.url()).start().await;
    let mut answer = e2e::ask::stream(&gateway, &provider.login("alice").await, "hello").await;
    assert!(!answer.headers().contains_key("content-encoding"));
    let (raw, end) = client::drain(answer.body_mut()).await;
    assert_eq!(end, Ok(()));
    assert_eq!(e2e::ask::joined(&raw), "key [credential.aws] ok");
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}
