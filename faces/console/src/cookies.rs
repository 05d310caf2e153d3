//! The two cookies: the session's, and that of a sign-in under way. Both are `__Host-` cookies: only this
//! host over a secure connection can set them, no other host or path shares them, no script reads them.

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// Names the session.
pub(crate) const SESSION: &str = "__Host-portcullis";
/// Holds a sign-in under way.
pub(crate) const ATTEMPT: &str = "__Host-portcullis-sign-in";

/// The value of the cookie `name`. None also when it comes twice and differs: which would be meant?
pub(crate) fn read<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut found = None;
    for header in headers.get_all(COOKIE) {
        for pair in header.to_str().ok()?.split(';') {
            let Some((key, value)) = pair.trim().split_once('=') else { continue };
            if key != name {
                continue;
            }
            if found.is_some_and(|other| other != value) {
                return None;
            }
            found = Some(value);
        }
    }
    found
}

/// A cookie for at most `lasts`. The value is of the cookie's alphabet already. None when no header could
/// hold it.
pub(crate) fn set(name: &str, value: &str, lasts: Duration) -> Option<HeaderValue> {
    let age = lasts.as_secs();
    let text = format!("{name}={value}; Max-Age={age}; Path=/; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::from_str(&text).ok()
}

/// Takes a cookie back.
pub(crate) fn clear(name: &str) -> Option<HeaderValue> {
    set(name, "", Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(cookies: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, HeaderValue::from_static(cookie));
        }
        read(&headers, SESSION).map(str::to_owned)
    }

    #[test]
    fn one_reading_or_none() {
        assert_eq!(from(&["a=b; __Host-portcullis=x; c=d"]).as_deref(), Some("x"));
        assert_eq!(from(&["a=b", "__Host-portcullis=x"]).as_deref(), Some("x"));
        assert_eq!(from(&["__Host-portcullis=x; __Host-portcullis=x"]).as_deref(), Some("x"));
        assert_eq!(from(&["__Host-portcullis=x; __Host-portcullis=y"]), None);
        assert_eq!(from(&["__Host-portcullis=x", "__Host-portcullis=y"]), None);
        assert_eq!(
            from(&["__host-portcullis=x", "x__Host-portcullis=x", "__Host-portcullis-sign-in=y"]),
            None
        );
        assert_eq!(from(&[]), None);
    }

    #[test]
    fn every_attribute_is_there() {
        let cookie = set(SESSION, "abc", Duration::from_secs(60)).unwrap();
        let text = "__Host-portcullis=abc; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax";
        assert_eq!(cookie, text);
        assert!(clear(SESSION).unwrap().to_str().unwrap().contains("=; Max-Age=0;"));
        assert_eq!(set(SESSION, "a\r\nb", Duration::ZERO), None);
    }
}
