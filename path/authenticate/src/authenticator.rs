//! The whole of the step: from headers to a caller, or to the check that failed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use model::{Clock, ExchangeId, Identity, hex};
use serde_json::{Map, Value};

use crate::cache::{Cache, Verified};
use crate::compact::{self, Compact};
use crate::digest::{self, Digest};
use crate::error::quote;
use crate::inspect::{Inspection, Reading};
use crate::issuer::Issuer;
use crate::keys::{Algorithm, Fingerprint, KeyFault};
use crate::mapping::Bearer;
use crate::provider::Held;
use crate::standing::{Granted, Seen, Standing, Who};
use crate::{AuthenticateError, Check, IssuerHealth, bearer, claims, opaque, userinfo};

/// How often [`Authenticator::keep_fresh`] looks after the keys.
const FRESHEN_EVERY: Duration = Duration::from_secs(1);

/// How long groups from userinfo are believed, in a token that ends no sooner.
const USERINFO_KEPT: Duration = Duration::from_secs(60);

/// Knows the configured issuers, their keys, and the tokens verified of late. A new configuration is a
/// new authenticator, which remembers nothing of the old one.
pub struct Authenticator {
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) clock: Arc<dyn Clock>,
    cache: Cache,
    standing: Arc<Standing>,
}

/// The proof that a token was verified for this exchange: the request's own ([`Authenticator::caller`]), or
/// the one a person signed in with ([`Authenticator::resume`]).
pub struct Caller {
    exchange: ExchangeId,
    seen: Arc<Seen>,
    /// As the token says, and in the groups of live grants.
    identity: Arc<Identity>,
    granted: Granted,
}

impl Caller {
    /// The exchange it was verified for.
    pub fn exchange(&self) -> ExchangeId {
        self.exchange
    }

    /// Who the caller is: as the token says, and also in the groups it was granted for a while.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// The same as the token alone says: what is asked for beside it is judged by this.
    pub fn own(&self) -> &Arc<Identity> {
        &self.seen.identity
    }

    /// The grants that are in its groups.
    pub(crate) fn granted(&self) -> &Granted {
        &self.granted
    }

    /// What [`Standing`] judges by.
    pub(crate) fn seen(&self) -> &Arc<Seen> {
        &self.seen
    }
}

/// Makes the proof, for whoever passed every check.
pub(crate) fn proven(exchange: ExchangeId, seen: Arc<Seen>, standing: &Standing) -> Caller {
    let (identity, granted) = standing.widened(&seen.who.caller, &seen.identity);
    Caller { exchange, seen, identity, granted }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({} for {})", self.identity().entity_id(), self.exchange)
    }
}

impl Authenticator {
    /// Checks and compiles the settings. Nothing is fetched yet: see [`Authenticator::warm`]. Whom
    /// `standing` shuts out is refused, also with a token that was accepted before.
    ///
    /// # Errors
    /// [`AuthenticateError::Settings`] or [`AuthenticateError::Dial`] for the first issuer that cannot be
    /// used, and when two issuers could both be meant by one token.
    pub fn build(
        issuers: &[config::Issuer],
        limits: &config::Limits,
        clock: Arc<dyn Clock>,
        standing: Arc<Standing>,
    ) -> Result<Arc<Self>, AuthenticateError> {
        let mut built: Vec<Issuer> = Vec::new();
        for settings in issuers {
            let issuer = Issuer::build(settings, Arc::clone(&clock))?;
            let same = |other: &&Issuer| {
                other.url == issuer.url && other.audiences.iter().any(|name| issuer.audiences.contains(name))
            };
            if let Some(other) = built.iter().find(same) {
                return Err(AuthenticateError::Settings {
                    issuer: issuer.name.clone(),
                    why: format!(
                        "issuer `{}` has the same URL and an audience in common: give each its own audiences",
                        other.name
                    ),
                });
            }
            built.push(issuer);
        }
        Ok(Arc::new(Self { issuers: built, clock, cache: Cache::new(limits.token_cache), standing }))
    }

