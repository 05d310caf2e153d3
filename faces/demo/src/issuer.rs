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

/// Seconds a token lives.
const LIFETIME: i64 = 600;

/// The people it knows, with their groups.
pub(crate) const PEOPLE: [(&str, &[&str]); 2] = [("alice", &["research"]), ("bob", &["analysts"])];

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
        serve_plain(listener, move |target| serving.answer(&point, target));
        Ok(issuer)
    }

    /// A token of one of [`PEOPLE`].
    pub(crate) fn token(&self, person: &str) -> Result<String, DemoError> {
        let groups = PEOPLE.iter().find(|(name, _)| *name == person).map(|(_, groups)| *groups);
        let groups = groups
            .ok_or_else(|| DemoError::new("giving a token", format!("nobody here is called {person}")))?;
        let now = self.clock.now().as_second();
        let claims = json!({
            "iss": self.url, "sub": person, "aud": AUDIENCE, "iat": now, "exp": now + LIFETIME,
            "groups": groups, "email": format!("{person}@example.test"),
        });
        let header = Header { kid: Some("demo".into()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map_err(|fault| DemoError::new("signing a token", fault))
    }

    fn answer(&self, point: &[u8], target: &str) -> Response<Full<Bytes>> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match path {
            "/.well-known/openid-configuration" => document(&json!({
                "issuer": self.url,
                "jwks_uri": format!("{}/keys", self.url),
                "token_endpoint": format!("{}/token", self.url),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            })),
            "/keys" => document(&json!({ "keys": [jwk(point)] })),
            "/token" => match self.token(query.strip_prefix("user=").unwrap_or_default()) {
                Ok(token) => Response::new(Full::new(Bytes::from(token))),
                Err(fault) => not_found(&fault.to_string()),
            },
            _ => not_found("no such page"),
        }
    }
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
