//! Events of the Open Cybersecurity Schema Framework: class API Activity (6003), as SIEMs read them.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::told::Told;

/// The version of the schema.
const VERSION: &str = "1.3.0";
const CATEGORY: u64 = 6;
const CLASS: u64 = 6003;

/// One exchange, as `admin::views::shown` has it.
pub(crate) fn event(shown: &Value) -> Value {
    let class = shown.list("operations").first().and_then(|operation| operation.at("class").as_str());
    let (activity, activity_name) = activity(class);
    let (status, status_name, severity, severity_name) = status(shown);
    let refused = shown.at("refusal").is_object();
    let mut event = json!({
        "category_uid": CATEGORY, "category_name": "Application Activity",
        "class_uid": CLASS, "class_name": "API Activity",
        "activity_id": activity, "activity_name": activity_name,
        "type_uid": CLASS * 100 + activity, "type_name": format!("API Activity: {activity_name}"),
        "severity_id": severity, "severity": severity_name,
        "status_id": status, "status": status_name,
        "action_id": if refused { 2 } else { 1 }, "action": if refused { "Denied" } else { "Allowed" },
        "disposition_id": if refused { 2 } else { 1 }, "disposition": if refused { "Blocked" } else { "Allowed" },
        "time": milliseconds(shown.at("arrived")),
        "metadata": {
            "version": VERSION,
            "product": { "name": "Portcullis", "vendor_name": "Portcullis", "version": env!("CARGO_PKG_VERSION") },
            "profiles": ["security_control"],
            "uid": shown.at("exchange"),
            "log_name": "ledger",
        },
        "actor": actor(shown),
        "api": api(shown, class),
        "src_endpoint": endpoint(shown.at("client").as_str()),
        "unmapped": unmapped(shown),
    });
    if let Some(event) = event.as_object_mut() {
        optional(event, shown);
    }
    event
}

fn optional(event: &mut Map<String, Value>, shown: &Value) {
    if let Some(code) = shown.at("refusal").at("code").as_str() {
        event.insert("status_code".to_owned(), json!(code));
        event.insert("status_detail".to_owned(), shown.at("refusal").at("reason").clone());
    }
    if let Some(total) = shown.at("total_ns").as_u64() {
        event.insert("duration".to_owned(), json!(total / 1_000_000));
    }
    if let Some(resource) = shown.at("resource").as_str() {
        event.insert("resources".to_owned(), json!([{ "name": resource, "type": "resource" }]));
    }
    let request = shown.at("request");
    if let (Some(method), Some(path)) = (request.at("method").as_str(), request.at("path").as_str()) {
        let asked = json!({ "http_method": method, "url": { "path": path } });
        event.insert("http_request".to_owned(), asked);
    }
    if let Some(status) = shown.at("response").at("status").as_u64().filter(|status| *status > 0) {
        event.insert("http_response".to_owned(), json!({ "code": status }));
    }
}

fn activity(class: Option<&str>) -> (u64, String) {
    match class {
        Some("read" | "inspect" | "view" | "replay" | "export") => (2, "Read".to_owned()),
        Some(other) => (99, other.to_owned()),
        None => (0, "Unknown".to_owned()),
    }
}

/// Status and severity, each with its name.
fn status(shown: &Value) -> (u64, &'static str, u64, &'static str) {
    match (shown.at("outcome").as_str(), shown.at("refusal").at("code").as_str()) {
        (Some("completed"), _) => (1, "Success", 1, "Informational"),
        (Some("refused"), Some("policy_denied" | "caller_blocked" | "token_revoked")) => {
            (2, "Failure", 3, "Medium")
        }
        (Some("refused"), _) => (2, "Failure", 2, "Low"),
        (Some("caller-gone"), _) => (99, "Caller gone", 1, "Informational"),
        (Some(_), _) => (2, "Failure", 2, "Low"),
        (None, _) => (0, "Unknown", 1, "Informational"),
    }
}

fn actor(shown: &Value) -> Value {
    let caller = shown.at("caller");
    let Some(subject) = caller.at("subject").as_str() else {
        return json!({ "user": { "name": "unauthenticated", "type_id": 0, "type": "Unknown" } });
    };
    let human = caller.at("kind") == "human";
    let groups: Vec<Value> = caller.list("groups").iter().map(|group| json!({ "name": group })).collect();
    let mut user = json!({
        "uid": format!("{}#{subject}", caller.at("issuer").as_str().unwrap_or_default()),
        "name": subject,
        "type_id": if human { 1 } else { 3 }, "type": if human { "User" } else { "System" },
        "groups": groups,
    });
    if let (Some(user), Some(email)) = (user.as_object_mut(), caller.at("email").as_str()) {
        user.insert("email_addr".to_owned(), json!(email));
    }
    json!({ "user": user, "idp": { "name": caller.at("issuer") } })
}

