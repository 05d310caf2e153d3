//! Whoever writes by itself can be held up by a hanging disk, and a runtime's worker with it. When that worker
//! was the one that waits for the network, none of the others knows that it should: they sleep until somebody
//! gives them something to do. So a thread looks how long a write takes, and gives them something.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use model::Clock;
use tokio::runtime::Handle;

use crate::health::Status;

/// How often it looks, and how long a write may take before the others are woken.
const LOOK: Duration = Duration::from_millis(100);

/// The runtime whose workers write at the desk.
#[derive(Debug, Default)]
pub(crate) struct Crew(OnceLock<Handle>);

impl Crew {
    /// Notes the runtime that this is called on, the first time.
    pub(crate) fn note(&self) {
        if self.0.get().is_none()
            && let Ok(handle) = Handle::try_current()
        {
            // Another task was first: with the same one.
            let _ = self.0.set(handle);
        }
    }

    /// Wakes a worker that sleeps: having done nothing, it waits for the network.
    fn wake(&self) {
        if let Some(handle) = self.0.get() {
            handle.spawn(std::future::ready(()));
        }
    }
}

/// Looks until the ledger is gone. `limit` is what a write may take before the ledger counts as hanging.
pub(crate) fn watch(crew: &Weak<Crew>, status: &Arc<Status>, clock: &Arc<dyn Clock>, limit: Duration) {
    let mut told = false;
    loop {
        std::thread::sleep(LOOK);
        let Some(crew) = crew.upgrade() else { return };
        let busy = status.busy_for(clock.elapsed());
        // Again and again: the one that was woken may have been held up too.
        if busy.is_some_and(|busy| busy >= LOOK) {
            crew.wake();
        }
        let hangs = busy.is_some_and(|busy| busy > limit);
        if hangs != told {
            told = hangs;
            status.show(hangs);
        }
    }
}
