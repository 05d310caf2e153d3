//! One identity provider: where its keys lie, the last good ones, and when they are fetched again.
//!
//! Fetching is bounded both ways. However many requests want newer keys, one fetch runs at a time and at
//! most [`BURST`] begin within [`WINDOW`]. While the provider is away the last good keys serve, until
//! they are `stale_keys` old; then nobody of this issuer is known any more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dial::Fetcher;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use jiff::Timestamp;
use model::Clock;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::error::quote;
use crate::keys::KeySet;
use crate::{AuthenticateError, strict};

/// How many fetches may begin within [`WINDOW`] while the provider answers.
pub(crate) const BURST: usize = 3;
/// See [`BURST`].
pub(crate) const WINDOW: Duration = Duration::from_secs(30);
/// Keys older than this are fetched again before they are used, if the provider answers. So this is how
/// long a key that the provider dropped may still be believed. Keys half as old are fetched again behind
/// a request that uses them.
const RENEW_AFTER: Duration = Duration::from_secs(10 * 60);
/// Keys no older than this are fresh, even where the configuration tolerates no stale ones.
const FRESH: Duration = Duration::from_secs(60);
/// How long the discovery document is believed.
const DISCOVERY_KEPT: Duration = Duration::from_secs(3600);
/// The longest pause after a failed fetch; the first is one second, and each is twice the one before.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long one document may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest discovery document, in bytes.
const MAX_DISCOVERY_BYTES: usize = 256 << 10;
/// The largest key set, in bytes.
const MAX_KEYS_BYTES: usize = 1 << 20;

/// How an issuer stands, for readiness and for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IssuerHealth {
    /// The configured name.
    pub name: String,
    /// The issuer's URL.
    pub issuer: String,
    /// Whether tokens of this issuer can be verified now.
    pub usable: bool,
    /// How many keys are held.
    pub keys: usize,
    /// When they were fetched.
    pub fetched_at: Option<Timestamp>,
    /// Why the last fetch failed, if it did.
    pub failure: Option<String>,
}

/// Keys, and when they came.
pub(crate) struct Held {
    pub(crate) set: KeySet,
    fetched: Duration,
    fetched_at: Timestamp,
}

/// One identity provider.
pub(crate) struct Provider {
    name: String,
    issuer: String,
    discovery: Uri,
    /// The keys' place, when the configuration names it.
    jwks: Option<Uri>,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    stale_after: Duration,
    held: ArcSwapOption<Held>,
    flight: Mutex<Flight>,
}

/// What the discovery document says, of what is used.
pub(crate) struct Discovered {
    jwks: Uri,
    /// RFC 8414, section 2.
    pub(crate) introspection: Option<Uri>,
    pub(crate) userinfo: Option<Uri>,
}

/// The state of fetching.
#[derive(Default)]
struct Flight {
    /// Ends when the running fetch does.
    running: Option<watch::Receiver<()>>,
    /// When the last few fetches began.
    begun: VecDeque<Duration>,
    /// How many failed since the last good one.
    failures: u32,
    failure: Option<String>,
    discovered: Option<(Arc<Discovered>, Duration)>,
}

impl Flight {
    /// How long until another fetch may begin.
    fn pause(&self, now: Duration) -> Duration {
        let since = |begun: &Duration| now.saturating_sub(*begun);
        if self.failures > 0 {
            let pause = Duration::from_secs(1 << self.failures.min(5).saturating_sub(1)).min(LONGEST_PAUSE);
            return self.begun.back().map_or(Duration::ZERO, |begun| pause.saturating_sub(since(begun)));
        }
        match self.begun.front() {
            Some(oldest) if self.begun.len() >= BURST => WINDOW.saturating_sub(since(oldest)),
            _ => Duration::ZERO,
        }
    }
}

impl Provider {
    pub(crate) fn build(settings: &config::Issuer, clock: Arc<dyn Clock>) -> Result<Self, AuthenticateError> {
        let wrong = |why| AuthenticateError::Settings { issuer: settings.name.clone(), why };
        let uri = |url: &str| {
            let uri: Uri = url.parse().map_err(|error| wrong(format!("`{url}` is no URL: {error}")))?;
            dialable(&uri, settings.allow_http).map_err(|why| wrong(format!("`{url}` {why}")))?;
            Ok(uri)
        };
        let jwks = settings.jwks.as_deref().map(&uri).transpose()?;
        let discovery = match &settings.discovery {
            Some(url) => url.clone(),
            // OpenID Connect Discovery 1.0, section 4.
            None => format!("{}/.well-known/openid-configuration", settings.issuer.trim_end_matches('/')),
        };
        // With the keys' place given nothing is discovered, and the issuer need not even be an URL.
        let discovery = match &jwks {
            Some(jwks) => jwks.clone(),
            None => uri(&discovery)?,
        };
        let first = jwks.as_ref().unwrap_or(&discovery);
        let asked = [
            settings.introspection.as_ref().and_then(|asked| asked.url.as_deref()),
            settings.userinfo.as_ref().and_then(|asked| asked.url.as_deref()),
        ];
        let secure = |url: &str| url.starts_with("https:");
        let plain = first.scheme_str() == Some("http") && !asked.into_iter().flatten().any(secure);
        let fetcher = Fetcher::choose(plain, settings.ca_file.as_deref(), TIMEOUT)
            .map_err(|source| AuthenticateError::Dial { issuer: settings.name.clone(), source })?;
        Ok(Self {
            name: settings.name.clone(),
            issuer: settings.issuer.clone(),
            discovery,
            jwks,
            fetcher,
            clock,
            stale_after: settings.stale_keys,
            held: ArcSwapOption::empty(),
            flight: Mutex::default(),
        })
    }

