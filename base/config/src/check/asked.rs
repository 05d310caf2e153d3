//! What issuers are asked, and what they tell: opaque tokens, userinfo, logout.

use super::Base;
use super::identity::url;
use super::resource::secret;
use crate::fault::shown;
use crate::reader::{Mapping, WordOr};
use crate::usable::{BackchannelLogout, ClientAuth, Introspection, Issuer, Userinfo};
use crate::value;

/// The section at `key` of an issuer and whether any URL in it is plain HTTP; none when it is not there.
type Asked<T> = Option<(T, bool)>;

pub(super) fn introspection(issuer: &Mapping<'_>, base: &Base) -> Asked<Introspection> {
    let section = section(issuer, "introspection")?;
    let (url, plain) = place(issuer, &section);
    let client_auth = match section.choice("client_auth") {
        Some("post") => ClientAuth::Post,
        _ => ClientAuth::Basic,
    };
    let prefix = if section.has("prefix") { Some(section.parse("prefix", prefix)?) } else { None };
    let client_secret = secret(&section, "client_secret", base);
    let introspection = Introspection {
        url,
        client_id: section.text("client_id")?,
        client_secret: client_secret?,
        client_auth,
        prefix,
        clients: section.list("clients", value::text),
        cache: section.duration("cache"),
    };
    Some((introspection, plain))
}

pub(super) fn userinfo(issuer: &Mapping<'_>) -> Asked<Userinfo> {
    if !issuer.has("userinfo") {
        return None;
    }
    match issuer.item("userinfo")?.word_or_section()? {
        WordOr::Word(_) => {
            nowhere(issuer, "userinfo");
            Some((Userinfo::default(), false))
        }
        WordOr::Section(section) => {
            let (url, plain) = place(issuer, &section);
            Some((Userinfo { url }, plain))
        }
    }
}

pub(super) fn backchannel_logout(issuer: &Mapping<'_>) -> Option<BackchannelLogout> {
    let section = section(issuer, "backchannel_logout")?;
    let audiences = section.list("audiences", value::text);
    Some(BackchannelLogout { audiences, token_types: section.list("token_types", value::text) })
}

/// Notes issuers between which an opaque token could not choose: it would be shown to the wrong one.
pub(super) fn told_apart(file: &Mapping<'_>, issuers: &[Issuer]) {
    let prefixes: Vec<(&str, &str)> = issuers
        .iter()
        .filter_map(|issuer| {
            let asked = issuer.introspection.as_ref()?;
            Some((issuer.name.as_str(), asked.prefix.as_deref().unwrap_or_default()))
        })
        .collect();
    for (at, (name, prefix)) in prefixes.iter().enumerate() {
        for (other, earlier) in prefixes.iter().take(at) {
            if (prefix.starts_with(earlier) || earlier.starts_with(prefix))
                && let Some(item) = file.item("issuers")
            {
                item.fault(
                    format!(
                        "an opaque token could be meant for {} and for {}, and would be shown to the wrong one",
                        shown(other),
                        shown(name)
                    ),
                    "`introspection` of one issuer, or a `prefix` for each of which none begins another",
                );
            }
        }
    }
}

fn section<'a>(issuer: &Mapping<'a>, key: &'static str) -> Option<Mapping<'a>> {
    if issuer.has(key) { issuer.section(key) } else { None }
}

/// The URL to ask, and whether it is plain HTTP.
fn place(issuer: &Mapping<'_>, section: &Mapping<'_>) -> (Option<String>, bool) {
    if !section.has("url") {
        nowhere(issuer, "url");
        return (None, false);
    }
    url(section, "url").map_or((None, false), |(url, plain)| (Some(url), plain))
}

/// Notes that nothing says where to ask: with `jwks` there is no discovery.
fn nowhere(issuer: &Mapping<'_>, key: &str) {
    if issuer.has("jwks") {
        issuer.fault(
            format!("with `jwks` there is no discovery, so nothing says where `{key}` would be"),
            "a `url` in that section, or no `jwks`",
        );
    }
}

/// The beginning of tokens: what a header can carry, and nothing a JWT could begin with.
fn prefix(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not what a token begins with: 1 to 64 letters, digits and `-._~+/`", shown(text)))
    }
}