    /// The caller whose token `headers` carry, proven for `exchange`.
    ///
    /// # Errors
    /// The first check that failed.
    pub async fn caller(
        &self,
        exchange: ExchangeId,
        headers: &HeaderMap,
    ) -> Result<Caller, AuthenticateError> {
        let mut reading = Reading::default();
        let identity = match bearer::token(headers) {
            Ok(token) => self.identity(token, &mut reading).await,
            Err(error) => Err(error),
        };
        let identity = identity.and_then(|verified| match self.standing.judge(&verified.seen.who) {
            None => Ok(verified),
            Some(ended) => Err(AuthenticateError::shut_out(ended)),
        });
        let result = match &identity {
            Ok(_) => "accepted",
            Err(error) => error.check().map_or("settings", Check::name),
        };
        let issuer = match &identity {
            Ok(verified) => &verified.seen.identity.issuer_name,
            Err(_) => self.named(reading.issuer),
        };
        metrics::counter!("portcullis_tokens_total", "issuer" => issuer.to_owned(), "result" => result)
            .increment(1);
        identity.map(|Verified { seen, .. }| proven(exchange, seen, &self.standing))
    }

    /// Every check of `token`, and what it says. Asks the same questions as [`Authenticator::caller`], of
    /// the same keys, but remembers nothing and makes no proof.
    pub async fn inspect(&self, token: &str) -> Inspection {
        let mut reading = Reading::default();
        let token = token.trim();
        let outcome = if token.is_empty() {
            Err(AuthenticateError::Missing)
        } else {
            reading.pass(Check::Presented);
            let verified = self.verify(token, &digest::of(token), &mut reading).await;
            verified.and_then(|verified| match self.standing.judge(&verified.seen.who) {
                Some(ended) => Err(AuthenticateError::shut_out(ended)),
                None => {
                    if !self.standing.is_stateless() {
                        reading.pass(Check::Standing);
                    }
                    Ok(verified)
                }
            })
        };
        let issuer = reading.issuer.and_then(|at| self.issuers.get(at));
        let groups = match (issuer, &reading.claims) {
            (Some(issuer), Some(claims)) => issuer.mapping.groups(claims).ok(),
            _ => None,
        };
        let name = issuer.map(|issuer| issuer.name.clone());
        let outcome = outcome.map(|verified| Identity::clone(&verified.seen.identity));
        Inspection { issuer: name, groups, ..Inspection::new(reading, outcome) }
    }

    pub(crate) fn configured(&self) -> &[Issuer] {
        &self.issuers
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// How each issuer stands, in the order of the configuration.
    pub fn issuers(&self) -> Vec<IssuerHealth> {
        self.issuers.iter().map(|issuer| issuer.provider.health()).collect()
    }

    /// Fetches every issuer's keys once, all at a time, so that the first caller need not wait. What
    /// fails is tried again when a token needs it.
    pub async fn warm(&self) {
        self.each(|provider| async move {
            provider.fetch().await;
        })
        .await;
    }

    /// Keeps every issuer's keys fresh, without end: run it in a task and abort that. Without it keys are
    /// fetched when a token needs them.
    pub async fn keep_fresh(&self) {
        loop {
            tokio::time::sleep(FRESHEN_EVERY).await;
            self.each(|provider| async move { provider.freshen().await }).await;
        }
    }

    async fn each<F: Future<Output = ()> + Send + 'static>(
        &self,
        act: impl Fn(Arc<crate::provider::Provider>) -> F,
    ) {
        let mut acts = tokio::task::JoinSet::new();
        for issuer in &self.issuers {
            acts.spawn(act(Arc::clone(&issuer.provider)));
        }
        acts.join_all().await;
    }

    /// Refuses whoever is shut out.
    pub(crate) fn admits(&self, who: &Who) -> Result<(), AuthenticateError> {
        self.standing.judge(who).map_or(Ok(()), |ended| Err(AuthenticateError::shut_out(ended)))
    }