    /// The keys to verify with now: fetched first when there are none or they are old, fetched behind
    /// the request when they are getting old, the last good ones while the provider is away.
    pub(crate) async fn current(self: &Arc<Self>) -> Result<Arc<Held>, AuthenticateError> {
        if let Some(held) = self.held.load_full() {
            let (age, away) = (self.age(&held), self.away());
            if self.serves(age, away) && (age <= self.renew_after() || away) {
                if away || age > self.renew_after() / 2 {
                    drop(self.refresh());
                }
                return Ok(held);
            }
        }
        self.fetch().await;
        match self.held.load_full() {
            Some(held) if self.serves(self.age(&held), self.away()) => Ok(held),
            _ => Err(self.unavailable()),
        }
    }

    /// Keys newer than `held`, which have no key for a token. None when none may be fetched now.
    ///
    /// # Errors
    /// [`AuthenticateError::Keys`] when the provider was asked and did not answer: then nobody can say
    /// that the key does not exist.
    pub(crate) async fn newer(
        self: &Arc<Self>,
        held: &Arc<Held>,
    ) -> Result<Option<Arc<Held>>, AuthenticateError> {
        let asked = self.fetch().await;
        match self.held.load_full() {
            Some(newer) if !Arc::ptr_eq(&newer, held) => Ok(Some(newer)),
            _ if asked || self.away() => Err(self.unavailable()),
            _ => Ok(None),
        }
    }

    /// Fetches, or waits for the fetch that is running. False when none may begin now.
    pub(crate) async fn fetch(self: &Arc<Self>) -> bool {
        match self.refresh() {
            None => false,
            Some(mut running) => {
                // The sender is dropped, never used: either way the fetch has ended.
                running.changed().await.ok();
                true
            }
        }
    }

    /// Fetches once if the keys are getting old, for the task that keeps them fresh.
    pub(crate) async fn freshen(self: &Arc<Self>) {
        let held = self.held.load_full();
        if self.away() || held.is_none_or(|held| self.age(&held) > self.renew_after() / 2) {
            self.fetch().await;
        }
    }

    /// What reads this issuer's documents.
    pub(crate) fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    pub(crate) fn health(&self) -> IssuerHealth {
        let held = self.held.load_full();
        IssuerHealth {
            name: self.name.clone(),
            issuer: self.issuer.clone(),
            usable: held.as_ref().is_some_and(|held| self.serves(self.age(held), self.away())),
            keys: held.as_ref().map_or(0, |held| held.set.len()),
            fetched_at: held.map(|held| held.fetched_at),
            failure: self.flight().failure.clone(),
        }
    }

    /// How old keys are, by whichever clock says older: one may be set back, the other may have slept
    /// with the machine.
    fn age(&self, held: &Held) -> Duration {
        let by_wall = self.clock.now().duration_since(held.fetched_at);
        let by_wall = Duration::try_from(by_wall).unwrap_or(Duration::ZERO);
        self.clock.elapsed().saturating_sub(held.fetched).max(by_wall)
    }

    /// Whether the last fetch failed.
    fn away(&self) -> bool {
        self.flight().failures > 0
    }

    /// Whether keys of this age may verify.
    fn serves(&self, age: Duration, away: bool) -> bool {
        age <= if away { self.stale_after } else { self.stale_after.max(self.renew_after()) }
    }

    fn renew_after(&self) -> Duration {
        self.stale_after.clamp(FRESH, RENEW_AFTER)
    }

    /// Joins the running fetch or begins one. The fetch is a task of its own, so that it is not lost
    /// when the request that began it is.
    fn refresh(self: &Arc<Self>) -> Option<watch::Receiver<()>> {
        let mut flight = self.flight();
        if let Some(running) = &flight.running {
            return Some(running.clone());
        }
        let now = self.clock.elapsed();
        if !flight.pause(now).is_zero() {
            return None;
        }
        if flight.begun.len() >= BURST {
            flight.begun.pop_front();
        }
        flight.begun.push_back(now);
        let (ending, running) = watch::channel(());
        flight.running = Some(running.clone());
        let landing = Landing { provider: Arc::clone(self), _ending: ending };
        tokio::spawn(async move {
            let landing = landing;
            landing.provider.load().await;
        });
        Some(running)
    }

