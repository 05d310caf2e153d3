//! Who is shut out although their tokens are good: blocked callers, revoked tokens, sessions that were
//! logged out; and who is in a group for a while that their tokens do not name (`grants`).
//!
//! The rules lie in the store, so that they survive a restart and reach every replica. The request path
//! reads a snapshot of them: one atomic load, and one look into a table when there is any rule at all.
//! [`Standing::follow`] keeps the snapshot up with the store; whoever changes a rule here sees it in the
//! snapshot before the change is answered. A live exchange holds a [`Live`], which says when it must end.
//!
//! A store that cannot be read at the start keeps the gateway from starting. One that is lost later
//! refuses everybody after [`LOST_AFTER`]: a block that was set elsewhere could not be seen any more.

mod actions;
mod callers;
mod grants;
mod live;
mod roll;
mod rules;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use model::Clock;
use store::{Cursor, MAX_PAGE, Store, StoreError};
use tokio::sync::{Mutex, watch};

pub use callers::{CallerId, Known, KnownPage, Sighting};
pub use grants::{GRANT_KEPT, Grant, MOST_GRANTS, Over};
pub use live::Live;
pub use rules::{Block, Revocation};

pub(crate) use grants::Granted;
pub(crate) use live::Who;
pub(crate) use roll::Seen;
pub(crate) use rules::Ended;

use roll::Roll;
use rules::{PREFIX, Rules};

/// How often the store is asked for changes: what another process or replica changed is seen so soon.
pub const FOLLOWED_EVERY: Duration = Duration::from_millis(250);
/// How long the store may be unreadable before everybody is refused.
pub const LOST_AFTER: Duration = Duration::from_secs(10);

/// Why a rule could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Text that is too long or names nobody.
    #[error("{0}")]
    Unfit(String),
    /// There are as many rules as are kept.
    #[error("{0} rules are kept and no more: unblock whom nobody lets in any more")]
    Full(usize),
    /// Others changed the same rule again and again meanwhile.
    #[error("the rule changes too fast: try again")]
    Contended,
    /// Nothing is remembered here.
    #[error("no state is kept here, so nobody can be shut out")]
    Stateless,
}

/// Who is shut out, and who was seen.
pub struct Standing {
    store: Option<Arc<dyn Store>>,
    clock: Arc<dyn Clock>,
    rules: ArcSwap<Rules>,
    /// Grows with every change of the rules,
    generation: AtomicU64,
    /// which live exchanges that wait are woken for.
    changed: watch::Sender<()>,
    followed: Mutex<Followed>,
    roll: Roll,
}

/// Up to where the store was read.
struct Followed {
    cursor: Option<Cursor>,
    /// When it last answered, on the clock that never steps backward.
    answered: Duration,
    /// Whether it failed since.
    failing: bool,
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").field("rules", &self.rules.load().len()).finish_non_exhaustive()
    }
}

impl Standing {
    /// Reads every rule of `store`.
    ///
    /// # Errors
    /// [`StandingError`] when one cannot be read: nobody may be let in then.
    pub async fn open(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StandingError> {
        let standing = Self::made(Some(store), clock);
        standing.catch_up().await?;
        Ok(Arc::new(standing))
    }

    /// Shuts nobody out and remembers nobody: for looking into a token beside the gateway.
    pub fn stateless(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self::made(None, clock))
    }

    fn made(store: Option<Arc<dyn Store>>, clock: Arc<dyn Clock>) -> Self {
        let answered = clock.elapsed();
        Self {
            store,
            clock,
            rules: ArcSwap::default(),
            generation: AtomicU64::new(0),
            changed: watch::Sender::new(()),
            followed: Mutex::new(Followed { cursor: None, answered, failing: false }),
            roll: Roll::default(),
        }
    }

