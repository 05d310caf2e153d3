//! Changing the rules: block, unblock, revoke, and what a logout at the issuer means.

use std::time::Duration;

use jiff::Timestamp;
use model::hex;
use store::{Commit, Entry, Expect, Store, Until, Write};

use super::rules::{Block, Kind, Logout, Revocation, SessionEnd};
use super::{CallerId, Standing, StandingError, callers};
use crate::digest::of_pair;

/// The most rules that are kept.
const MOST_RULES: usize = 200_000;
/// The longest reason, in bytes.
const MAX_REASON_BYTES: usize = 1024;
/// How long it is remembered that a session has ended: tokens that live longer must not be issued.
const LOGOUT_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// How often a rule that others change meanwhile is tried.
const TRIES: usize = 16;

impl Standing {
    /// Shuts `caller` out, from the next request on, and ends what runs within a second. To block again
    /// changes nothing but who said it and why.
    ///
    /// # Errors
    /// [`StandingError`] when it could not be written, or not be read back. To try again does no harm.
    pub async fn block(
        &self,
        caller: &CallerId,
        reason: Option<&str>,
        by: &str,
    ) -> Result<Block, StandingError> {
        let block = Block {
            issuer: caller.issuer().to_owned(),
            subject: caller.subject().to_owned(),
            reason: self.reason(reason)?,
            by: by.to_owned(),
            at: self.clock.now(),
        };
        let store = self.writable()?;
        let writes = vec![Write::put(Kind::Block.key(&caller.digest()), &block)?];
        store.commit(writes).await?;
        self.catch_up().await?;
        // Whoever is blocked stays in the list of callers, seen or not.
        callers::keep(&**store, caller, Until::Removed).await?;
        tracing::info!(%caller, by, reason, "blocked a caller");
        Ok(block)
    }

    /// Lets `caller` in again. False when they were not blocked.
    ///
    /// # Errors
    /// As [`Standing::block`].
    pub async fn unblock(&self, caller: &CallerId, by: &str) -> Result<bool, StandingError> {
        let store = self.writable()?;
        let key = Kind::Block.key(&caller.digest());
        let blocked = store.get(&key).await?.is_some();
        store.commit(vec![Write::remove(key)]).await?;
        self.catch_up().await?;
        callers::keep(&**store, caller, callers::KEPT).await?;
        tracing::info!(%caller, by, blocked, "unblocked a caller");
        Ok(blocked)
    }

    /// Refuses `caller`'s tokens that were issued before `before` by their own `iat`, from the next
    /// request on, and ends what runs on them. An earlier revocation that reaches further stays.
    ///
    /// # Errors
    /// As [`Standing::block`].
    pub async fn revoke(
        &self,
        caller: &CallerId,
        before: Timestamp,
        reason: Option<&str>,
        by: &str,
    ) -> Result<Revocation, StandingError> {
        let mut revocation = Revocation {
            issuer: caller.issuer().to_owned(),
            subject: caller.subject().to_owned(),
            before,
            reason: self.reason(reason)?,
            by: by.to_owned(),
            at: self.clock.now(),
        };
        let store = self.writable()?;
        let key = Kind::Revoke.key(&caller.digest());
        let wanted = revocation.before;
        self.merge(&key, |found| {
            let known: Option<Revocation> = found.map(Entry::read).transpose()?;
            revocation.before = known.map_or(wanted, |known| known.before.max(wanted));
            Ok(Write::put(key.as_str(), &revocation)?)
        })
        .await?;
        self.catch_up().await?;
        // Blocked already or not: a block keeps them in the list for longer.
        let blocked = self.rules.load().block(&caller.digest()).is_some();
        callers::keep(&**store, caller, if blocked { Until::Removed } else { callers::KEPT }).await?;
        tracing::info!(%caller, by, reason, %before, "revoked a caller's tokens");
        Ok(revocation)
    }