fn api(shown: &Value, class: Option<&str>) -> Value {
    let operation = shown.list("operations").first().and_then(|operation| operation.at("name").as_str());
    let request = shown.at("request").at("method").as_str();
    json!({
        "operation": operation.or(class).or(request).unwrap_or("unknown"),
        "service": { "name": shown.at("resource").as_str().unwrap_or("portcullis") },
        "request": { "uid": shown.at("exchange") },
        "response": { "code": shown.at("response").at("status").as_u64().unwrap_or_default() },
    })
}

fn endpoint(client: Option<&str>) -> Value {
    match client.and_then(|client| client.parse::<SocketAddr>().ok()) {
        Some(address) => json!({ "ip": address.ip().to_string(), "port": address.port() }),
        None => json!({ "name": "unknown" }),
    }
}

/// What the schema has no words for.
fn unmapped(shown: &Value) -> Value {
    let models: Vec<&Value> =
        shown.list("operations").iter().map(|operation| operation.at("model")).collect();
    let policies = shown.list("judgements").iter().flat_map(|judgement| judgement.list("reasons"));
    json!({
        "outcome": shown.at("outcome"),
        "models": models,
        "rulings": shown.list("judgements").iter().map(|judgement| judgement.at("ruling")).collect::<Vec<_>>(),
        "policies": policies.map(|reason| reason.at("policy")).collect::<Vec<_>>(),
        "findings": shown.at("findings"),
        "disclosed": shown.at("disclosed"),
        "usage": shown.at("usage"),
    })
}

fn milliseconds(time: &Value) -> i64 {
    let time = time.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    time.unwrap_or_default().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the schema requires of API Activity, and of the objects in it, by its definition.
    fn is_valid(event: &Value) {
        for (place, number) in [("/category_uid", 6), ("/class_uid", 6003)] {
            assert_eq!(event.pointer(place), Some(&json!(number)), "{place}");
        }
        let number = |key: &str| event[key].as_u64().unwrap_or_else(|| panic!("{key} in {event}"));
        assert!([0, 1, 2, 3, 4, 99].contains(&number("activity_id")));
        assert_eq!(number("type_uid"), 600_300 + number("activity_id"));
        assert!([0, 1, 2, 3, 4, 5, 6, 99].contains(&number("severity_id")));
        assert!([0, 1, 2, 99].contains(&number("status_id")));
        assert!(number("time") > 1_000_000_000_000, "milliseconds");
        assert_eq!(event["metadata"]["version"], VERSION);
        for text in
            ["/metadata/product/name", "/metadata/product/vendor_name", "/api/operation", "/actor/user/name"]
        {
            assert!(
                event.pointer(text).and_then(Value::as_str).is_some_and(|text| !text.is_empty()),
                "{text}"
            );
        }
        let source = event["src_endpoint"].as_object().unwrap();
        assert!(source.contains_key("ip") || source.contains_key("name"));
        assert!(event["api"]["request"]["uid"].is_string() && event["api"]["response"]["code"].is_u64());
    }

    #[test]
    fn any_exchange_is_an_event() {
        let whole = json!({
            "exchange": "x", "arrived": "2026-01-31T12:00:00Z", "client": "192.0.2.7:4000", "resource": "llama",
            "caller": { "issuer": "https://i.test", "subject": "ada", "kind": "human", "groups": ["a"], "email": "a@b.test" },
            "operations": [{ "class": "infer", "name": "openai.chat", "model": "m" }], "total_ns": 1_500_000_000u64,
            "request": { "method": "POST", "path": "/v1" }, "response": { "status": 200 }, "outcome": "completed",
        });
        let event = event(&whole);
        is_valid(&event);
        assert_eq!(
            (&event["duration"], &event["status"], &event["activity_name"]),
            (&json!(1500), &json!("Success"), &json!("infer"))
        );
        assert_eq!(event["src_endpoint"], json!({ "ip": "192.0.2.7", "port": 4000 }));
        let at_the_door = json!({
            "exchange": "x", "arrived": "2026-01-31T12:00:00Z", "outcome": "refused", "response": { "status": 401 },
            "refusal": { "code": "token_missing", "reason": "no" },
        });
        let event = super::event(&at_the_door);
        is_valid(&event);
        assert_eq!((&event["action"], &event["status_code"]), (&json!("Denied"), &json!("token_missing")));
    }
}
