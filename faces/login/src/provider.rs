//! An identity provider, as its discovery document describes it (OpenID Connect Discovery 1.0, RFC 8414).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dial::{Fetcher, is_loopback};
use http::{HeaderMap, Uri, header};
use model::Clock;
use secrecy::{ExposeSecret, SecretString};

use crate::answer::{self, Answered};
use crate::tokens::{Tokens, Unverified};
use crate::{IdToken, LoginError};

/// How long one document may take, from dialling to the last byte.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Who asks: the program's registration with the provider.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret, when it is a server's. A program on people's machines has none: it could keep none.
    pub secret: Option<SecretString>,
    /// The scopes to ask for, `openid` among them.
    pub scopes: Vec<String>,
    /// The resource the token is for (RFC 8707), where the provider wants it named.
    pub resource: Option<String>,
    /// The audience, for providers that take it by this name instead.
    pub audience: Option<String>,
}

/// An identity provider and its endpoints. Every endpoint is `https`, unless the issuer itself is on this
/// machine.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name, as tokens have it in `iss`.
    pub(crate) issuer: String,
    pub(crate) authorization: Option<String>,
    pub(crate) token: Uri,
    pub(crate) device: Option<Uri>,
    pub(crate) revocation: Option<Uri>,
    pub(crate) jwks: String,
    /// Its answers by the browser always carry `iss` (RFC 9207).
    pub(crate) says_iss: bool,
    /// How the token endpoint takes a client's secret; empty when it does not say.
    secret_methods: Vec<String>,
    ca_file: Option<PathBuf>,
    fetcher: Fetcher,
}

impl Provider {
    /// Reads the discovery document of `issuer`. `ca_file` holds certificates to trust instead of the
    /// system's.
    ///
    /// # Errors
    /// [`LoginError`] when it cannot be had, is of another issuer (mix-up), or names endpoints that must
    /// not be used.
    pub async fn discover(issuer: &str, ca_file: Option<&Path>) -> Result<Self, LoginError> {
        let wrong = |why: &str| LoginError::Url { url: issuer.to_owned(), why: why.to_owned() };
        let base: Uri = issuer.parse().map_err(|_| wrong("it is no URL"))?;
        if base.scheme_str() != Some("https") && !(base.scheme_str() == Some("http") && is_loopback(&base)) {
            return Err(wrong("an issuer's URL begins with `https://`"));
        }
        let fetcher = fetcher(&base, ca_file, &format!("the provider {issuer}"))?;
        let at = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let at: Uri = at.parse().map_err(|_| wrong("it is no URL"))?;
        let what = format!("the provider's discovery document at {at}");
        let document = answer::fetch(&fetcher, &at, &what).await?;
        if !document.status.is_success() {
            let why = format!("status {}; is this an OpenID provider's issuer?", document.status);
            return Err(LoginError::Answer { what, why });
        }
        Self::read(issuer, &base, &document, ca_file, fetcher).map_err(|why| LoginError::Answer { what, why })
    }

    fn read(
        issuer: &str,
        base: &Uri,
        document: &Answered,
        ca_file: Option<&Path>,
        fetcher: Fetcher,
    ) -> Result<Self, String> {
        let named = document.text("issuer").unwrap_or_default();
        // A slash at the end is the one difference people make; the provider's own spelling counts.
        if named.trim_end_matches('/') != issuer.trim_end_matches('/') {
            let named = answer::shown(named);
            return Err(format!(
                "it is of the issuer `{named}`, not of `{issuer}`; use the issuer's own name"
            ));
        }
        let endpoint = |name: &str| match document.text(name) {
            None => Ok(None),
            Some(text) => {
                let uri: Uri = text.parse().map_err(|_| format!("its `{name}` is no URL"))?;
                let good = uri.scheme_str() == Some("https")
                    || uri.scheme_str() == Some("http") && is_loopback(&uri) && is_loopback(base);
                good.then_some(Some(uri)).ok_or_else(|| format!("its `{name}` is not `https`"))
            }
        };
        let needed = |name: &str| endpoint(name)?.ok_or_else(|| format!("it has no `{name}`"));
        Ok(Self {
            issuer: named.to_owned(),
            authorization: endpoint("authorization_endpoint")?.map(|uri| uri.to_string()),
            token: needed("token_endpoint")?,
            device: endpoint("device_authorization_endpoint")?,
            revocation: endpoint("revocation_endpoint")?,
            jwks: needed("jwks_uri")?.to_string(),
            says_iss: document
                .object
                .get("authorization_response_iss_parameter_supported")
                .and_then(serde_json::Value::as_bool)
                .unwrap_or_default(),
            secret_methods: document.words("token_endpoint_auth_methods_supported"),
            ca_file: ca_file.map(Path::to_owned),
            fetcher,
        })
    }

