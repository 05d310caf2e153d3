//! The issuer as a client of it needs it: where people sign in and out, and where a code is redeemed
//! (OpenID Connect Discovery 1.0; RFC 8414). Keys and claims are `authenticate`'s.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use config::{Issuer, SignIn};
use dial::{Fetcher, is_loopback};
use form_urlencoded::Serializer;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use model::{Clock, Code, Refusal};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::ConsoleError;

/// How long one document may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the discovery document is believed.
const KEPT: Duration = Duration::from_secs(3600);
/// How long a failure is, so that people who knock do not make the console knock as often.
const FAILED: Duration = Duration::from_secs(3);
/// The most questions to issuers at once.
const AT_ONCE: usize = 64;
/// The largest document, in bytes.
const MOST: usize = 256 << 10;

/// One issuer's endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    issuer: String,
    /// Where people sign in.
    pub(crate) authorization: String,
    token: Uri,
    /// Where they sign out.
    pub(crate) end_session: Option<String>,
    /// Whether its answers carry `iss` (RFC 9207).
    pub(crate) says_issuer: bool,
    methods: Vec<String>,
    fetcher: Fetcher,
}

/// The discovery document, as far as it is used.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    end_session_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
}

/// What the token endpoint gives.
#[derive(Deserialize)]
pub(crate) struct Tokens {
    #[serde(deserialize_with = "secret")]
    pub(crate) id_token: SecretString,
    #[serde(default, deserialize_with = "secret_if_there")]
    pub(crate) access_token: Option<SecretString>,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(SecretString::from)
}

fn secret_if_there<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
}

/// What it says when it gives nothing (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct Refused {
    error: String,
}

/// What was found, and when.
type Known = Option<(Duration, Result<Arc<Endpoints>, String>)>;

/// The endpoints of every issuer asked of late, and the way to them.
pub(crate) struct Providers {
    clock: Arc<dyn Clock>,
    /// Whoever finds an issuer unknown asks it while the others wait.
    known: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Known>>>>,
    /// Questions under way: people who knock must not make the console knock without bound.
    room: Semaphore,
}

