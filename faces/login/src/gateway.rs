//! Where a gateway says its people log in: protected resource metadata (RFC 9728).

use std::path::Path;

use dial::is_loopback;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{LoginError, answer, provider};

/// The path of the document, below the gateway's host (RFC 9728, section 3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// The largest answer that is read only for its status, in bytes.
const ANSWER: usize = 64 << 10;
/// The member of it that is ours.
const MEMBER: &str = "portcullis_logins";

/// Which token the gateway is shown. Some providers put groups in one of them only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presented {
    /// The access token.
    #[default]
    Access,
    /// The ID token.
    Id,
}

/// How the people of one issuer log in: as the gateway's configuration has it, and as a login is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The issuer.
    pub issuer: String,
    /// This program's registration there.
    pub client_id: String,
    /// The scopes to ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The resource to name (RFC 8707).
    #[serde(default)]
    pub resource: Option<String>,
    /// The audience to name, for providers that know it by this name.
    #[serde(default)]
    pub audience: Option<String>,
    /// Which token the gateway wants.
    #[serde(default)]
    pub token: Presented,
    /// What the provider shall ask each time, such as `consent`.
    #[serde(default)]
    pub prompt: Option<String>,
    /// Where the browser may come back to, when that is not the usual place.
    #[serde(default)]
    pub redirect_uri: Option<String>,
}

/// The logins of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayLogins {
    /// The gateway: scheme, host and port.
    pub gateway: String,
    /// The logins, in the order of its configuration. Never empty.
    pub offers: Vec<Offer>,
}

/// The gateway that `url` belongs to: its scheme, host and port. Tokens travel there, so it is `https`,
/// or plain on this machine alone.
///
/// # Errors
/// [`LoginError::Url`] for anything else.
pub fn origin(url: &str) -> Result<String, LoginError> {
    let wrong = |why: &str| LoginError::Url { url: url.to_owned(), why: why.to_owned() };
    let uri: Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("it does not begin with `https://`"));
    };
    if authority.as_str().contains('@') {
        return Err(wrong("it holds a user name or password"));
    }
    let port = match (scheme, authority.port_u16()) {
        ("https", Some(443)) | ("http", Some(80)) | (_, None) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    match scheme {
        "https" => {}
        "http" if is_loopback(&uri) => {}
        _ => return Err(wrong("tokens go there, and anybody on the way could read them; use `https`")),
    }
    Ok(format!("{scheme}://{}{port}", authority.host().to_ascii_lowercase()))
}

impl GatewayLogins {
    /// Asks the gateway that `url` belongs to. `ca_file` holds certificates to trust instead of the
    /// system's.
    ///
    /// # Errors
    /// [`LoginError`] when it does not answer, says of itself that it is another, or names no login.
    pub async fn ask(url: &str, ca_file: Option<&Path>) -> Result<Self, LoginError> {
        let gateway = origin(url)?;
        let at = format!("{gateway}{WELL_KNOWN}");
        let what = format!("the gateway at {gateway}");
        let uri: Uri =
            at.parse().map_err(|_| LoginError::Url { url: at.clone(), why: "it is no URL".to_owned() })?;
        let fetcher = provider::fetcher(&uri, ca_file, &what)?;
        let document = answer::fetch(&fetcher, &uri, &what).await?;
        let wrong = |why: String| LoginError::Answer { what: what.clone(), why };
        if document.status == StatusCode::NOT_FOUND {
            return Err(wrong(
                "it names no login for people; name the provider: `--issuer URL --client-id ID`, or ask its operator \
                 to configure `issuers[].login`"
                    .to_owned(),
            ));
        }
        if !document.status.is_success() {
            return Err(wrong(format!("status {} at {WELL_KNOWN}", document.status)));
        }
        // RFC 9728, section 3.3: else somebody passes off another's document as their own.
        match document.text("resource").map(origin) {
            Some(Ok(named)) if named == gateway => {}
            named => {
                let named = named.and_then(Result::ok).unwrap_or_else(|| "none".to_owned());
                return Err(wrong(format!(
                    "its metadata is for `{}`; use that address, or ask its operator to set the listener's `url`",
                    answer::shown(&named)
                )));
            }
        }
        let offers = document.object.get(MEMBER).cloned().unwrap_or(Value::Null);
        let offers: Vec<Offer> = serde_json::from_value(offers)
            .map_err(|fault| wrong(format!("its `{MEMBER}` cannot be read: {fault}")))?;
        if offers.is_empty() {
            return Err(wrong("it names no login for people".to_owned()));
        }
        Ok(Self { gateway, offers })
    }