    /// Its name, as tokens have it in `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether people can log in on another screen (RFC 8628).
    pub fn offers_device(&self) -> bool {
        self.device.is_some()
    }

    /// Spends a refresh token (RFC 6749, section 6). The provider may have made it worthless even when
    /// no answer arrives; the new one in the answer is to be kept before anything else can fail.
    ///
    /// # Errors
    /// [`LoginError::Refused`] with `invalid_grant` when only logging in again helps.
    pub async fn refresh(
        &self,
        client: &Client,
        refresh: &SecretString,
        clock: &Arc<dyn Clock>,
    ) -> Result<Unverified, LoginError> {
        // The scopes stay those of the login: naming them again is what some providers refuse.
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose_secret())];
        self.unverified(client, &form, clock).await
    }

    /// Verifies the ID token in an answer, if there is one.
    ///
    /// # Errors
    /// [`LoginError::IdToken`] when it is not this provider's to this client; and when its keys cannot be
    /// had.
    pub async fn verify(
        &self,
        client: &Client,
        answer: Unverified,
        clock: &Arc<dyn Clock>,
    ) -> Result<Tokens, LoginError> {
        self.verify_with(client, answer, None, clock).await
    }

    async fn verify_with(
        &self,
        client: &Client,
        answer: Unverified,
        nonce: Option<&str>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Tokens, LoginError> {
        let Unverified { mut tokens, id } = answer;
        if let Some(token) = id {
            tokens.id = Some(IdToken::verified(self, client, token, nonce, clock).await?);
        }
        Ok(tokens)
    }

    /// A program's token by its own credentials (RFC 6749, section 4.4).
    ///
    /// # Errors
    /// [`LoginError`] when the provider gives none.
    pub async fn client_credentials(
        &self,
        client: &Client,
        clock: &Arc<dyn Clock>,
    ) -> Result<Tokens, LoginError> {
        let scope = client.scopes.join(" ");
        let mut form = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            form.push(("scope", &scope));
        }
        self.tokens(client, &form, None, clock).await
    }

    /// Makes a refresh token worthless (RFC 7009). Says whether the provider offers that.
    ///
    /// # Errors
    /// [`LoginError`] when it offers it and did not do it.
    pub async fn revoke(&self, client: &Client, refresh: &SecretString) -> Result<bool, LoginError> {
        let Some(uri) = &self.revocation else { return Ok(false) };
        let what = format!("the provider's revocation endpoint at {uri}");
        let mut form = vec![("token", refresh.expose_secret()), ("token_type_hint", "refresh_token")];
        let mut headers = self.authenticated(client, &mut form)?;
        let fetched = answer::post_unread(&self.fetcher, uri, &mut headers, &form, &what).await?;
        if fetched.status.is_success() {
            return Ok(true);
        }
        Err(LoginError::Answer { what, why: format!("status {}", fetched.status) })
    }

    /// Asks the token endpoint. An ID token that comes is verified, against `nonce` where one was sent.
    pub(crate) async fn tokens(
        &self,
        client: &Client,
        form: &[(&str, &str)],
        nonce: Option<&str>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Tokens, LoginError> {
        let answer = self.unverified(client, form, clock).await?;
        self.verify_with(client, answer, nonce, clock).await
    }

    async fn unverified(
        &self,
        client: &Client,
        form: &[(&str, &str)],
        clock: &Arc<dyn Clock>,
    ) -> Result<Unverified, LoginError> {
        let what = format!("the provider's token endpoint at {}", self.token);
        let mut form = form.to_vec();
        for (name, value) in [("resource", &client.resource), ("audience", &client.audience)] {
            form.extend(value.as_deref().map(|value| (name, value)));
        }
        let headers = self.authenticated(client, &mut form)?;
        let asked = clock.now();
        let answered = answer::post(&self.fetcher, &self.token, headers, &form, &what).await?;
        if let Some(refusal) = answered.refusal() {
            return Err(refusal);
        }
        let wrong = |why: &str| LoginError::Answer { what: what.clone(), why: why.to_owned() };
        if !answered.status.is_success() {
            return Err(wrong(&format!("status {}", answered.status)));
        }
        if !answered.text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(wrong("the token is no bearer token"));
        }
        let access = answered.secret("access_token").ok_or_else(|| wrong("it holds no access token"))?;
        let tokens = Tokens {
            access,
            id: None,
            refresh: answered.secret("refresh_token"),
            received: asked,
            lives: answered.seconds("expires_in").map(Duration::from_secs),
        };
        Ok(Unverified { tokens, id: answered.secret("id_token") })
    }

    pub(crate) async fn ask(
        &self,
        uri: &Uri,
        client: &Client,
        form: &[(&str, &str)],
        what: &str,
    ) -> Result<Answered, LoginError> {
        let mut form = form.to_vec();
        let headers = self.authenticated(client, &mut form)?;
        answer::post(&self.fetcher, uri, headers, &form, what).await
    }

    /// Says who asks: a public client by its id in the form, a server by its secret.
    fn authenticated<'a>(
        &self,
        client: &'a Client,
        form: &mut Vec<(&str, &'a str)>,
    ) -> Result<HeaderMap, LoginError> {
        let mut headers = HeaderMap::new();
        let takes = |method: &str| self.secret_methods.iter().any(|known| known == method);
        match &client.secret {
            None => form.push(("client_id", &client.id)),
            Some(secret) if takes("client_secret_post") && !takes("client_secret_basic") => {
                form.extend([("client_id", client.id.as_str()), ("client_secret", secret.expose_secret())]);
            }
            Some(secret) => {
                let value = dial::basic(&client.id, secret).ok_or_else(|| LoginError::Answer {
                    what: "the client's secret".to_owned(),
                    why: "no header can hold it".to_owned(),
                })?;
                headers.insert(header::AUTHORIZATION, value);
            }
        }
        Ok(headers)
    }

    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }
}

