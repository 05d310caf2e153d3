//! Sessions: what was recorded, masked again for whoever reads it.

mod played;

use authorize::{Object, Person};
use http::Method;
use model::{Act, Area, Code, Identity, Outcome, Refusal};
use record::{Cursor, Filter};
use serde_json::{Value, json};

use crate::exchange::{Answer, Asked, Ready, Sight};
use crate::recall::{self, Recall};
use crate::table::{CURSOR, Call, Kind, LIMIT, Param, Route, Shape};
use crate::{Admin, openapi, paging, views};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sessions {
    List,
    Show,
    Replay,
    Why,
}

const ONE: &str = "the `Session`, which is in `Area::\"sessions\"`, its resource and its model";

/// Every parameter of a list, as `record::Filter` has them.
const FILTERS: &[Param] = &[
    LIMIT,
    CURSOR,
    Param {
        name: "caller",
        shape: Shape::Text,
        doc: "Only this caller's: `issuer#subject`, `me`, a subject or an e-mail address. \
              Only the first two narrow the list for a policy.",
    },
    Param { name: "resource", shape: Shape::Text, doc: "Only on this resource." },
    Param { name: "model", shape: Shape::Text, doc: "Only for this model." },
    Param { name: "class", shape: Shape::Text, doc: "Only with an operation or act of this class." },
    Param {
        name: "ruling",
        shape: Shape::Word(&["allowed", "needs-approvals", "denied"]),
        doc: "Only with this ruling.",
    },
    Param { name: "outcome", shape: Shape::Word(&OUTCOMES), doc: "Only with this outcome." },
    Param { name: "since", shape: Shape::Time, doc: "Arrived at this time or later." },
    Param { name: "until", shape: Shape::Time, doc: "Arrived before this time." },
];

const OUTCOMES: [&str; 6] = ["completed", "refused", "caller-gone", "upstream-lost", "cut", "interrupted"];
// The words stand above because a table can't call; this holds them to the vocabulary.
const _: () = assert!(OUTCOMES.len() == Outcome::ALL.len());

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/sessions",
        name: "sessions.list",
        call: Call::Sessions(Sessions::List),
        area: Area::Sessions,
        act: Act::View,
        on: "`Session::\"list\"`, in `Area::\"sessions\"` and, as far as it is narrowed, in a resource and of a caller",
        summary: "List exchanges, newest first, without what was said in them.",
        query: FILTERS,
        body: None,
        answer: Kind::Json("SessionList"),
        faults: &[],
        keeps_bodies: false,
    },
    Route {
        method: Method::GET,
        path: "/sessions/{session}",
        name: "sessions.show",
        call: Call::Sessions(Sessions::Show),
        area: Area::Sessions,
        act: Act::Replay,
        on: ONE,
        summary: "Show everything recorded of one exchange, masked again by what you may see.",
        query: &[],
        body: None,
        answer: Kind::Json("Session"),
        faults: &[Code::NotFound],
        keeps_bodies: false,
    },
    Route {
        method: Method::GET,
        path: "/sessions/{session}/replay",
        name: "sessions.replay",
        call: Call::Sessions(Sessions::Replay),
        area: Area::Sessions,
        act: Act::Replay,
        on: ONE,
        summary: "The recorded answer, piece by piece with its times, masked again by what you may see.",
        query: &[],
        body: None,
        answer: Kind::Lines("Frame"),
        faults: &[Code::NotFound, Code::RecordingSealed],
        keeps_bodies: false,
    },
    Route {
        method: Method::GET,
        path: "/sessions/{session}/why",
        name: "sessions.why",
        call: Call::Sessions(Sessions::Why),
        area: Area::Sessions,
        act: Act::View,
        on: ONE,
        summary: "Why an exchange was allowed or refused, and what would allow it.",
        query: &[],
        body: None,
        answer: Kind::Json("Why"),
        faults: &[Code::NotFound],
        keeps_bodies: false,
    },
];

pub(crate) async fn look(
    admin: &Admin,
    call: Sessions,
    asked: &Asked,
    identity: &Identity,
) -> Result<Ready, Refusal> {
    if call == Sessions::List {
        return Ok(Ready::on(list_object(admin, asked, identity)));
    }
    let recalled = recall::recall(&admin.gateway, asked.segment()).await?;
    Ok(Ready { object: recalled.object(asked.segment(), &admin.gateway), recalled })
}

/// A list is judged by what it is narrowed to.
fn list_object(admin: &Admin, asked: &Asked, identity: &Identity) -> Object {
    let resource = asked.query.text("resource").and_then(|name| recall::resource(name, &admin.gateway));
    let caller = narrowed(asked, identity).map(|(issuer, subject)| {
        if issuer == identity.issuer && subject == identity.subject {
            return Person::of(identity);
        }
        Person { issuer, subject, ..Person::default() }
    });
    let model = asked.query.text("model").filter(|_| resource.is_some()).map(str::to_owned);
    Object::Session { id: "list".to_owned(), resource, model, caller }
}

/// The one caller a list is narrowed to, as issuer and subject. An issuer is a URL without fragment, so
/// the first `#` separates.
fn narrowed(asked: &Asked, identity: &Identity) -> Option<(String, String)> {
    match asked.query.text("caller")? {
        "me" => Some((identity.issuer.clone(), identity.subject.clone())),
        text => text.split_once('#').map(|(issuer, subject)| (issuer.to_owned(), subject.to_owned())),
    }
}

