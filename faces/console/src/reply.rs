//! What goes back to a browser, with the headers every page has.

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;

/// An answer of the console.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Nothing but this console's own stylesheet and mark is loaded, nothing runs, nobody frames it, and its
/// forms go nowhere else (Content Security Policy Level 3).
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The headers of every page.
const HEADERS: [(HeaderName, &str); 9] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: then browsers would send `Origin: null` with a form.
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
];

/// The headers of a page.
pub(crate) fn headers() -> HeaderMap {
    HEADERS.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}

/// The headers of a way on to `place`, which is a header's text already.
pub(crate) fn onward(place: &str) -> Option<HeaderMap> {
    let mut headers = headers();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::LOCATION, HeaderValue::from_str(place).ok()?);
    Some(headers)
}

pub(crate) fn answer(status: StatusCode, headers: HeaderMap, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A file of the console's own, which says nothing of anybody. Its address names its content.
pub(crate) fn file(kind: &'static str, text: &'static str) -> Answer {
    let mut headers = headers();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    answer(StatusCode::OK, headers, Bytes::from_static(text.as_bytes()))
}

/// The answer when nothing else can be said.
pub(crate) fn bare(status: StatusCode) -> Answer {
    let mut headers = headers();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer(status, headers, Bytes::from_static(b"The console cannot answer just now.\n"))
}
