//! One resource's credential over time: asked for by every request, read as seldom as its source allows.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::{Credential, CredentialScheme, Rotation};
use model::{Clock, ResourceName};
use secrecy::{ExposeSecret, SecretString};

use crate::error::CredentialError;
use crate::grant::Granter;
use crate::needles::Needles;
use crate::shown::Shown;
use crate::source::{Form, Source};

/// A source that failed is not asked again for so long: requests would queue up before one that hangs.
const BREATH: Duration = Duration::from_secs(1);
/// How often a far source is asked again at most because an upstream refused what it gave.
const REFUSED_EVERY: Duration = Duration::from_secs(1);
/// How many credentials are remembered, so that answers are searched for the ones before, too.
const MOST_KNOWN: usize = 8;

/// Keeps the credential of one resource.
pub struct Keeper {
    resource: String,
    credential: Credential,
    source: Source,
    granter: Option<Granter>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// One reading of a far source at a time.
    turn: tokio::sync::Mutex<()>,
    /// One replacement at a time.
    turning: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    failed: Option<Failed>,
    /// What was read last because an upstream refused what is held.
    asked_again: Option<Read>,
    /// What could not prove itself: not used, though the source gives it.
    distrusted: Option<SecretString>,
    /// A replacement is under way: what is held stays.
    pinned: bool,
    known: VecDeque<Known>,
    needles: Arc<Needles>,
    marks: u64,
}

/// What is used now.
struct Held {
    /// What the source gave.
    secret: SecretString,
    shown: Arc<Shown>,
    /// When the source gave it last.
    read: Duration,
    /// Of a granted token: until when it is used,
    until: Option<Duration>,
    /// and when it ends.
    ends: Option<Duration>,
}

/// A source that gave nothing.
struct Failed {
    /// Until then it is not asked again.
    rests: Duration,
    why: String,
}

struct Known {
    /// What is shown, as text: a token's where one was granted.
    text: SecretString,
    shown: Arc<Shown>,
}

/// Which secret is to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// The one to be used: what is held, while a replacement is under way or where the source gives what
    /// could not prove itself.
    Trusted,
    /// Whatever the source gives.
    Given,
}

/// What was read, and made of it.
#[derive(Clone)]
struct Read {
    secret: SecretString,
    shown: Arc<Shown>,
    at: Duration,
    usable: Option<Duration>,
    lives: Option<Duration>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keeper({}, {})", self.resource, self.credential.source)
    }
}

