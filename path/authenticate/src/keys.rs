//! An issuer's published keys (JWKS, RFC 7517), and which of them a token is signed with.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use crate::error::quote;
use crate::strict;

/// The most keys of one set that are looked at. Large providers publish about ten.
const MAX_KEYS: usize = 100;

/// A signature algorithm (RFC 7518, section 3.1; RFC 8037) that can be configured. HMAC and `none`
/// cannot be written in this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm that `name` spells, exactly.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    fn shape(self) -> Shape {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => Shape::Rsa,
            Self::Es256 => Shape::P256,
            Self::Es384 => Shape::P384,
            Self::EdDsa => Shape::Ed25519,
        }
    }

    fn verifier(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Rs384 => jsonwebtoken::Algorithm::RS384,
            Self::Rs512 => jsonwebtoken::Algorithm::RS512,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Ps384 => jsonwebtoken::Algorithm::PS384,
            Self::Ps512 => jsonwebtoken::Algorithm::PS512,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// What kind of numbers a key is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// SHA-256 over what a key is and may do: the same key is the same, whatever else the set holds.
pub(crate) type Fingerprint = [u8; 32];

/// One public key that may verify signatures.
pub(crate) struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    shape: Shape,
    fingerprint: Fingerprint,
    decoding: DecodingKey,
}

impl Key {
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether `signature` (base64url) over `signed` is by this key.
    pub(crate) fn verifies(&self, algorithm: Algorithm, signed: &str, signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.decoding, algorithm.verifier())
            .unwrap_or(false)
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.shape == algorithm.shape() && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => f.write_str(&quote(id)),
            None => f.write_str("without `kid`"),
        }
    }
}

/// Why a set has no key for a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeyFault {
    /// No key by that name. A newer set may have one.
    Unknown(String),
    /// What is there is not for this token.
    Unfit(String),
}

/// The keys of one issuer that may verify signatures.
#[derive(Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
    /// Keys left out, and why: for the operator when a token finds none.
    skipped: Vec<(Option<String>, String)>,
}

impl KeySet {
    /// Reads a JWKS. Keys that may not verify signatures, or are of kinds unknown here, are left out; a
    /// set with none left is a set with none, and verifies nothing.
    ///
    /// # Errors
    /// Says what is wrong when `json` is no JWKS.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        let members = strict::object(json)?;
        let Some(Value::Array(listed)) = members.get("keys") else {
            return Err("it has no array `keys`".to_owned());
        };
        if listed.len() > MAX_KEYS {
            return Err(format!("it holds {} keys, more than {MAX_KEYS}", listed.len()));
        }
        let mut set = Self::default();
        for listed in listed {
            let Value::Object(jwk) = listed else {
                return Err("one of its keys is no object".to_owned());
            };
            match key(jwk) {
                Ok(key) => set.keys.push(key),
                Err(why) => {
                    set.skipped.push((jwk.get("kid").and_then(Value::as_str).map(str::to_owned), why))
                }
            }
        }
        Ok(set)
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn holds(&self, fingerprint: &Fingerprint) -> bool {
        self.keys.iter().any(|key| key.fingerprint == *fingerprint)
    }

    /// The one key for `algorithm` and `id`. Without `id`, the one key that fits the algorithm.
    pub(crate) fn find(&self, algorithm: Algorithm, id: Option<&str>) -> Result<&Key, KeyFault> {
        let name = algorithm.name();
        let of_that_name = |key: &&Key| id.is_none_or(|id| key.id.as_deref() == Some(id));
        let mut fitting = self.keys.iter().filter(of_that_name).filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next(), id) {
            (Some(key), None, _) => Ok(key),
            (Some(_), Some(_), Some(id)) => Err(KeyFault::Unfit(format!(
                "the issuer has several {name} keys with the `kid` {}",
                quote(id)
            ))),
            (Some(_), Some(_), None) => Err(KeyFault::Unfit(format!(
                "the token has no `kid`, and the issuer has several keys for {name}"
            ))),
            (None, _, None) => Err(KeyFault::Unknown(format!("the issuer has no key for {name}"))),
            (None, _, Some(id)) => Err(self.missing(algorithm, id)),
        }
    }

    fn missing(&self, algorithm: Algorithm, id: &str) -> KeyFault {
        let (name, shown) = (algorithm.name(), quote(id));
        if let Some((_, why)) = self.skipped.iter().find(|(skipped, _)| skipped.as_deref() == Some(id)) {
            return KeyFault::Unfit(format!("the issuer's key {shown} is not used: {why}"));
        }
        match self.keys.iter().find(|key| key.id.as_deref() == Some(id)) {
            Some(key) => {
                let meant = match key.algorithm {
                    Some(algorithm) => algorithm.name().to_owned(),
                    None => format!("{:?}", key.shape),
                };
                KeyFault::Unfit(format!("the issuer's key {shown} is for {meant}, the token says {name}"))
            }
            None => KeyFault::Unknown(format!("the issuer has no key with the `kid` {shown}")),
        }
    }
}