    async fn load(&self) {
        let read = self.read().await;
        let mut flight = self.flight();
        let result = if read.is_ok() { "ok" } else { "failed" };
        metrics::counter!("portcullis_jwks_fetches_total", "issuer" => self.name.clone(), "result" => result)
            .increment(1);
        match read {
            Ok(set) => {
                tracing::info!(issuer = self.name, keys = set.len(), "fetched the issuer's keys");
                let (fetched, fetched_at) = (self.clock.elapsed(), self.clock.now());
                self.held.store(Some(Arc::new(Held { set, fetched, fetched_at })));
                (flight.failures, flight.failure) = (0, None);
            }
            Err(why) => {
                tracing::warn!(issuer = self.name, why, "cannot fetch the issuer's keys");
                flight.failures = flight.failures.saturating_add(1);
                (flight.failure, flight.discovered) = (Some(why), None);
            }
        }
    }

    async fn read(&self) -> Result<KeySet, String> {
        let url = match &self.jwks {
            Some(url) => url.clone(),
            None => self.discover().await?.jwks.clone(),
        };
        let body = self.document(&url, MAX_KEYS_BYTES).await?;
        KeySet::parse(&body).map_err(|why| format!("{url} is no key set: {why}"))
    }

    /// Where the keys lie, by the discovery document, which must be of this very issuer
    /// (OpenID Connect Discovery 1.0, section 4.3; RFC 8414, section 3.3).
    pub(crate) async fn discover(&self) -> Result<Arc<Discovered>, String> {
        let now = self.clock.elapsed();
        if let Some((discovered, found)) = &self.flight().discovered
            && now.saturating_sub(*found) < DISCOVERY_KEPT
        {
            return Ok(Arc::clone(discovered));
        }
        let from = &self.discovery;
        let body = self.document(from, MAX_DISCOVERY_BYTES).await?;
        let members =
            strict::object(&body).map_err(|why| format!("{from} is no discovery document: {why}"))?;
        let text = |name: &str| {
            let text = members.get(name).and_then(Value::as_str);
            text.ok_or_else(|| format!("{from} has no `{name}`"))
        };
        let issuer = text("issuer")?;
        if issuer != self.issuer {
            return Err(format!(
                "{from} is the document of issuer {}, not of `{}`: configure the issuer as its tokens spell it",
                quote(issuer),
                self.issuer
            ));
        }
        let plain = from.scheme_str() == Some("http");
        let place = |name: &str, place: &str| {
            let url: Uri = place
                .parse()
                .map_err(|error| format!("{from} names {} as `{name}`: {error}", quote(place)))?;
            dialable(&url, plain)
                .map_err(|why| format!("{from} names {} as `{name}`, which {why}", quote(place)))?;
            Ok::<Uri, String>(url)
        };
        // What is only asked now and then must not keep the keys away: a bad place is no place.
        let besides = |name: &str| members.get(name)?.as_str().and_then(|text| place(name, text).ok());
        let discovered = Arc::new(Discovered {
            jwks: place("jwks_uri", text("jwks_uri")?)?,
            introspection: besides("introspection_endpoint"),
            userinfo: besides("userinfo_endpoint"),
        });
        self.flight().discovered = Some((Arc::clone(&discovered), now));
        Ok(discovered)
    }

    async fn document(&self, url: &Uri, limit: usize) -> Result<bytes::Bytes, String> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, application/jwk-set+json"));
        let fetched = self.fetcher.get(url, &headers, limit).await.map_err(|error| error.to_string())?;
        if fetched.status == StatusCode::OK {
            Ok(fetched.body)
        } else {
            Err(format!("{url} answered {}; redirects are not followed", fetched.status))
        }
    }

    fn unavailable(&self) -> AuthenticateError {
        let flight = self.flight();
        let why = match (&flight.failure, self.held.load().is_some()) {
            (Some(why), true) => format!("those at hand are too old or hold none for this token, and {why}"),
            (Some(why), false) => why.clone(),
            (None, _) => "they are being fetched".to_owned(),
        };
        let pause = flight.pause(self.clock.elapsed()).as_secs().saturating_add(1);
        let retry_after = u32::try_from(pause).unwrap_or(u32::MAX);
        AuthenticateError::Keys { issuer: self.name.clone(), why, retry_after }
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a flight when its task does, however it does.
struct Landing {
    provider: Arc<Provider>,
    _ending: watch::Sender<()>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.provider.flight().running = None;
    }
}

/// Whether a document may be asked for there.
pub(crate) fn dialable(url: &Uri, allow_http: bool) -> Result<(), &'static str> {
    match url.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if allow_http && dial::is_loopback(url) => Ok(()),
        Some("http") if allow_http => {
            Err("is plain HTTP to another machine; `allow_http` is for loopback alone")
        }
        Some("http") => {
            Err("is plain HTTP: write `https`, or `allow_http: true` for an issuer on this machine")
        }
        _ => Err("is no `https` URL"),
    }
}
