//! OAuth client credentials: a token for a secret (RFC 6749, section 4.4).

use std::time::Duration;

use bytes::Bytes;
use config::{ClientAuth, TokenGrant};
use dial::{Fetched, Fetcher, form_encoded};
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::CredentialError;
use crate::source::{Form, fit};

/// The largest answer, in bytes.
const MAX_ANSWER: usize = 128 << 10;
/// How long a token is believed to live whose issuer does not say.
const UNSAID: Duration = Duration::from_secs(60);
/// The longest that any is kept.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A token is renewed so long before its end, or a tenth of its life, whichever is less.
const BEFORE: Duration = Duration::from_secs(30);

/// Who grants tokens, ready to be asked.
pub(crate) struct Granter {
    grant: TokenGrant,
    fetcher: Fetcher,
}

/// A token and how long it can be used.
pub(crate) struct Granted {
    pub(crate) token: SecretString,
    /// How long it is used, from when it was asked for,
    pub(crate) usable: Duration,
    /// and how long it lives.
    pub(crate) lives: Duration,
}

impl Granter {
    pub(crate) fn build(grant: &TokenGrant) -> Result<Self, CredentialError> {
        let plain = grant.url.scheme_str() == Some("http");
        let fetcher = Fetcher::choose(plain, grant.ca_file.as_deref(), grant.timeout)?;
        Ok(Self { grant: grant.clone(), fetcher })
    }

    /// Asks for a token.
    pub(crate) async fn token(&self, secret: &SecretString) -> Result<Granted, CredentialError> {
        let grant = &self.grant;
        let mut form = Zeroizing::new("grant_type=client_credentials".to_owned());
        let mut add = |name: &str, value: &str| {
            form.push('&');
            form.push_str(name);
            form.push('=');
            form.push_str(&Zeroizing::new(form_encoded(value)));
        };
        if !grant.scopes.is_empty() {
            add("scope", &grant.scopes.join(" "));
        }
        for (name, value) in [("resource", &grant.resource), ("audience", &grant.audience)] {
            if let Some(value) = value {
                add(name, value);
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        match grant.client_auth {
            ClientAuth::Basic => {
                let value = dial::basic(&grant.client_id, secret).ok_or_else(|| CredentialError::Unfit {
                    whence: "the client's secret".to_owned(),
                    why: "does not fit a header",
                })?;
                headers.insert(AUTHORIZATION, value);
            }
            ClientAuth::Post => {
                add("client_id", &grant.client_id);
                add("client_secret", secret.expose_secret());
            }
        }
        let form = Bytes::from_owner(form);
        let fetched = self.fetcher.post_form(&grant.url, &headers, form, MAX_ANSWER).await?;
        granted(grant, &fetched)
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: Option<serde_json::Number>,
}

/// The token out of an answer (RFC 6749, section 5.1).
pub(crate) fn granted(grant: &TokenGrant, fetched: &Fetched) -> Result<Granted, CredentialError> {
    let odd = |why| CredentialError::Answer { who: who(grant), why };
    if !fetched.status.is_success() {
        let status = fetched.status.as_u16();
        let why = match status {
            400 => {
                "the grant was refused; look at `client_id`, `client_auth`, `scopes`, `resource` and `audience`"
            }
            401 => "the client or its secret is not accepted",
            429 => "too many tokens were asked for",
            _ => "no token came",
        };
        return Err(CredentialError::Refused { who: who(grant), status, why });
    }
    let answer: Answer = serde_json::from_slice(&fetched.body).map_err(|_| odd("it is no token response"))?;
    let token = Zeroizing::new(answer.access_token);
    if !answer.token_type.eq_ignore_ascii_case("bearer") {
        return Err(odd("the token is of another type than `Bearer`, which is not supported"));
    }
    let lives = match answer.expires_in {
        Some(seconds) => Duration::try_from_secs_f64(seconds.as_f64().unwrap_or(0.0)).unwrap_or_default(),
        None => UNSAID,
    };
    let lives = lives.min(LONGEST);
    let usable = lives.saturating_sub(BEFORE.min(lives / 10));
    Ok(Granted { token: fit(&token, Form::Line, || who(grant))?, usable, lives })
}

fn who(grant: &TokenGrant) -> String {
    let host = grant.url.authority().map(ToString::to_string).unwrap_or_default();
    format!("the token endpoint at {host} (client `{}`)", grant.client_id)
}
