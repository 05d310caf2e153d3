//! The console.

use super::Base;
use super::resource::secret;
use crate::fault::shown;
use crate::reader::Mapping;
use crate::usable::{Admin, Console, Issuer, IssuerKind, Session, SignIn};
use crate::value;

/// The console, if the file has one. The outer `None` says that something is wrong, and noted.
pub(super) fn console(
    file: &Mapping<'_>,
    base: &Base,
    issuers: &[Issuer],
    admin: Option<&Admin>,
) -> Option<Option<Console>> {
    if !file.has("console") {
        return Some(None);
    }
    let section = file.section("console")?;
    if admin.is_none_or(|admin| admin.listener.is_none()) {
        section.fault("there is no listener that browsers could reach it by", "`admin` with an `address`");
    }
    let origin = section.parse("url", origin);
    if let Some(item) = section.item("sign_in")
        && item.is_empty()
    {
        item.fault("no issuer is here, so nobody could sign in", "at least one name from `issuers`");
    }
    let named = section.named("sign_in").into_iter();
    let sign_in = named.filter_map(|(name, item)| sign_in(name, &item.section()?, base, issuers)).collect();
    let session = section.section("session").map(|session| ends(&session));
    Some(Some(Console { origin: origin?, sign_in, session: session? }))
}

/// An origin as browsers write it (RFC 6454, section 6.2), so that it can be compared with what they send.
fn origin(text: &str) -> Result<String, String> {
    let uri = value::url(text)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(format!("{} is no URL of a console", shown(text)));
    };
    if uri.path() != "/" {
        return Err("the console has a host of its own: its cookie is for all of it".to_owned());
    }
    if scheme == "http" && !value::is_loopback(authority.host()) {
        return Err(
            "this URL is plain HTTP: a session's cookie would travel readable; use `https`".to_owned()
        );
    }
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = authority.port_u16().filter(|port| *port != usual);
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{scheme}://{}{port}", authority.host().to_ascii_lowercase()))
}

fn sign_in(name: String, section: &Mapping<'_>, base: &Base, issuers: &[Issuer]) -> Option<SignIn> {
    match issuers.iter().find(|issuer| issuer.name == name) {
        None => section.fault(format!("no issuer is called {}", shown(&name)), "a name from `issuers`"),
        Some(issuer) if issuer.kind == IssuerKind::Workload => {
            section
                .fault(format!("{} is an issuer for programs", shown(&name)), "an issuer of people's tokens");
        }
        Some(_) => {}
    }
    let scopes = section.list("scopes", scope);
    if !scopes.is_empty() && !scopes.iter().any(|scope| scope == "openid") {
        section.fault("without the scope `openid` the issuer gives no ID token", "`openid` among `scopes`");
    }
    let client_secret = match section.has("client_secret") {
        true => Some(secret(section, "client_secret", base)?),
        false => None,
    };
    Some(SignIn { issuer: name, client_id: section.text("client_id")?, client_secret, scopes })
}

/// A scope (RFC 6749, section 3.3): printable ASCII without blank, quote and backslash.
fn scope(text: &str) -> Result<String, String> {
    let fits = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    match !text.is_empty() && text.bytes().all(fits) {
        true => Ok(text.to_owned()),
        false => Err(format!("{} is no scope", shown(text))),
    }
}

fn ends(section: &Mapping<'_>) -> Session {
    let session = Session {
        idle: section.duration("idle"),
        absolute: section.duration("absolute"),
        recheck: section.duration("recheck"),
        most: section.number("most"),
    };
    if session.idle > session.absolute {
        section.fault("`idle` is longer than `absolute`, so it would end nothing", "the shorter of the two");
    }
    session
}