    /// Whether a gateway takes this token for somebody's, whatever that one may do there: false means 401.
    ///
    /// # Errors
    /// [`LoginError`] when it does not answer, or cannot tell now.
    pub async fn knows(
        gateway: &str,
        ca_file: Option<&Path>,
        token: &SecretString,
    ) -> Result<bool, LoginError> {
        let what = format!("the gateway at {gateway}");
        let uri: Uri = format!("{}/", origin(gateway)?)
            .parse()
            .map_err(|_| LoginError::Url { url: gateway.to_owned(), why: "it is no URL".to_owned() })?;
        let wrong = |why: String| LoginError::Answer { what: what.clone(), why };
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| wrong("the token fits into no header".to_owned()))?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
        let fetched = provider::fetcher(&uri, ca_file, &what)?.get(&uri, &headers, ANSWER).await;
        let status = fetched.map_err(|source| LoginError::Dial { what: what.clone(), source })?.status;
        match status {
            StatusCode::UNAUTHORIZED => Ok(false),
            // No resource is there; that is told to known callers only.
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(true),
            other => Err(wrong(format!("status {other}"))),
        }
    }

    /// The offer of `issuer`, or the only one.
    ///
    /// # Errors
    /// [`LoginError::Choice`] when it is not there, or several are and none is named.
    pub fn choose(&self, issuer: Option<&str>) -> Result<&Offer, LoginError> {
        let names =
            || self.offers.iter().map(|offer| answer::shown(&offer.issuer)).collect::<Vec<_>>().join(", ");
        match (issuer, self.offers.as_slice()) {
            (None, [only]) => Ok(only),
            (None, _) => Err(LoginError::Choice(format!(
                "the gateway {} has several providers; choose one with `--issuer`: {}",
                self.gateway,
                names()
            ))),
            (Some(issuer), offers) => {
                let same =
                    |offer: &&Offer| offer.issuer.trim_end_matches('/') == issuer.trim_end_matches('/');
                offers.iter().find(same).ok_or_else(|| {
                    LoginError::Choice(format!(
                        "the gateway {} has no login with {issuer}; it has: {}",
                        self.gateway,
                        names()
                    ))
                })
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A login with `issuer` that asks for little.
    pub(crate) fn offer(issuer: &str) -> Offer {
        Offer {
            issuer: issuer.to_owned(),
            client_id: "cli".to_owned(),
            scopes: vec!["openid".to_owned()],
            resource: None,
            audience: None,
            token: Presented::Access,
            prompt: None,
            redirect_uri: None,
        }
    }

    #[test]
    fn a_gateway_is_its_origin() {
        for (url, gateway) in [
            ("https://gateway.example.test/llama/v1", "https://gateway.example.test"),
            ("https://Gateway.Example.test:443", "https://gateway.example.test"),
            ("https://gateway.example.test:8443/", "https://gateway.example.test:8443"),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080"),
            ("http://localhost:80", "http://localhost"),
        ] {
            assert_eq!(origin(url).unwrap(), gateway);
        }
        for bad in
            ["http://gateway.example.test", "gateway.example.test", "ftp://x", "https://a:b@c", "/x", ""]
        {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_login_needs_no_choice() {
        let one = GatewayLogins { gateway: "g".to_owned(), offers: vec![offer("https://a")] };
        assert_eq!(one.choose(None).unwrap().issuer, "https://a");
        assert!(one.choose(Some("https://b")).is_err());
        let two =
            GatewayLogins { gateway: "g".to_owned(), offers: vec![offer("https://a"), offer("https://b")] };
        assert!(two.choose(None).is_err());
        assert_eq!(two.choose(Some("https://b/")).unwrap().issuer, "https://b");
    }
}
