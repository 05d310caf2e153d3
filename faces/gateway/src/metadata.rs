//! Where people log in, told to everybody who asks: protected resource metadata (RFC 9728).
//!
//! The document stands at [`config::LOGIN_METADATA_PATH`] on every host of the gateway. That path is
//! compared in its normal spelling, as resources' are, so no other spelling of it reaches a resource; and
//! no resource has a name that begins with a dot. It is recorded like a refusal at the door, at the same
//! bounded rate.

use bytes::Bytes;
use config::{Config, LOGIN_METADATA_PATH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use model::{Code, Refusal};
use resolve::NormalPath;
use serde_json::{Value, json};

use crate::Gateway;
use crate::came::Came;
use crate::refuse;
use crate::reply::Reply;
use crate::session::{self, Turned};

/// The member with what only our own command line reads.
const MEMBER: &str = "portcullis_logins";

/// What the configuration says of logins.
pub(crate) struct Logins {
    issuers: Vec<String>,
    scopes: Vec<String>,
    offers: Vec<Value>,
    public_url: Option<String>,
}

impl Logins {
    /// The logins of a configuration, when it has any.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let mut logins = Self {
            issuers: Vec::new(),
            scopes: Vec::new(),
            offers: Vec::new(),
            public_url: config.public_url.clone(),
        };
        for issuer in &config.issuers {
            let Some(login) = &issuer.login else { continue };
            logins.issuers.push(issuer.issuer.clone());
            logins.scopes.extend(login.scopes.iter().cloned());
            logins.offers.push(json!({
                "issuer": issuer.issuer,
                "client_id": login.client_id,
                "scopes": login.scopes,
                "resource": login.resource,
                "audience": login.audience,
                "token": if login.id_token { "id" } else { "access" },
                "prompt": login.prompt,
                "redirect_uri": login.redirect_uri,
            }));
        }
        logins.scopes.sort();
        logins.scopes.dedup();
        (!logins.offers.is_empty()).then_some(logins)
    }

    /// The document for whoever reaches the gateway at `url`.
    fn document(&self, url: &str) -> Value {
        json!({
            "resource": url,
            "authorization_servers": self.issuers,
            "scopes_supported": self.scopes,
            "bearer_methods_supported": ["header"],
            "resource_name": "Portcullis",
            MEMBER: self.offers,
        })
    }

    /// Adds to a 401 where its reader may learn to log in (RFC 9728, section 5.1).
    pub(crate) fn challenge(&self, came: &Came, head: &Parts, headers: &mut HeaderMap) {
        let Some(url) = self.url(came, head) else { return };
        let Some(known) = headers.get(header::WWW_AUTHENTICATE).and_then(|known| known.to_str().ok()) else {
            return;
        };
        // The scheme is `Bearer`, alone or with parameters.
        let joint = if known.contains(' ') { "," } else { "" };
        let text = format!(r#"{known}{joint} resource_metadata="{url}{LOGIN_METADATA_PATH}""#);
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
    }

    /// How the one who asks reaches this gateway: as configured, or as the request has it. What a host
    /// says of itself goes back to nobody but who said it.
    fn url(&self, came: &Came, head: &Parts) -> Option<String> {
        if let Some(url) = &self.public_url {
            return Some(url.clone());
        }
        let scheme = if came.secure { "https" } else { "http" };
        let host = session::host(head)?.to_ascii_lowercase();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
        let fits = !host.is_empty() && host.len() <= 255 && host.bytes().all(plain);
        fits.then(|| format!("{scheme}://{host}"))
    }
}

/// Whether a request is for the document, or below it: then it is for no resource.
pub(crate) fn is_asked(head: &Parts) -> bool {
    // A dot, or the beginning of what may become one: most requests are past this at once.
    if !matches!(head.uri.path().as_bytes().get(1), Some(b'.' | b'%')) {
        return false;
    }
    NormalPath::parse(head.uri.path()).is_ok_and(|path| {
        let below = path.as_str().strip_prefix(LOGIN_METADATA_PATH);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Answers a request for which [`is_asked`] holds.
pub(crate) async fn answer(gateway: &Gateway, came: &Came, head: &Parts, reply: Reply) {
    match document(gateway, came, head) {
        Ok(document) => {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            // It holds what this caller calls the gateway, so it is for this caller alone.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if let Ok(id) = HeaderValue::try_from(came.exchange.to_string()) {
                headers.insert("x-request-id", id);
            }
            refuse::tell(
                gateway,
                came,
                head,
                (StatusCode::OK, headers, Bytes::from(document.to_string())),
                reply,
            )
            .await;
        }
        Err(refusal) => {
            let turned = Turned { refusal, identity: None };
            refuse::stranger(gateway, came, head, &turned, reply).await;
        }
    }
}

fn document(gateway: &Gateway, came: &Came, head: &Parts) -> Result<Value, Refusal> {
    accept::framing(head)?;
    let nothing = |why: &str| Refusal::new(Code::ResourceUnknown).because(why);
    if head.method != Method::GET && head.method != Method::HEAD {
        return Err(nothing("This path only tells where to log in: GET it."));
    }
    let exact = NormalPath::parse(head.uri.path()).is_ok_and(|path| path.as_str() == LOGIN_METADATA_PATH);
    if !exact {
        return Err(nothing("Where to log in is the same for all resources: leave out what follows."));
    }
    let setup = gateway.setup();
    let Some(logins) = &setup.logins else {
        return Err(nothing("This gateway names no login for people."));
    };
    let url = logins.url(came, head);
    let url =
        url.ok_or_else(|| Refusal::new(Code::HeaderRefused).because("The `Host` header names no host."))?;
    Ok(logins.document(&url))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(target: &str) -> Parts {
        Request::get(target).body(()).unwrap().into_parts().0
    }

    #[test]
    fn every_spelling_of_the_path_is_the_gateways() {
        for path in [
            "/.well-known/oauth-protected-resource",
            "/%2ewell-known/oauth-protected-resource",
            "/%2Ewell%2dknown/oauth%2Dprotected-resourc%65",
            "/.well-known/oauth-protected-resource?x=1",
            "/.well-known/oauth-protected-resource/llama",
            "/.well-known/oauth-protected-resource/",
        ] {
            assert!(is_asked(&parts(path)), "{path}");
        }
    }

    #[test]
    fn no_path_of_a_resource_is() {
        for path in [
            "/",
            "/llama/v1/chat/completions",
            "/llama/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resources",
            "/.well-known/openid-configuration",
            "/.WELL-KNOWN/oauth-protected-resource",
            "/.well-known",
            "//.well-known/oauth-protected-resource",
            "/.well-known%2foauth-protected-resource",
            "/x/../.well-known/oauth-protected-resource",
        ] {
            assert!(!is_asked(&parts(path)), "{path}");
        }
        assert!(model::ResourceName::new(".well-known").is_err());
    }
}
