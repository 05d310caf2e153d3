//! Golden pieces of whole bodies.

use model::LayoutFault;

use super::*;

const JSON: &str = "application/json";

fn json(path: &str, answer: &str) -> String {
    laid(ServerKind::OpenAi, path, JSON, answer)
}

#[test]
fn a_chat_completion_is_marked_value_by_value() {
    let answer = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1731000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a\nb","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},"logprobs":{"content":[{"token":"a"}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2},"note":4111111111111111}"#;
    let expected = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1731000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"«a\nb»","tool_calls":[{"id":"«call_1»","type":"function","function":{"name":"«f»","arguments":"«{}»"}}]},"logprobs":⟦model.logprobs:{"content":[{"token":"a"}]}⟧,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2},"«note»":«4111111111111111»}"#;
    assert_eq!(json("/v1/chat/completions", answer), expected);
}

#[test]
fn an_id_that_is_no_word_is_text() {
    let laid = json("/v1/chat/completions", r#"{"id":"call me at home","model":"m"}"#);
    assert_eq!(laid, r#"{"id":"«call me at home»","model":"m"}"#);
    // Below someone's own keys the protocol's words mean nothing.
    let laid =
        json("/v1/messages", r#"{"content":[{"type":"tool_use","id":"t1","input":{"id":"x","k9":"y"}}]}"#);
    assert!(laid.contains(r#""input":{"id":"«x»","«k9»":"«y»"}"#), "{laid}");
}

#[test]
fn opaque_values_are_known_by_their_place() {
    assert_eq!(
        json(
            "/v1/embeddings",
            r#"{"data":[{"object":"embedding","embedding":"AAAA"},{"embedding":[0.5,1]}]}"#
        ),
        r#"{"data":[{"object":"embedding","embedding":"⟦opaque.embedding:AAAA⟧"},{"embedding":[0.5,1]}]}"#
    );
    assert!(
        json("/v1/images/generations", r#"{"data":[{"b64_json":"iVBO"}]}"#).contains("⟦opaque.image:iVBO⟧")
    );
    let audio = json(
        "/v1/chat/completions",
        r#"{"choices":[{"message":{"audio":{"data":"UklG","transcript":"hi"}}}]}"#,
    );
    assert!(audio.contains("⟦opaque.audio:UklG⟧") && audio.contains("«hi»"), "{audio}");
}

#[test]
fn lists_show_only_usable_models() {
    let list = |answer| json("/v1/models", answer);
    assert_eq!(
        list(
            r#"{"object":"list","data":[ {"id":"no-1"}, {"id":"ok-1","object":"model"} , {"id":"no-2"},{"id":"ok-2"}, {"object":"model"} ]}"#
        ),
        r#"{"object":"list","data":[ {"id":"ok-1","object":"model"},{"id":"ok-2"} ]}"#
    );
    assert_eq!(list(r#"{"data":[{"id":"no"}]}"#), r#"{"data":[]}"#);
    assert_eq!(list(r#"{"data":[]}"#), r#"{"data":[]}"#);
    assert_eq!(
        list(r#"{"data": [{"id":"ok"} , {"id":"ok2"}]}"#),
        r#"{"data": [{"id":"ok"} , {"id":"ok2"}]}"#
    );
    // llama.cpp lists its models twice.
    assert_eq!(
        list(r#"{"models":[{"name":"no","model":"no"}],"data":[{"id":"no"},{"id":"ok"}]}"#),
        r#"{"models":[],"data":[{"id":"ok"}]}"#
    );
    assert_eq!(
        laid(
            ServerKind::Ollama,
            "/api/tags",
            JSON,
            r#"{"models":[{"name":"ok:8b","model":"ok:8b","size":412316860416,"digest":"365c0bd3"},{"name":"no:8b"}]}"#
        ),
        r#"{"models":[{"name":"«ok:8b»","model":"ok:8b","size":412316860416,"digest":"365c0bd3"}]}"#
    );
}

#[test]
fn a_list_that_is_none_is_cut() {
    for answer in ["<html>", "[1]", r#"{"list":[{"id":"no"}]}"#] {
        let result = pieces(&mut *layout(ServerKind::OpenAi, "/v1/models", JSON), &[answer.as_bytes()]);
        assert!(matches!(result, Err(LayoutFault::Malformed(_))), "{answer}");
    }
    let mut error = layout_with(spec(ServerKind::OpenAi), ("GET", "/v1/models"), 500, Some(JSON));
    assert_eq!(written(&pieces(&mut *error, &[b"{\"error\":\"no\"}"]).unwrap()), r#"{"error":"«no»"}"#);
}

#[test]
fn a_teams_own_json_has_no_known_places() {
    let answer = r#"{"id":"ord 7","type":"x","usage":{"a":123456789012},"data":[{"embedding":"AAAA"}]}"#;
    let expected =
        r#"{"id":"«ord 7»","type":"«x»","usage":{"«a»":«123456789012»},"data":[{"embedding":"«AAAA»"}]}"#;
    assert_eq!(laid(ServerKind::Plain, "/orders/7", JSON, answer), expected);
}

#[test]
fn lenient_json_is_still_read_as_json() {
    let laid = json("/v1/chat/completions", r#"{"text":"\u0041","text":"b","x":NaN}"#);
    assert_eq!(laid, r#"{"text":"«\u0041»","text":"«b»","«x»":«NaN»}"#);
}

#[test]
fn lines_of_json_are_read_as_json_whatever_they_are_called() {
    let lines = "{\"response\":\"\\u0041\"}\n\n{\"response\":\"b\"}\n";
    let expected = "{\"response\":\"‹0:\\u0041›\"}\n\n{\"response\":\"‹0:b›‹/0›\"}\n";
    assert_eq!(json("/v1/chat/completions", lines), expected);
    assert_eq!(laid(ServerKind::OpenAi, "/v1/x", "text/plain", lines), expected);
}

#[test]
fn json_too_deep_to_read_is_cut() {
    let deep = format!("{}\"\\u0041\"{}", "[".repeat(200), "]".repeat(200));
    let result = pieces(&mut *layout(ServerKind::OpenAi, "/v1/embeddings", JSON), &[deep.as_bytes()]);
    assert!(matches!(result, Err(LayoutFault::Malformed(_))));
}

#[test]
fn what_is_no_json_is_text_or_binary() {
    assert_eq!(json("/v1/chat/completions", "<html>no</html>"), "‹0:<html>no</html>›‹/0›");
    assert_eq!(json("/v1/chat/completions", "{\0\"\0"), "⟦opaque.binary:{\0\"\0⟧");
    assert_eq!(json("/v1/chat/completions", ""), "");
    let utf16 = laid(ServerKind::OpenAi, "/v1/chat/completions", "application/json; charset=utf-16", "{}");
    assert_eq!(utf16, "⟦opaque.binary:{}⟧");
}

#[test]
fn content_types_choose_the_layout() {
    let of = |kind: &str, answer| laid(ServerKind::OpenAi, "/v1/audio/speech", kind, answer);
    assert_eq!(of("audio/mpeg", "ID3"), "⟦opaque.audio:ID3⟧");
    assert_eq!(of("image/png", "PNG"), "⟦opaque.image:PNG⟧");
    assert_eq!(of("application/octet-stream", "x"), "⟦opaque.binary:x⟧");
    assert_eq!(of("image/svg+xml", "<svg/>"), "‹0:<svg/>›‹/0›");
    assert_eq!(of("text/plain", "a"), "‹0:a›‹/0›");
    assert_eq!(of("text/plain", " {\"a\":\"\\u0041\"}"), " {\"«a»\":\"«\\u0041»\"}");
    assert_eq!(of("text/plain", "a\0b"), "‹0:a›‹/0›⟦opaque.binary:\0b⟧‹/0›");
    assert_eq!(of("application/problem+json", "{\"a\":\"b\"}"), "{\"«a»\":\"«b»\"}");
    assert_eq!(of("application/x-new", "{\"a\":\"b\"}"), "{\"«a»\":\"«b»\"}");
    assert_eq!(of("application/x-new", "words"), "‹0:words›‹/0›");
    assert_eq!(of("no content type", "words"), "‹0:words›‹/0›");
}

#[test]
fn answers_without_a_body_have_none() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        let empty = |body: &[u8]| {
            let mut layout =
                layout_with(spec(ServerKind::OpenAi), (method, "/health"), status, Some("text/plain"));
            pieces(&mut *layout, &[body])
        };
        assert_eq!(empty(b""), Ok(Vec::new()));
        assert!(matches!(empty(b"x"), Err(LayoutFault::Malformed(_))));
    }
}

#[test]
fn a_body_beyond_the_limit_is_cut() {
    let long = format!("\"{}\"", "a".repeat(64 << 10));
    let result = pieces(&mut *layout(ServerKind::OpenAi, "/v1/embeddings", JSON), &[long.as_bytes()]);
    assert_eq!(result, Err(LayoutFault::TooLarge { limit: 64 << 10 }));
}