    /// Keeps up with the store, and writes down who was seen, without end: run it in a task.
    pub async fn follow(&self) {
        let mut flushed = self.clock.elapsed();
        loop {
            tokio::time::sleep(FOLLOWED_EVERY).await;
            // What is wrong is told where it is found.
            let _ = self.catch_up().await;
            if self.clock.elapsed().saturating_sub(flushed) >= roll::FLUSHED_EVERY {
                flushed = self.clock.elapsed();
                self.flush().await;
            }
        }
    }

    /// Writes down who was seen and is not written down yet.
    pub async fn flush(&self) {
        let Some(store) = &self.store else { return };
        let rules = self.rules.load_full();
        if let Err(fault) = self.roll.flush(&**store, &rules, self.clock.now()).await {
            tracing::warn!(%fault, "who was seen cannot be written down; it is tried again");
        }
    }

    /// Whether nothing is remembered here, so that nobody can say how a caller stands.
    pub(crate) fn is_stateless(&self) -> bool {
        self.store.is_none()
    }

    /// Whether the store answers, so that what it says can be relied on.
    pub fn is_current(&self) -> bool {
        !self.rules.load().lost
    }

    /// Why the bearer of a token is shut out, if it is.
    pub(crate) fn judge(&self, who: &Who) -> Option<Ended> {
        self.rules.load().judge(who)
    }

    /// Takes over what changed in the store.
    pub(crate) async fn catch_up(&self) -> Result<(), StandingError> {
        let Some(store) = &self.store else { return Ok(()) };
        let mut followed = self.followed.lock().await;
        let read = read(&**store, &self.rules.load(), followed.cursor, &*self.clock).await;
        match read {
            Ok((changed, cursor)) => {
                followed.cursor = Some(cursor);
                followed.answered = self.clock.elapsed();
                if std::mem::take(&mut followed.failing) {
                    tracing::info!("the state can be read again");
                }
                if let Some(rules) = changed {
                    self.put(rules);
                }
                Ok(())
            }
            Err(fault) => {
                if !std::mem::replace(&mut followed.failing, true) {
                    tracing::warn!(%fault, "it cannot be read who is shut out; what was read last still holds");
                }
                if self.clock.elapsed().saturating_sub(followed.answered) >= LOST_AFTER && self.is_current() {
                    tracing::error!(%fault, "nobody is let in until the state can be read again");
                    self.put(self.rules.load().with_lost(true));
                }
                Err(fault)
            }
        }
    }

    fn put(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
        self.generation.fetch_add(1, Ordering::Release);
        self.changed.send_replace(());
    }
}

/// The rules as the store has them now, if they are other than `known`, and up to where that is read.
async fn read(
    store: &dyn Store,
    known: &Rules,
    since: Option<Cursor>,
    clock: &dyn Clock,
) -> Result<(Option<Rules>, Cursor), StandingError> {
    let mut cursor = match since {
        Some(cursor) => cursor,
        None => return whole(store, known, clock).await,
    };
    let mut rules: Option<Rules> = None;
    loop {
        let changes = match store.changes(PREFIX, cursor, MAX_PAGE).await {
            Ok(changes) => changes,
            Err(StoreError::CursorLost) => return whole(store, known, clock).await,
            Err(fault) => return Err(fault.into()),
        };
        if !changes.changed.is_empty() || known.lost {
            let rules = rules.get_or_insert_with(|| known.with_lost(false));
            for change in &changes.changed {
                rules.apply(&change.key, change.entry.as_ref(), clock)?;
            }
        }
        cursor = changes.next;
        if !changes.more {
            return Ok((rules, cursor));
        }
    }
}

/// Everything, from a cursor that stands before it was read.
async fn whole(
    store: &dyn Store,
    known: &Rules,
    clock: &dyn Clock,
) -> Result<(Option<Rules>, Cursor), StandingError> {
    let cursor = store.cursor().await?;
    let mut rules = Rules::default();
    store::every(store, PREFIX, |entry| rules.apply(&entry.key, Some(&entry), clock)).await?;
    rules.grants.ends_as(&known.grants);
    Ok((Some(rules), cursor))
}
