//! The front end: a compact JWS (RFC 7515, section 7.1) read so that no other reader can read it
//! differently. Nothing is verified here, and nothing read here is believed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::error::quote;
use crate::inspect::Reading;
use crate::{AuthenticateError, Check, strict};

/// The longest token that is read, in bytes.
pub const MAX_TOKEN_BYTES: usize = 64 << 10;

/// The longest header that is read, in bytes of JSON.
pub const MAX_HEADER_BYTES: usize = 16 << 10;

/// The longest `kid` that is looked for, in bytes.
const MAX_KEY_ID_BYTES: usize = 1024;

/// A token taken apart. Nothing of it is verified.
#[derive(Debug)]
pub(crate) struct Compact<'t> {
    /// Header and payload as sent, with the dot between them: what the signature is over.
    pub(crate) signed: &'t str,
    /// The signature as sent.
    pub(crate) signature: &'t str,
    /// The header.
    pub(crate) header: Header,
    /// The payload, an object.
    pub(crate) claims: Value,
}

/// What a header says (RFC 7515, section 4.1). `jku`, `jwk`, `x5u` and `x5c` are never looked at: the
/// keys come from the configured issuer alone.
#[derive(Debug)]
pub(crate) struct Header {
    /// `alg`.
    pub(crate) algorithm: String,
    /// `typ`.
    pub(crate) kind: Option<String>,
    /// `kid`.
    pub(crate) key: Option<String>,
}

/// Reads `token` as far as that goes without an issuer: size, structure, header, claims. It is public
/// so that it can be fuzzed; passing says nothing about who made the token.
///
/// # Errors
/// The first check that failed.
pub fn front_end(token: &[u8]) -> Result<(), AuthenticateError> {
    let mut reading = Reading::default();
    let text = std::str::from_utf8(token)
        .map_err(|_| AuthenticateError::Structure("the token is no text".to_owned()))?;
    read(text, &mut reading).map(drop)
}

/// Takes `token` apart, and notes in `reading` what passed.
pub(crate) fn read<'t>(token: &'t str, reading: &mut Reading) -> Result<Compact<'t>, AuthenticateError> {
    let limit = MAX_TOKEN_BYTES;
    if token.len() > limit {
        return Err(AuthenticateError::Size { what: "token", bytes: token.len(), limit });
    }
    let header = token.split('.').next().unwrap_or_default();
    let (bytes, limit) = (header.len() * 3 / 4, MAX_HEADER_BYTES);
    if bytes > limit {
        return Err(AuthenticateError::Size { what: "header", bytes, limit });
    }
    reading.pass(Check::Size);

    let (signed, payload, signature) = parts(token)?;
    let header = decode(header, "header")?;
    let payload = decode(payload, "payload")?;
    decode(signature, "signature")?;
    reading.pass(Check::Structure);

    let members = strict::object(&header).map_err(AuthenticateError::Header)?;
    let header = Header::read(&members)?;
    let extension = ["crit", "b64"].into_iter().find(|name| members.contains_key(*name));
    reading.header = Some(members);
    reading.pass(Check::Header);

    if let Some(name) = extension {
        return Err(AuthenticateError::Critical(name));
    }
    reading.pass(Check::Critical);

    let claims = Value::Object(strict::object(&payload).map_err(AuthenticateError::Claims)?);
    reading.claims = Some(claims.clone());
    reading.pass(Check::Claims);
    Ok(Compact { signed, signature, header, claims })
}

/// What is signed, the payload within it, and the signature.
fn parts(token: &str) -> Result<(&str, &str, &str), AuthenticateError> {
    let wrong = |why: &str| AuthenticateError::Structure(why.to_owned());
    match token.bytes().filter(|byte| *byte == b'.').count() {
        2 => {}
        4 => {
            return Err(wrong(
                "the token has five parts: it is encrypted (JWE), and only signed ones are read",
            ));
        }
        0 | 1 => {
            return Err(wrong(
                "the token is no JWT: it is opaque, and only its issuer can read it; configure \
                 `introspection` for the issuer, ask it for a JWT access token, or send the ID token",
            ));
        }
        _ => return Err(wrong("the token has not three parts")),
    }
    let halves = token.rsplit_once('.').and_then(|(signed, signature)| {
        signed.split_once('.').map(|(_, payload)| (signed, payload, signature))
    });
    halves.ok_or_else(|| wrong("the token has not three parts"))
}

/// Decodes base64url without padding; bits left over in the last letter must be zero, or two tokens
/// would differ and mean the same.
fn decode(part: &str, what: &str) -> Result<Vec<u8>, AuthenticateError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|error| {
        AuthenticateError::Structure(format!("the {what} is no canonical base64url: {error}"))
    })
}

impl Header {
    fn read(members: &Map<String, Value>) -> Result<Self, AuthenticateError> {
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(AuthenticateError::Header(format!("its `{name}` is no text"))),
        };
        let header = Self {
            algorithm: text("alg")?.ok_or_else(|| AuthenticateError::Header("it has no `alg`".to_owned()))?,
            kind: text("typ")?,
            key: text("kid")?,
        };
        match &header.key {
            Some(key) if key.len() > MAX_KEY_ID_BYTES => {
                let why = format!("its `kid` {} is over {MAX_KEY_ID_BYTES} bytes long", quote(key));
                Err(AuthenticateError::Header(why))
            }
            _ => Ok(header),
        }
    }
}