impl Providers {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::default(), room: Semaphore::new(AT_ONCE) }
    }

    /// The endpoints of `issuer`, asked for when they are not known.
    pub(crate) async fn endpoints(&self, issuer: &Issuer) -> Result<Arc<Endpoints>, ConsoleError> {
        let _room = self.room()?;
        let place = Arc::clone(self.lock().entry(issuer.issuer.clone()).or_default());
        let mut known = place.lock().await;
        let now = self.clock.elapsed();
        let fresh = known
            .as_ref()
            .filter(|(at, found)| now.saturating_sub(*at) < if found.is_ok() { KEPT } else { FAILED });
        let found = match fresh {
            Some((_, found)) => found.clone(),
            None => {
                let found = discover(issuer).await.map(Arc::new);
                *known = Some((now, found.clone()));
                found
            }
        };
        found.map_err(|why| ConsoleError::Unreachable { issuer: issuer.name.clone(), why })
    }

    /// A place among those who ask an issuer.
    ///
    /// # Errors
    /// A refusal when there is none.
    pub(crate) fn room(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.room.try_acquire().map_err(|_| Refusal::new(Code::Overloaded).retry_after(1))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<Known>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn discover(issuer: &Issuer) -> Result<Endpoints, String> {
    let at = issuer.discovery.clone().unwrap_or_else(|| {
        format!("{}/.well-known/openid-configuration", issuer.issuer.trim_end_matches('/'))
    });
    let uri: Uri = at.parse().map_err(|_| format!("{at} is no URL"))?;
    let plain = uri.scheme_str() == Some("http");
    let fetcher =
        Fetcher::choose(plain, issuer.ca_file.as_deref(), TIMEOUT).map_err(|fault| fault.to_string())?;
    let document = fetcher.get(&uri, &accept_json(), MOST).await.map_err(|fault| fault.to_string())?;
    if document.status != StatusCode::OK {
        return Err(format!("{at} answered {}", document.status));
    }
    read(issuer, &document.body, fetcher).map_err(|why| format!("{at}: {why}"))
}

fn read(issuer: &Issuer, body: &[u8], fetcher: Fetcher) -> Result<Endpoints, String> {
    let found: Discovery = serde_json::from_slice(body).map_err(|fault| fault.to_string())?;
    if found.issuer != issuer.issuer {
        return Err("it is the document of another issuer".to_owned());
    }
    if found
        .code_challenge_methods_supported
        .is_some_and(|methods| !methods.iter().any(|name| name == "S256"))
    {
        return Err("the issuer does not take PKCE with S256".to_owned());
    }
    let usable = |text: String| -> Result<(String, Uri), String> {
        let uri: Uri = text.parse().map_err(|_| "an endpoint is no URL".to_owned())?;
        let plain = uri.scheme_str() == Some("http") && issuer.allow_http && is_loopback(&uri);
        match uri.scheme_str() == Some("https") || plain {
            true => Ok((text, uri)),
            false => Err("an endpoint is not `https`".to_owned()),
        }
    };
    Ok(Endpoints {
        issuer: issuer.name.clone(),
        authorization: usable(found.authorization_endpoint)?.0,
        token: usable(found.token_endpoint)?.1,
        end_session: found.end_session_endpoint.map(usable).transpose()?.map(|(text, _)| text),
        says_issuer: found.authorization_response_iss_parameter_supported,
        methods: found.token_endpoint_auth_methods_supported,
        fetcher,
    })
}

impl Endpoints {
    /// Redeems a code (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
    pub(crate) async fn redeem(
        &self,
        client: &SignIn,
        code: &str,
        verifier: &str,
        redirect: &str,
    ) -> Result<Tokens, ConsoleError> {
        let mut headers = accept_json();
        let form = {
            let mut form = Serializer::new(String::new());
            form.append_pair("grant_type", "authorization_code").append_pair("code", code);
            form.append_pair("redirect_uri", redirect).append_pair("code_verifier", verifier);
            self.prove(client, &mut form, &mut headers)?;
            Bytes::from(form.finish())
        };
        let answer = self.fetcher.post_form(&self.token, &headers, form, MOST).await;
        let answer = answer.map_err(|fault| ConsoleError::Unreachable {
            issuer: self.issuer.clone(),
            why: fault.to_string(),
        })?;
        let nothing = |why: String| ConsoleError::NotGiven { issuer: self.issuer.clone(), why };
        if answer.status != StatusCode::OK {
            let said = serde_json::from_slice::<Refused>(&answer.body).map(|refused| refused.error);
            let said = said.ok().map(|error| error.escape_debug().take(80).collect::<String>());
            return Err(nothing(format!("status {}, {}", answer.status, said.unwrap_or_default())));
        }
        serde_json::from_slice(&answer.body).map_err(|_| {
            nothing("the token endpoint's answer holds no ID token; is `openid` among the scopes?".to_owned())
        })
    }

    /// Says which client asks, and proves it by its secret if it has one. Basic unless the issuer takes the
    /// secret in the form alone.
    fn prove(
        &self,
        client: &SignIn,
        form: &mut Serializer<'_, String>,
        headers: &mut HeaderMap,
    ) -> Result<(), ConsoleError> {
        let wrong = |why: String| ConsoleError::Secret { issuer: self.issuer.clone(), why };
        let Some(secret) = &client.client_secret else {
            form.append_pair("client_id", &client.client_id);
            return Ok(());
        };
        let secret = secret.read().map_err(|fault| wrong(fault.to_string()))?;
        let takes = |method: &str| self.methods.iter().any(|name| name == method);
        if takes("client_secret_post") && !takes("client_secret_basic") {
            form.append_pair("client_id", &client.client_id);
            form.append_pair("client_secret", secret.expose_secret());
            return Ok(());
        }
        let value = dial::basic(&client.client_id, &secret)
            .ok_or_else(|| wrong("no header can hold it".to_owned()))?;
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }
}

fn accept_json() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers
}

/// `url` with more in its query.
pub(crate) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    let mut query = Serializer::new(String::new());
    query.extend_pairs(pairs);
    format!("{url}{joint}{}", query.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(change: impl FnOnce(&mut serde_json::Value)) -> Result<Endpoints, String> {
        let mut document = json!({
            "issuer": "https://id.test", "authorization_endpoint": "https://id.test/auth?tenant=1",
            "token_endpoint": "https://id.test/token", "end_session_endpoint": "https://id.test/out",
            "code_challenge_methods_supported": ["plain", "S256"],
        });
        change(&mut document);
        let issuer = Issuer::new("corp", "https://id.test", "portcullis");
        read(&issuer, document.to_string().as_bytes(), Fetcher::loopback(TIMEOUT))
    }

    #[test]
    fn a_document_is_of_its_issuer_and_its_endpoints_are_secure() {
        let good = document(|_| {}).unwrap();
        assert!(!good.says_issuer && good.end_session.is_some());
        assert_eq!(with_query(&good.authorization, &[("a", "b c")]), "https://id.test/auth?tenant=1&a=b+c");
        assert_eq!(with_query("https://id.test/a", &[("a", "&")]), "https://id.test/a?a=%26");
        for (key, value) in [
            ("issuer", json!("https://id.test/")),
            ("authorization_endpoint", json!("http://id.test/auth")),
            ("token_endpoint", json!("http://127.0.0.1/token")),
            ("token_endpoint", json!(null)),
            ("end_session_endpoint", json!("javascript:alert(1)")),
            ("code_challenge_methods_supported", json!(["plain"])),
        ] {
            assert!(document(|document| document[key] = value.clone()).is_err(), "{key} {value}");
        }
        assert!(
            document(|document| {
                document.as_object_mut().unwrap().remove("code_challenge_methods_supported");
            })
            .is_ok()
        );
    }
}
