//! The OpenAPI 3.1 document, made from the table that requests are routed by.

use authorize::Object;
use http::Method;
use model::{Act, Area, Code};
use serde_json::{Map, Value, json};

use crate::exchange::Ready;
use crate::problem;
use crate::table::{self, Call, Kind, Param, ROOT, Route, SEGMENTS, Shape};

pub(crate) const ROUTES: &[Route] = &[Route {
    method: Method::GET,
    path: "/openapi.json",
    name: "api.document",
    call: Call::Document,
    area: Area::Api,
    act: Act::View,
    on: "`Area::\"api\"`",
    summary: "This document.",
    query: &[],
    body: None,
    answer: Kind::Document,
    faults: &[],
    keeps_bodies: false,
}];

/// What can refuse every call.
const ALWAYS: &[Code] = &[
    Code::TokenMissing,
    Code::TokenInvalid,
    Code::TokenExpired,
    Code::TokenRevoked,
    Code::CallerBlocked,
    Code::PolicyDenied,
    Code::ApprovalPending,
    Code::ApprovalDenied,
    Code::ApprovalVoid,
    Code::RequestMalformed,
    Code::PathRefused,
    Code::HeaderRefused,
    Code::RequestTimeout,
    Code::TooManyRequests,
    Code::Internal,
    Code::LedgerUnavailable,
    Code::StateUnavailable,
    Code::IdentityUnavailable,
    Code::Overloaded,
];

pub(crate) fn look() -> Ready {
    Ready::on(Object::Area(Area::Api))
}

/// The whole document.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in table::routes() {
        let path = paths.entry(format!("{ROOT}{}", route.path)).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.as_str().to_lowercase(), operation(route));
        }
    }
    let schemas: Map<String, Value> =
        table::schemas().into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let tags: Vec<Value> = Area::ALL
        .into_iter()
        .filter(|area| table::routes().any(|route| route.area == *area))
        .map(|area| json!({ "name": area.as_str() }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis administration",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every call needs a token of a configured issuer, is judged by policy and is recorded. \
                Refusals are problem details (RFC 9457). A cursor stands for a place in one list and can't be made up.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "A token of a configured issuer, as for every other request.",
                },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "description": format!("Judged as `Action::\"{}\"` on {}.", route.act, route.on),
        "tags": [route.area.as_str()],
        "responses": responses(route),
    });
    let parameters: Vec<Value> = segments(route.path).chain(route.query.iter().map(parameter)).collect();
    if let Some(operation) = operation.as_object_mut() {
        if !parameters.is_empty() {
            operation.insert("parameters".to_owned(), Value::Array(parameters));
        }
        if let Some(payload) = &route.body {
            operation.insert(
                "requestBody".to_owned(),
                json!({
                    "required": payload.required,
                    "description": format!("At most {} bytes of strict JSON.", payload.limit),
                    "content": { "application/json": { "schema": reference(payload.schema) } },
                }),
            );
        }
    }
    operation
}

fn segments(path: &'static str) -> impl Iterator<Item = Value> {
    path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        let meaning = SEGMENTS.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning);
        Some(json!({
            "name": name, "in": "path", "required": true, "description": meaning.unwrap_or_default(),
            "schema": { "type": "string" },
        }))
    })
}

fn parameter(param: &Param) -> Value {
    let schema = match param.shape {
        Shape::Text => json!({ "type": "string", "minLength": 1, "maxLength": 512 }),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Count(least, most, default) => {
            json!({ "type": "integer", "minimum": least, "maximum": most, "default": default })
        }
        Shape::Time => json!({ "type": "string", "format": "date-time" }),
    };
    json!({ "name": param.name, "in": "query", "description": param.doc, "schema": schema })
}

fn responses(route: &Route) -> Value {
    let content = match route.answer {
        Kind::Json(schema) => json!({ "application/json": { "schema": reference(schema) } }),
        // OpenAPI 3.1 has no word for a stream of values: the schema is that of each line.
        Kind::Lines(schema) => json!({ "application/x-ndjson": { "schema": reference(schema) } }),
        Kind::Document => json!({ "application/json": { "schema": { "type": "object" } } }),
    };
    let mut responses = Map::new();
    responses.insert("200".to_owned(), json!({ "description": "Done.", "content": content }));
    let mut codes: Vec<Code> = ALWAYS.iter().chain(route.faults).copied().collect();
    codes.sort_by_key(|code| code.status().as_u16());
    for code in &codes {
        let status = code.status().as_u16();
        let same = codes.iter().filter(|other| other.status().as_u16() == status);
        let names: Vec<String> = same.map(|code| format!("`{code}`")).collect();
        responses.insert(
            status.to_string(),
            json!({
                "description": format!("Refused: {}.", names.join(", ")),
                "content": { problem::MEDIA_TYPE: { "schema": reference("Problem") } },
            }),
        );
    }
    Value::Object(responses)
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// The schema of a page of a list.
pub(crate) fn page(name: &str, item: &str) -> Value {
    json!({
        "type": "object",
        "required": [name, "next"],
        "properties": {
            name: { "type": "array", "items": reference(item) },
            "next": { "type": ["string", "null"], "description": "Where the next page begins, if there is one." },
        },
    })
}
