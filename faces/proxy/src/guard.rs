//! Who may use the proxy: the tools of the person who started it, and no web page.
//!
//! A browser on this machine can be made to send requests to any local port, by any page. So what only a
//! browser says is refused, whatever else the request has; so is a `Host` that is not this machine's own
//! name (DNS rebinding: a page whose name was made to point here); and on loopback the random key is
//! needed, which no page can know.

use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use login::random;
use model::same;
use secrecy::{ExposeSecret, SecretString};

/// Where tools put their key.
pub(crate) const KEY_HEADERS: [&str; 3] = ["authorization", "x-api-key", "api-key"];
/// What a browser says of itself, and nobody else does.
const BROWSER_HEADERS: [&str; 3] = ["origin", "sec-fetch-site", "access-control-request-method"];

/// What is asked of a request at one listener.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// Names and ports this listener is reached by.
    hosts: Vec<String>,
    /// Needed where other users could connect.
    key: Option<SecretString>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum No {
    Browser,
    Host,
    Key,
    Path,
}

impl No {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Browser => StatusCode::FORBIDDEN,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Key => StatusCode::UNAUTHORIZED,
            Self::Path => StatusCode::BAD_REQUEST,
        }
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Browser => "browser_refused",
            Self::Host => "host_refused",
            Self::Key => "key_refused",
            Self::Path => "path_refused",
        }
    }

    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Browser => {
                "This port is for programs, not for web pages: a request with `Origin` is refused."
            }
            Self::Host => {
                "The `Host` header names another host than this port: use the base URL the proxy printed."
            }
            Self::Key => "The key is missing or wrong: use the one the proxy printed when it started.",
            Self::Path => "The path can be read in more than one way, and is refused.",
        }
    }
}

impl Guard {
    /// For a port on loopback, with a new key.
    pub(crate) fn of_port(port: u16) -> Result<Self, login::LoginError> {
        let names = ["127.0.0.1", "localhost"];
        let mut hosts: Vec<String> = names.iter().map(|name| format!("{name}:{port}")).collect();
        if port == 80 {
            // The port of the scheme is left out.
            hosts.extend(names.map(str::to_owned));
        }
        Ok(Self { hosts, key: Some(format!("local-{}", random()?).into()) })
    }

    /// For a Unix socket, whose peers are known by their user.
    pub(crate) fn of_socket() -> Self {
        Self { hosts: vec!["localhost".to_owned()], key: None }
    }

    pub(crate) fn key(&self) -> Option<&SecretString> {
        self.key.as_ref()
    }

    /// Whether the request may pass.
    pub(crate) fn admit(&self, head: &Parts) -> Result<(), No> {
        if BROWSER_HEADERS.iter().any(|name| head.headers.contains_key(*name)) {
            return Err(No::Browser);
        }
        if !self.is_own(head) {
            return Err(No::Host);
        }
        self.has_key(&head.headers)
    }

    /// One `Host`, and it is ours. A target with a host of its own is read by that host.
    fn is_own(&self, head: &Parts) -> bool {
        let mut named = head.headers.get_all(header::HOST).iter();
        let (Some(host), None) = (named.next(), named.next()) else { return false };
        let own = |host: &str| self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
        host.to_str().is_ok_and(own) && head.uri.authority().is_none_or(|named| own(named.as_str()))
    }

