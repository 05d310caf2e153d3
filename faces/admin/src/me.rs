//! `GET /me`: who asks, as its token was read, and what it may use.

use authorize::{Object, Person, Surroundings, Target};
use http::Method;
use model::{Act, Area, Identity};
use serde_json::{Value, json};

use crate::Admin;
use crate::exchange::{Answer, Ready, Sight};
use crate::table::{Call, Kind, Route};

pub(crate) const ROUTES: &[Route] = &[Route {
    method: Method::GET,
    path: "/me",
    name: "me.show",
    call: Call::Me,
    area: Area::Callers,
    act: Act::View,
    on: "the caller itself, as a `Caller`",
    summary: "Who you are, as your token was read, and what you may use.",
    query: &[],
    body: None,
    answer: Kind::Json("Me"),
    faults: &[],
    keeps_bodies: false,
}];

pub(crate) fn look(identity: &Identity) -> Ready {
    Ready::on(Object::Caller(Person::of(identity)))
}

pub(crate) fn act(admin: &Admin, sight: &Sight) -> Answer {
    let identity = &sight.identity;
    let surroundings = Surroundings { client: sight.client };
    let resources: Vec<Value> = admin
        .gateway
        .resources()
        .iter()
        .filter_map(|state| {
            let name = &state.settings.name;
            let target = Target { name: name.clone(), kind: state.settings.kind.as_str() };
            let classes = admin.gateway.authorizer().classes(identity, &target, surroundings);
            let classes: Vec<&str> = classes.iter().map(|class| class.as_str()).collect();
            (!classes.is_empty())
                .then(|| json!({ "name": name, "kind": state.settings.kind.as_str(), "may": classes }))
        })
        .collect();
    let token = &identity.token;
    Answer::Json(json!({
        "id": identity.entity_id(),
        "issuer": identity.issuer,
        "issuer_name": identity.issuer_name,
        "subject": identity.subject,
        "kind": identity.kind,
        "groups": identity.groups,
        "email": identity.email,
        "display": identity.display,
        "token": {
            "issued_at": token.issued_at.map(|at| at.to_string()),
            "expires_at": token.expires_at.to_string(),
            "client": token.client,
            "audiences": token.audiences,
            "mfa": token.mfa,
        },
        "resources": resources,
    }))
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let text = || json!({ "type": "string" });
    let maybe = || json!({ "type": ["string", "null"] });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let time = || json!({ "type": ["string", "null"], "format": "date-time" });
    vec![(
        "Me",
        json!({
            "type": "object",
            "required": ["id", "issuer", "issuer_name", "subject", "kind", "groups", "token", "resources"],
            "properties": {
                "id": { "type": "string", "description": "`issuer#subject`, as policies write it." },
                "issuer": text(), "issuer_name": text(), "subject": text(),
                "kind": { "enum": ["human", "workload"] },
                "groups": texts(), "email": maybe(), "display": maybe(),
                "token": {
                    "type": "object",
                    "required": ["expires_at", "mfa"],
                    "properties": {
                        "issued_at": time(), "expires_at": { "type": "string", "format": "date-time" },
                        "client": maybe(), "audiences": texts(), "mfa": { "type": "boolean" },
                    },
                },
                "resources": {
                    "type": "array",
                    "description": "What you may ask, with or without approval, and by which classes of operation. \
                        A policy on a single model is not counted.",
                    "items": {
                        "type": "object", "required": ["name", "kind", "may"],
                        "properties": { "name": text(), "kind": text(), "may": texts() },
                    },
                },
            },
        }),
    )]
}
