//! What a request must be before it is looked at: for this console by name, from where it may come.

use http::request::Parts;
use http::{HeaderMap, Method, header};
use model::{Code, Refusal, same};

/// The field of every form that holds its token.
pub(crate) const FORM_TOKEN: &str = "token";

/// Checks that a request is for the console at `origin`, and that no other site made it for other purposes
/// than to bring a person here.
///
/// # Errors
/// A refusal. Nothing is known of who asks.
pub(crate) fn arrival(head: &Parts, origin: &str) -> Result<(), Refusal> {
    accept::framing(head)?;
    let host = head.uri.authority().map(http::uri::Authority::as_str);
    let host = host.or_else(|| head.headers.get(header::HOST)?.to_str().ok()).unwrap_or_default();
    let (scheme, own) = origin.split_once("://").unwrap_or(("https", origin));
    let usual = if scheme == "https" { ":443" } else { ":80" };
    if !host.eq_ignore_ascii_case(own)
        && !host.strip_suffix(usual).is_some_and(|host| host.eq_ignore_ascii_case(own))
    {
        // Else any name that leads here could be given a page (DNS rebinding).
        let why = format!("This console is at {origin}, not at the name you used.");
        return Err(Refusal::new(Code::HeaderRefused).because(why));
    }
    if head.method == Method::POST { written_here(&head.headers, origin) } else { brought(&head.headers) }
}

/// A form is sent by a page of this console alone. Every browser of today says so by `Origin`, and by
/// `Sec-Fetch-Site`.
fn written_here(headers: &HeaderMap, origin: &str) -> Result<(), Refusal> {
    let elsewhere =
        || Refusal::new(Code::HeaderRefused).because("The form was not sent by a page of this console.");
    let from = text(headers, "origin");
    if from != Some(origin) || text(headers, "sec-fetch-site").is_some_and(|site| site != "same-origin") {
        return Err(elsewhere().detail(format_args!("the origin is {from:?}")));
    }
    let kind = text(headers, "content-type").unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim() {
        "application/x-www-form-urlencoded" => Ok(()),
        _ => Err(elsewhere().detail("it is no form")),
    }
}

/// Another site may lead a person here, but not embed, load or frame anything.
fn brought(headers: &HeaderMap) -> Result<(), Refusal> {
    let site = text(headers, "sec-fetch-site").unwrap_or("none");
    let own = matches!(site, "same-origin" | "none");
    let framed = matches!(
        text(headers, "sec-fetch-dest").unwrap_or("document"),
        "iframe" | "frame" | "embed" | "object" | "fencedframe"
    );
    let led = text(headers, "sec-fetch-mode").unwrap_or("navigate") == "navigate";
    match !framed && (own || led) {
        true => Ok(()),
        false => Err(Refusal::new(Code::HeaderRefused)
            .because("Another site asked for this page without bringing you here.")),
    }
}

/// Whether a form holds the token that the page gave it.
///
/// # Errors
/// A refusal for the person, who can read the page anew.
pub(crate) fn form(body: &[u8], token: &str) -> Result<(), Refusal> {
    let mut given = form_urlencoded::parse(body).filter(|(name, _)| name == FORM_TOKEN);
    match (given.next(), given.next()) {
        (Some((_, given)), None) if same(&given, token) => Ok(()),
        _ => Err(Refusal::new(Code::HeaderRefused).because(
            "The page this form was on is of another session. Go back, read it anew, and try again.",
        )),
    }
}

/// The pairs of a query, each name once.
///
/// # Errors
/// A refusal when a name comes twice: which would be meant?
pub(crate) fn query(head: &Parts) -> Result<std::collections::BTreeMap<String, String>, Refusal> {
    let mut pairs = std::collections::BTreeMap::new();
    for (name, value) in form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
        if pairs.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(Refusal::new(Code::PathRefused).because("The address holds a name twice."));
        }
    }
    Ok(pairs)
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const ORIGIN: &str = "https://console.test:8443";

    fn judge(method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/");
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "console.test:8443");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        arrival(&request.body(()).unwrap().into_parts().0, ORIGIN).is_ok()
    }

    #[test]
    fn only_by_its_own_name() {
        assert!(judge("GET", &[]));
        assert!(judge("GET", &[("host", "Console.Test:8443")]));
        for host in [
            "console.test",
            "evil.test:8443",
            "console.test:8443.evil.test",
            "127.0.0.1:8443",
            "",
            "a.console.test:8443",
        ] {
            assert!(!judge("GET", &[("host", host)]), "{host}");
        }
    }

    #[test]
    fn forms_come_from_its_own_pages() {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let own = ("origin", ORIGIN);
        assert!(judge("POST", &[form, own]));
        assert!(judge("POST", &[form, own, ("sec-fetch-site", "same-origin")]));
        for wrong in [
            vec![form],
            vec![form, ("origin", "null")],
            vec![form, ("origin", "https://evil.test")],
            vec![form, ("origin", "https://console.test")],
            vec![form, ("origin", "http://console.test:8443")],
            vec![form, own, ("sec-fetch-site", "same-site")],
            vec![form, own, ("sec-fetch-site", "cross-site")],
            vec![own, ("content-type", "text/plain")],
            vec![own],
        ] {
            assert!(!judge("POST", &wrong), "{wrong:?}");
        }
    }

    #[test]
    fn other_sites_may_lead_here_and_no_more() {
        let cross = ("sec-fetch-site", "cross-site");
        assert!(judge("GET", &[cross, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]));
        assert!(judge(
            "GET",
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "style")]
        ));
        assert!(!judge("GET", &[cross, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")]));
        assert!(!judge("GET", &[cross, ("sec-fetch-mode", "cors")]));
        assert!(!judge("GET", &[cross, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")]));
        assert!(!judge(
            "GET",
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "object")
            ]
        ));
    }

    #[test]
    fn a_forms_token_is_there_once_and_right() {
        assert!(form(b"token=abc", "abc").is_ok());
        for wrong in [&b""[..], b"token=", b"token=abd", b"token=abc&token=abc", b"Token=abc", b"x=abc"] {
            assert!(form(wrong, "abc").is_err());
        }
    }
}
