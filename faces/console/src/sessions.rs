//! Sessions at rest: found by the hash of the name in the cookie, bounded for each person, ended by being
//! left alone, by age, and by whoever ends them.

use std::sync::Arc;
use std::time::Duration;

use authenticate::SignedIn;
use config::Session as Ends;
use jiff::Timestamp;
use model::{Clock, Identity};
use serde::{Deserialize, Serialize};
use store::{Expect, Store, Until, Write};

use crate::ConsoleError;
use crate::secret::{Secret, hash};

/// Sessions by the hash of their names.
const BY_NAME: &str = "console/session/";
/// The same names by person, to count and end them.
const BY_PERSON: &str = "console/person/";
/// A session's last use is written down no more often than this,
const TOUCH: Duration = Duration::from_secs(60);
/// nor than this part of its idle time.
const PART: u32 = 4;

/// What is kept of a session. It holds neither its name nor any token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) signed_in: SignedIn,
    /// When the person signed in; an ID token that is renewed does not change it.
    pub(crate) began: Timestamp,
    seen: Timestamp,
}

/// A session that lives.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) name: Secret,
    pub(crate) kept: Kept,
    version: store::Version,
}

impl Live {
    /// The token that the forms of this session's pages hold. It follows from the session's name, so that
    /// it need not be kept and is another one in every session.
    pub(crate) fn form_token(&self) -> String {
        self.name.derive("form")
    }

    /// When it ends if it is used until then.
    pub(crate) fn ends(&self, ends: &Ends) -> Timestamp {
        later(self.kept.began, ends.absolute)
    }
}

/// Every session.
pub(crate) struct Sessions {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Sessions {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// The session that a cookie names, if it lives.
    ///
    /// # Errors
    /// [`ConsoleError::Store`] when nobody can say.
    pub(crate) async fn find(&self, cookie: &str, ends: &Ends) -> Result<Option<Live>, ConsoleError> {
        let Some(name) = Secret::parse(cookie) else { return Ok(None) };
        let Some(entry) = self.store.get(&by_name(&name.hashed())).await? else { return Ok(None) };
        let kept: Kept = entry.read()?;
        // The store ends what it was told to end; the configuration may say an earlier end by now.
        let lives = self.clock.now() < end(&kept, ends);
        Ok(lives.then_some(Live { name, kept, version: entry.version }))
    }

    /// Notes that a session is used, now and then.
    ///
    /// # Errors
    /// [`ConsoleError::Store`].
    pub(crate) async fn used(&self, live: &Live, ends: &Ends) -> Result<(), ConsoleError> {
        let now = self.clock.now();
        if now < later(live.kept.seen, TOUCH.min(ends.idle / PART)) {
            return Ok(());
        }
        let kept = Kept { seen: now, ..live.kept.clone() };
        let writes = writes(&live.name.hashed(), &kept, ends)?;
        // Whoever ended or changed it meanwhile was right: then nothing is written.
        let expected = writes.into_iter().enumerate().map(|(at, write)| match at {
            0 => write.expecting(Expect::Version(live.version)),
            _ => write,
        });
        self.store.commit(expected.collect()).await?;
        Ok(())
    }

    /// Begins a session, in the place of the one the browser had. Its name is always a new one (session
    /// fixation), and if it is the same person's, its age goes on.
    ///
    /// # Errors
    /// [`ConsoleError`] when it cannot be kept.
    pub(crate) async fn begin(
        &self,
        signed_in: SignedIn,
        before: Option<&Live>,
        ends: &Ends,
    ) -> Result<Live, ConsoleError> {
        let now = self.clock.now();
        let person = signed_in.identity.canonical();
        let same = before.filter(|before| before.kept.signed_in.identity.canonical() == person);
        let began = same.map_or(now, |before| before.kept.began);
        let name = Secret::new()?;
        let kept = Kept { signed_in, began, seen: now };
        let mut all = writes(&name.hashed(), &kept, ends)?;
        if let Some(before) = before {
            all.extend(removals(&before.name.hashed(), &before.kept.signed_in.identity));
        }
        all.extend(self.too_many(&kept, before, ends).await?);
        self.store.commit(all).await?;
        let entry = self.store.get(&by_name(&name.hashed())).await?;
        let version = entry.map(|entry| entry.version).ok_or(ConsoleError::Machine)?;
        Ok(Live { name, kept, version })
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`ConsoleError::Store`] when it may go on.
    pub(crate) async fn end(&self, live: &Live) -> Result<(), ConsoleError> {
        let removals = removals(&live.name.hashed(), &live.kept.signed_in.identity);
        self.store.commit(removals.into()).await?;
        Ok(())
    }

    /// Ends what one more session would be too many: those unused for longest.
    async fn too_many(
        &self,
        kept: &Kept,
        before: Option<&Live>,
        ends: &Ends,
    ) -> Result<Vec<Write>, ConsoleError> {
        let identity = &kept.signed_in.identity;
        let prefix = by_person(identity, "");
        let replaced = before.map(|before| by_person(identity, &before.name.hashed()));
        let mut others = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list(&prefix, after.as_deref(), store::MAX_PAGE).await?;
            for entry in page.entries.iter().filter(|entry| Some(&entry.key) != replaced.as_ref()) {
                others.push((entry.read::<Timestamp>()?, entry.key.clone()));
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        others.sort();
        let surplus = (others.len() + 1).saturating_sub(ends.most);
        let ended = others.into_iter().take(surplus).filter_map(|(_, key)| {
            let name = key.strip_prefix(&prefix)?.to_owned();
            Some(removals(&name, identity))
        });
        Ok(ended.flatten().collect())
    }
}

fn by_name(hashed: &str) -> String {
    format!("{BY_NAME}{hashed}")
}

fn by_person(identity: &Identity, hashed: &str) -> String {
    format!("{BY_PERSON}{}/{hashed}", hash(&identity.canonical()))
}

fn removals(hashed: &str, identity: &Identity) -> [Write; 2] {
    [Write::remove(by_name(hashed)), Write::remove(by_person(identity, hashed))]
}

fn writes(hashed: &str, kept: &Kept, ends: &Ends) -> Result<Vec<Write>, ConsoleError> {
    let until = Until::At(end(kept, ends));
    let whose = by_person(&kept.signed_in.identity, hashed);
    Ok(vec![Write::put(by_name(hashed), kept)?.lasting(until), Write::put(whose, &kept.seen)?.lasting(until)])
}

fn end(kept: &Kept, ends: &Ends) -> Timestamp {
    later(kept.began, ends.absolute).min(later(kept.seen, ends.idle))
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
