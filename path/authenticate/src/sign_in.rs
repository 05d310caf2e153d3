//! A person's sign-in: the ID token that answers it, and the session that rests on it.
//!
//! An ID token is checked as every token is, by the issuer's keys and rules, and besides that it is the
//! answer to this very sign-in (OpenID Connect Core 1.0, section 3.1.3.7): for the client that asked, with
//! its nonce, and with the access token it came with. What comes of it is a [`SignedIn`], which holds no
//! token and may be kept. It is believed for a stated time, never past the token's end; then the issuer is
//! asked again, so that no group outlives what the issuer says of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Algorithm as Hash, SHA256, SHA384, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use model::{ExchangeId, Identity, hex, same};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::authenticator::{admitted, proven, signed};
use crate::claims::{self, Times};
use crate::error::quote;
use crate::inspect::Reading;
use crate::issuer::Issuer;
use crate::mapping::Bearer;
use crate::standing::Who;
use crate::{AuthenticateError, Authenticator, Caller, compact, digest as digests, userinfo};

/// The shortest time a sign-in is believed, also when its token ends sooner: a browser that comes back from
/// the issuer must arrive somewhere.
const LEAST: Duration = Duration::from_secs(60);
/// The longest `sid` that is kept, in bytes.
const MAX_SESSION_BYTES: usize = 255;

/// What a sign-in asked for, and so what its ID token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The issuer's configured name.
    pub issuer: &'a str,
    /// The client's id: `aud`.
    pub client: &'a str,
    /// The nonce that was sent.
    pub nonce: &'a str,
    /// The access token that came beside the ID token, for `at_hash`.
    pub access_token: Option<&'a str>,
    /// How long ago the person may have proven who they are, as asked for by `max_age`.
    pub max_age: Option<Duration>,
    /// How long the ID token is believed at most.
    pub believe: Duration,
}

/// What a sign-in proved. It holds no token, so that it may be kept; whoever can write where it is kept
/// can sign in as anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// Who it is, with the groups of the ID token.
    pub identity: Arc<Identity>,
    /// Where the groups were read: JSON pointers into the claims.
    pub groups_from: BTreeSet<String>,
    /// Whether the issuer's userinfo was asked for them, because the ID token has none.
    pub from_userinfo: bool,
    /// The issuer's name for its own session (`sid`), by which it tells of a logout.
    pub issuer_session: Option<String>,
    /// When it is no longer believed.
    pub believed_until: Timestamp,
}

impl Authenticator {
    /// Checks the ID token that came of a sign-in.
    ///
    /// # Errors
    /// The first check that failed; [`AuthenticateError::SignIn`] when the token is good and answers
    /// another sign-in.
    pub async fn sign_in(
        &self,
        id_token: &str,
        expected: &Expected<'_>,
    ) -> Result<SignedIn, AuthenticateError> {
        let mut reading = Reading::default();
        let read = compact::read(id_token, &mut reading)?;
        let claims = &read.claims;
        let issuer = self.named_issuer(expected.issuer)?;
        let said = claims::issuer(claims)?;
        if said != issuer.url {
            let why = format!("the ID token is of {}, not of issuer `{}`", quote(said), issuer.name);
            return Err(AuthenticateError::Issuer(why));
        }
        let audiences = claims::audiences(claims)?;
        party(issuer, claims, &audiences, expected.client)?;
        // An access token or a logout token signed by the same keys is no ID token (RFC 8725, section 3.11).
        if !read.header.kind.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case("jwt")) {
            let shown = quote(read.header.kind.as_deref().unwrap_or_default());
            return Err(AuthenticateError::Type(format!("a token of type {shown} is no ID token")));
        }
        let algorithm = admitted(issuer, &read, &mut reading)?;
        signed(issuer, &read, algorithm, &mut reading).await?;

