//! The table of calls: what requests are routed by, and what the OpenAPI document is made from.

use http::Method;
use model::{Act, Area, Code};
use serde_json::Value;

use crate::{
    agents, approvals, callers, credentials, grants, holds, me, openapi, policies, resources, sessions,
};

/// Below this everything lies.
pub const ROOT: &str = "/api/v1";

/// One call.
pub(crate) struct Route {
    /// Its method.
    pub(crate) method: Method,
    /// Its path below [`ROOT`]; `{…}` stands for one segment.
    pub(crate) path: &'static str,
    /// Its stable name, in the record and in the document.
    pub(crate) name: &'static str,
    /// What runs.
    pub(crate) call: Call,
    /// In which area it acts,
    pub(crate) area: Area,
    /// and what policies judge it as.
    pub(crate) act: Act,
    /// What policies judge it on, for people.
    pub(crate) on: &'static str,
    /// What it does, in a sentence.
    pub(crate) summary: &'static str,
    /// What its query may hold.
    pub(crate) query: &'static [Param],
    /// What its body holds, if it has one.
    pub(crate) body: Option<Payload>,
    /// What it answers.
    pub(crate) answer: Kind,
    /// How it can be refused, beside what can refuse every call.
    pub(crate) faults: &'static [Code],
    /// Whether the record keeps its bodies, or digests of them. What changes something is kept.
    pub(crate) keeps_bodies: bool,
}

/// What runs when a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Who asks.
    Me,
    /// The document of all calls.
    Document,
    /// Of sessions.
    Sessions(sessions::Sessions),
    /// Of resources.
    Resources(resources::Resources),
    /// Of a resource's credential: replacing it.
    RotateCredential,
    /// Of policies.
    Policies(policies::Policies),
    /// Of callers.
    Callers(callers::Callers),
    /// Of holds.
    Holds(holds::Holds),
    /// Of memberships for a while.
    Grants(grants::Grants),
    /// Of approvals.
    Approvals(approvals::Approvals),
    /// Of agents.
    Agents(agents::Agents),
}

/// One parameter of a query.
#[derive(Clone, Copy)]
pub(crate) struct Param {
    /// As it is written.
    pub(crate) name: &'static str,
    /// What may stand there.
    pub(crate) shape: Shape,
    /// What it means.
    pub(crate) doc: &'static str,
}

/// What may stand at a parameter.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// Text of at most 512 bytes.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number between these; the third when left out.
    Count(u32, u32, u32),
    /// A time (RFC 3339).
    Time,
}

/// What a body holds.
pub(crate) struct Payload {
    /// The most bytes of it.
    pub(crate) limit: usize,
    /// The schema's name.
    pub(crate) schema: &'static str,
    /// Whether it may not be left out.
    pub(crate) required: bool,
}

/// What a call answers.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// JSON of this schema.
    Json(&'static str),
    /// Lines of JSON (NDJSON), each of this schema.
    Lines(&'static str),
    /// A JSON document of no schema here.
    Document,
}

/// The parameters that paths hold, with what they mean.
pub(crate) const SEGMENTS: &[(&str, &str)] = &[
    ("grant", "The membership's `id`, as `GET /grants` tells it."),
    ("approval", "The approval's `id`."),
    ("agent", "The agent's name."),
    ("hold", "The hold's `id`, as `GET /holds` tells it."),
    ("session", "The request id, as `x-request-id` told it, or enough of its beginning."),
    ("resource", "The resource's name, as configured."),
    (
        "caller",
        "The caller's `key`, as `GET /callers` tells it: `issuer#subject` in base64url, without padding.",
    ),
];

/// The parameters of every list.
pub(crate) const LIMIT: Param =
    Param { name: "limit", shape: Shape::Count(1, 1000, 100), doc: "How many at most." };
/// Where a page begins.
pub(crate) const CURSOR: Param = Param {
    name: "cursor",
    shape: Shape::Text,
    doc: "Where the page begins: `next` of the page before. It stands for a place, and can't be made up.",
};

/// Every call, by noun.
pub(crate) fn routes() -> impl Iterator<Item = &'static Route> {
    [
        me::ROUTES,
        openapi::ROUTES,
        sessions::ROUTES,
        resources::ROUTES,
        credentials::ROUTES,
        policies::ROUTES,
        callers::ROUTES,
        holds::ROUTES,
        grants::ROUTES,
        approvals::ROUTES,
        agents::ROUTES,
    ]
    .into_iter()
    .flatten()
}

/// Every schema, by name.
pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    [
        me::schemas(),
        sessions::schemas(),
        resources::schemas(),
        credentials::schemas(),
        policies::schemas(),
        callers::schemas(),
        holds::schemas(),
        grants::schemas(),
        approvals::schemas(),
        agents::schemas(),
        vec![("Problem", crate::problem::schema())],
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A call as others may know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its method.
    pub method: Method,
    /// Its whole path, with `{…}` for one segment.
    pub path: String,
    /// Its stable name.
    pub name: &'static str,
}

/// Every call there is.
pub fn calls() -> Vec<Known> {
    routes()
        .map(|route| Known {
            method: route.method.clone(),
            path: format!("{ROOT}{}", route.path),
            name: route.name,
        })
        .collect()
}

/// What a path leads to.
pub(crate) enum Found {
    /// A call, with what stands in its `{…}`.
    Route(&'static Route, Vec<String>),
    /// Calls, but none by that method. These there are.
    Methods(Vec<Method>),
    /// Nothing.
    Nothing,
}

/// Looks up a normalised path.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    let Some(below) = path.strip_prefix(ROOT) else { return Found::Nothing };
    let mut others = Vec::new();
    for route in routes() {
        let Some(segments) = matches(route.path, below) else { continue };
        if route.method == *method {
            return Found::Route(route, segments);
        }
        others.push(route.method.clone());
    }
    if others.is_empty() { Found::Nothing } else { Found::Methods(others) }
}

fn matches(template: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut segments = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(segments),
            (Some(name), Some(text)) if name.starts_with('{') && !text.is_empty() => {
                let text = percent_encoding::percent_decode_str(text).decode_utf8().ok()?;
                segments.push(text.into_owned());
            }
            (Some(name), Some(text)) if name == text => {}
            _ => return None,
        }
    }
}
