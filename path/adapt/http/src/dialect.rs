//! How the gateway's own words must look for the caller's SDK to raise its own error type.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use model::{Code, ExchangeId, Refusal};
use serde::Serialize;
use serde_json::json;

/// A family of clients, told apart by what they can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The OpenAI SDKs and what imitates them.
    OpenAi,
    /// The Anthropic SDKs.
    Anthropic,
    /// Ollama's own clients.
    Ollama,
    /// Anything else: plain HTTP clients.
    Plain,
}

/// First segments below a base URL that OpenAI-compatible servers answer without `/v1`.
const OPENAI_PATHS: &[&str] = &["chat", "completions", "embeddings", "responses", "models", "rerank"];

#[derive(Serialize)]
struct OpenAiError<'a> {
    message: String,
    r#type: &'static str,
    param: Option<&'a str>,
    code: &'static str,
    request_id: String,
    policies: &'a [String],
    advice: &'static str,
}

impl Dialect {
    /// The dialect of a request, from its path (with or without the resource's segment) and headers.
    pub fn of(path: &str, headers: &HeaderMap) -> Self {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').take(4).collect();
        let follows = |first: &str, then: &[&str]| {
            segments.windows(2).any(|pair| matches!(pair, [a, b] if *a == first && then.contains(b)))
        };
        if headers.contains_key("anthropic-version") || follows("v1", &["messages"]) {
            Self::Anthropic
        } else if follows(
            "api",
            &[
                "generate",
                "chat",
                "embed",
                "embeddings",
                "tags",
                "ps",
                "show",
                "version",
                "pull",
                "push",
                "create",
                "copy",
                "delete",
                "blobs",
            ],
        ) {
            Self::Ollama
        } else if segments.iter().take(2).any(|s| *s == "v1" || OPENAI_PATHS.contains(s)) {
            Self::OpenAi
        } else {
            Self::Plain
        }
    }

    /// A refusal as a whole answer: status, headers and JSON body, in the shape the SDK raises its own
    /// error from.
    pub fn refusal(self, refusal: &Refusal, exchange: ExchangeId) -> (StatusCode, HeaderMap, Bytes) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(id) = HeaderValue::from_str(&exchange.to_string()) {
            headers.insert(HeaderName::from_static("x-request-id"), id.clone());
            if self == Self::Anthropic {
                headers.insert(HeaderName::from_static("request-id"), id);
            }
        }
        if is_final(refusal.code) {
            headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
        }
        if let Some(seconds) = refusal.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(approval) = &refusal.approval {
            let named = [
                ("x-portcullis-approval", Some(&approval.id)),
                ("x-portcullis-approval-url", approval.url.as_ref()),
            ];
            for (name, text) in named {
                let value = text.and_then(|text| HeaderValue::from_str(text).ok());
                headers.extend(value.map(|value| (HeaderName::from_static(name), value)));
            }
        }
        if let Some(challenge) = challenge(refusal.code) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        (refusal.code.status(), headers, Bytes::from(self.body(refusal, exchange).to_string()))
    }

    /// The last bytes of a stream that is cut after it began, from which the SDK raises an error. None
    /// where the content type has no way to say it: then only the aborted body tells.
    pub fn cut(
        self,
        content_type: Option<&HeaderValue>,
        refusal: &Refusal,
        exchange: ExchangeId,
    ) -> Option<Bytes> {
        let essence = crate::media::essence(content_type)?;
        let body = self.body(refusal, exchange);
        let text = match essence.as_str() {
            "text/event-stream" if self == Self::Anthropic => format!("event: error\ndata: {body}\n\n"),
            "text/event-stream" if self == Self::Ollama => {
                format!("data: {}\n\n", Self::OpenAi.body(refusal, exchange))
            }
            "text/event-stream" => format!("data: {body}\n\n"),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => format!("{body}\n"),
            _ => return None,
        };
        Some(Bytes::from(text))
    }

    fn body(self, refusal: &Refusal, exchange: ExchangeId) -> serde_json::Value {
        let code = refusal.code;
        // Several SDKs show the message and nothing else, so it says everything a caller can use.
        let message = format!("{} {} ({code}, request {exchange})", refusal.reason, code.advice());
        let approval = refusal.approval.as_ref().map(|about| json!({ "id": about.id, "url": about.url }));
        let mut body = match self {
            Self::OpenAi => json!({ "error": OpenAiError {
                message,
                r#type: openai_type(code.status()),
                param: (code == Code::ModelMissing).then_some("model"),
                code: code.name(),
                request_id: exchange.to_string(),
                policies: &refusal.policies,
                advice: code.advice(),
            }}),
            Self::Anthropic => json!({
                "type": "error",
                "error": { "type": anthropic_type(code.status()), "message": message },
                "request_id": exchange.to_string(),
            }),
            Self::Ollama => json!({ "error": message }),
            Self::Plain => json!({ "error": {
                "code": code.name(),
                "message": refusal.reason,
                "advice": code.advice(),
                "policies": refusal.policies,
                "request_id": exchange.to_string(),
            }}),
        };
        if let (Some(approval), Some(error)) =
            (approval, body.get_mut("error").and_then(serde_json::Value::as_object_mut))
        {
            error.insert("approval".to_owned(), approval);
        }
        body
    }
}

