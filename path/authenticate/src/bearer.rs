//! Where a request carries its token: where unmodified SDKs put their key.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::AuthenticateError;

/// Headers that hold a token and nothing else: Anthropic's SDK and Azure's.
const BARE: [&str; 2] = ["x-api-key", "api-key"];

/// The one token in `headers`. The same token in several places counts once.
///
/// # Errors
/// [`AuthenticateError::Missing`] when there is none; [`AuthenticateError::Presented`] when there are
/// two that differ, since whoever reads the request next might choose the other.
pub(crate) fn token(headers: &HeaderMap) -> Result<&str, AuthenticateError> {
    let unread = AuthenticateError::Presented;
    let mut found: Option<&str> = None;
    let authorization = headers.get_all(AUTHORIZATION).iter().map(|value| (true, value));
    let bare = BARE.iter().flat_map(|name| headers.get_all(*name)).map(|value| (false, value));
    for (schemed, value) in authorization.chain(bare) {
        let text = value
            .to_str()
            .map_err(|_| unread("The header that should hold the token is no plain text."))?
            .trim();
        let token = if schemed {
            let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
            if !scheme.eq_ignore_ascii_case("bearer") && !text.is_empty() {
                return Err(unread(
                    "The `Authorization` header holds something else than `Bearer` and a token.",
                ));
            }
            token.trim()
        } else {
            text
        };
        match found {
            _ if token.is_empty() => {}
            Some(other) if other != token => {
                return Err(unread("The request carries more than one token, and they differ."));
            }
            _ => found = Some(token),
        }
    }
    found.ok_or(AuthenticateError::Missing)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::token;
    use crate::AuthenticateError;

    fn from(headers: &[(&'static str, &'static [u8])]) -> Result<String, &'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        token(&map).map(str::to_owned).map_err(|error| match error {
            AuthenticateError::Missing => "missing",
            AuthenticateError::Presented(_) => "presented",
            other => panic!("{other}"),
        })
    }

    #[test]
    fn comes_where_sdks_put_their_key() {
        let one = Ok("a.b.c".to_owned());
        assert_eq!(from(&[("authorization", b"Bearer a.b.c")]), one);
        assert_eq!(from(&[("authorization", b"bEARER   a.b.c ")]), one);
        assert_eq!(from(&[("x-api-key", b"a.b.c")]), one);
        assert_eq!(from(&[("api-key", b"a.b.c")]), one);
        assert_eq!(from(&[("x-api-key", b"a.b.c"), ("authorization", b"Bearer a.b.c")]), one);
        assert_eq!(from(&[("x-api-key", b""), ("authorization", b"Bearer a.b.c")]), one);
    }

    #[test]
    fn is_missing_when_nothing_holds_it() {
        assert_eq!(from(&[]), Err("missing"));
        assert_eq!(from(&[("cookie", b"a.b.c")]), Err("missing"));
        assert_eq!(from(&[("authorization", b"Bearer")]), Err("missing"));
        assert_eq!(from(&[("authorization", b"Bearer "), ("x-api-key", b" ")]), Err("missing"));
    }

    #[test]
    fn is_refused_when_two_readers_could_differ() {
        let differ: [&[(&str, &[u8])]; 6] = [
            &[("authorization", b"Bearer a.b.c"), ("x-api-key", b"a.b.d")],
            &[("authorization", b"Bearer a.b.c"), ("authorization", b"Bearer a.b.d")],
            &[("x-api-key", b"a.b.c"), ("api-key", b"a.b.d")],
            &[("authorization", b"Basic YTpi")],
            &[("authorization", b"Basic YTpi"), ("x-api-key", b"a.b.c")],
            &[("authorization", b"Bearer a.\xff.c")],
        ];
        for headers in differ {
            assert_eq!(from(headers), Err("presented"), "{headers:?}");
        }
    }
}
