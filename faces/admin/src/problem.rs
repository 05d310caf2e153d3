//! Refusals as problem details (RFC 9457).

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use model::{Code, ExchangeId, Refusal};
use serde_json::{Value, json};

/// The media type of a problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// A refusal as a whole answer. `allowed` are the methods the path takes, where it took none of them.
pub(crate) fn answer(
    refusal: &Refusal,
    exchange: ExchangeId,
    allowed: &[Method],
) -> (StatusCode, HeaderMap, Bytes) {
    let status = refusal.code.status();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("x-portcullis-code", HeaderValue::from_static(refusal.code.name()));
    if let Ok(id) = HeaderValue::try_from(exchange.to_string()) {
        headers.insert("x-request-id", id);
    }
    if let Some(seconds) = refusal.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    match refusal.code {
        Code::TokenMissing => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ if status == StatusCode::UNAUTHORIZED => {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        Code::MethodRefused => {
            let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
            if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
                headers.insert(header::ALLOW, names);
            }
        }
        _ => {}
    }
    (status, headers, Bytes::from(body(refusal, exchange).to_string()))
}

fn body(refusal: &Refusal, exchange: ExchangeId) -> Value {
    let mut problem = json!({
        "type": format!("urn:portcullis:{}", refusal.code),
        "title": refusal.code.meaning(),
        "status": refusal.code.status().as_u16(),
        "detail": refusal.reason,
        "instance": format!("urn:uuid:{exchange}"),
        "code": refusal.code,
        "policies": refusal.policies,
        "advice": refusal.code.advice(),
    });
    if let (Some(approval), Some(problem)) = (&refusal.approval, problem.as_object_mut()) {
        problem.insert("approval".to_owned(), json!({ "id": approval.id, "url": approval.url }));
    }
    problem
}

/// The schema of a problem.
pub(crate) fn schema() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    json!({
        "type": "object",
        "description": "Why a call was refused (RFC 9457).",
        "required": ["type", "title", "status", "detail", "instance", "code", "policies", "advice"],
        "properties": {
            "type": { "type": "string", "format": "uri", "description": "`urn:portcullis:` and the code." },
            "title": { "type": "string", "description": "What the code means." },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "Why this call was refused." },
            "instance": { "type": "string", "format": "uri", "description": "`urn:uuid:` and the request id." },
            "code": { "enum": codes, "description": "Stable; programs may match on it." },
            "policies": {
                "type": "array", "items": { "type": "string" }, "description": "The policies that refused.",
            },
            "advice": { "type": "string", "description": "What to do." },
            "approval": {
                "type": "object", "required": ["id", "url"],
                "description": "The approval that this waits for, or that did not come.",
                "properties": { "id": { "type": "string", "format": "uuid" }, "url": { "type": ["string", "null"] } },
            },
        },
    })
}
