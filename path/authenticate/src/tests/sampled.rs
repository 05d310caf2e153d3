//! A provider in the test: key pairs, tokens signed with them, and a server that publishes them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key with what it publishes.
pub(super) enum KeyPair {
    Rsa(&'static str, RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// Two RSA pairs for all tests: making one takes long.
static RSA: LazyLock<[RsaKeyPair; 2]> =
    LazyLock::new(|| [(); 2].map(|()| RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));

impl KeyPair {
    /// The first (0) or the second (1) RSA pair, used for `algorithm`.
    pub(super) fn rsa(which: usize, algorithm: &'static str) -> Self {
        Self::Rsa(algorithm, RSA[which].clone())
    }

    pub(super) fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(super) fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(algorithm, _) => algorithm,
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    pub(super) fn jwk(&self, id: &str) -> Value {
        let mut jwk = match self {
            Self::Rsa(_, pair) => json!({
                "kty": "RSA",
                "n": encode(pair.public_key().modulus().big_endian_without_leading_zero()),
                "e": encode(pair.public_key().exponent().big_endian_without_leading_zero()),
            }),
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])})
            }
            Self::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key())}),
        };
        jwk["kid"] = json!(id);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm());
        jwk
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(algorithm, pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                match *algorithm {
                    "RS256" => pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature),
                    "RS512" => pair.sign(&RSA_PKCS1_SHA512, &random, message, &mut signature),
                    "PS256" => pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature),
                    other => panic!("{other}"),
                }
                .unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// A token before it is signed.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
}

impl Draft {
    /// One that passes every check: of `issuer`, for `gateway`, for five minutes from `now`.
    pub(super) fn new(issuer: &str, now: Timestamp) -> Self {
        let now = now.as_second();
        let claims = json!({"iss": issuer, "aud": "gateway", "sub": "alice", "iat": now, "exp": now + 300});
        let Value::Object(claims) = claims else { panic!("an object") };
        Self { header: Map::new(), claims }
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Signed by `pair`, whose algorithm the header names unless it names another already.
    pub(super) fn sign(&self, id: &str, pair: &KeyPair) -> String {
        let mut header = self.header.clone();
        header.entry("alg").or_insert_with(|| json!(pair.algorithm()));
        header.entry("kid").or_insert_with(|| json!(id));
        header.retain(|_, value| !value.is_null());
        raw(Value::Object(header).to_string(), Value::Object(self.claims.clone()).to_string(), pair)
    }
}

/// A token of exactly these bytes, signed by `pair`.
pub(super) fn raw(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>, pair: &KeyPair) -> String {
    signed(&format!("{}.{}", encode(header), encode(claims)), pair)
}

/// `signed` with its signature behind it.
pub(super) fn signed(signed: &str, pair: &KeyPair) -> String {
    format!("{signed}.{}", encode(pair.sign(signed.as_bytes())))
}

/// A provider's server: discovery and keys over plain HTTP on loopback.
pub(super) struct Site {
    pub(super) url: String,
    pub(super) jwks: Mutex<String>,
    /// Replaces the discovery document.
    pub(super) discovery: Mutex<Option<String>>,
    /// When false, connections are closed without an answer.
    pub(super) up: AtomicBool,
    /// Answers wait while a test holds it.
    pub(super) gate: tokio::sync::Mutex<()>,
    pub(super) asked: Notify,
    pub(super) discoveries: AtomicUsize,
    pub(super) fetches: AtomicUsize,
    /// What introspection and userinfo answer: a status and a body.
    pub(super) introspection: Mutex<(u16, String)>,
    pub(super) userinfo: Mutex<(u16, String)>,
    /// The questions they were asked, head and body.
    pub(super) questions: Mutex<Vec<String>>,
}

impl Site {
    pub(super) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            jwks: Mutex::default(),
            discovery: Mutex::default(),
            up: AtomicBool::new(true),
            gate: tokio::sync::Mutex::default(),
            asked: Notify::new(),
            discoveries: AtomicUsize::new(0),
            fetches: AtomicUsize::new(0),
            introspection: Mutex::new((200, json!({ "active": false }).to_string())),
            userinfo: Mutex::new((401, String::new())),
            questions: Mutex::default(),
        });
        let serving = Arc::clone(&site);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).answer(socket));
            }
        });
        site
    }

    pub(super) fn publish(&self, keys: &[(&str, &KeyPair)]) {
        self.publish_json(&json!({"keys": keys.iter().map(|(id, key)| key.jwk(id)).collect::<Vec<_>>()}));
    }

    pub(super) fn publish_json(&self, jwks: &Value) {
        *self.jwks.lock().unwrap() = jwks.to_string();
    }

    pub(super) fn go(&self, up: bool) {
        self.up.store(up, Ordering::SeqCst);
    }

    pub(super) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    async fn answer(self: Arc<Self>, mut socket: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = socket.read_u8().await else { return };
            head.push(byte);
        }
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        let mut form = vec![0; length.unwrap_or(0)];
        socket.read_exact(&mut form).await.ok();
        for (path, said) in [("POST /introspect ", &self.introspection), ("GET /me ", &self.userinfo)] {
            if head.starts_with(path.as_bytes()) {
                let question = String::from_utf8_lossy(&[&head[..], &form].concat()).into_owned();
                self.questions.lock().unwrap().push(question);
                self.asked.notify_one();
                drop(self.gate.lock().await);
                if !self.up.load(Ordering::SeqCst) {
                    return;
                }
                let (status, body) = said.lock().unwrap().clone();
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                socket.write_all(answer.as_bytes()).await.ok();
                return;
            }
        }
        let keys = head.starts_with(b"GET /keys ");
        let counter = if keys { &self.fetches } else { &self.discoveries };
        counter.fetch_add(1, Ordering::SeqCst);
        self.asked.notify_one();
        drop(self.gate.lock().await);
        if !self.up.load(Ordering::SeqCst) {
            return;
        }
        let standard = || {
            let at = |path: &str| format!("{}/{path}", self.url);
            json!({
                "issuer": self.url, "jwks_uri": at("keys"), "introspection_endpoint": at("introspect"),
                "userinfo_endpoint": at("me"),
            })
            .to_string()
        };
        let body = if keys {
            self.jwks.lock().unwrap().clone()
        } else {
            self.discovery.lock().unwrap().clone().unwrap_or_else(standard)
        };
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        socket.write_all(answer.as_bytes()).await.ok();
    }
}