    /// Notes that somebody was seen.
    pub(crate) fn saw(&self, identity: Identity, session: Option<&str>) -> Arc<Seen> {
        self.standing.saw(identity, session, self.clock.now())
    }

    /// Remembered, or verified now.
    async fn identity(&self, token: &str, reading: &mut Reading) -> Result<Verified, AuthenticateError> {
        let digest = digest::of(token);
        if let Some(verified) = self.cache.get(&digest) {
            if self.stands(&verified).await {
                let issuer = verified.seen.identity.issuer_name.clone();
                metrics::counter!("portcullis_token_cache_hits_total", "issuer" => issuer).increment(1);
                verified.seen.again(self.clock.now());
                return Ok(verified);
            }
            self.cache.forget(&digest);
        }
        let verified = self.verify(token, &digest, reading).await?;
        self.cache.put(digest, verified.clone());
        Ok(verified)
    }

    /// Whether all that a verified token rested on still stands: its time, its key, its issuer's word.
    async fn stands(&self, verified: &Verified) -> bool {
        let believed = verified.until.is_none_or(|until| self.clock.elapsed() < until);
        if !believed || !verified.window.holds(self.clock.now()) {
            return false;
        }
        let Some(key) = &verified.key else { return true };
        let Some(issuer) = self.issuers.get(verified.issuer) else { return false };
        issuer.provider.current().await.is_ok_and(|held| held.set.holds(key))
    }

    async fn verify(
        &self,
        token: &str,
        digest: &Digest,
        reading: &mut Reading,
    ) -> Result<Verified, AuthenticateError> {
        if let Some((at, issuer)) = opaque::meant(&self.issuers, token)
            && let Some(settings) = &issuer.introspection
        {
            reading.issuer = Some(at);
            // Rare, and larger than a JWT's way: not carried by every request.
            let claims = Box::pin(opaque::introspected(issuer, settings, token, digest, reading)).await?;
            let until = self.clock.elapsed().saturating_add(settings.cache);
            return self
                .settle(token, digest, claims, Rests { at, issuer, key: None, until: Some(until) }, reading)
                .await;
        }
        let compact = compact::read(token, reading)?;
        let (at, issuer) = self.issuer(&compact, reading)?;
        typed(issuer, &compact, reading)?;
        let algorithm = admitted(issuer, &compact, reading)?;
        let key = signed(issuer, &compact, algorithm, reading).await?;
        let Value::Object(claims) = compact.claims else { return Err(AuthenticateError::Missing) };
        self.settle(token, digest, claims, Rests { at, issuer, key: Some(key), until: None }, reading).await
    }

    /// From claims that are known to be the issuer's to who is meant.
    async fn settle(
        &self,
        token: &str,
        digest: &Digest,
        mut members: Map<String, Value>,
        mut rests: Rests<'_>,
        reading: &mut Reading,
    ) -> Result<Verified, AuthenticateError> {
        let issuer = rests.issuer;
        let subject = claims::subject(&members)?.to_owned();
        reading.pass(Check::Subject);
        let times = claims::times(&members, issuer, self.clock.now(), reading)?;
        if issuer.userinfo.is_some() {
            let asked = userinfo::complete(issuer, token, digest, &subject, &mut members, reading);
            if Box::pin(asked).await? {
                let until = self.clock.elapsed().saturating_add(USERINFO_KEPT);
                rests.until = Some(rests.until.map_or(until, |known| known.min(until)));
            }
        }
        let claims = Value::Object(members);
        let bearer = Bearer {
            issuer: &issuer.url,
            issuer_name: &issuer.name,
            subject: &subject,
            digest: hex(digest),
            audiences: if claims.get("aud").is_some() { claims::audiences(&claims)? } else { Vec::new() },
            times: &times,
        };
        let identity = issuer.mapping.identity(bearer, &claims, reading)?;
        let session = claims.get("sid").and_then(Value::as_str);
        let seen = self.standing.saw(identity, session, self.clock.now());
        let Rests { at, key, until, .. } = rests;
        Ok(Verified { seen, issuer: at, key, until, window: times.window })
    }

