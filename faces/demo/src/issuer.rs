//! An identity provider for the demo alone: it gives anybody on this machine a token for the asking.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use model::Clock;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::serve_plain;
use crate::error::DemoError;

/// The audience its tokens are for.
pub(crate) const AUDIENCE: &str = "portcullis";

/// The client that the demo's console is.
pub(crate) const CONSOLE: &str = "demo-console";

/// Seconds a token lives.
const LIFETIME: i64 = 600;

/// The people it knows, with their groups.
pub(crate) const PEOPLE: [(&str, &[&str]); 3] =
    [("alice", &["research"]), ("bob", &["analysts"]), ("carol", &["security"])];

/// The issuer, serving until the process ends.
pub(crate) struct Issuer {
    pub(crate) url: String,
    key: EncodingKey,
    clock: Arc<dyn Clock>,
}

impl Issuer {
    /// Makes a key and begins to serve discovery, keys and tokens on a free loopback port.
    pub(crate) async fn start(clock: Arc<dyn Clock>) -> Result<Arc<Self>, DemoError> {
        let failed = |why: &dyn std::fmt::Display| DemoError::new("starting the demo's issuer", why);
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|e| failed(&e))?;
        let der = pair.to_pkcs8v1().map_err(|e| failed(&e))?;
        let point = pair.public_key().as_ref().to_vec();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|e| failed(&e))?;
        let address: SocketAddr = listener.local_addr().map_err(|e| failed(&e))?;
        let url = format!("http://{address}");
        let issuer = Arc::new(Self { url, key: EncodingKey::from_ec_der(der.as_ref()), clock });
        let serving = Arc::clone(&issuer);
        serve_plain(listener, move |target, body| serving.answer(&point, target, body));
        Ok(issuer)
    }

    /// A token of one of [`PEOPLE`].
    pub(crate) fn token(&self, person: &str) -> Result<String, DemoError> {
        self.signed(person, AUDIENCE, None)
    }

    fn signed(&self, person: &str, audience: &str, nonce: Option<&str>) -> Result<String, DemoError> {
        let groups = PEOPLE.iter().find(|(name, _)| *name == person).map(|(_, groups)| *groups);
        let groups = groups
            .ok_or_else(|| DemoError::new("giving a token", format!("nobody here is called {person}")))?;
        let now = self.clock.now().as_second();
        let mut claims = json!({
            "iss": self.url, "sub": person, "aud": audience, "iat": now, "exp": now + LIFETIME,
            "groups": groups, "email": format!("{person}@example.test"),
        });
        if let (Some(claims), Some(nonce)) = (claims.as_object_mut(), nonce) {
            claims.insert("nonce".to_owned(), json!(nonce));
        }
        let header = Header { kid: Some("demo".into()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map_err(|fault| DemoError::new("signing a token", fault))
    }

    fn answer(&self, point: &[u8], target: &str, body: &Bytes) -> Response<Full<Bytes>> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match path {
            "/.well-known/openid-configuration" => document(&json!({
                "issuer": self.url,
                "jwks_uri": format!("{}/keys", self.url),
                "authorization_endpoint": format!("{}/authorize", self.url),
                "token_endpoint": format!("{}/token", self.url),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
            })),
            "/keys" => document(&json!({ "keys": [jwk(point)] })),
            "/authorize" => choice(query),
            "/token" if body.is_empty() => {
                match self.token(query.strip_prefix("user=").unwrap_or_default()) {
                    Ok(token) => Response::new(Full::new(Bytes::from(token))),
                    Err(fault) => not_found(&fault.to_string()),
                }
            }
            "/token" => self.redeemed(body),
            _ => not_found("no such page"),
        }
    }

    /// An ID token for a code, which holds who and with which nonce: nobody here has a secret.
    fn redeemed(&self, form: &[u8]) -> Response<Full<Bytes>> {
        let code = field(form, "code").and_then(|code| URL_SAFE_NO_PAD.decode(code).ok()).unwrap_or_default();
        let code = String::from_utf8(code).unwrap_or_default();
        let (person, nonce) = code.split_once(' ').unwrap_or_default();
        match self.signed(person, CONSOLE, Some(nonce)) {
            Ok(token) => document(&json!({
                "id_token": token, "access_token": "none", "token_type": "Bearer", "expires_in": LIFETIME,
            })),
            Err(fault) => not_found(&fault.to_string()),
        }
    }
}

/// A field of a form, or of a query.
fn field(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form).find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// The page that asks who one is. Whoever is on this machine may be anybody.
fn choice(query: &str) -> Response<Full<Bytes>> {
    let text = |name: &str| field(query.as_bytes(), name).unwrap_or_default();
    let (back, state, nonce) = (text("redirect_uri"), text("state"), text("nonce"));
    // It leads back to this machine's console, and writes nothing into the page that is no such way.
    let plain = back.starts_with("http://localhost:")
        && [&back, &state, &nonce]
            .iter()
            .all(|text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b":/._-".contains(&b)));
    if !plain {
        return not_found("this is no sign-in of the demo's console");
    }
    let way = |(person, groups): &(&str, &[&str])| {
        let code = URL_SAFE_NO_PAD.encode(format!("{person} {nonce}"));
        format!(
            "<p><a href=\"{back}?code={code}&amp;state={state}\">{person}</a>, of {}</p>",
            groups.join(", ")
        )
    };
    let ways: String = PEOPLE.iter().map(way).collect();
    let page = format!(
        "<!doctype html><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>Demo issuer\
         </title><body style=\"font:1.2rem system-ui;margin:3rem auto;max-width:24rem\"><h1>Who are you?</h1>{ways}"
    );
    let mut response = Response::new(Full::new(Bytes::from(page)));
    let kind = http::HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

/// The public key (RFC 7518, section 6.2) from an uncompressed point: 0x04, x, y.
fn jwk(point: &[u8]) -> Value {
    let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
    json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "demo",
        "x": coordinate(1), "y": coordinate(33),
    })
}

fn document(value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    let kind = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

fn not_found(why: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{why}\n"))));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
