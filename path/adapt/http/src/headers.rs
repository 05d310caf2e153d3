//! Which headers pass, towards the upstream and back: lists of what may, never of what may not.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use model::{Code, Refusal};

/// Request headers every upstream may see.
const TO_UPSTREAM: &[&str] = &[
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "content-type",
    "idempotency-key",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "traceparent",
    "tracestate",
    "user-agent",
];

/// Answer headers every caller may see.
const TO_CALLER: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-language",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "openai-model",
    "openai-processing-ms",
    "openai-version",
    "retry-after",
    "retry-after-ms",
    "vary",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
];

/// Never passed, whatever the configuration lists: they frame the message, belong to one hop, or open
/// doors.
const NEVER: &[&str] = &[
    "accept-encoding",
    "api-key",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
    "x-api-key",
    "x-request-id",
];

/// Headers with which some servers replace the method or the path that was judged.
const OVERRIDES: &[&str] = &[
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
];

/// Headers that mean one thing only while they stand once.
const SINGLE: &[&str] = &["content-type", "content-length", "content-encoding", "host", "transfer-encoding"];

fn refused(name: &HeaderName, why: &str) -> Refusal {
    Refusal::new(Code::HeaderRefused).because(format!("The header `{name}` {why}."))
}

/// The headers of a caller's request that go upstream: those on the built-in list and in `extra`, with
/// identity encoding asked for. Credentials, hop-by-hop and forwarding headers never do.
///
/// # Errors
/// A refusal when a header makes the request ambiguous, asks for a protocol not carried here, or says
/// the body is encoded.
pub fn request_headers(from: &HeaderMap, extra: &[HeaderName]) -> Result<HeaderMap, Refusal> {
    check_framing(from)?;
    check_protocol(from)?;
    let mut headers = HeaderMap::new();
    for (name, value) in from {
        let known = TO_UPSTREAM.contains(&name.as_str()) || extra.contains(name);
        if !known || NEVER.contains(&name.as_str()) {
            continue;
        }
        if value.to_str().is_err() {
            return Err(refused(name, "holds bytes that are not visible ASCII"));
        }
        headers.append(name.clone(), value.clone());
    }
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(headers)
}

fn check_framing(from: &HeaderMap) -> Result<(), Refusal> {
    for name in from.keys() {
        if OVERRIDES.contains(&name.as_str()) {
            return Err(refused(name, "would replace the method or path that is judged"));
        }
        if name.as_str().contains('_') {
            return Err(refused(name, "has an underscore, which some servers read as a hyphen"));
        }
    }
    for name in SINGLE {
        if from.get_all(*name).iter().nth(1).is_some() {
            return Err(refused(&HeaderName::from_static(name), "stands more than once"));
        }
    }
    if from.contains_key(header::CONTENT_LENGTH) && from.contains_key(header::TRANSFER_ENCODING) {
        return Err(refused(&header::TRANSFER_ENCODING, "stands beside `content-length`"));
    }
    Ok(())
}

fn check_protocol(from: &HeaderMap) -> Result<(), Refusal> {
    let says = |name: HeaderName, word: &str| {
        from.get_all(name).iter().any(|value| {
            String::from_utf8_lossy(value.as_bytes())
                .split(',')
                .any(|part| part.trim().to_ascii_lowercase().starts_with(word))
        })
    };
    if says(header::UPGRADE, "websocket") || from.contains_key(header::SEC_WEBSOCKET_KEY) {
        return Err(Refusal::new(Code::NotSupported).because("WebSockets are not supported yet."));
    }
    if says(header::CONTENT_TYPE, "application/grpc") {
        return Err(Refusal::new(Code::NotSupported).because("gRPC is not supported yet."));
    }
    match from.get(header::CONTENT_ENCODING) {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(Refusal::new(Code::EncodingUnsupported)
                .because("The request body is compressed or otherwise encoded (`content-encoding`)."))
        }
        _ => Ok(()),
    }
}

/// The headers of an upstream's answer that go to the caller: those on the built-in list and in
/// `extra`. Lengths, encodings and ids are made anew by the gateway. Values are not yet masked.
pub fn response_headers(from: &HeaderMap, extra: &[HeaderName]) -> HeaderMap {
    let passes = |name: &HeaderName| {
        (TO_CALLER.contains(&name.as_str()) || extra.contains(name)) && !NEVER.contains(&name.as_str())
    };
    from.iter().filter(|(name, _)| passes(name)).map(|(name, value)| (name.clone(), value.clone())).fold(
        HeaderMap::new(),
        |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in rows {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    fn code(rows: &[(&'static str, &str)]) -> Option<Code> {
        request_headers(&map(rows), &[]).err().map(|refusal| refusal.code)
    }

    #[test]
    fn only_listed_headers_go_upstream() {
        let extra = [HeaderName::from_static("x-team"), header::AUTHORIZATION];
        let from = map(&[
            ("authorization", "Bearer abc"),
            ("x-api-key", "abc"),
            ("api-key", "abc"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-user", "root"),
            ("x-remote-user", "root"),
            ("connection", "x-team"),
            ("range", "bytes=0-1"),
            ("expect", "100-continue"),
            ("accept-encoding", "gzip"),
            ("content-length", "2"),
            ("host", "gateway.example"),
            ("content-type", "application/json"),
            ("anthropic-version", "2023-06-01"),
            ("x-team", "blue"),
        ]);
        let passed = request_headers(&from, &extra).unwrap();
        let mut names: Vec<_> = passed.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        names.sort();
        assert_eq!(
            names,
            [
                "accept-encoding: identity",
                "anthropic-version: 2023-06-01",
                "content-type: application/json",
                "x-team: blue"
            ]
        );
    }

    #[test]
    fn ambiguous_headers_are_refused() {
        for rows in [
            &[("content-type", "application/json"), ("content-type", "text/plain")][..],
            &[("host", "a"), ("host", "b")],
            &[("content-length", "2"), ("transfer-encoding", "chunked")],
            &[("content-length", "2"), ("content-length", "3")],
            &[("x-http-method-override", "DELETE")],
            &[("x-original-url", "/admin")],
            &[("content_type", "text/plain")],
            &[("accept", "caf\u{e9}")],
        ] {
            assert_eq!(code(rows), Some(Code::HeaderRefused), "{rows:?}");
        }
    }

    #[test]
    fn other_protocols_and_encoded_bodies_are_refused() {
        assert_eq!(code(&[("upgrade", "WebSocket")]), Some(Code::NotSupported));
        assert_eq!(code(&[("content-type", "application/grpc+proto")]), Some(Code::NotSupported));
        for coding in ["gzip", "zstd", "identity, gzip", "x-new"] {
            assert_eq!(code(&[("content-encoding", coding)]), Some(Code::EncodingUnsupported), "{coding}");
        }
        assert_eq!(code(&[("content-encoding", "identity")]), None);
        assert_eq!(code(&[("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")]), None);
    }

    #[test]
    fn only_listed_headers_come_back() {
        let from = map(&[
            ("content-type", "text/event-stream"),
            ("content-length", "7"),
            ("content-encoding", "gzip"),
            ("server", "uvicorn"),
            ("set-cookie", "a=b"),
            ("location", "http://10.0.0.7/"),
            ("x-request-id", "theirs"),
            ("retry-after", "3"),
            ("x-team", "blue"),
        ]);
        let passed = response_headers(&from, &[HeaderName::from_static("x-team"), header::CONTENT_LENGTH]);
        let mut names: Vec<_> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "retry-after", "x-team"]);
    }
}
