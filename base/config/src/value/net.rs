//! URLs, hosts and headers.

use std::net::IpAddr;

use http::{HeaderName, Uri};

use super::Wrong;
use crate::fault::shown;

/// Longest URL, in bytes.
const MOST_URL: usize = 2048;

/// An absolute `http` or `https` URL without user, query and fragment.
pub(crate) fn url(text: &str) -> Result<Uri, Wrong> {
    if may_hold_secret(text) {
        return Err("a URL here has no user, query or fragment; a secret goes under `credential`".to_owned());
    }
    let fault = |why: &str| format!("{} is not a URL that can be used: {why}", shown(text));
    if text.len() > MOST_URL {
        return Err(format!("the URL is longer than {MOST_URL} bytes"));
    }
    let uri: Uri = text.parse().map_err(|_| fault("it cannot be read"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(fault("it does not begin with `http://` or `https://`"));
    }
    let Some(authority) = uri.authority() else { return Err(fault("it names no host")) };
    let bare = authority.as_str().len() == authority.host().len();
    if authority.host().is_empty() {
        Err(fault("it names no host"))
    } else if !bare && authority.port_u16().is_none_or(|port| port == 0) {
        Err(fault("its port is not between 1 and 65535"))
    } else {
        Ok(uri)
    }
}

/// The same, which may have a query: some issuers tell their key sets apart by it.
pub(crate) fn link(text: &str) -> Result<Uri, Wrong> {
    let (base, query) = text.split_once('?').unwrap_or((text, ""));
    url(base)?;
    let uri: Result<Uri, _> = text.parse();
    match uri {
        Ok(uri) if !may_hold_secret(query) && text.len() <= MOST_URL => Ok(uri),
        _ => Err("the URL's query cannot be used".to_owned()),
    }
}

/// Whether a URL has parts that people put passwords and tokens into. It is never repeated then.
pub(crate) fn may_hold_secret(url: &str) -> bool {
    url.contains(['@', '?', '#'])
}

/// Whether a host, as an URL writes it, is this machine by its name or number alone.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A host name (RFC 1123, section 2.1) or address without port, in lower case.
pub(crate) fn host(text: &str) -> Result<String, Wrong> {
    if text.parse::<IpAddr>().is_ok() || is_dns_name(text) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("{} is no host name", shown(text)))
    }
}

/// A domain of e-mail addresses, in lower case.
pub(crate) fn domain(text: &str) -> Result<String, Wrong> {
    let bare = text.strip_prefix('@').unwrap_or(text);
    if text != bare && is_dns_name(bare) {
        Err(format!("{} is written without `@`", shown(text)))
    } else if is_dns_name(bare) && bare.contains('.') {
        Ok(bare.to_ascii_lowercase())
    } else {
        Err(format!("{} is no domain", shown(text)))
    }
}

fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Headers that the gateway itself governs: framing, connection, encoding, and whom a request is from.
const GOVERNED: [&str; 20] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-http-method-override",
    "x-real-ip",
];

/// A header's name, in lower case, that a configuration may speak of.
pub(crate) fn header(text: &str) -> Result<HeaderName, Wrong> {
    let name: HeaderName = text.parse().map_err(|_| format!("{} is no header's name", shown(text)))?;
    if GOVERNED.contains(&name.as_str()) {
        Err(format!("the gateway governs {} itself", shown(name.as_str())))
    } else if name.as_str().contains('_') {
        Err(format!("{} has an underscore, which servers read as `-`", shown(text)))
    } else {
        Ok(name)
    }
}