    /// The configured issuer that the token claims to be of: by `iss`, then by `aud` among those that
    /// share an URL.
    fn issuer(
        &self,
        compact: &Compact<'_>,
        reading: &mut Reading,
    ) -> Result<(usize, &Issuer), AuthenticateError> {
        let said = claims::issuer(&compact.claims)?;
        let mut named = self.issuers.iter().enumerate().filter(|(_, issuer)| issuer.url == said).peekable();
        let Some((first, _)) = named.peek() else {
            return Err(AuthenticateError::Issuer(format!(
                "no configured issuer has the URL {}; it must be the same to the last slash",
                quote(said)
            )));
        };
        reading.issuer = Some(*first);
        reading.pass(Check::Issuer);
        let audiences = claims::audiences(&compact.claims)?;
        let Some((at, issuer)) = named.find(|(_, issuer)| issuer.is_audience(&audiences)) else {
            let said: Vec<String> = audiences.into_iter().take(8).map(quote).collect();
            return Err(AuthenticateError::Audience(format!(
                "the token is for {}, which no issuer of that URL lists in `audiences`",
                said.join(", ")
            )));
        };
        reading.issuer = Some(at);
        reading.pass(Check::Audience);
        Ok((at, issuer))
    }

    fn named(&self, issuer: Option<usize>) -> &str {
        issuer.and_then(|at| self.issuers.get(at)).map_or("none", |issuer| issuer.name.as_str())
    }
}

/// What claims rest on.
struct Rests<'i> {
    /// The issuer's place,
    at: usize,
    issuer: &'i Issuer,
    key: Option<Fingerprint>,
    until: Option<Duration>,
}

/// The header's type against what the issuer may use.
fn typed(issuer: &Issuer, compact: &Compact<'_>, reading: &mut Reading) -> Result<(), AuthenticateError> {
    let kind = compact.header.kind.as_deref();
    if !issuer.accepts_type(kind) {
        let shown = quote(kind.unwrap_or("JWT"));
        return Err(AuthenticateError::Type(format!(
            "a token of type {shown} is not accepted from issuer `{}`: `token_types` does not list it",
            issuer.name
        )));
    }
    reading.pass(Check::Type);
    Ok(())
}

/// The header's algorithm against what the issuer may use.
pub(crate) fn admitted(
    issuer: &Issuer,
    compact: &Compact<'_>,
    reading: &mut Reading,
) -> Result<Algorithm, AuthenticateError> {
    let name = &compact.header.algorithm;
    let algorithm = Algorithm::from_name(name).filter(|algorithm| issuer.algorithms.contains(algorithm));
    let algorithm = algorithm.ok_or_else(|| {
        AuthenticateError::Algorithm(format!(
            "the algorithm {} is not accepted from issuer `{}`: `algorithms` does not list it",
            quote(name),
            issuer.name
        ))
    })?;
    reading.pass(Check::Algorithm);
    Ok(algorithm)
}

/// Verifies the signature, with newer keys if those at hand have none by that name.
pub(crate) async fn signed(
    issuer: &Issuer,
    compact: &Compact<'_>,
    algorithm: Algorithm,
    reading: &mut Reading,
) -> Result<Fingerprint, AuthenticateError> {
    let id = compact.header.key.as_deref();
    let mut held: Arc<Held> = issuer.provider.current().await?;
    reading.pass(Check::Keys);
    if let Err(KeyFault::Unknown(_)) = held.set.find(algorithm, id)
        && let Some(newer) = issuer.provider.newer(&held).await?
    {
        held = newer;
    }
    let key = held.set.find(algorithm, id).map_err(|fault| match fault {
        KeyFault::Unknown(why) | KeyFault::Unfit(why) => AuthenticateError::Key(why),
    })?;
    reading.pass(Check::Key);
    if !key.verifies(algorithm, compact.signed, compact.signature) {
        return Err(AuthenticateError::Signature(key.to_string()));
    }
    reading.pass(Check::Signature);
    Ok(key.fingerprint())
}