/// Whether a retry without a change is pointless, or could do the operation twice. The SDKs retry 408,
/// 409, 429 and every 5xx unless told so.
fn is_final(code: Code) -> bool {
    !matches!(
        code,
        Code::TooManyRequests
            | Code::ApprovalPending
            | Code::RequestTimeout
            | Code::LedgerUnavailable
            | Code::IdentityUnavailable
            | Code::StateUnavailable
            | Code::UpstreamUnavailable
            | Code::Draining
            | Code::Overloaded
    )
}

/// RFC 6750, section 3: no error code when the request carried no token at all.
fn challenge(code: Code) -> Option<&'static str> {
    match code {
        Code::TokenMissing => Some("Bearer"),
        Code::TokenInvalid => Some(r#"Bearer error="invalid_token""#),
        Code::TokenExpired => {
            Some(r#"Bearer error="invalid_token", error_description="The token has expired""#)
        }
        Code::TokenRevoked => {
            Some(r#"Bearer error="invalid_token", error_description="The token was revoked""#)
        }
        _ => None,
    }
}

fn openai_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    }
}

fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    }
}

/// Whether an answer to `method` with `status` has no body (RFC 9110, section 6.4.1).
pub(crate) fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ExchangeId {
        ExchangeId::from_bytes([0x11; 16])
    }

    const ID: &str = "11111111-1111-1111-1111-111111111111";

    fn denied() -> Refusal {
        Refusal::new(Code::PolicyDenied)
            .because("No policy allows this.")
            .by_policies(vec!["no-export".into()])
    }

    #[test]
    fn the_path_and_the_headers_tell_the_dialect() {
        let none = HeaderMap::new();
        for (path, dialect) in [
            ("/v1/chat/completions", Dialect::OpenAi),
            ("/llama/v1/chat/completions", Dialect::OpenAi),
            ("/chat/completions", Dialect::OpenAi),
            ("/v1/messages", Dialect::Anthropic),
            ("/llama/v1/messages/count_tokens", Dialect::Anthropic),
            ("/api/chat", Dialect::Ollama),
            ("/ollama/api/generate", Dialect::Ollama),
            ("/orders/7", Dialect::Plain),
            ("/", Dialect::Plain),
            ("", Dialect::Plain),
        ] {
            assert_eq!(Dialect::of(path, &none), dialect, "{path}");
        }
        let mut anthropic = HeaderMap::new();
        anthropic.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        assert_eq!(Dialect::of("/v1/models", &anthropic), Dialect::Anthropic);
    }

    fn body(dialect: Dialect, refusal: &Refusal) -> String {
        String::from_utf8(dialect.refusal(refusal, id()).2.to_vec()).unwrap()
    }

    #[test]
    fn refusals_have_the_shape_of_the_sdk() {
        let message =
            format!("No policy allows this. {} (policy_denied, request {ID})", Code::PolicyDenied.advice());
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(
            parse(&body(Dialect::OpenAi, &denied())),
            json!({"error": {
                "message": message, "type": "permission_error", "param": null, "code": "policy_denied",
                "request_id": ID, "policies": ["no-export"], "advice": Code::PolicyDenied.advice(),
            }})
        );
        assert_eq!(
            parse(&body(Dialect::Anthropic, &denied())),
            json!({"type": "error", "error": {"type": "permission_error", "message": message}, "request_id": ID})
        );
        assert_eq!(parse(&body(Dialect::Ollama, &denied())), json!({"error": message}));
        assert_eq!(
            parse(&body(Dialect::Plain, &denied())),
            json!({"error": {
                "code": "policy_denied", "message": "No policy allows this.",
                "advice": Code::PolicyDenied.advice(), "policies": ["no-export"], "request_id": ID,
            }})
        );
        assert_eq!(
            parse(&body(Dialect::OpenAi, &Refusal::new(Code::ModelMissing)))["error"]["param"],
            json!("model")
        );
    }

    #[test]
    fn headers_tell_sdks_whether_to_retry() {
        let headers = |refusal: &Refusal| Dialect::OpenAi.refusal(refusal, id()).1;
        let denied = headers(&denied());
        assert_eq!(denied["x-should-retry"], "false");
        assert_eq!(denied["x-request-id"], ID);
        assert_eq!(denied["content-type"], "application/json");
        let full = headers(&Refusal::new(Code::Overloaded).retry_after(2));
        assert!(!full.contains_key("x-should-retry"));
        assert_eq!(full["retry-after"], "2");
        // The operation may have been done: a retry would do it twice.
        assert_eq!(headers(&Refusal::new(Code::UpstreamFailed))["x-should-retry"], "false");
    }

    #[test]
    fn a_refusal_names_the_approval_it_is_about() {
        let about = model::Awaited { id: "A1".into(), url: Some("https://gate.example/approvals/A1".into()) };
        let pending = Refusal::new(Code::ApprovalPending).retry_after(2).about(about);
        for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Plain] {
            let (status, headers, body) = dialect.refusal(&pending, id());
            assert_eq!((status.as_u16(), &headers["retry-after"]), (409, &HeaderValue::from_static("2")));
            assert!(!headers.contains_key("x-should-retry"), "SDKs come again by themselves");
            assert_eq!(headers["x-portcullis-approval"], "A1");
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"]["approval"]["url"], "https://gate.example/approvals/A1");
        }
        let denied = Dialect::OpenAi.refusal(&Refusal::new(Code::ApprovalDenied), id()).1;
        assert_eq!(denied["x-should-retry"], "false");
    }

    #[test]
    fn a_401_carries_a_challenge() {
        let challenge =
            |code| Dialect::Plain.refusal(&Refusal::new(code), id()).1.get("www-authenticate").cloned();
        assert_eq!(challenge(Code::TokenMissing).unwrap(), "Bearer");
        assert_eq!(challenge(Code::TokenInvalid).unwrap(), r#"Bearer error="invalid_token""#);
        assert!(
            challenge(Code::TokenExpired)
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(r#"Bearer error="invalid_token""#)
        );
        assert_eq!(challenge(Code::PolicyDenied), None);
    }

    #[test]
    fn the_operators_detail_never_leaves() {
        let refusal = denied().detail("secret cause");
        for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama, Dialect::Plain] {
            assert!(!body(dialect, &refusal).contains("secret cause"));
        }
    }

    #[test]
    fn a_cut_stream_ends_in_the_error_event_of_the_sdk() {
        let cut = |dialect: Dialect, kind: &'static str| {
            let kind = HeaderValue::from_static(kind);
            dialect.cut(Some(&kind), &denied(), id()).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        };
        let sse = cut(Dialect::OpenAi, "text/event-stream; charset=utf-8").unwrap();
        assert!(sse.starts_with("data: {\"error\":{") && sse.ends_with("}}\n\n"), "{sse}");
        let anthropic = cut(Dialect::Anthropic, "text/event-stream").unwrap();
        assert!(anthropic.starts_with("event: error\ndata: {") && anthropic.ends_with("}\n\n"));
        assert!(anthropic.contains(r#""type":"error""#));
        let ollama = cut(Dialect::Ollama, "application/x-ndjson").unwrap();
        assert!(ollama.starts_with("{\"error\":\"") && ollama.ends_with("\"}\n"));
        assert_eq!(cut(Dialect::OpenAi, "application/json"), None);
        assert_eq!(Dialect::OpenAi.cut(None, &denied(), id()), None);
        // One event, one line of data: no line break may hide in it.
        assert_eq!(sse.trim_end().lines().count(), 1);
    }
}
