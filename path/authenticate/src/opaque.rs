//! Opaque tokens: which issuer one is for, and what that issuer must say of it (RFC 7662).
//!
//! A token is shown to one issuer alone: the one whose `prefix` it begins with, or the only one that
//! takes opaque tokens. What begins like a JWT is never shown to anybody.

use std::sync::Arc;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use config::{ClientAuth, Introspection};
use dial::{basic, form_encoded};
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Uri};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::ask::{MAX_ANSWER_BYTES, Question, Said, claims};
use crate::digest::Digest;
use crate::error::quote;
use crate::inspect::Reading;
use crate::issuer::Issuer;
use crate::{AuthenticateError, Check};

/// The longest opaque token, in bytes.
const MAX_BYTES: usize = 8 << 10;

/// Which of `issuers` an opaque token is for, by its place. None for a JWT, or what could be one.
pub(crate) fn meant<'i>(issuers: &'i [Issuer], token: &str) -> Option<(usize, &'i Issuer)> {
    if begins_like_a_jwt(token) {
        return None;
    }
    let asked = |issuer: &'i Issuer| Some((issuer, issuer.introspection.as_ref()?));
    let mut all = issuers.iter().enumerate().filter_map(|(at, issuer)| Some((at, asked(issuer)?)));
    let by_prefix = all.clone().find(|(_, (_, settings))| {
        settings.prefix.as_deref().is_some_and(|prefix| token.starts_with(prefix))
    });
    let of_any = || {
        // Three parts without a header may be a JWT that was damaged on its way.
        let three = token.bytes().filter(|byte| *byte == b'.').count() == 2;
        all.find(|(_, (_, settings))| settings.prefix.is_none() && !three)
    };
    by_prefix.or_else(of_any).map(|(at, (issuer, _))| (at, issuer))
}

