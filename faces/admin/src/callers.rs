//! Callers: who asks, who is kept out, and whose tokens are good no more.

use authenticate::standing::{CallerId, Known, StandingError};
use authorize::{Object, Person};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use jiff::Timestamp;
use model::{Act, Area, Code, Identity, Refusal};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::exchange::{Answer, Asked, Ready, Sight};
use crate::table::{CURSOR, Call, Kind, LIMIT, Param, Payload, Route, Shape};
use crate::{Admin, input, openapi, paging};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callers {
    List,
    Show,
    Block,
    Unblock,
    Revoke,
}

/// A body with a reason and nothing else.
const REASON: Option<Payload> = Some(Payload { limit: 8 << 10, schema: "Reason", required: false });
const ONE: &str = "the `Caller`, which is in `Area::\"callers\"` and in the groups it was last seen with";

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/callers",
        name: "callers.list",
        call: Call::Callers(Callers::List),
        area: Area::Callers,
        act: Act::View,
        on: "`Area::\"callers\"`",
        summary: "List who was seen and who is kept out, in an order that only holds still.",
        query: &[
            LIMIT,
            CURSOR,
            Param {
                name: "name",
                shape: Shape::Text,
                doc: "Only who is meant by this: `issuer#subject`, a subject or an e-mail address.",
            },
        ],
        body: None,
        answer: Kind::Json("CallerList"),
        faults: &[],
        keeps_bodies: false,
    },
    Route {
        method: Method::GET,
        path: "/callers/{caller}",
        name: "callers.show",
        call: Call::Callers(Callers::Show),
        area: Area::Callers,
        act: Act::View,
        on: ONE,
        summary: "Show one caller, and how it stands.",
        query: &[],
        body: None,
        answer: Kind::Json("Caller"),
        faults: &[Code::NotFound],
        keeps_bodies: false,
    },
    Route {
        method: Method::PUT,
        path: "/callers/{caller}/block",
        name: "callers.block",
        call: Call::Callers(Callers::Block),
        area: Area::Callers,
        act: Act::Block,
        on: ONE,
        summary: "Keep a caller out from the next request on, and end what runs. Seen before or not.",
        query: &[],
        body: REASON,
        answer: Kind::Json("Rule"),
        faults: &[Code::RequestTooLarge, Code::EncodingUnsupported],
        keeps_bodies: true,
    },
    Route {
        method: Method::DELETE,
        path: "/callers/{caller}/block",
        name: "callers.unblock",
        call: Call::Callers(Callers::Unblock),
        area: Area::Callers,
        act: Act::Block,
        on: ONE,
        summary: "Let a caller in again.",
        query: &[],
        body: None,
        answer: Kind::Json("Unblocked"),
        faults: &[],
        keeps_bodies: true,
    },
    Route {
        method: Method::POST,
        path: "/callers/{caller}/revoke",
        name: "callers.revoke",
        call: Call::Callers(Callers::Revoke),
        area: Area::Callers,
        act: Act::Revoke,
        on: ONE,
        summary: "Refuse the tokens a caller holds, and end what runs on them. New tokens are good.",
        query: &[],
        body: Some(Payload { limit: 8 << 10, schema: "Ending", required: false }),
        answer: Kind::Json("Rule"),
        faults: &[Code::RequestTooLarge, Code::EncodingUnsupported],
        keeps_bodies: true,
    },
];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ending {
    reason: Option<String>,
    before: Option<Timestamp>,
}

/// A caller's key in paths: its id holds slashes, which no path may escape.
fn key(id: &CallerId) -> String {
    URL_SAFE_NO_PAD.encode(id.to_string())
}

fn named(asked: &Asked) -> Result<CallerId, Refusal> {
    let text = URL_SAFE_NO_PAD.decode(asked.segment()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| CallerId::parse(&text).ok()).ok_or_else(|| {
        Refusal::new(Code::NotFound).because(
            "This is no caller's key: it is `issuer#subject` in base64url, as `GET /callers` tells it.",
        )
    })
}

pub(crate) async fn look(
    admin: &Admin,
    call: Callers,
    asked: &Asked,
    identity: &Identity,
) -> Result<Ready, Refusal> {
    if call == Callers::List {
        return Ok(Ready::on(Object::Area(Area::Callers)));
    }
    let id = named(asked)?;
    if id == CallerId::of(identity) {
        return Ok(Ready::on(Object::Caller(Person::of(identity))));
    }
    let known = admin.gateway.standing().get(&id).await.map_err(|fault| told(&fault))?;
    Ok(Ready::on(Object::Caller(person(&id, known.as_ref()))))
}

pub(crate) fn person(id: &CallerId, known: Option<&Known>) -> Person {
    let (issuer, subject) = (id.issuer().to_owned(), id.subject().to_owned());
    let Some(seen) = known.and_then(|known| known.seen.as_ref()) else {
        return Person { issuer, subject, ..Person::default() };
    };
    Person {
        issuer,
        subject,
        issuer_name: seen.issuer_name.clone(),
        kind: seen.kind.as_str().to_owned(),
        email: seen.email.clone().unwrap_or_default(),
        client: String::new(),
        groups: seen.groups.iter().cloned().collect(),
    }
}

