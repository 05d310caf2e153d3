//! Keeps up with the store: what other replicas change wakes who waits here, and what has had its time is
//! closed.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use store::{Cursor, MAX_PAGE, StoreError};
use tokio::sync::watch;

use crate::approval::{Approval, ApprovalId};
use crate::book::Approvals;
use crate::error::ApproveError;
use crate::keys;
use crate::told::Event;

/// How often the store is asked for changes, and looked through for what has had its time.
pub const FOLLOWED_EVERY: Duration = Duration::from_millis(250);

/// Approvals that changed, and where to go on.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Oldest change first, each as it is now: who must know every step between finds them in it.
    pub approvals: Vec<Approval>,
    /// For the next time.
    pub next: Cursor,
    /// Whether there are more already.
    pub more: bool,
}

impl Approvals {
    /// Keeps up with the store, without end: run it in a task.
    pub async fn follow(&self) {
        let mut failing = false;
        loop {
            tokio::time::sleep(FOLLOWED_EVERY).await;
            let all = async {
                self.catch_up().await?;
                self.expire_due().await
            };
            match all.await {
                Ok(()) => failing = false,
                Err(fault) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%fault, "the approvals cannot be followed; it is tried again");
                    }
                }
            }
        }
    }

    /// A number that grows whenever some approval changed, in this process or as seen in the store.
    pub fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    /// Where the order of changes stands now.
    ///
    /// # Errors
    /// [`ApproveError::Store`].
    pub async fn cursor(&self) -> Result<Cursor, ApproveError> {
        Ok(self.store.cursor().await?)
    }

    /// Approvals that changed since `since`. An approval that closed is told as closed.
    ///
    /// # Errors
    /// [`ApproveError::Store`]; with [`StoreError::CursorLost`] list all again, from a new cursor.
    pub async fn changes(&self, since: Cursor, limit: usize) -> Result<Changes, ApproveError> {
        let changes = self.store.changes(keys::ALL, since, limit).await?;
        let entries = changes.changed.iter().filter_map(|change| change.entry.as_ref());
        let entries =
            entries.filter(|entry| [keys::OPEN, keys::CLOSED].iter().any(|all| entry.key.starts_with(all)));
        let approvals: Result<Vec<Approval>, StoreError> = entries.map(store::Entry::read).collect();
        Ok(Changes { approvals: approvals?, next: changes.next, more: changes.more })
    }

    /// Takes over what changed in the store.
    pub(crate) async fn catch_up(&self) -> Result<(), ApproveError> {
        let mut followed = self.followed.lock().await;
        let mut cursor = match *followed {
            Some(cursor) => cursor,
            None => {
                let cursor = self.store.cursor().await?;
                self.read_all().await?;
                cursor
            }
        };
        *followed = Some(cursor);
        loop {
            let changes = match self.changes(cursor, MAX_PAGE).await {
                Ok(changes) => changes,
                Err(ApproveError::Store(StoreError::CursorLost)) => {
                    *followed = None;
                    return Ok(());
                }
                Err(fault) => return Err(fault),
            };
            for approval in changes.approvals {
                self.heard(&Arc::new(approval));
            }
            cursor = changes.next;
            *followed = Some(cursor);
            if !changes.more {
                return Ok(());
            }
        }
    }

    async fn read_all(&self) -> Result<(), ApproveError> {
        let read = |entry: store::Entry| entry.read().map(|approval| self.heard(&Arc::new(approval)));
        Ok(store::every(&*self.store, keys::OPEN, read).await?)
    }

    /// An approval is so now.
    pub(crate) fn heard(&self, approval: &Arc<Approval>) {
        let due = (approval.expires, approval.id);
        if approval.state.is_open() {
            self.due().insert(due);
        } else {
            self.due().remove(&due);
        }
        self.watched.tell(approval);
        self.ticks.send_modify(|ticks| *ticks = ticks.wrapping_add(1));
    }

    fn due(&self) -> MutexGuard<'_, BTreeSet<(Timestamp, ApprovalId)>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what has had its time.
    pub(crate) async fn expire_due(&self) -> Result<(), ApproveError> {
        let now = self.store.now().await?;
        loop {
            let next = self.due().first().copied().filter(|(at, _)| *at <= now);
            let Some((at, id)) = next else { return Ok(()) };
            let expired =
                self.step(id, Event::Expired, (None, None), |approval, now| approval.expire(now)).await;
            match expired {
                // Others closed it first, or nobody remembers it.
                Ok(_) | Err(ApproveError::Refused(..) | ApproveError::NotFound(_)) => {
                    self.due().remove(&(at, id));
                }
                Err(fault) => return Err(fault),
            }
        }
    }
}