/// Reads what a careless reader would: either alphabet, bits left over or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether the part before the first dot is base64 of the beginning of a JSON object, damaged or not.
fn begins_like_a_jwt(token: &str) -> bool {
    let Some((header, _)) = token.split_once('.') else { return false };
    let letter = |b: u8| match b {
        b'+' => Some(b'-'),
        b'/' => Some(b'_'),
        b if b.is_ascii_alphanumeric() || b == b'-' || b == b'_' => Some(b),
        _ => None,
    };
    let mut letters: Vec<u8> = header.bytes().map_while(letter).collect();
    if letters.len() % 4 == 1 {
        letters.pop();
    }
    let bytes = LENIENT.decode(letters).unwrap_or_default();
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// The claims of `token`, as its issuer tells them, all of them checked but who it is about and when.
///
/// # Errors
/// The first check that failed.
pub(crate) async fn introspected(
    issuer: &Issuer,
    settings: &Introspection,
    token: &str,
    digest: &Digest,
    reading: &mut Reading,
) -> Result<Map<String, Value>, AuthenticateError> {
    reading.opaque = true;
    if token.len() > MAX_BYTES {
        return Err(AuthenticateError::Size { what: "opaque token", bytes: token.len(), limit: MAX_BYTES });
    }
    reading.pass(Check::Size);
    if !is_plain(token) {
        return Err(AuthenticateError::Inactive(
            "the token holds characters that no token has (RFC 6750, section 2.1); it was not shown to the issuer"
                .to_owned(),
        ));
    }
    let said = issuer.asker.ask(Question::Introspection, digest, || ask(issuer, settings, token)).await?;
    let members = match said {
        Said::Claims(members) => members,
        Said::No(why) | Said::Nothing(why) => return Err(AuthenticateError::Inactive(why)),
    };
    reading.claims = Some(Value::Object(Map::clone(&members)));
    reading.pass(Check::Introspection);
    let members = Arc::unwrap_or_clone(members);
    judged(issuer, settings, &members, reading)?;
    Ok(members)
}

/// RFC 6750, section 2.1: what a header can carry as a token.
fn is_plain(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

async fn ask(issuer: &Issuer, settings: &Introspection, token: &str) -> Said {
    let place = match place(issuer, settings.url.as_deref()).await {
        Ok(place) => place,
        Err(why) => return Said::Nothing(why),
    };
    // Read at each use, so that it may be replaced while the gateway runs.
    let secret = match settings.client_secret.read() {
        Ok(secret) => secret,
        Err(error) => return Said::Nothing(error.to_string()),
    };
    let (headers, form) = request(settings, &secret, token);
    let answer = issuer.provider.fetcher().post_form(&place, &headers, form, MAX_ANSWER_BYTES).await;
    match claims(answer) {
        Said::Claims(members) => match members.get("active") {
            Some(Value::Bool(true)) => Said::Claims(members),
            Some(Value::Bool(false)) => Said::No("the issuer says that the token is not active".to_owned()),
            Some(_) => Said::Nothing("its answer's `active` is neither true nor false".to_owned()),
            None => Said::Nothing("its answer has no `active`".to_owned()),
        },
        said => said,
    }
}

/// Where to ask: as configured, or as discovered.
async fn place(issuer: &Issuer, configured: Option<&str>) -> Result<Uri, String> {
    match configured {
        Some(url) => url.parse().map_err(|error| format!("`{url}` is no URL: {error}")),
        None => {
            let discovered = issuer.provider.discover().await?;
            discovered
                .introspection
                .clone()
                .ok_or_else(|| "its discovery document has no usable `introspection_endpoint`".to_owned())
        }
    }
}

/// RFC 7662, section 2.1, with the client's credentials as RFC 6749, section 2.3.1 says.
fn request(settings: &Introspection, secret: &SecretString, token: &str) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let mut form = format!("token={}&token_type_hint=access_token", form_encoded(token));
    let id = &settings.client_id;
    match settings.client_auth {
        ClientAuth::Basic => headers.extend(basic(id, secret).map(|value| (AUTHORIZATION, value))),
        ClientAuth::Post => {
            let (id, secret) = (form_encoded(id), form_encoded(secret.expose_secret()));
            form.push_str(&format!("&client_id={id}&client_secret={secret}"));
        }
    }
    (headers, Bytes::from(form))
}

/// What an active token must be besides: of this issuer, for this gateway, and an access token.
fn judged(
    issuer: &Issuer,
    settings: &Introspection,
    members: &Map<String, Value>,
    reading: &mut Reading,
) -> Result<(), AuthenticateError> {
    match members.get("iss") {
        None => {}
        Some(Value::String(said)) if *said == issuer.url => {}
        Some(said) => {
            let why = format!("the answer is about a token of {}", quote(&said.to_string()));
            return Err(AuthenticateError::Issuer(why));
        }
    }
    reading.pass(Check::Issuer);
    audience(issuer, settings, members)?;
    reading.pass(Check::Audience);
    kind(members)?;
    reading.pass(Check::Type);
    Ok(())
}

fn audience(
    issuer: &Issuer,
    settings: &Introspection,
    members: &Map<String, Value>,
) -> Result<(), AuthenticateError> {
    let wrong = |why: String| Err(AuthenticateError::Audience(why));
    let client = members.get("client_id").and_then(Value::as_str);
    if !settings.clients.is_empty()
        && !client.is_some_and(|client| settings.clients.iter().any(|c| c == client))
    {
        let client = client.map_or_else(|| "no client".to_owned(), quote);
        return wrong(format!("the token is {client}'s, which `introspection.clients` does not list"));
    }
    let claims = Value::Object(members.clone());
    match members.get("aud") {
        None if settings.clients.is_empty() => wrong(
            "the answer has no `aud`: let the issuer say it, or list the clients in `introspection.clients`"
                .to_owned(),
        ),
        None => Ok(()),
        Some(_) => {
            let said = crate::claims::audiences(&claims)?;
            if issuer.is_audience(&said) {
                return Ok(());
            }
            let said: Vec<String> = said.into_iter().take(8).map(quote).collect();
            wrong(format!("the token is for {}, which `audiences` does not list", said.join(", ")))
        }
    }
}

/// A refresh token is active too, and a token bound to a key proves nothing without that key.
fn kind(members: &Map<String, Value>) -> Result<(), AuthenticateError> {
    let wrong = |why: String| Err(AuthenticateError::Type(why));
    if members.contains_key("cnf") {
        return wrong("the token is bound to a key (`cnf`), which is not checked here".to_owned());
    }
    let said: Vec<&Value> =
        ["token_type", "token_use", "typ"].iter().filter_map(|name| members.get(*name)).collect();
    if said.is_empty() {
        return wrong("the answer does not say that it is an access token (`token_type: Bearer`)".to_owned());
    }
    for value in said {
        let text = value.as_str().unwrap_or_default();
        let fits =
            ["bearer", "access_token", "access", "at+jwt"].iter().any(|fit| text.eq_ignore_ascii_case(fit));
        if !fits {
            return wrong(format!("the token is of type {}, not an access token", quote(&value.to_string())));
        }
    }
    Ok(())
}