/// What reads documents below `base`, trusting `ca_file` or the system.
pub(crate) fn fetcher(base: &Uri, ca_file: Option<&Path>, what: &str) -> Result<Fetcher, LoginError> {
    Fetcher::choose(base.scheme_str() == Some("http"), ca_file, TIMEOUT)
        .map_err(|source| LoginError::Dial { what: what.to_owned(), source })
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(issuer: &str, change: impl FnOnce(&mut Value)) -> Result<Provider, String> {
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
        });
        change(&mut document);
        let Value::Object(object) = document else { panic!("an object") };
        let answered = Answered { status: http::StatusCode::OK, object };
        let fetcher = Fetcher::loopback(TIMEOUT);
        Provider::read(issuer, &issuer.parse().unwrap(), &answered, None, fetcher)
    }

    pub(crate) fn provider(says_iss: bool) -> Provider {
        let change = |document: &mut Value| {
            document["authorization_response_iss_parameter_supported"] = json!(says_iss);
        };
        read("https://login.example.test", change).unwrap()
    }

    #[test]
    fn a_document_is_of_its_own_issuer_and_its_endpoints_are_secure() {
        let issuer = "https://login.example.test";
        assert!(read(issuer, |_| ()).is_ok());
        assert!(read(issuer, |document| document["issuer"] = json!("https://login.example.test/")).is_ok());
        let faults = [
            ("issuer", json!("https://evil.example.test"), "is of the issuer"),
            ("issuer", json!(null), "is of the issuer"),
            ("token_endpoint", json!("http://login.example.test/token"), "not `https`"),
            ("token_endpoint", json!("http://127.0.0.1/token"), "not `https`"),
            ("authorization_endpoint", json!("javascript:alert(1)"), "`authorization_endpoint`"),
            ("token_endpoint", json!(null), "no `token_endpoint`"),
            ("jwks_uri", json!(null), "no `jwks_uri`"),
        ];
        for (name, value, words) in faults {
            let fault = read(issuer, |document| document[name] = value.clone()).unwrap_err();
            assert!(fault.contains(words), "{name} {value}: {fault}");
        }
        assert!(read("http://127.0.0.1:9", |_| ()).is_ok());
    }
}
