//! Refuses requests whose framing or addressing two servers could read in two ways.

use http::header::{self, HeaderName};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, Version};
use model::{Code, Refusal};

use crate::head::Ambiguity;

/// Headers that must not come twice: servers differ in which one they take.
const ONCE: [HeaderName; 6] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::EXPECT,
];

/// Headers some frameworks let replace the method.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// What `connection` may name. Anything else would ask a server to drop a header another one reads.
const CONNECTION_OPTIONS: [&str; 4] = ["close", "keep-alive", "te", "upgrade"];

/// Checks that a request head can be read in one way only: its framing, its address, its method.
/// [`crate::Door`] notes in the head's extensions what hyper would have resolved in silence, so this must
/// be given the head as the door handed it over.
///
/// # Errors
/// A refusal that names the header or rule at fault.
pub fn framing(head: &Parts) -> Result<(), Refusal> {
    if let Some(ambiguity) = head.extensions.get::<Ambiguity>() {
        return Err(refuse(ambiguity.reason()));
    }
    no_tunnel(head)?;
    for name in &ONCE {
        if head.headers.get_all(name).iter().nth(1).is_some() {
            return Err(refuse(format!("The header `{name}` comes more than once.")));
        }
    }
    if let Some(name) = head.headers.keys().find(|name| name.as_str().contains('_')) {
        return Err(refuse(format!("The header name `{name}` has an underscore.")));
    }
    if let Some(name) = METHOD_OVERRIDES.into_iter().find(|name| head.headers.contains_key(*name)) {
        return Err(refuse(format!("The header `{name}` would replace the request's method.")));
    }
    body(&head.headers)?;
    connection(&head.headers)?;
    address(head)
}

fn refuse(reason: impl Into<String>) -> Refusal {
    Refusal::new(Code::HeaderRefused).because(reason)
}

/// A tunnel would carry bytes that nobody judges.
fn no_tunnel(head: &Parts) -> Result<(), Refusal> {
    let not_supported = |what: &str| Err(Refusal::new(Code::NotSupported).because(what));
    if head.method == Method::CONNECT {
        return not_supported("CONNECT is not supported.");
    }
    if head.headers.contains_key(header::UPGRADE) {
        return not_supported(
            "WebSockets, and other changes of the protocol (`upgrade`), are not supported yet.",
        );
    }
    Ok(())
}

fn body(headers: &HeaderMap) -> Result<(), Refusal> {
    if let Some(coding) = headers.get(header::TRANSFER_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"chunked")
    {
        return Err(refuse(Ambiguity::Coding.reason()));
    }
    if let Some(expected) = headers.get(header::EXPECT)
        && !expected.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        return Err(refuse("The header `expect` asks for something else than `100-continue`."));
    }
    Ok(())
}

fn connection(headers: &HeaderMap) -> Result<(), Refusal> {
    for value in headers.get_all(header::CONNECTION) {
        let known = value.to_str().is_ok_and(|text| {
            text.split(',').map(str::trim).all(|option| {
                option.is_empty() || CONNECTION_OPTIONS.iter().any(|k| option.eq_ignore_ascii_case(k))
            })
        });
        if !known {
            return Err(refuse("The header `connection` names something else than the connection."));
        }
    }
    Ok(())
}

/// One host, said once: in `host`, in the request line or in `:authority` (RFC 9110, section 7.2).
fn address(head: &Parts) -> Result<(), Refusal> {
    let from_uri = head.uri.authority();
    let Some(host) = head.headers.get(header::HOST) else {
        let needed = head.version != Version::HTTP_10 && from_uri.is_none();
        return if needed { Err(refuse("The request names no host.")) } else { plain(from_uri) };
    };
    let host: Authority =
        host.as_bytes().try_into().map_err(|_| refuse("The header `host` is not a host with a port."))?;
    plain(Some(&host))?;
    plain(from_uri)?;
    match from_uri {
        Some(other) if !other.as_str().eq_ignore_ascii_case(host.as_str()) => {
            Err(refuse("The header `host` differs from the host the request is addressed to."))
        }
        _ => Ok(()),
    }
}

/// A user name before the host would make two servers see two hosts.
fn plain(authority: Option<&Authority>) -> Result<(), Refusal> {
    match authority {
        Some(authority) if authority.as_str().contains('@') => {
            Err(refuse("The request's host has a user name before it."))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn check(build: http::request::Builder) -> Result<(), Code> {
        framing(&build.body(()).unwrap().into_parts().0).map_err(|refusal| refusal.code)
    }

    fn ok() -> http::request::Builder {
        Request::post("/v1/chat/completions").header("host", "gateway:8443").header("content-length", "2")
    }

    #[test]
    fn plain_requests_pass() {
        assert_eq!(check(ok()), Ok(()));
        assert_eq!(check(ok().header("connection", "keep-alive, TE")), Ok(()));
        assert_eq!(check(ok().header("expect", "100-Continue")), Ok(()));
        assert_eq!(check(Request::get("https://Gateway/v1").version(Version::HTTP_2)), Ok(()));
        let same = Request::get("http://Gateway/v1").header("host", "gateway");
        assert_eq!(check(same), Ok(()));
    }

    #[test]
    fn ambiguity_is_refused() {
        let refused = Err(Code::HeaderRefused);
        assert_eq!(check(Request::get("/v1")), refused);
        assert_eq!(check(ok().header("host", "gateway:8443")), refused);
        assert_eq!(check(ok().header("host", "other")), refused);
        assert_eq!(check(Request::get("/").header("host", "user@gateway")), refused);
        assert_eq!(check(Request::get("/").header("host", "a b")), refused);
        assert_eq!(check(Request::get("http://other/").header("host", "gateway")), refused);
        let h2 = Request::get("https://a/").version(Version::HTTP_2).header("host", "b");
        assert_eq!(check(h2), refused);
        assert_eq!(check(ok().header("x_user", "root")), refused);
        assert_eq!(check(ok().header("X-HTTP-Method-Override", "DELETE")), refused);
        assert_eq!(check(ok().header("connection", "close, authorization")), refused);
        assert_eq!(check(ok().header("transfer-encoding", "gzip, chunked")), refused);
        assert_eq!(check(ok().header("expect", "the worst")), refused);
        assert_eq!(check(ok().header("content-type", "a/b").header("content-type", "c/d")), refused);
        assert_eq!(check(ok().extension(Ambiguity::LengthAndCoding)), refused);
    }

    #[test]
    fn tunnels_are_refused() {
        let refused = Err(Code::NotSupported);
        assert_eq!(check(ok().header("upgrade", "websocket").header("connection", "upgrade")), refused);
        assert_eq!(check(Request::connect("gateway:443").header("host", "gateway:443")), refused);
    }
}