pub(crate) async fn act(
    admin: &Admin,
    call: Sessions,
    asked: &Asked,
    ready: Ready,
    sight: &Sight,
) -> Result<Answer, Refusal> {
    match call {
        Sessions::List => list(admin, asked, sight).await,
        Sessions::Show => played::show(admin, ready.recalled.found()?, sight).await,
        Sessions::Replay => played::replay(admin, ready.recalled.found()?, sight),
        Sessions::Why => why(ready.recalled).await,
    }
}

async fn list(admin: &Admin, asked: &Asked, sight: &Sight) -> Result<Answer, Refusal> {
    let query = &asked.query;
    let text = |name: &str| query.text(name).map(str::to_owned);
    let narrowed = narrowed(asked, &sight.identity);
    let cursor = match query.text("cursor") {
        Some(cursor) => Some(place(cursor)?),
        None => None,
    };
    let filter = Filter {
        caller: narrowed.as_ref().map(|(issuer, subject)| format!("{issuer}#{subject}")).or(text("caller")),
        resource: text("resource"),
        model: text("model"),
        class: text("class"),
        ruling: text("ruling"),
        outcome: text("outcome"),
        since: query.time("since"),
        until: query.time("until"),
        limit: Some(query.count(&LIMIT)),
        cursor,
    };
    let reader = recall::reader(&admin.gateway).await?;
    let page = reader.list(&filter).await.map_err(|fault| recall::unreadable(&fault))?;
    // A subject may be spelt like another caller's id: whose it is decides, not how it is spelt.
    let theirs = |listed: &&record::Listed| match &narrowed {
        Some((issuer, subject)) => {
            listed.issuer.as_deref() == Some(issuer) && listed.subject.as_deref() == Some(subject)
        }
        None => true,
    };
    let sessions: Vec<Value> = page.exchanges.iter().filter(theirs).map(views::listed).collect();
    let next = page.next.map(|next| paging::cursor("sessions", &next.to_string()));
    Ok(Answer::Json(json!({ "sessions": sessions, "next": next })))
}

fn place(cursor: &str) -> Result<Cursor, Refusal> {
    let place = paging::place("sessions", cursor)?;
    Cursor::parse(&place).ok_or_else(|| Refusal::new(Code::RequestMalformed).because("The cursor is broken."))
}

async fn why(recalled: Recall) -> Result<Answer, Refusal> {
    let recalled = recalled.found()?;
    let told = views::why(&recalled.reader, recalled.id, &recalled.exchange).await;
    told.map(Answer::Json).map_err(|fault| {
        Refusal::new(Code::Internal).because("The record cannot be explained.").detail(fault)
    })
}

/// When an exchange began, in nanoseconds.
fn began(recalled: &recall::Recalled) -> i64 {
    recalled.exchange.opened.as_ref().map_or(0, |opened| opened.arrived)
}

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
            "arrived": { "type": "string", "format": "date-time" },
            "client": maybe(), "issuer": maybe(), "subject": maybe(), "email": maybe(), "kind": maybe(),
            "groups": texts(), "resource": maybe(), "model": maybe(), "classes": texts(), "operations": texts(),
            "method": maybe(), "path": maybe(), "ruling": maybe(), "policies": texts(),
            "outcome": { "type": ["string", "null"], "description": "None while it runs." },
            "code": maybe(), "status": count(), "first_byte_ns": nanoseconds(), "total_ns": nanoseconds(),
            "input_tokens": count(), "output_tokens": count(), "masked": counts(), "revealed": counts(),
        },
    });
    let session = json!({
        "type": "object",
        "required": ["exchange", "open", "judgements", "response", "frames", "cut", "encrypted"],
        "properties": {
            "exchange": { "type": "string" }, "open": { "type": "boolean" },
            "caller": { "type": ["object", "null"] }, "resource": maybe(),
            "operations": { "type": ["array", "null"], "items": { "type": "object" } },
            "judgements": { "type": "array", "items": { "type": "object" } },
            "request": { "type": ["object", "null"] }, "response": { "type": "object" },
            "cut": { "type": "boolean", "description": "Whether a part of the bodies is not shown." },
            "encrypted": {
                "type": "boolean",
                "description": "Whether what was said is sealed to its auditors: then it is not shown, nor are the query and headers.",
            },
            "disclosed": { "type": ["array", "null"], "items": { "type": "object" } },
            "outcome": maybe(), "refusal": { "type": ["object", "null"] }, "usage": { "type": ["object", "null"] },
            "findings": { "type": ["array", "null"], "items": { "type": "object" } },
            "masked_again": counts(), "first_byte_ns": nanoseconds(), "total_ns": nanoseconds(),
            "frames": { "type": "integer" }, "note": maybe(),
        },
    });
    let frame = json!({
        "type": "object",
        "required": ["after_ns", "kind", "status", "data", "opaque"],
        "properties": {
            "after_ns": { "type": "integer", "description": "Since the request arrived." },
            "kind": { "enum": ["head", "data", "trailers", "spokenhead", "spokendata", "opaque", "withheld"] },
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
        ("Session", session),
        ("Frame", frame),
        ("Why", why),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcomes_are_those_of_the_vocabulary() {
        assert_eq!(OUTCOMES.to_vec(), Outcome::ALL.map(Outcome::as_str).to_vec());
    }
}
