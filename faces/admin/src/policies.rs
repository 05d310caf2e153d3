//! Policies: the set that decides, a set that might, and reading them again.

use authorize::{MAX_SET_BYTES, Object, PolicySet};
use http::Method;
use model::{Act, Area, Code, Refusal};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Admin;
use crate::exchange::{Answer, Asked, Ready, Sight};
use crate::input;
use crate::table::{Call, Kind, Payload, Route};

/// The largest body of a proposed set: its text, and what JSON adds to it.
const LARGEST: usize = MAX_SET_BYTES + (2 << 20);
/// The most bytes of faults that are told.
const FAULTS: usize = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policies {
    Show,
    Check,
    Reload,
}

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/policies",
        name: "policies.show",
        call: Call::Policies(Policies::Show),
        area: Area::Policies,
        act: Act::View,
        on: ON,
        summary: "Show the set that decides now: its hash, its policies and their text.",
        query: &[],
        body: None,
        answer: Kind::Json("PolicySet"),
        faults: &[],
        keeps_bodies: false,
    },
    Route {
        method: Method::POST,
        path: "/policies/check",
        name: "policies.check",
        call: Call::Policies(Policies::Check),
        area: Area::Policies,
        act: Act::View,
        on: ON,
        summary: "Say what is wrong with a set, as this version reads it. Nothing changes.",
        query: &[],
        body: Some(Payload { limit: LARGEST, schema: "ProposedSet", required: true }),
        answer: Kind::Json("CheckedSet"),
        faults: &[Code::RequestTooLarge, Code::EncodingUnsupported],
        keeps_bodies: false,
    },
    Route {
        method: Method::POST,
        path: "/policies/reload",
        name: "policies.reload",
        call: Call::Policies(Policies::Reload),
        area: Area::Policies,
        act: Act::Reload,
        on: ON,
        summary: "Read the configuration and the policies again: all of it or none of it.",
        query: &[],
        body: None,
        answer: Kind::Json("Reloaded"),
        faults: &[Code::ReloadRefused],
        keeps_bodies: true,
    },
];

const ON: &str = "`Area::\"policies\"`";

/// A set that somebody thinks of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proposed {
    files: Vec<File>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    text: String,
}

pub(crate) fn look() -> Ready {
    Ready::on(Object::Area(Area::Policies))
}

pub(crate) async fn act(
    admin: &Admin,
    call: Policies,
    asked: &Asked,
    sight: &Sight,
) -> Result<Answer, Refusal> {
    match call {
        Policies::Show => {
            let set = admin.gateway.authorizer().current();
            let mut shown = json!(set.report());
            if let Some(shown) = shown.as_object_mut() {
                shown.insert("text".to_owned(), json!(set.text()));
            }
            Ok(Answer::Json(shown))
        }
        Policies::Check => {
            let proposed: Proposed = input::json(&asked.body)?;
            let files = proposed.files.into_iter().map(|file| (file.name, file.text)).collect();
            let checked = tokio::task::spawn_blocking(move || PolicySet::parse(files)).await;
            let checked = checked.map_err(|fault| Refusal::new(Code::Internal).detail(fault))?;
            Ok(Answer::Json(match checked {
                Ok(set) => json!({ "ok": true, "report": set.report(), "faults": [] }),
                Err(faults) => json!({ "ok": false, "report": null, "faults": faults }),
            }))
        }
        Policies::Reload => {
            let by = format!("admin: {}", sight.identity.entity_id());
            match admin.gateway.reload(&by).await {
                Ok(hash) => Ok(Answer::Json(json!({ "hash": hash.to_string() }))),
                Err(fault) => {
                    let mut told = fault.to_string();
                    told.truncate(told.floor_char_boundary(FAULTS));
                    Err(Refusal::new(Code::ReloadRefused).because(told))
                }
            }
        }
    }
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let text = || json!({ "type": "string" });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let report = json!({
        "type": "object",
        "required": ["hash", "files", "policies", "warnings"],
        "properties": {
            "hash": { "type": "string", "description": "SHA-256 of the set's canonical text, in hex." },
            "files": texts(),
            "policies": {
                "type": "array",
                "items": {
                    "type": "object", "required": ["id", "file", "place", "effect"],
                    "properties": {
                        "id": text(), "file": text(), "place": { "type": "object" },
                        "effect": { "enum": ["permit", "forbid"] },
                        "sentence": { "type": ["string", "null"] },
                    },
                },
            },
            "warnings": texts(),
            "text": { "type": "string", "description": "The canonical text: each file with its length." },
        },
    });
    let file = json!({
        "type": "object", "required": ["name", "text"], "additionalProperties": false,
        "properties": { "name": text(), "text": text() },
    });
    vec![
        ("PolicySet", report),
        (
            "ProposedSet",
            json!({
                "type": "object", "required": ["files"], "additionalProperties": false,
                "properties": { "files": { "type": "array", "items": file } },
            }),
        ),
        (
            "CheckedSet",
            json!({
                "type": "object", "required": ["ok", "report", "faults"],
                "properties": {
                    "ok": { "type": "boolean" },
                    "report": { "oneOf": [{ "$ref": "#/components/schemas/PolicySet" }, { "type": "null" }] },
                    "faults": {
                        "type": "array", "items": { "type": "object" },
                        "description": "Every fault at once, with file, line and column.",
                    },
                },
            }),
        ),
        (
            "Reloaded",
            json!({
                "type": "object", "required": ["hash"],
                "properties": { "hash": { "type": "string", "description": "The set that decides now." } },
            }),
        ),
    ]
}