    /// Each place that holds a key holds ours, and one does.
    fn has_key(&self, headers: &HeaderMap) -> Result<(), No> {
        let Some(key) = &self.key else { return Ok(()) };
        let mut found = false;
        for name in KEY_HEADERS {
            for value in headers.get_all(name) {
                let text = value.to_str().map_err(|_| No::Key)?.trim();
                let said = match name {
                    "authorization" => {
                        let (scheme, said) = text.split_once(' ').unwrap_or((text, ""));
                        if !scheme.eq_ignore_ascii_case("bearer") {
                            return Err(No::Key);
                        }
                        said.trim()
                    }
                    _ => text,
                };
                if said.is_empty() {
                    continue;
                }
                if !same(said, key.expose_secret()) {
                    return Err(No::Key);
                }
                found = true;
            }
        }
        found.then_some(()).ok_or(No::Key)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::post("/v1/chat/completions");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn guard() -> (Guard, String) {
        let guard = Guard::of_port(4000).unwrap();
        let key = guard.key().unwrap().expose_secret().to_owned();
        (guard, key)
    }

    #[test]
    fn the_key_opens_wherever_an_sdk_puts_it() {
        let (guard, key) = guard();
        let bearer = format!("Bearer {key}");
        for (name, value) in [("authorization", &bearer), ("x-api-key", &key), ("api-key", &key)] {
            for host in ["127.0.0.1:4000", "localhost:4000", "LOCALHOST:4000"] {
                assert_eq!(guard.admit(&head(&[("host", host), (name, value)])), Ok(()), "{name} {host}");
            }
        }
        let both = [("host", "localhost:4000"), ("authorization", bearer.as_str()), ("x-api-key", &key)];
        assert_eq!(guard.admit(&head(&both)), Ok(()));
    }

    #[test]
    fn nobody_passes_without_it() {
        let (guard, key) = guard();
        let (bearer, basic) = (format!("Bearer {key}"), format!("Basic {key}"));
        let host = ("host", "127.0.0.1:4000");
        let short = key.get(..key.len() - 1).unwrap();
        let long = format!("{key}x");
        for headers in [
            vec![host],
            vec![host, ("x-api-key", "")],
            vec![host, ("authorization", "Bearer")],
            vec![host, ("x-api-key", short)],
            vec![host, ("x-api-key", &long)],
            vec![host, ("authorization", &basic)],
            vec![host, ("authorization", &key)],
            vec![host, ("authorization", &bearer), ("x-api-key", "other")],
            vec![host, ("x-api-key", "other"), ("x-api-key", &key)],
            vec![host, ("cookie", &key)],
        ] {
            assert_eq!(guard.admit(&head(&headers)), Err(No::Key), "{headers:?}");
        }
    }

    #[test]
    fn no_web_page_passes_even_with_it() {
        let (guard, key) = guard();
        for (name, value) in [
            ("origin", "https://evil.example.test"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1:4000"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-origin"),
        ] {
            let headers = [("host", "127.0.0.1:4000"), ("x-api-key", key.as_str()), (name, value)];
            assert_eq!(guard.admit(&head(&headers)), Err(No::Browser), "{name}: {value}");
        }
    }

    #[test]
    fn no_other_host_is_this_one() {
        let (guard, key) = guard();
        let key = ("x-api-key", key.as_str());
        for host in [
            "evil.example.test:4000",
            "127.0.0.1",
            "127.0.0.1:4001",
            "localhost",
            "0.0.0.0:4000",
            "127.0.0.1:4000.",
            "127.0.0.1:4000@evil.example.test",
            "[::1]:4000",
            "",
        ] {
            assert_eq!(guard.admit(&head(&[("host", host), key])), Err(No::Host), "{host}");
        }
        assert_eq!(guard.admit(&head(&[key])), Err(No::Host));
        let twice = [("host", "127.0.0.1:4000"), ("host", "127.0.0.1:4000"), key];
        assert_eq!(guard.admit(&head(&twice)), Err(No::Host));
        let mut absolute = head(&[("host", "127.0.0.1:4000"), key]);
        absolute.uri = "http://evil.example.test/v1".parse().unwrap();
        assert_eq!(guard.admit(&absolute), Err(No::Host));
    }

    #[test]
    fn a_socket_needs_no_key_and_takes_no_page() {
        let guard = Guard::of_socket();
        assert_eq!(guard.admit(&head(&[("host", "localhost")])), Ok(()));
        assert_eq!(guard.admit(&head(&[("host", "localhost"), ("origin", "null")])), Err(No::Browser));
        assert_eq!(guard.admit(&head(&[("host", "evil.example.test")])), Err(No::Host));
    }

    proptest! {
        #[test]
        fn nothing_else_is_the_key(said in "[ -~]{0,80}") {
            let (guard, _) = guard();
            let headers = [("host", "127.0.0.1:4000"), ("x-api-key", said.as_str())];
            prop_assert_eq!(guard.admit(&head(&headers)), Err(No::Key));
        }
    }
}