/// One JWK as a key that may verify signatures, or why it may not.
fn key(jwk: &Map<String, Value>) -> Result<Key, String> {
    let text = |name: &str| match jwk.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("its `{name}` is no text")),
    };
    if jwk.contains_key("d") || jwk.contains_key("k") {
        return Err("it is a secret key, published: whoever read it can sign".to_owned());
    }
    if let Some(usage) = text("use")?.filter(|usage| *usage != "sig") {
        return Err(format!("its `use` is {}, not `sig`", quote(usage)));
    }
    match jwk.get("key_ops") {
        None | Some(Value::Null) => {}
        Some(Value::Array(ops)) if ops.iter().any(|op| op == "verify") => {}
        Some(_) => return Err("its `key_ops` do not hold `verify`".to_owned()),
    }
    let number = |name: &str| -> Result<Vec<u8>, String> {
        let value = text(name)?.ok_or_else(|| format!("it has no `{name}`"))?;
        URL_SAFE_NO_PAD.decode(value).map_err(|error| format!("its `{name}` is no base64url: {error}"))
    };
    let (shape, decoding, material) = match (text("kty")?, text("crv")?) {
        (Some("RSA"), _) => {
            let (n, e) = (number("n")?, number("e")?);
            let bits = n.len() * 8;
            if !(2048..=8192).contains(&bits) {
                return Err(format!("it has {bits} bits; 2048 to 8192 are accepted"));
            }
            (Shape::Rsa, DecodingKey::from_rsa_raw_components(&n, &e), [n, e].concat())
        }
        (Some("EC"), Some(curve @ ("P-256" | "P-384"))) => {
            let (shape, length) = if curve == "P-256" { (Shape::P256, 32) } else { (Shape::P384, 48) };
            let (x, y) = (number("x")?, number("y")?);
            if x.len() != length || y.len() != length {
                return Err(format!("its coordinates are not of {length} bytes, as for {curve}"));
            }
            let point = [vec![4], x, y].concat();
            (shape, DecodingKey::from_ec_der(&point), point)
        }
        (Some("OKP"), Some("Ed25519")) => {
            let x = number("x")?;
            if x.len() != 32 {
                return Err("it is not of 32 bytes".to_owned());
            }
            (Shape::Ed25519, DecodingKey::from_ed_der(&x), x)
        }
        (kind, curve) => {
            let kind = [kind, curve].into_iter().flatten().map(quote).collect::<Vec<_>>().join(" ");
            return Err(format!("keys of kind {kind} are not used here"));
        }
    };
    let algorithm = match text("alg")? {
        None => None,
        Some(name) => Some(
            Algorithm::from_name(name)
                .ok_or_else(|| format!("it is for {}, which is not used here", quote(name)))?,
        ),
    };
    let id = text("kid")?.map(str::to_owned);
    let mut digest = Context::new(&SHA256);
    for part in [id.as_deref().unwrap_or_default(), algorithm.map_or("", Algorithm::name)] {
        digest.update(&part.len().to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.update(&[shape as u8, u8::from(id.is_some())]);
    digest.update(&material);
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest.finish().as_ref());
    Ok(Key { id, algorithm, shape, fingerprint, decoding })
}
