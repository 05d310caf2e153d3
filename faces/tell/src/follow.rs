//! Follows what lies in the store, and puts what happened into the spool.
//!
//! What is told comes from the store's own order of changes, not from whoever made them: nothing on the
//! request path knows of telling, and what happened while no gateway ran is told by the next.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Cursor, Entry, MAX_PAGE, Store, StoreError, Write};

use crate::TellError;
use crate::matter::{Matter, Stage};
use crate::outlet::Outlet;
use crate::spool::Spool;

/// How often the cursor is written down when nothing else is.
const NOTED_EVERY: jiff::SignedDuration = jiff::SignedDuration::from_secs(300);

/// Reads an entry as a matter. None for one that nobody is told of.
pub type Read = dyn Fn(&Entry) -> Result<Option<Matter>, StoreError> + Send + Sync;

/// Entries of one kind, and how they are read.
pub struct Source {
    /// What the cursor is kept under.
    pub name: &'static str,
    /// How their keys begin.
    pub prefix: &'static str,
    /// How one is read.
    pub read: Box<Read>,
}

/// Up to where a source was followed, as the store keeps it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Followed {
    cursor: Cursor,
    at: Timestamp,
}

/// One source that is followed.
pub(crate) struct Follower {
    source: Arc<Source>,
    key: String,
    followed: Option<Followed>,
    noted: Option<Timestamp>,
}

impl Follower {
    /// Goes on where the last one stopped.
    pub(crate) async fn open(store: &dyn Store, source: Arc<Source>) -> Result<Self, TellError> {
        let key = cursor_key(&source);
        let followed: Option<Followed> = store.get(&key).await?.as_ref().map(Entry::read).transpose()?;
        Ok(Self { source, key, noted: followed.map(|followed| followed.at), followed })
    }

    /// Forgets up to where `sources` were followed.
    pub(crate) async fn forget(store: &dyn Store, sources: &[Arc<Source>]) -> Result<(), TellError> {
        let removals = sources.iter().map(|source| Write::remove(cursor_key(source)));
        store.commit(removals.collect()).await?;
        Ok(())
    }

    /// Puts what changed since the last time into the spool.
    ///
    /// # Errors
    /// [`TellError`]; what was not put is seen again the next time.
    pub(crate) async fn catch_up(
        &mut self,
        store: &dyn Store,
        spool: &Spool,
        outlets: &[Arc<Outlet>],
    ) -> Result<(), TellError> {
        let now = store.now().await?;
        let Some(followed) = self.followed else {
            return self.look_through(store, spool, outlets, now).await;
        };
        let mut cursor = followed.cursor;
        let mut something = false;
        loop {
            let changes = match store.changes(self.source.prefix, cursor, MAX_PAGE).await {
                Ok(changes) => changes,
                Err(StoreError::CursorLost) => {
                    tracing::warn!(
                        of = self.source.name,
                        "too much has changed since people were told last: everything is looked through"
                    );
                    return self.look_through(store, spool, outlets, now).await;
                }
                Err(fault) => return Err(fault.into()),
            };
            for entry in changes.changed.iter().filter_map(|changed| changed.entry.as_ref()) {
                something = true;
                if let Some(matter) = self.read(entry) {
                    spool.put(outlets, &matter, true).await?;
                }
            }
            cursor = changes.next;
            if !changes.more {
                break;
            }
        }
        self.note(store, Followed { cursor, at: now }, something).await
    }

    /// Looks at every entry, where nobody followed their changes. What was decided before anybody followed
    /// is nobody's news.
    async fn look_through(
        &mut self,
        store: &dyn Store,
        spool: &Spool,
        outlets: &[Arc<Outlet>],
        now: Timestamp,
    ) -> Result<(), TellError> {
        let cursor = store.cursor().await?;
        let since = self.followed.map(|followed| followed.at);
        let mut after = None;
        loop {
            let page = store.list(self.source.prefix, after.as_deref(), MAX_PAGE).await?;
            for matter in page.entries.iter().filter_map(|entry| self.read(entry)) {
                let news = matter.stage == Stage::Waiting || since.is_some_and(|since| matter.asked >= since);
                spool.put(outlets, &matter, news).await?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        self.note(store, Followed { cursor, at: now }, true).await
    }

    /// What cannot be read is of a newer version, or broken: somebody is not told, and the rest are.
    fn read(&self, entry: &Entry) -> Option<Matter> {
        match (self.source.read)(entry) {
            Ok(matter) => matter,
            Err(fault) => {
                metrics::counter!("portcullis_tell_unread_total").increment(1);
                tracing::error!(%fault, "nobody is told of an entry that cannot be read");
                None
            }
        }
    }

    async fn note(&mut self, store: &dyn Store, followed: Followed, now: bool) -> Result<(), TellError> {
        self.followed = Some(followed);
        if now || self.noted.is_none_or(|noted| followed.at.duration_since(noted) >= NOTED_EVERY) {
            store.commit(vec![Write::put(self.key.as_str(), &followed)?]).await?;
            self.noted = Some(followed.at);
        }
        Ok(())
    }
}

fn cursor_key(source: &Source) -> String {
    format!("tell/cursor/{}", source.name)
}
