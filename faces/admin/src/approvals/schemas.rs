//! How approvals are told.

use serde_json::{Map, Value, json};

fn text() -> Value {
    json!({ "type": "string" })
}

fn maybe() -> Value {
    json!({ "type": ["string", "null"] })
}

fn texts() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// An object with all of these members.
fn object(members: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let members: Map<String, Value> =
        members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "required": names, "properties": members })
}

fn said(schema: Value, description: &str) -> Value {
    let mut schema = schema;
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), json!(description));
    }
    schema
}

fn person() -> Value {
    object(&[
        ("id", said(text(), "`issuer#subject`, as policies write it.")),
        ("issuer_name", text()),
        ("subject", text()),
        ("kind", json!({ "enum": ["human", "workload"] })),
        ("email", maybe()),
        ("display", maybe()),
        ("groups", said(texts(), "Of the requester, as its token had them when it asked.")),
    ])
}

fn members() -> Vec<(&'static str, Value)> {
    let operation = object(&[("class", text()), ("name", text()), ("model", text()), ("risky", flag())]);
    let word = object(&[
        ("decision", json!({ "enum": ["consented", "denied"] })),
        ("at", time()),
        ("by", person()),
        ("client", text()),
        ("via", json!({ "enum": ["page", "cli", "api"] })),
        ("reason", maybe()),
    ]);
    let you = object(&[
        ("may_approve", flag()),
        ("may_deny", flag()),
        ("own", flag()),
        ("why", said(maybe(), "Why not more.")),
    ]);
    vec![
        ("id", json!({ "type": "string", "format": "uuid" })),
        ("state", json!({ "enum": ["waiting", "approved", "denied", "released", "expired"] })),
        ("url", said(maybe(), "Its page, where there is a console.")),
        ("requester", person()),
        ("owner", said(maybe(), "Who answers for a program that asks, if somebody is known.")),
        ("wanted", json!({ "enum": ["request", "membership", "act"] })),
        ("resource", said(text(), "The resource, or `group/NAME`.")),
        ("operations", list(&operation)),
        ("facts", list(&object(&[("name", text()), ("value", text())]))),
        ("digest", said(text(), "What is bound: SHA-256, in hex.")),
        ("needed", count()),
        ("given", count()),
        ("policies", list(&object(&[("policy", text()), ("sentence", maybe())]))),
        ("decisions", said(list(&word), "Who gave their word, in order.")),
        ("asked_at", time()),
        ("expires_at", time()),
        ("released_at", json!({ "type": ["string", "null"], "format": "date-time" })),
        ("exchanges", said(texts(), "The request ids of the exchanges that asked, the latest last.")),
        ("you", said(you, "What you may do.")),
    ]
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let part = object(&[
        ("label", said(text(), "A role, or the name of a field.")),
        ("said", text()),
        ("hidden", said(count(), "How many characters are not shown after that.")),
        ("ending", text()),
    ]);
    let prompt = object(&[
        ("parts", list(&part)),
        ("hidden", said(count(), "How many characters of all are not shown, because there are too many.")),
        ("masked", json!({ "type": "object", "additionalProperties": { "type": "integer" } })),
        ("absent", said(maybe(), "Why nothing is shown, if nothing is.")),
    ]);
    let mut whole = members();
    whole.extend([
        ("method", maybe()),
        ("path", maybe()),
        ("held", said(flag(), "Whether a client waits for it now.")),
        ("prompt", said(prompt, "What was asked, masked by what you may see of answers there.")),
    ]);
    let page = crate::openapi::page("approvals", "Approval");
    let reason = |least: u32| json!({ "type": ["string", "null"], "minLength": least, "maxLength": 2000 });
    let word = |reason: Value, required: &[&str]| {
        json!({
            "type": "object", "additionalProperties": false, "required": required,
            "properties": {
                "reason": reason,
                "digest": said(maybe(), "What you were shown: if it is another, nothing is decided."),
                "via": { "enum": ["api", "cli", null], "description": "How, for the record; `api` when left out." },
            },
        })
    };
    vec![
        ("Approval", object(&members())),
        ("WholeApproval", object(&whole)),
        ("ApprovalList", page),
        ("Consent", word(reason(0), &[])),
        ("Denial", word(json!({ "type": "string", "minLength": 1, "maxLength": 2000 }), &["reason"])),
    ]
}
