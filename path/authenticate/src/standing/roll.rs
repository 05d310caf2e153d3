//! Who was seen: noted on the request path by one atomic write, written down behind it in batches.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use model::Identity;
use store::{Entry, Store, Until, Write};
use tokio::sync::{Mutex, mpsc};

use super::callers::{self, CallerId, KEPT, MOST_CALLERS, Row, Sighting};
use super::live::Who;
use super::rules::Rules;
use super::{Standing, StandingError};
use crate::digest::Digest;

/// How often what was seen is written down.
pub(super) const FLUSHED_EVERY: Duration = Duration::from_secs(5);
/// How many tokens may wait to be written down. More are not remembered, and counted.
const WAITING: usize = 4096;
/// How many tokens are followed for their last use; the longest unused are dropped.
const MOST_TOKENS: usize = 20_000;
/// How many callers go into one commit.
const BATCH: usize = 200;
/// A token unused for this long is followed no more.
const UNUSED: i64 = 3_600;

/// One token that was verified: who bears it, and when it was last used.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) identity: Arc<Identity>,
    pub(crate) who: Who,
    /// In seconds since 1970.
    last: AtomicI64,
}

impl Seen {
    /// Notes that the token is used now. One write at most each second.
    pub(crate) fn again(&self, now: Timestamp) {
        let now = now.as_second();
        if self.last.load(Ordering::Relaxed) < now {
            self.last.store(now, Ordering::Relaxed);
        }
    }

    fn last(&self) -> i64 {
        self.last.load(Ordering::Relaxed)
    }
}

/// What waits to be written down.
pub(super) struct Roll {
    new: mpsc::Sender<Arc<Seen>>,
    /// Behind the request path: the flush alone takes it.
    taken: Mutex<Taken>,
}

struct Taken {
    arriving: mpsc::Receiver<Arc<Seen>>,
    /// By caller: tokens, and up to when their uses are written down.
    callers: HashMap<Digest, (Vec<Arc<Seen>>, i64)>,
    /// How many callers the store holds, when last counted.
    kept: Option<u64>,
}

impl Default for Roll {
    fn default() -> Self {
        let (new, arriving) = mpsc::channel(WAITING);
        let taken = Taken { arriving, callers: HashMap::new(), kept: None };
        Self { new, taken: Mutex::new(taken) }
    }
}

impl Standing {
    /// Notes a token that was just verified. Waits for nobody.
    pub(crate) fn saw(&self, identity: Identity, session: Option<&str>, now: Timestamp) -> Arc<Seen> {
        let who = Who::new(&identity, session);
        let last = AtomicI64::new(now.as_second());
        let seen = Arc::new(Seen { identity: Arc::new(identity), who, last });
        if self.store.is_some() && self.roll.new.try_send(Arc::clone(&seen)).is_err() {
            metrics::counter!("portcullis_callers_unnoted_total").increment(1);
        }
        seen
    }
}

impl Roll {
    /// Writes down every caller whose last use is not written down yet.
    pub(super) async fn flush(
        &self,
        store: &dyn Store,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<(), StandingError> {
        self.taken.lock().await.flush(store, rules, now).await
    }
}

impl Taken {
    async fn flush(&mut self, store: &dyn Store, rules: &Rules, now: Timestamp) -> Result<(), StandingError> {
        self.take_in();
        let mut used: Vec<(Digest, Arc<Seen>)> = self
            .callers
            .iter()
            .filter_map(|(caller, (tokens, written))| {
                let newest = tokens.iter().max_by_key(|seen| seen.last())?;
                (newest.last() > *written).then(|| (*caller, Arc::clone(newest)))
            })
            .collect();
        // So that which of too many are left out does not hang on the order of a table.
        used.sort_by_key(|(_, seen)| seen.last());
        for batch in used.chunks(BATCH) {
            self.write(store, rules, batch).await?;
        }
        self.forget(now.as_second());
        Ok(())
    }

    fn take_in(&mut self) {
        while let Ok(seen) = self.arriving.try_recv() {
            let (tokens, _) = self.callers.entry(seen.who.caller).or_insert_with(|| (Vec::new(), i64::MIN));
            tokens.push(seen);
        }
    }

    async fn write(
        &mut self,
        store: &dyn Store,
        rules: &Rules,
        batch: &[(Digest, Arc<Seen>)],
    ) -> Result<(), StandingError> {
        let mut kept = match self.kept {
            Some(kept) if kept < MOST_CALLERS => kept,
            _ => callers::count(store).await?,
        };
        let (mut writes, mut noted) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for (caller, seen) in batch {
            let at = seen.last();
            noted.push((caller, at));
            let key = callers::key(caller);
            let found = store.get(&key).await?;
            if found.is_none() && kept >= MOST_CALLERS {
                metrics::counter!("portcullis_callers_unnoted_total").increment(1);
                continue;
            }
            kept = kept.saturating_add(u64::from(found.is_none()));
            let last = Timestamp::from_second(at).unwrap_or(Timestamp::MAX);
            let mut sighting = Sighting::of(&seen.identity, last);
            let before: Option<Row> = found.as_ref().map(Entry::read).transpose()?;
            if let Some(before) = before.and_then(|row| row.seen) {
                sighting.first = before.first.min(last);
                sighting.last = before.last.max(last);
            }
            let row = Row { id: CallerId::of(&seen.identity), seen: Some(sighting) };
            let until = if rules.block(caller).is_some() { Until::Removed } else { KEPT };
            writes.push(Write::put(key, &row)?.lasting(until));
        }
        store.commit(writes).await?;
        self.kept = Some(kept);
        for (caller, at) in noted {
            if let Some((_, written)) = self.callers.get_mut(caller) {
                *written = (*written).max(at);
            }
        }
        Ok(())
    }

    /// Drops tokens that nobody uses any more, and the longest unused where there are too many.
    fn forget(&mut self, now: i64) {
        let mut least = now.saturating_sub(UNUSED);
        let mut uses: Vec<i64> =
            self.callers.values().flat_map(|(tokens, _)| tokens.iter().map(|seen| seen.last())).collect();
        if let Some(excess) = uses.len().checked_sub(MOST_TOKENS).filter(|excess| *excess > 0) {
            uses.sort_unstable();
            least = least.max(uses.get(excess).copied().unwrap_or(least));
        }
        self.callers.retain(|_, (tokens, written)| {
            // A token that the cache has forgotten is used by nobody who could say so.
            tokens.retain(|seen| {
                seen.last() >= least && (Arc::strong_count(seen) > 1 || seen.last() > *written)
            });
            !tokens.is_empty()
        });
    }
}
