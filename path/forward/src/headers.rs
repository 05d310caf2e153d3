//! Headers as they go out and come back.

use credential::{Shown, Way};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};
use model::Question;

/// Headers that belong to one connection (RFC 9110, section 7.6.1), and those that speak to a proxy.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The headers an upstream gets: the judged ones without framing, no compression asked for, and the
/// credential in place of whatever the caller sent under its name.
pub(crate) fn outgoing(question: &Question, shown: Option<&Shown>) -> HeaderMap {
    let mut headers = question.headers().clone();
    strip(&mut headers);
    // Said anew for the connection that is chosen and the body that is sent.
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::EXPECT);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    show(&mut headers, shown);
    headers
}

/// Puts a credential in that goes in a header.
pub(crate) fn show(headers: &mut HeaderMap, shown: Option<&Shown>) {
    if let Some(Way::Header(name, value)) = shown.map(Shown::way) {
        headers.insert(name, value.clone());
    }
}

/// Drops what belongs to one connection, and what `connection` names.
pub(crate) fn strip(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_headers_and_what_they_name_are_dropped() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("connection", "x-other"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("x-end", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
        ] {
            headers.append(HeaderName::from_static(name.to_lowercase().leak()), value.parse().unwrap());
        }
        strip(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-end"]);
    }
}
