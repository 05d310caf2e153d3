//! Logins.

use crate::fault::shown;
use crate::reader::Mapping;
use crate::usable::{IssuerLogin, LOGIN_METADATA_PATH};
use crate::value;

/// The login of an issuer whose tokens are accepted for `audiences`.
pub(super) fn login(section: &Mapping<'_>, audiences: &[String]) -> Option<IssuerLogin> {
    let client_id = section.text("client_id");
    let scopes = section.list("scopes", scope);
    let redirect_uri = section.parse("redirect_uri", redirect_uri);
    let id_token = section.choice("token") == Some("id");
    if let Some(client_id) = &client_id
        && id_token
        && !audiences.contains(client_id)
    {
        section.fault(
            format!("the audience of an ID token is {}, which `audiences` does not hold", shown(client_id)),
            "`client_id` among `audiences`, or `token: access`",
        );
    }
    Some(IssuerLogin {
        client_id: client_id?,
        scopes,
        resource: section.text("resource"),
        audience: section.text("audience"),
        id_token,
        prompt: section.text("prompt"),
        redirect_uri: redirect_uri?,
    })
}

/// Whether a path is the gateway's own, on a host that is a resource's too.
pub(super) fn is_metadata(path: &str) -> bool {
    path.strip_prefix(LOGIN_METADATA_PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// One scope (RFC 6749, section 3.3).
fn scope(text: &str) -> Result<String, value::Wrong> {
    let scope = value::text(text)?;
    match scope.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\')) {
        true => Ok(scope),
        false => Err(format!("{} is no scope: each stands by itself, without spaces", shown(text))),
    }
}

fn redirect_uri(text: &str) -> Result<String, value::Wrong> {
    let uri = value::url(text)?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some("127.0.0.1" | "localhost")) => Ok(text.to_owned()),
        _ => Err(format!(
            "{} is not on the person's own machine: write `http://127.0.0.1/callback` or the like",
            shown(text)
        )),
    }
}
