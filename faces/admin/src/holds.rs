//! Holds: what is kept past its retention, and until when.

use authorize::Object;
use http::Method;
use jiff::Timestamp;
use model::{Act, Area, Code, ExchangeId, Refusal};
use record::{Held, HoldFilter, LedgerError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exchange::{Answer, Asked, Ready, Sight};
use crate::table::{Call, Kind, Payload, Route};
use crate::{Admin, input};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    List,
    Add,
    Release,
}

const SESSIONS: &str = "`Area::\"sessions\"`";

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/holds",
        name: "holds.list",
        call: Call::Holds(Holds::List),
        area: Area::Sessions,
        act: Act::View,
        on: SESSIONS,
        summary: "List what is held: whose bodies are not dropped although their time has come.",
        query: &[],
        body: None,
        answer: Kind::Json("HoldList"),
        faults: &[],
        keeps_bodies: false,
    },
    Route {
        method: Method::POST,
        path: "/holds",
        name: "holds.add",
        call: Call::Holds(Holds::Add),
        area: Area::Sessions,
        act: Act::Hold,
        on: SESSIONS,
        summary: "Hold the bodies of exchanges that fit, recorded and to come. Bodies that are gone stay gone.",
        query: &[],
        body: Some(Payload { limit: 8 << 10, schema: "NewHold", required: true }),
        answer: Kind::Json("Hold"),
        faults: &[Code::RequestTooLarge, Code::EncodingUnsupported],
        keeps_bodies: true,
    },
    Route {
        method: Method::POST,
        path: "/holds/{hold}/release",
        name: "holds.release",
        call: Call::Holds(Holds::Release),
        area: Area::Sessions,
        act: Act::Hold,
        on: SESSIONS,
        summary: "End a hold: what it held is dropped when it is due.",
        query: &[],
        body: Some(Payload { limit: 8 << 10, schema: "Release", required: true }),
        answer: Kind::Json("Hold"),
        faults: &[Code::NotFound, Code::RequestTooLarge, Code::EncodingUnsupported],
        keeps_bodies: true,
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewHold {
    reason: String,
    caller: Option<String>,
    resource: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    exchange: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    reason: String,
}

pub(crate) fn look() -> Ready {
    Ready::on(Object::Area(Area::Sessions))
}

pub(crate) async fn act(admin: &Admin, call: Holds, asked: &Asked, sight: &Sight) -> Result<Answer, Refusal> {
    let ledger = admin.gateway.ledger();
    let by = sight.identity.entity_id();
    let held = match call {
        Holds::List => {
            let holds: Vec<Value> = ledger.holds().iter().map(shown).collect();
            return Ok(Answer::Json(json!({ "holds": holds })));
        }
        Holds::Add => {
            let NewHold { reason, caller, resource, since, until, exchange } = input::json(&asked.body)?;
            let exchange = exchange.map(|text| id(&text, Code::RequestMalformed)).transpose()?;
            let filter = HoldFilter { caller, resource, since, until, exchange };
            ledger.hold(&filter, &reason, &by).await
        }
        Holds::Release => {
            let Release { reason } = input::json(&asked.body)?;
            ledger.release(id(asked.segment(), Code::NotFound)?, &reason, &by).await
        }
    };
    held.map(|held| Answer::Json(shown(&held))).map_err(|fault| told(&fault))
}

fn id(text: &str, code: Code) -> Result<ExchangeId, Refusal> {
    ExchangeId::parse(text).ok_or_else(|| Refusal::new(code).because("This is no whole id."))
}

fn told(fault: &LedgerError) -> Refusal {
    match fault {
        LedgerError::NotFound { .. } => Refusal::new(Code::NotFound).because("No hold has this id."),
        LedgerError::Hold { .. } => Refusal::new(Code::RequestMalformed).because(format!("{fault}.")),
        fault => Refusal::new(Code::LedgerUnavailable).detail(fault),
    }
}

/// A hold, as it is told here and by the command line.
pub fn shown(held: &Held) -> Value {
    json!({
        "id": held.id.to_string(),
        "caller": held.filter.caller,
        "resource": held.filter.resource,
        "since": held.filter.since.map(|at| at.to_string()),
        "until": held.filter.until.map(|at| at.to_string()),
        "exchange": held.filter.exchange.map(|id| id.to_string()),
        "reason": held.reason,
        "by": held.by,
        "at": held.at.to_string(),
    })
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let maybe = || json!({ "type": ["string", "null"] });
    let time = || json!({ "type": ["string", "null"], "format": "date-time" });
    let reason = || json!({ "type": "string", "minLength": 1, "maxLength": 2000 });
    let hold = json!({
        "type": "object",
        "required": ["id", "reason", "by", "at"],
        "properties": {
            "id": { "type": "string", "format": "uuid" }, "caller": maybe(), "resource": maybe(), "since": time(),
            "until": time(), "exchange": maybe(), "reason": reason(),
            "by": { "type": "string", "description": "Who holds it, as `issuer#subject`." },
            "at": { "type": "string", "format": "date-time" },
        },
    });
    let new = json!({
        "type": "object", "additionalProperties": false,
        "description": "All that is given must fit; at least one beside the reason must be.",
        "required": ["reason"],
        "properties": {
            "reason": reason(),
            "caller": { "type": ["string", "null"], "description": "`issuer#subject`, a subject or an e-mail address." },
            "resource": maybe(),
            "since": { "type": ["string", "null"], "format": "date-time", "description": "Arrived at this time or later." },
            "until": { "type": ["string", "null"], "format": "date-time", "description": "Arrived before this time." },
            "exchange": { "type": ["string", "null"], "description": "The request id, whole." },
        },
    });
    let list = json!({
        "type": "object", "required": ["holds"],
        "properties": {
            "holds": { "type": "array", "items": { "$ref": "#/components/schemas/Hold" } },
        },
    });
    let release = json!({
        "type": "object", "additionalProperties": false, "required": ["reason"],
        "properties": { "reason": reason() },
    });
    vec![("Hold", hold), ("HoldList", list), ("NewHold", new), ("Release", release)]
}