impl Keeper {
    /// Makes ready to read a resource's credential. Reads nothing yet.
    ///
    /// # Errors
    /// [`CredentialError::Dial`] when the certificates to trust can't be used.
    pub fn build(
        resource: &ResourceName,
        credential: &Credential,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, CredentialError> {
        let granter = match &credential.scheme {
            CredentialScheme::OAuth2(grant) => Some(Granter::build(grant)?),
            _ => None,
        };
        Ok(Arc::new(Self {
            resource: resource.to_string(),
            source: Source::build(&credential.source)?,
            granter,
            credential: credential.clone(),
            clock,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            turning: tokio::sync::Mutex::default(),
        }))
    }

    /// The credential to show now. While its source gives none, the last one, for as long as the
    /// configuration allows.
    ///
    /// # Errors
    /// [`CredentialError`] when there is none to show.
    pub async fn current(&self) -> Result<Arc<Shown>, CredentialError> {
        if let Some(known) = self.without_asking() {
            return known;
        }
        if self.source.is_near() && self.granter.is_none() {
            return self.refreshed().await;
        }
        let _turn = self.turn.lock().await;
        match self.without_asking() {
            Some(known) => known,
            None => self.refreshed().await,
        }
    }

    /// Another credential, after an upstream refused `refused`: read at once, whatever was cached. None when
    /// there is no other.
    pub async fn anew(&self, refused: &Shown) -> Option<Arc<Shown>> {
        let _turn = self.turn.lock().await;
        if let Some(known) = self.other_than(refused) {
            return known;
        }
        let read = self.read(Which::Given).await;
        let outcome = if read.is_ok() { "read" } else { "failed" };
        metrics::counter!("portcullis_credential_refreshes_total", "resource" => self.resource.clone(), "outcome" => outcome)
            .increment(1);
        match read {
            Ok(read) => {
                let other = (read.shown.mark() != refused.mark()).then(|| Arc::clone(&read.shown));
                let mut state = self.state();
                if !state.pinned && !state.distrusts(&read.secret) {
                    state.hold(read.clone());
                }
                state.asked_again = Some(read);
                other
            }
            Err(error) => {
                tracing::warn!(resource = %self.resource, %error, "the upstream refused the credential, and it cannot be read anew");
                None
            }
        }
    }

    /// An upstream took what [`Keeper::anew`] gave: it is used from now on, even if it could not prove itself
    /// before.
    pub fn taken(&self, shown: &Arc<Shown>) {
        let mut state = self.state();
        let same = |other: &Shown| other.mark() == shown.mark();
        if state.pinned || state.held.as_ref().is_some_and(|held| same(&held.shown)) {
            return;
        }
        if let Some(read) = state.asked_again.take_if(|read| same(&read.shown)) {
            state.distrusted = None;
            state.hold(read);
        }
    }

    /// Every spelling of the credentials that were shown lately: what answers are searched for.
    pub fn needles(&self) -> Arc<Needles> {
        Arc::clone(&self.state().needles)
    }

    pub(crate) fn resource(&self) -> &str {
        &self.resource
    }

    pub(crate) fn rotation(&self) -> Option<&Rotation> {
        self.credential.rotate.as_ref()
    }

    pub(crate) fn turning(&self) -> &tokio::sync::Mutex<()> {
        &self.turning
    }

    /// Whether this is the secret that is used now.
    pub(crate) fn holds(&self, secret: &SecretString) -> bool {
        self.state().held.as_ref().is_some_and(|held| same(&held.secret, secret))
    }

    pub(crate) fn pin(&self) {
        self.state().pinned = true;
    }

    pub(crate) fn unpin(&self) {
        self.state().pinned = false;
    }

    /// Reads the source anew, for a replacement: what is held stays.
    pub(crate) async fn fetched(&self) -> Result<(SecretString, Arc<Shown>), CredentialError> {
        let _turn = self.turn.lock().await;
        let read = self.read(Which::Given).await?;
        Ok((read.secret, read.shown))
    }

    /// A replacement proved itself.
    pub(crate) fn settle(&self, secret: SecretString, shown: &Arc<Shown>) {
        let now = self.clock.elapsed();
        let mut state = self.state();
        state.distrusted = None;
        state.asked_again = None;
        // A granted token is fetched again by the next request: how long this one lives was not kept.
        let until = self.granter.is_some().then_some(now);
        state.held = Some(Held { secret, shown: Arc::clone(shown), read: now, until, ends: None });
        state.failed = None;
    }

    /// A replacement did not prove itself.
    pub(crate) fn distrust(&self, secret: SecretString) {
        self.state().distrusted = Some(secret);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What can be said without asking the source: none when it has to be asked.
    fn without_asking(&self) -> Option<Result<Arc<Shown>, CredentialError>> {
        let now = self.clock.elapsed();
        let state = self.state();
        let resting = state.failed.as_ref().filter(|failed| now < failed.rests);
        let Some(held) = &state.held else {
            return resting.map(|failed| Err(CredentialError::Lately(failed.why.clone())));
        };
        let fresh = match held.until {
            Some(until) => now < until,
            None if state.pinned => true,
            None => !self.source.is_near() && now.saturating_sub(held.read) < self.credential.cache,
        };
        if fresh {
            return Some(Ok(Arc::clone(&held.shown)));
        }
        let failed = resting?;
        Some(match held.usable(now, self.credential.stale) {
            true => Ok(Arc::clone(&held.shown)),
            false => Err(CredentialError::Lately(failed.why.clone())),
        })
    }

    /// What can be had in place of `refused` without asking the source; the outer none: ask.
    fn other_than(&self, refused: &Shown) -> Option<Option<Arc<Shown>>> {
        let now = self.clock.elapsed();
        let state = self.state();
        let other = |shown: &Arc<Shown>| (shown.mark() != refused.mark()).then(|| Arc::clone(shown));
        if let Some(held) = state.held.as_ref().and_then(|held| other(&held.shown)) {
            return Some(Some(held));
        }
        match &state.asked_again {
            Some(read) if now.saturating_sub(read.at) < REFUSED_EVERY => match other(&read.shown) {
                Some(shown) => Some(Some(shown)),
                None if self.source.is_near() && self.granter.is_none() => None,
                None => Some(None),
            },
            _ => None,
        }
    }

    /// Asks the source, and falls back on what is held.
    async fn refreshed(&self) -> Result<Arc<Shown>, CredentialError> {
        let read = self.read(Which::Trusted).await;
        let now = self.clock.elapsed();
        let mut state = self.state();
        match read {
            Ok(read) => {
                if state.failed.take().is_some() {
                    tracing::info!(resource = %self.resource, source = %self.credential.source, "the credential can be read again");
                }
                // What was read while a replacement began may be the new one already.
                if state.pinned
                    && let Some(held) = state.held.as_ref().filter(|held| held.until.is_none())
                {
                    return Ok(Arc::clone(&held.shown));
                }
                let shown = Arc::clone(&read.shown);
                state.hold(read);
                Ok(shown)
            }
            Err(error) => {
                metrics::counter!("portcullis_credential_failures_total", "resource" => self.resource.clone())
                    .increment(1);
                if state.failed.is_none() {
                    tracing::warn!(resource = %self.resource, source = %self.credential.source, %error, "the credential cannot be read");
                }
                let hangs = !self.source.is_near() || matches!(error, CredentialError::Unread(..));
                let rests = if hangs { now.saturating_add(BREATH) } else { now };
                state.failed = Some(Failed { rests, why: error.to_string() });
                match state.held.as_ref().filter(|held| held.usable(now, self.credential.stale)) {
                    Some(held) => Ok(Arc::clone(&held.shown)),
                    None => Err(error),
                }
            }
        }
    }

    /// Asks the source, and whoever grants tokens for what it gives.
    async fn read(&self, which: Which) -> Result<Read, CredentialError> {
        let at = self.clock.elapsed();
        let secret = self.secret(which).await?;
        let Some(granter) = &self.granter else {
            let shown = self.shown(&secret)?;
            return Ok(Read { secret, shown, at, usable: None, lives: None });
        };
        let granted = granter.token(&secret).await?;
        let shown = self.shown(&granted.token)?;
        Ok(Read { secret, shown, at, usable: Some(granted.usable), lives: Some(granted.lives) })
    }

    async fn secret(&self, which: Which) -> Result<SecretString, CredentialError> {
        let form = match self.credential.scheme {
            CredentialScheme::Certificate => Form::Lines,
            _ => Form::Line,
        };
        if which == Which::Trusted
            && let Some(pinned) = self.state().pinned_secret()
        {
            return Ok(pinned);
        }
        let secret = self.source.read(form, &self.resource).await?;
        let mut state = self.state();
        if which == Which::Trusted && state.distrusted.is_some() {
            if state.distrusts(&secret) {
                return Ok(state.held.as_ref().map_or(secret, |held| held.secret.clone()));
            }
            state.distrusted = None;
        }
        Ok(secret)
    }

    /// As it is shown: the one that is known already, where it is.
    fn shown(&self, text: &SecretString) -> Result<Arc<Shown>, CredentialError> {
        let mark = {
            let mut state = self.state();
            if let Some(known) = state.known.iter().find(|known| same(&known.text, text)) {
                return Ok(Arc::clone(&known.shown));
            }
            state.marks = state.marks.wrapping_add(1);
            state.marks
        };
        let source = || self.credential.source.to_string();
        let shown = Arc::new(Shown::of(&self.credential.scheme, text, mark, source)?);
        let mut state = self.state();
        state.know(Known { text: text.clone(), shown: Arc::clone(&shown) });
        Ok(shown)
    }
}

impl Held {
    /// Whether it may be shown although its source gives nothing.
    fn usable(&self, now: Duration, stale: Duration) -> bool {
        !stale.is_zero() && now.saturating_sub(self.read) <= stale && self.ends.is_none_or(|ends| now < ends)
    }
}

impl State {
    fn hold(&mut self, read: Read) {
        let Read { secret, shown, at, usable, lives } = read;
        if self.held.as_ref().is_none_or(|held| held.shown.mark() != shown.mark()) {
            // It may be one from before this.
            self.asked_again = None;
        }
        let after = |span: Option<Duration>| span.map(|span| at.saturating_add(span));
        self.held = Some(Held { secret, shown, read: at, until: after(usable), ends: after(lives) });
    }

    /// What is held while a replacement is under way.
    fn pinned_secret(&self) -> Option<SecretString> {
        self.held.as_ref().filter(|_| self.pinned).map(|held| held.secret.clone())
    }

    fn distrusts(&self, secret: &SecretString) -> bool {
        self.distrusted.as_ref().is_some_and(|distrusted| same(distrusted, secret))
    }

    /// Remembers one more, and forgets the oldest that is not held.
    fn know(&mut self, new: Known) {
        self.known.push_back(new);
        if self.known.len() > MOST_KNOWN {
            let held = self.held.as_ref().map(|held| held.shown.mark());
            let oldest = self.known.iter().position(|known| Some(known.shown.mark()) != held);
            if let Some(oldest) = oldest {
                self.known.remove(oldest);
            }
        }
        self.needles = Arc::new(Needles::of(self.known.iter().flat_map(|known| known.shown.spellings())));
    }
}

fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}