    /// What a verified logout token says (OpenID Connect Back-Channel Logout 1.0, section 2.7): the
    /// session `session` of `issuer` has ended, or every session of `subject`, at `at`.
    pub(crate) async fn logged_out(
        &self,
        issuer: &str,
        subject: Option<&str>,
        session: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StandingError> {
        let store = self.writable()?;
        self.room()?;
        // Times of tokens are whole seconds: one of the same second may be of before.
        let before = at.checked_add(Duration::from_secs(1)).unwrap_or(Timestamp::MAX);
        let lasting = Until::After(LOGOUT_KEPT);
        if let Some(session) = session {
            let key = Kind::Session.key(&of_pair(issuer, session));
            let end = SessionEnd { at: self.clock.now() };
            store.commit(vec![Write::put(key, &end)?.lasting(lasting)]).await?;
        }
        if let Some(subject) = subject {
            let key = Kind::Logout.key(&of_pair(issuer, subject));
            let said = match session {
                None => Logout { before: Some(before), ..Logout::default() },
                Some(_) => Logout { before_without_session: Some(before), ..Logout::default() },
            };
            self.merge(&key, |found| {
                let known: Option<Logout> = found.map(Entry::read).transpose()?;
                Ok(Write::put(key.as_str(), &said.and(known.unwrap_or_default()))?.lasting(lasting))
            })
            .await?;
        }
        self.catch_up().await
    }

    /// Whether the logout token `id` of `issuer` was used before.
    pub(crate) async fn was_used(&self, issuer: &str, id: &str) -> Result<bool, StandingError> {
        Ok(self.writable()?.get(&token_key(issuer, id)).await?.is_some())
    }

    /// Notes that the logout token `id` of `issuer` was used. False when it was before.
    pub(crate) async fn first_use(
        &self,
        issuer: &str,
        id: &str,
        until: Timestamp,
    ) -> Result<bool, StandingError> {
        let write =
            Write::put(token_key(issuer, id), &true)?.expecting(Expect::Nothing).lasting(Until::At(until));
        Ok(self.writable()?.commit(vec![write]).await?.is_done())
    }

    /// Writes what `write` makes of the entry at `key`, again when somebody else changed it meanwhile.
    async fn merge(
        &self,
        key: &str,
        mut write: impl FnMut(Option<&Entry>) -> Result<Write, StandingError> + Send,
    ) -> Result<(), StandingError> {
        let store = self.writable()?;
        let mut found = store.get(key).await?;
        for _ in 0..TRIES {
            let expect = found.as_ref().map_or(Expect::Nothing, |entry| Expect::Version(entry.version));
            let write = write(found.as_ref())?.expecting(expect);
            match store.commit(vec![write]).await? {
                Commit::Done(_) => return Ok(()),
                Commit::Conflict { found: now, .. } => found = now,
            }
        }
        Err(StandingError::Contended)
    }

    pub(super) fn writable(&self) -> Result<&std::sync::Arc<dyn Store>, StandingError> {
        self.store.as_ref().ok_or(StandingError::Stateless)
    }

    /// Refuses another rule where there are too many.
    pub(super) fn room(&self) -> Result<(), StandingError> {
        if self.rules.load().len() < MOST_RULES { Ok(()) } else { Err(StandingError::Full(MOST_RULES)) }
    }

    pub(super) fn reason(&self, reason: Option<&str>) -> Result<Option<String>, StandingError> {
        self.room()?;
        match reason.map(str::trim).filter(|reason| !reason.is_empty()) {
            Some(reason) if reason.len() > MAX_REASON_BYTES || reason.chars().any(char::is_control) => {
                Err(StandingError::Unfit(format!("a reason is one line of at most {MAX_REASON_BYTES} bytes")))
            }
            reason => Ok(reason.map(str::to_owned)),
        }
    }
}

fn token_key(issuer: &str, id: &str) -> String {
    format!("logout-token/{}", hex(&of_pair(issuer, id)))
}
