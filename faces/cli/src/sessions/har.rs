//! HTTP Archive 1.2: what browsers' developer tools open.

use serde_json::{Value, json};

use crate::told::Told;

/// What stands before the first entry, and behind the last.
pub(crate) const END: &str = "]}}";

/// The beginning of an archive.
pub(crate) fn begin() -> String {
    let creator = json!({ "name": "Portcullis", "version": env!("CARGO_PKG_VERSION") });
    format!("{{\"log\":{{\"version\":\"1.2\",\"creator\":{creator},\"pages\":[],\"entries\":[")
}

/// One exchange, as `admin::views::shown` has it.
pub(crate) fn entry(shown: &Value) -> Value {
    let (request, response) = (shown.at("request"), shown.at("response"));
    let total = milliseconds(shown.at("total_ns"));
    let wait = milliseconds(shown.at("first_byte_ns")).min(total);
    json!({
        "startedDateTime": text(shown.at("arrived"), "1970-01-01T00:00:00Z"),
        "time": total,
        "request": asked(shown, request),
        "response": answered(response),
        "cache": {},
        "timings": { "blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": wait, "receive": total - wait },
        // Names that begin with an underscore are for whoever writes the archive.
        "_exchange": shown.at("exchange"),
        "_outcome": shown.at("outcome"),
        "_caller": shown.at("caller"),
        "_refusal": shown.at("refusal"),
        "_cut": shown.at("cut"),
    })
}

fn asked(shown: &Value, request: &Value) -> Value {
    let body = text(request.at("body"), "");
    let query = request.at("query").as_str();
    let mut asked = json!({
        "method": text(request.at("method"), "GET"),
        "url": url(shown, request, query),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": headers(request),
        "queryString": pairs(query.unwrap_or_default()),
        "headersSize": -1,
        "bodySize": body.len(),
    });
    if let Some(asked) = asked.as_object_mut().filter(|_| !body.is_empty()) {
        let kind = media_type(request);
        asked.insert("postData".to_owned(), json!({ "mimeType": kind, "params": [], "text": body }));
    }
    asked
}

fn answered(response: &Value) -> Value {
    let body = text(response.at("body"), "");
    let status = response.at("status").as_u64().unwrap_or_default();
    let code = u16::try_from(status).ok().and_then(|status| http::StatusCode::from_u16(status).ok());
    json!({
        "status": status,
        "statusText": code.and_then(|code| code.canonical_reason()).unwrap_or_default(),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": headers(response),
        "content": { "size": body.len(), "mimeType": media_type(response), "text": body },
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": body.len(),
    })
}

/// An archive needs a whole URL. Where the upstream is, nobody need know: the resource stands for the host.
fn url(shown: &Value, request: &Value, query: Option<&str>) -> String {
    let resource = shown.at("resource").as_str().filter(|name| !name.contains('/')).unwrap_or("portcullis");
    let path = text(request.at("path"), "/");
    let mark = if query.is_some() { "?" } else { "" };
    let escaped = percent_encoding::utf8_percent_encode(path, IN_PATH);
    let asked = percent_encoding::utf8_percent_encode(query.unwrap_or_default(), IN_PATH);
    format!("http://{resource}{escaped}{mark}{asked}")
}

/// What a mask may leave in a path that no URL may hold.
const IN_PATH: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'[')
    .add(b']')
    .add(b'#');

fn headers(of: &Value) -> Value {
    let pair = |header: &Value| json!({ "name": text(header.at("name"), ""), "value": text(header.at("value"), "") });
    of.list("headers").iter().map(pair).collect()
}

fn media_type(of: &Value) -> String {
    let kind = of.list("headers").iter().find(|header| {
        header.at("name").as_str().is_some_and(|name| name.eq_ignore_ascii_case("content-type"))
    });
    kind.map_or("application/octet-stream", |kind| text(kind.at("value"), "")).to_owned()
}

fn pairs(query: &str) -> Value {
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| json!({ "name": decoded(name), "value": decoded(value) })).collect()
}

fn text<'a>(value: &'a Value, absent: &'a str) -> &'a str {
    value.as_str().unwrap_or(absent)
}

#[expect(clippy::cast_precision_loss, reason = "a fraction of a nanosecond in a century is no loss")]
fn milliseconds(nanoseconds: &Value) -> f64 {
    nanoseconds.as_u64().unwrap_or_default() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_holds_what_the_format_asks_for() {
        let shown = json!({
            "exchange": "x", "arrived": "2026-01-31T12:00:00Z", "resource": "llama", "total_ns": 5_000_000,
            "first_byte_ns": 2_000_000,
            "request": { "method": "POST", "path": "/v1/[a b]", "query": "a=b%20c&d", "body": "{}",
                         "headers": [{ "name": "content-type", "value": "application/json" }] },
            "response": { "status": 403, "body": "no", "headers": [] },
        });
        let whole = format!("{}{}{END}", begin(), entry(&shown));
        let archive: Value = serde_json::from_str(&whole).unwrap();
        assert_eq!(archive["log"]["version"], "1.2");
        let entry = &archive["log"]["entries"][0];
        for (place, value) in [
            ("/time", json!(5.0)),
            ("/timings/wait", json!(2.0)),
            ("/timings/receive", json!(3.0)),
            ("/request/url", json!("http://llama/v1/%5Ba%20b%5D?a=b%20c&d")),
            ("/request/queryString/0/value", json!("b c")),
            ("/request/postData/mimeType", json!("application/json")),
            ("/response/statusText", json!("Forbidden")),
            ("/response/content/text", json!("no")),
        ] {
            assert_eq!(entry.pointer(place), Some(&value), "{place}");
        }
    }
}
