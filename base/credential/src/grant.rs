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

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use proptest::prelude::*;

    use super::*;

    fn answered(status: u16, body: &str) -> Result<Granted, CredentialError> {
        let grant = TokenGrant {
            url: "https://login.test/token".parse().unwrap(),
            client_id: "gate".to_owned(),
            client_auth: ClientAuth::Basic,
            scopes: Vec::new(),
            resource: None,
            audience: None,
            ca_file: None,
            timeout: Duration::from_secs(1),
        };
        let status = StatusCode::from_u16(status).unwrap();
        granted(
            &grant,
            &Fetched { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) },
        )
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        for (expires_in, usable, lives) in [
            (r#","expires_in":3600"#, 3570, 3600),
            (r#","expires_in":100"#, 90, 100),
            (r#","expires_in":0"#, 0, 0),
            (r#","expires_in":-5"#, 0, 0),
            (r#","expires_in":1e300"#, 0, 0),
            (r#","expires_in":999999999"#, 86_370, 86_400),
            ("", 54, 60),
        ] {
            let body = format!(r#"{{"access_token":"sample-token","token_type":"Bearer"{expires_in}}}"#);
            let granted = answered(200, &body).unwrap();
            assert_eq!((granted.usable.as_secs(), granted.lives.as_secs()), (usable, lives), "{expires_in}");
            assert_eq!(granted.token.expose_secret(), "sample-token");
        }
    }

    #[test]
    fn what_is_no_bearer_token_is_refused_and_not_repeated() {
        for (status, body, told) in [
            (200, r#"{"access_token":"sample-token","token_type":"DPoP"}"#, "another type than `Bearer`"),
            (200, r#"{"access_token":"sample-token"}"#, "it is no token response"),
            (200, r#"{"access_token":"sample\n-token","token_type":"bearer"}"#, "is not one line"),
            (200, r#"{"access_token":"","token_type":"bearer"}"#, "is empty"),
            (400, r#"{"error":"invalid_scope","access_token":"sample-token"}"#, "the grant was refused"),
            (401, "", "the client or its secret is not accepted"),
            (302, "", "no token came"),
        ] {
            let Err(error) = answered(status, body) else { panic!("{status} {body}") };
            assert!(
                error.to_string().contains(told) && !error.to_string().contains("sample"),
                "{body}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_is_answered_is_a_token_or_an_error(body in ".{0,200}", status in 200_u16..600) {
            let _ = answered(status, &body).map(|granted| granted.usable);
        }
    }
}
