//! Where issuers say that somebody has logged out (OpenID Connect Back-Channel Logout 1.0, section 2.5).
//!
//! No resource can have this path: the name of none begins with a dot; of a resource with `hosts` it is
//! not asked. Whoever asks here is no caller, and is told nothing but whether it was done.

use std::time::Duration;

use authenticate::LogoutError;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::Gateway;
use crate::reply::{self, ReplyBody};

/// Below it stands the issuer's configured name.
const PATH: &str = "/.well-known/portcullis/backchannel-logout/";
/// The largest form: a token of its largest size, with room for escapes.
const MAX_BYTES: usize = 200 << 10;
/// How long the form may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The issuer that a request to `path` speaks for.
pub(crate) fn issuer(path: &str) -> Option<&str> {
    path.strip_prefix(PATH)
}

/// Answers an issuer's request.
pub(crate) async fn answer(gateway: &Gateway, request: Request<Incoming>) -> Response<ReplyBody> {
    let (status, said) = match hear(gateway, request).await {
        Ok(()) => (StatusCode::OK, String::new()),
        Err((status, error, why)) => {
            tracing::info!(status = status.as_u16(), why, "refused a logout token");
            (status, format!("{{\"error\":\"{error}\"}}"))
        }
    };
    let mut response = reply::own(status, "application/json", Bytes::from(said));
    response.headers_mut().insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}

type Refused = (StatusCode, &'static str, String);

async fn hear(gateway: &Gateway, request: Request<Incoming>) -> Result<(), Refused> {
    let bad = |why: &str| (StatusCode::BAD_REQUEST, "invalid_request", why.to_owned());
    let Some(_room) = gateway.room_for_one() else {
        let why = "as many requests are in flight as may be".to_owned();
        return Err((StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", why));
    };
    let (head, body) = request.into_parts();
    let name = issuer(head.uri.path()).unwrap_or_default().to_owned();
    accept::framing(&head).map_err(|refusal| bad(&refusal.reason))?;
    if head.method != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "not a POST".to_owned()));
    }
    if !is_form(&head.headers) {
        return Err(bad("not `application/x-www-form-urlencoded`"));
    }
    let form = read(body).await.map_err(|why| bad(&why))?;
    let token = logout_token(&form).ok_or_else(|| bad("not exactly one `logout_token` in the form"))?;
    let authenticator = gateway.setup().authenticator.clone();
    let logged_out = authenticator.log_out(&name, &token).await;
    logged_out.map(drop).map_err(|error| {
        let (status, word) = match &error {
            LogoutError::Unheard(_) => (StatusCode::NOT_FOUND, "invalid_request"),
            LogoutError::State(_) => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            LogoutError::Token(fault) if fault.refusal().code.status().is_server_error() => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
            }
            _ => (StatusCode::BAD_REQUEST, "invalid_request"),
        };
        (status, word, error.to_string())
    })
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[expect(clippy::disallowed_methods, reason = "the body is limited on the same line")]
async fn read(body: Incoming) -> Result<Bytes, String> {
    let whole = tokio::time::timeout(PATIENCE, Limited::new(body, MAX_BYTES).collect()).await;
    let whole = whole.map_err(|_| "the form did not arrive in time".to_owned())?;
    Ok(whole.map_err(|error| format!("the form cannot be read: {error}"))?.to_bytes())
}

/// The one `logout_token` in a form. A JWT is letters, digits, `-`, `_` and dots: nothing of it need be
/// escaped, and an escaped one is decoded all the same.
fn logout_token(form: &[u8]) -> Option<String> {
    let form = std::str::from_utf8(form).ok()?;
    let mut tokens = form.split('&').filter_map(|pair| pair.strip_prefix("logout_token="));
    let (token, more) = (tokens.next()?, tokens.next());
    if more.is_some() || token.contains('+') {
        return None;
    }
    let token = percent_encoding::percent_decode_str(token).decode_utf8().ok()?;
    (!token.is_empty()).then(|| token.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_one_token() {
        assert_eq!(logout_token(b"logout_token=a.b.c").as_deref(), Some("a.b.c"));
        assert_eq!(logout_token(b"x=1&logout_token=a%2Eb.c&y").as_deref(), Some("a.b.c"));
        for form in [
            &b""[..],
            b"logout_token=",
            b"logout_token=a&logout_token=b",
            b"token=a",
            b"logout_token=a+b",
            b"\xff",
        ] {
            assert_eq!(logout_token(form), None, "{}", String::from_utf8_lossy(form));
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// However it is escaped and whatever stands beside it, the token comes back, and only one does.
        #[test]
        fn a_token_comes_back_however_it_is_escaped(
            token in "[A-Za-z0-9_-]{1,20}(\\.[A-Za-z0-9_-]{1,20}){2}", escaped in proptest::bool::ANY,
            before in "([a-z]{1,5}=[a-z0-9%+]{0,5}&){0,3}", after in "(&[a-z]{1,5}=[a-z0-9%+]{0,5}){0,3}",
        ) {
            let hex = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            let written = if escaped { hex(&token) } else { token.clone() };
            let form = format!("{before}logout_token={written}{after}");
            proptest::prop_assert_eq!(logout_token(form.as_bytes()), Some(token));
            let twice = format!("{form}&logout_token={written}");
            proptest::prop_assert_eq!(logout_token(twice.as_bytes()), None);
        }
    }

    #[test]
    fn no_resource_can_have_the_path() {
        assert_eq!(issuer("/.well-known/portcullis/backchannel-logout/corp"), Some("corp"));
        assert_eq!(issuer("/llama/v1/models"), None);
        assert!(model::ResourceName::new(".well-known").is_err());
    }
}
