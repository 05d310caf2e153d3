//! What calls about sessions answer, as the document says it.

use serde_json::{Value, json};

use crate::openapi;

/// The documentation of a time in nanoseconds.
fn nanoseconds() -> Value {
    json!({ "type": ["integer", "null"], "minimum": 0 })
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let maybe = || json!({ "type": ["string", "null"] });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let counts = || json!({ "type": "object", "additionalProperties": { "type": "integer" } });
    let count = || json!({ "type": ["integer", "null"] });
    let listed = json!({
        "type": "object",
        "required": ["exchange", "arrived", "ruling", "outcome", "masked", "revealed"],
        "properties": {
            "exchange": { "type": "string", "description": "The request id." },
            "session": { "type": ["string", "null"], "description": "The session it belongs to, as `s-…`." },
            "arrived": { "type": "string", "format": "date-time" },
            "client": maybe(), "issuer": maybe(), "subject": maybe(), "email": maybe(), "kind": maybe(),
            "groups": texts(), "resource": maybe(), "model": maybe(), "classes": texts(), "operations": texts(),
            "method": maybe(), "path": maybe(), "ruling": maybe(), "policies": texts(),
            "outcome": { "type": ["string", "null"], "description": "None while it runs." },
            "code": maybe(), "status": count(), "first_byte_ns": nanoseconds(), "total_ns": nanoseconds(),
            "input_tokens": count(), "output_tokens": count(), "masked": counts(), "revealed": counts(),
        },
    });
    let grouped = json!({
        "type": "object",
        "required": ["session", "began", "ended", "exchanges"],
        "properties": {
            "session": { "type": "string", "description": "`s-` and the request id of its first exchange." },
            "began": { "type": "string", "format": "date-time" },
            "ended": { "type": "string", "format": "date-time", "description": "When the last of it ended, so far." },
            "exchanges": { "type": "integer" },
            "session_name": { "type": ["string", "null"], "description": "As the client calls it." },
            "client": maybe(), "issuer": maybe(), "subject": maybe(), "email": maybe(), "kind": maybe(),
            "groups": texts(), "resource": maybe(),
            "model": { "type": ["string", "null"], "description": "Of its first exchange." },
        },
    });
    let session = json!({
        "type": "object",
        "required": ["exchange", "open", "judgements", "response", "frames", "cut", "encrypted"],
        "properties": {
            "exchange": { "type": "string" }, "arrived": { "type": ["string", "null"], "format": "date-time" },
            "client": maybe(), "session_name": maybe(), "open": { "type": "boolean" },
            "caller": { "type": ["object", "null"] }, "resource": maybe(),
            "operations": { "type": ["array", "null"], "items": { "type": "object" } },
            "judgements": { "type": "array", "items": { "type": "object" } },
            "request": { "type": ["object", "null"] }, "response": { "type": "object" },
            "cut": { "type": "boolean", "description": "Whether a part of the bodies is not shown." },
            "disclosed": { "type": ["array", "null"], "items": { "type": "object" } },
            "outcome": maybe(), "refusal": { "type": ["object", "null"] }, "usage": { "type": ["object", "null"] },
            "findings": { "type": ["array", "null"], "items": { "type": "object" } },
            "masked_again": counts(), "first_byte_ns": nanoseconds(), "total_ns": nanoseconds(),
            "frames": { "type": "integer" }, "note": maybe(),
            "encrypted": {
                "type": "boolean",
                "description": "Whether what was said is sealed to its auditors: then it is not shown, nor are the query and headers.",
            },
            "gone": { "type": "array", "items": { "type": "string" }, "description": "What of the bodies was dropped, when and by which rule." },
        },
    });
    let frame = json!({
        "type": "object",
        "required": ["after_ns", "kind", "status", "data", "opaque"],
        "properties": {
            "exchange": { "type": "string", "description": "Whose it is, where that was not asked." },
            "after_ns": { "type": "integer", "description": "Since the request arrived." },
            "kind": { "enum": ["head", "data", "trailers", "spokenhead", "spokendata", "opaque", "withheld", "gone"] },
            "status": { "type": ["integer", "null"] },
            "data": { "type": "string" },
            "opaque": { "type": ["object", "null"], "description": "What is kept as a digest, or not shown." },
        },
    });
    let why = json!({
        "type": "object",
        "required": ["exchange", "explanations", "refusal"],
        "properties": {
            "exchange": { "type": "string" },
            "explanations": { "type": "array", "items": { "type": "object" } },
            "refusal": { "type": ["object", "null"] },
        },
    });
    vec![
        ("ListedSession", listed),
        ("SessionList", openapi::page("sessions", "ListedSession")),
        ("GroupedSession", grouped),
        ("GroupedList", openapi::page("sessions", "GroupedSession")),
        ("Session", session),
        ("Frame", frame),
        ("Why", why),
    ]
}