        let Value::Object(mut members) = claims.clone() else {
            return Err(AuthenticateError::Claims("they are no object".to_owned()));
        };
        let subject = claims::subject(&members)?.to_owned();
        let now = self.clock.now();
        let times = claims::times(&members, issuer, now, &mut reading)?;
        if times.issued_at.is_none() {
            return Err(AuthenticateError::IssuedAt("the ID token has no `iat`".to_owned()));
        }
        answers(claims, &read.header.algorithm, expected)?;
        fresh(&times, issuer, now, expected)?;
        let from_userinfo = match expected.access_token.filter(|_| issuer.userinfo.is_some()) {
            Some(token) => {
                let digest = digests::of(token);
                let asked = userinfo::complete(issuer, token, &digest, &subject, &mut members, &mut reading);
                Box::pin(asked).await?
            }
            None => false,
        };
        let claims = &Value::Object(members);
        let bearer = Bearer {
            issuer: &issuer.url,
            issuer_name: &issuer.name,
            subject: &subject,
            digest: hex(&digests::of(id_token)),
            audiences,
            times: &times,
        };
        let identity = Arc::new(issuer.mapping.identity(bearer, claims, &mut reading)?);
        let issuer_session = session(claims);
        self.admits(&Who::new(&identity, issuer_session.as_deref()))?;
        let later = |by| now.checked_add(by).unwrap_or(Timestamp::MAX);
        Ok(SignedIn {
            identity,
            groups_from: issuer.mapping.sources(claims),
            from_userinfo,
            issuer_session,
            believed_until: times.expires_at.min(later(expected.believe)).max(later(LEAST)),
        })
    }

    /// The caller that a kept sign-in stands for, proven for `exchange`.
    ///
    /// # Errors
    /// [`AuthenticateError::SignIn`] when it is no longer believed, or its issuer is no longer configured;
    /// the reason why the person is shut out, if they are: blocked, revoked, or logged out at the issuer.
    pub fn resume(&self, exchange: ExchangeId, signed_in: &SignedIn) -> Result<Caller, AuthenticateError> {
        let identity = &signed_in.identity;
        let issuer = self.named_issuer(&identity.issuer_name)?;
        if issuer.url != identity.issuer {
            let why = format!("issuer `{}` is another one since the sign-in", issuer.name);
            return Err(AuthenticateError::SignIn(why));
        }
        if self.clock.now() >= signed_in.believed_until {
            let why = format!("the sign-in was believed until {}", signed_in.believed_until);
            return Err(AuthenticateError::SignIn(why));
        }
        let seen = self.saw(Identity::clone(identity), signed_in.issuer_session.as_deref());
        self.admits(&seen.who)?;
        Ok(proven(exchange, seen, self.standing()))
    }

    fn named_issuer(&self, name: &str) -> Result<&Issuer, AuthenticateError> {
        let issuer = self.issuers.iter().find(|issuer| issuer.name == name);
        issuer
            .ok_or_else(|| AuthenticateError::SignIn(format!("no issuer is called {} any more", quote(name))))
    }
}

/// `aud` holds the client, and nobody unknown; `azp`, where it must be or is, names the client.
fn party(issuer: &Issuer, claims: &Value, audiences: &[&str], client: &str) -> Result<(), AuthenticateError> {
    let known = |audience: &&&str| **audience == client || issuer.is_audience(&[**audience]);
    if !audiences.contains(&client) {
        let why = "the ID token is for another client: `aud` does not name this one";
        return Err(AuthenticateError::Audience(why.to_owned()));
    }
    if let Some(other) = audiences.iter().find(|audience| !known(audience)) {
        let why = format!("the ID token is also for {}, whom nothing here speaks of", quote(other));
        return Err(AuthenticateError::Audience(why));
    }
    match claims.get("azp") {
        None if audiences.len() == 1 => Ok(()),
        Some(Value::String(party)) if party == client => Ok(()),
        _ => Err(AuthenticateError::Audience("`azp` does not name this client".to_owned())),
    }
}

/// Whether it is the answer to this sign-in: its nonce, and the access token beside it.
fn answers(claims: &Value, algorithm: &str, expected: &Expected<'_>) -> Result<(), AuthenticateError> {
    let wrong = |why: &str| Err(AuthenticateError::SignIn(why.to_owned()));
    match claims.get("nonce").and_then(Value::as_str) {
        Some(nonce) if same(nonce, expected.nonce) => {}
        Some(_) => return wrong("the ID token answers another sign-in: its `nonce` is not the one sent"),
        None => return wrong("the ID token has no `nonce`, so it may answer another sign-in"),
    }
    let Some(said) = claims.get("at_hash") else { return Ok(()) };
    let (Some(said), Some(token)) = (said.as_str(), expected.access_token) else {
        return wrong("the ID token has an `at_hash` that cannot be compared");
    };
    let hash: &Hash = match algorithm {
        "RS384" | "PS384" | "ES384" => &SHA384,
        "RS512" | "PS512" | "EdDSA" => &SHA512,
        _ => &SHA256,
    };
    let whole = digest(hash, token.as_bytes());
    let half = whole.as_ref().get(..whole.as_ref().len() / 2).unwrap_or_default();
    match same(said, &URL_SAFE_NO_PAD.encode(half)) {
        true => Ok(()),
        false => wrong("the access token is not the one the ID token came with: `at_hash` differs"),
    }
}

/// Whether the login is as recent as was asked. An issuer that does not tell (`auth_time`) is believed to
/// have heeded `max_age`.
fn fresh(
    times: &Times,
    issuer: &Issuer,
    now: Timestamp,
    expected: &Expected<'_>,
) -> Result<(), AuthenticateError> {
    let (Some(most), Some(at)) = (expected.max_age, times.authenticated_at) else { return Ok(()) };
    let latest = at.checked_add(most.saturating_add(issuer.skew)).unwrap_or(Timestamp::MAX);
    match now <= latest {
        true => Ok(()),
        false => Err(AuthenticateError::SignIn(format!(
            "the person last proved who they are at {at}, which is longer ago than was asked for"
        ))),
    }
}

fn session(claims: &Value) -> Option<String> {
    let sid = claims.get("sid")?.as_str()?;
    let fits = (1..=MAX_SESSION_BYTES).contains(&sid.len()) && !sid.chars().any(char::is_control);
    fits.then(|| sid.to_owned())
}
