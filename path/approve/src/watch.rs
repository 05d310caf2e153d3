//! Who waits for an approval in this process, woken when it changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::approval::{Approval, ApprovalId};

/// Approvals that somebody waits for, with their latest state.
#[derive(Default)]
pub(crate) struct Watched(Mutex<HashMap<ApprovalId, watch::Sender<Arc<Approval>>>>);

impl Watched {
    fn all(&self) -> MutexGuard<'_, HashMap<ApprovalId, watch::Sender<Arc<Approval>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait, from `approval` on.
    pub(crate) fn begin(self: &Arc<Self>, approval: Arc<Approval>) -> Watch {
        let id = approval.id;
        let mut all = self.all();
        let sender = all.entry(id).or_insert_with(|| watch::Sender::new(Arc::clone(&approval)));
        newer(sender, &approval);
        let changes = sender.subscribe();
        drop(all);
        Watch { id, changes, watched: Arc::clone(self) }
    }

    /// Wakes whoever waits for it.
    pub(crate) fn tell(&self, approval: &Arc<Approval>) {
        if let Some(sender) = self.all().get(&approval.id) {
            newer(sender, approval);
        }
    }
}

/// A closed approval never opens again, and consents never get fewer: an older reading changes nothing.
fn newer(sender: &watch::Sender<Arc<Approval>>, approval: &Arc<Approval>) {
    sender.send_if_modified(|known| {
        let older = !known.state.is_open() && approval.state.is_open()
            || approval.consents.len() < known.consents.len()
            || approval.needed < known.needed;
        let same = **known == **approval;
        if !older && !same {
            *known = Arc::clone(approval);
        }
        !older && !same
    });
}

/// Follows one approval.
pub struct Watch {
    id: ApprovalId,
    changes: watch::Receiver<Arc<Approval>>,
    watched: Arc<Watched>,
}

impl Watch {
    /// How it stands now.
    pub fn now(&mut self) -> Arc<Approval> {
        Arc::clone(&self.changes.borrow_and_update())
    }

    /// Waits until it stands otherwise than [`Watch::now`] said last.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // Unreachable while this lives; to wait for ever is to change nothing.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut all = self.watched.all();
        // This one is still counted.
        if all.get(&self.id).is_some_and(|sender| sender.receiver_count() <= 1) {
            all.remove(&self.id);
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watch").field(&self.id).finish()
    }
}
