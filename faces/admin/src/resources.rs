//! Resources: what is protected, and how it stands.

use authorize::Object;
use gateway::ResourceState;
use http::Method;
use model::{Act, Area, Code, Refusal, ResourceName};
use serde_json::{Value, json};

use crate::Admin;
use crate::exchange::{Answer, Asked, Ready};
use crate::paging;
use crate::table::{CURSOR, Call, Kind, LIMIT, Route};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resources {
    List,
    Show,
}

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/resources",
        name: "resources.list",
        call: Call::Resources(Resources::List),
        area: Area::Resources,
        act: Act::View,
        on: "`Area::\"resources\"`",
        summary: "List what is protected, by name, and how its upstreams stand.",
        query: &[LIMIT, CURSOR],
        body: None,
        answer: Kind::Json("ResourceList"),
        faults: &[],
        keeps_bodies: false,
    },
    Route {
        method: Method::GET,
        path: "/resources/{resource}",
        name: "resources.show",
        call: Call::Resources(Resources::Show),
        area: Area::Resources,
        act: Act::View,
        on: "the `Resource`, which is in `Area::\"resources\"`",
        summary: "Show one resource.",
        query: &[],
        body: None,
        answer: Kind::Json("Resource"),
        faults: &[Code::NotFound],
        keeps_bodies: false,
    },
];

pub(crate) fn look(admin: &Admin, call: Resources, asked: &Asked) -> Ready {
    let whole = Ready::on(Object::Area(Area::Resources));
    if call == Resources::List {
        return whole;
    }
    one(admin, asked)
}

/// What a call on one resource is on. What is not there is judged like all resources: who may see none learns
/// no names.
pub(crate) fn one(admin: &Admin, asked: &Asked) -> Ready {
    let place = ResourceName::new(asked.segment()).ok().and_then(|name| admin.gateway.place(&name));
    Ready::on(match place {
        Some(place) => Object::Resource { name: place.name, kind: place.kind.to_owned() },
        None => Object::Area(Area::Resources),
    })
}

pub(crate) fn act(admin: &Admin, call: Resources, asked: &Asked) -> Result<Answer, Refusal> {
    let states = admin.gateway.resources();
    if call == Resources::Show {
        let state = states.iter().find(|state| state.settings.name.as_str() == asked.segment());
        return state.map(|state| Answer::Json(shown(state))).ok_or_else(|| Refusal::new(Code::NotFound));
    }
    let after = asked.query.text("cursor").map(|cursor| paging::place("resources", cursor)).transpose()?;
    let limit = usize::try_from(asked.query.count(&LIMIT)).unwrap_or(usize::MAX);
    let rest: Vec<&ResourceState> = states
        .iter()
        .filter(|state| after.as_deref().is_none_or(|after| state.settings.name.as_str() > after))
        .collect();
    let page = rest.get(..limit).unwrap_or(&rest);
    let next = page
        .last()
        .filter(|_| rest.len() > limit)
        .map(|last| paging::cursor("resources", last.settings.name.as_str()));
    let list: Vec<Value> = page.iter().map(|state| shown(state)).collect();
    Ok(Answer::Json(json!({ "resources": list, "next": next })))
}

fn shown(state: &ResourceState) -> Value {
    let settings = &state.settings;
    json!({
        "name": settings.name,
        "kind": settings.kind.as_str(),
        "server": settings.server.as_str(),
        "hosts": settings.hosts,
        "upstreams": state.upstreams,
        "has_credential": settings.credential.is_some(),
        "record_bodies": settings.record_bodies,
        "max_request_bytes": settings.max_request_bytes,
        "max_held_answer_bytes": settings.max_held_answer_bytes,
    })
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let text = || json!({ "type": "string" });
    let count = || json!({ "type": "integer", "minimum": 0 });
    let flag = || json!({ "type": "boolean" });
    let resource = json!({
        "type": "object",
        "required": ["name", "kind", "server", "hosts", "upstreams", "has_credential", "record_bodies"],
        "properties": {
            "name": text(), "kind": text(), "server": text(),
            "hosts": { "type": "array", "items": { "type": "string" } },
            "upstreams": {
                "type": "array",
                "items": {
                    "type": "object", "required": ["url", "usable", "in_flight", "failures"],
                    "properties": {
                        "url": text(), "usable": flag(), "in_flight": count(), "failures": count(),
                        "last_failure": { "type": ["string", "null"] },
                        "probed": {
                            "type": ["object", "null"],
                            "required": ["at", "seconds", "fault"],
                            "properties": {
                                "at": { "type": "string", "format": "date-time" },
                                "seconds": { "type": "number", "minimum": 0 },
                                "fault": { "type": ["string", "null"] },
                            },
                        },
                    },
                },
            },
            "has_credential": flag(), "record_bodies": flag(),
            "max_request_bytes": count(), "max_held_answer_bytes": count(),
        },
    });
    vec![("Resource", resource), ("ResourceList", crate::openapi::page("resources", "Resource"))]
}
