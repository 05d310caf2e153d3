//! HashiCorp Vault and OpenBao: one field of a secret in a key-value engine, read over their HTTP interface.
//!
//! `GET /v1/MOUNT/PATH` for the engine without versions, `GET /v1/MOUNT/data/PATH` for the one with, as
//! their API documentation says (<https://developer.hashicorp.com/vault/api-docs/secret/kv>).

use config::{VaultEngine, VaultSecret};
use dial::{Fetched, Fetcher};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
use zeroize::Zeroizing;

use crate::error::CredentialError;
use crate::source::{Form, fit, read_place};

/// The largest answer, in bytes: a secret with the fields beside it.
const MAX_ANSWER: usize = 1 << 20;
const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");

/// Reads the field.
pub(crate) async fn read(
    vault: &VaultSecret,
    fetcher: &Fetcher,
    form: Form,
) -> Result<SecretString, CredentialError> {
    let token = read_place(&vault.token, Form::Line).await?;
    let url = url(vault).ok_or_else(|| answer(vault, "its address cannot be written"))?;
    let headers = headers(vault, &token).ok_or_else(|| CredentialError::Unfit {
        whence: vault.token.to_string(),
        why: "does not fit a header",
    })?;
    let fetched = fetcher.get(&url, &headers, MAX_ANSWER).await?;
    field(vault, &fetched, form)
}

fn url(vault: &VaultSecret) -> Option<Uri> {
    let VaultSecret { mount, path, .. } = vault;
    let path = match vault.engine {
        VaultEngine::V1 => format!("/v1/{mount}/{path}"),
        VaultEngine::V2 => format!("/v1/{mount}/data/{path}"),
    };
    let mut parts = vault.url.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

fn headers(vault: &VaultSecret, token: &SecretString) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    let mut token = HeaderValue::from_str(token.expose_secret()).ok()?;
    token.set_sensitive(true);
    headers.insert(TOKEN, token);
    // Without it a Vault Agent that guards against forged requests says no.
    headers.insert(REQUEST, HeaderValue::from_static("true"));
    if let Some(namespace) = &vault.namespace {
        headers.insert(NAMESPACE, HeaderValue::from_str(namespace).ok()?);
    }
    Some(headers)
}

/// What both engines answer: a secret's fields, or, in the one with versions, a wrapper of them.
#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The field out of an answer.
pub(crate) fn field(
    vault: &VaultSecret,
    fetched: &Fetched,
    form: Form,
) -> Result<SecretString, CredentialError> {
    match fetched.status {
        StatusCode::OK => {}
        status => {
            let why = match status.as_u16() {
                400 => "the request does not fit; look at `engine`, `mount` and `path`",
                403 => "its token may not read this, or is not valid; look at `token` and the policies there",
                404 => "no secret is there, or it is deleted; look at `engine`, `mount` and `path`",
                429 | 472 | 473 => "it is a standby; name the active server",
                503 => "it is sealed, or under maintenance",
                _ => "no secret came",
            };
            return Err(CredentialError::Refused { who: who(vault), status: status.as_u16(), why });
        }
    }
    let read = |text: &str| {
        let outer: Outer<'_> = serde_json::from_str(text).ok()?;
        Some(Zeroizing::new(outer.data?.get().to_owned()))
    };
    let text = std::str::from_utf8(&fetched.body).map_err(|_| answer(vault, "it is no text"))?;
    let mut data = read(text);
    if vault.engine == VaultEngine::V2 {
        data = data.and_then(|data| read(&data));
    }
    let data = data.ok_or_else(|| answer(vault, "it holds no secret; look at `engine`"))?;
    let fields: HashMap<String, &RawValue> =
        serde_json::from_str(&data).map_err(|_| answer(vault, "it holds no fields; look at `engine`"))?;
    let field = fields.get(&vault.field).ok_or_else(|| answer(vault, "the secret has no such field"))?;
    let text: String =
        serde_json::from_str(field.get()).map_err(|_| answer(vault, "the field is no text"))?;
    let text = Zeroizing::new(text);
    fit(&text, form, || who(vault))
}

fn answer(vault: &VaultSecret, why: &'static str) -> CredentialError {
    CredentialError::Answer { who: who(vault), why }
}

fn who(vault: &VaultSecret) -> String {
    let host = vault.url.authority().map(ToString::to_string).unwrap_or_default();
    format!("the vault at {host} (`{}/{}`, field `{}`)", vault.mount, vault.path, vault.field)
}

#[cfg(test)]
mod tests;
