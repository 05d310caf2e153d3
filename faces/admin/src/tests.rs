//! The table, the document made from it, and what both promise.

use http::Method;
use serde_json::Value;

use crate::table::{self, Found, Kind, ROOT, routes};

/// A path with every `{…}` filled in.
fn filled(path: &str) -> String {
    path.split('/')
        .map(|segment| if segment.starts_with('{') { "x" } else { segment })
        .collect::<Vec<_>>()
        .join("/")
}

#[test]
fn every_path_and_method_of_the_document_is_routed_to_its_call_and_no_other_is() {
    let document = crate::openapi_document();
    let methods = [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH, Method::HEAD];
    let mut seen = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in &methods {
            let documented = operations.get(method.as_str().to_lowercase());
            match (table::find(method, &filled(path)), documented) {
                (Found::Route(route, _), Some(operation)) => {
                    assert_eq!(operation["operationId"], route.name);
                    assert_eq!(format!("{ROOT}{}", route.path), *path);
                    seen += 1;
                }
                (Found::Methods(allowed), None) => assert!(!allowed.contains(method), "{method} {path}"),
                _ => panic!("{method} {path} is routed otherwise than documented"),
            }
        }
    }
    assert_eq!(seen, routes().count());
    assert_eq!(seen, crate::calls().len());
}

#[test]
fn nothing_is_found_beside_the_table() {
    for path in ["/", "/api", "/api/v1", "/api/v1/", "/api/v2/me", "/api/v1/me/", "/api/v1/sessions//why"] {
        assert!(matches!(table::find(&Method::GET, path), Found::Nothing), "{path}");
    }
}

#[test]
fn names_are_told_apart_and_stable_in_shape() {
    let mut names: Vec<&str> = routes().map(|route| route.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for route in routes() {
        let (noun, verb) = route.name.split_once('.').unwrap();
        assert!(!noun.is_empty() && !verb.is_empty(), "{}", route.name);
        // What changes something is kept in the record whole, but for an answer that is a secret.
        let changes = route.act != model::Act::View && route.act != model::Act::Replay;
        let secret = route.name == "agents.invite";
        assert_eq!(route.keeps_bodies, changes && !secret, "{}", route.name);
        assert!(route.body.is_none() || route.method != Method::GET, "{}", route.name);
    }
}

/// Every `$ref` in a value.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_schema_that_is_named_is_there_once_and_is_used() {
    let document = crate::openapi_document();
    let mut used = Vec::new();
    references(&document, &mut used);
    for reference in &used {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let schemas = table::schemas();
    assert_eq!(document["components"]["schemas"].as_object().unwrap().len(), schemas.len());
    for (name, _) in &schemas {
        assert!(used.contains(&format!("#/components/schemas/{name}")), "{name} is used by nothing");
    }
    for route in routes() {
        if let Kind::Json(schema) | Kind::Lines(schema) = route.answer {
            assert!(schemas.iter().any(|(name, _)| *name == schema), "{schema}");
        }
    }
}

#[test]
fn the_published_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let published = std::fs::read_to_string(path).unwrap_or_default();
    // As a value: the order of members depends on which crates are built beside this one.
    let published: Value = serde_json::from_str(&published).unwrap_or_default();
    assert!(
        published == crate::openapi_document(),
        "docs/openapi.json is not what the table says; run: cargo run -p admin --example write-openapi"
    );
}