pub(crate) async fn act(
    admin: &Admin,
    call: Callers,
    asked: &Asked,
    sight: &Sight,
) -> Result<Answer, Refusal> {
    let standing = admin.gateway.standing();
    let by = sight.identity.entity_id();
    let done = match call {
        Callers::List => return list(admin, asked).await,
        Callers::Show => {
            let known = standing.get(&named(asked)?).await.map_err(|fault| told(&fault))?;
            return known.map(|known| Answer::Json(shown(&known))).ok_or_else(|| {
                Refusal::new(Code::NotFound).because("Nobody of this id was seen or is kept out.")
            });
        }
        Callers::Block => {
            let Reason { reason } = brought(asked)?;
            standing.block(&named(asked)?, reason.as_deref(), &by).await.map(|block| json!(block))
        }
        Callers::Unblock => standing
            .unblock(&named(asked)?, &by)
            .await
            .map(|was_blocked| json!({ "was_blocked": was_blocked })),
        Callers::Revoke => {
            let Ending { reason, before } = brought(asked)?;
            let before = before.unwrap_or_else(|| admin.gateway.clock().now());
            standing
                .revoke(&named(asked)?, before, reason.as_deref(), &by)
                .await
                .map(|revocation| json!(revocation))
        }
    };
    done.map(Answer::Json).map_err(|fault| told(&fault))
}

/// The body, which may be left out.
fn brought<T: Default + DeserializeOwned>(asked: &Asked) -> Result<T, Refusal> {
    if asked.body.is_empty() { Ok(T::default()) } else { input::json(&asked.body) }
}

async fn list(admin: &Admin, asked: &Asked) -> Result<Answer, Refusal> {
    let standing = admin.gateway.standing();
    if let Some(name) = asked.query.text("name") {
        let found = standing.named(name).await.map_err(|fault| told(&fault))?;
        let callers: Vec<Value> = found.iter().map(shown).collect();
        return Ok(Answer::Json(json!({ "callers": callers, "next": null })));
    }
    let limit = usize::try_from(asked.query.count(&LIMIT)).unwrap_or(1).min(store::MAX_PAGE);
    let after = asked.query.text("cursor").map(|cursor| paging::place("callers", cursor)).transpose()?;
    let page = standing.list(after.as_deref(), limit).await.map_err(|fault| told(&fault))?;
    let callers: Vec<Value> = page.callers.iter().map(shown).collect();
    let next = page.next.map(|next| paging::cursor("callers", &next));
    Ok(Answer::Json(json!({ "callers": callers, "next": next })))
}

fn told(fault: &StandingError) -> Refusal {
    match fault {
        StandingError::Unfit(why) => Refusal::new(Code::RequestMalformed).because(why.clone()),
        fault => {
            Refusal::new(Code::StateUnavailable).because("The state cannot be read or changed.").detail(fault)
        }
    }
}

fn shown(known: &Known) -> Value {
    let mut shown = json!(known);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("key".to_owned(), json!(key(&known.id)));
    }
    shown
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let text = || json!({ "type": "string" });
    let maybe = || json!({ "type": ["string", "null"] });
    let time = || json!({ "type": ["string", "null"], "format": "date-time" });
    let rule = || json!({ "oneOf": [{ "$ref": "#/components/schemas/Rule" }, { "type": "null" }] });
    let seen = json!({
        "type": ["object", "null"],
        "description": "As the last token said.",
        "required": ["issuer_name", "kind", "groups", "first", "last", "token_expires_at"],
        "properties": {
            "issuer_name": text(), "kind": { "enum": ["human", "workload"] }, "email": maybe(),
            "display": maybe(), "groups": { "type": "array", "items": { "type": "string" } },
            "first": { "type": "string", "format": "date-time" },
            "last": { "type": "string", "format": "date-time" },
            "token_issued_at": time(), "token_expires_at": { "type": "string", "format": "date-time" },
        },
    });
    let caller = json!({
        "type": "object",
        "required": ["key", "id", "seen", "blocked", "revoked"],
        "properties": {
            "key": { "type": "string", "description": "Stands in paths: the id in base64url, without padding." },
            "id": { "type": "string", "description": "`issuer#subject`, as policies write it." },
            "seen": seen, "blocked": rule(), "revoked": rule(),
        },
    });
    let rule = json!({
        "type": "object",
        "required": ["issuer", "subject", "reason", "by", "at"],
        "properties": {
            "issuer": text(), "subject": text(),
            "reason": { "type": ["string", "null"], "description": "For operators; the caller is not told." },
            "by": { "type": "string", "description": "Who did it, as `issuer#subject`." },
            "at": { "type": "string", "format": "date-time" },
            "before": { "type": "string", "format": "date-time", "description": "Tokens from before this are refused." },
        },
    });
    vec![
        ("Caller", caller),
        ("CallerList", openapi::page("callers", "Caller")),
        ("Rule", rule),
        (
            "Reason",
            json!({
                "type": "object", "additionalProperties": false,
                "properties": { "reason": { "type": ["string", "null"], "maxLength": 1024 } },
            }),
        ),
        (
            "Ending",
            json!({
                "type": "object", "additionalProperties": false,
                "properties": {
                    "reason": { "type": ["string", "null"], "maxLength": 1024 },
                    "before": {
                        "type": ["string", "null"], "format": "date-time",
                        "description": "Tokens issued before this are refused; now when left out.",
                    },
                },
            }),
        ),
        (
            "Unblocked",
            json!({
                "type": "object", "required": ["was_blocked"],
                "properties": { "was_blocked": { "type": "boolean" } },
            }),
        ),
    ]
}
