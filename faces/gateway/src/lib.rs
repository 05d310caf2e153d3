//! The face callers meet: one spine from accept to seal.
//!
//! Read [`exchange`] first; it tells the story of one request. [`session`] is what stands before it
//! (who asks, and for which resource), `stream` its inner loop, `refuse` every way to say no, `reply`
//! the only way back to a caller. [`Gateway::serve`] runs it all until it is told to stop.

mod agents;
mod came;
mod deliver;
mod disclose;
mod exchange;
mod grants;
mod hold;
mod logout;
mod metadata;
mod observe;
mod office;
mod own_rules;
mod probe;
mod refuse;
mod reload;
pub mod reply;
mod ride;
mod said;
mod seal;
mod serve;
mod session;
mod setup;
mod state;
mod stream;
mod workloads;

use std::sync::Arc;

use arc_swap::ArcSwap;
use authorize::Authorizer;
use model::Clock;
use record::Ledger;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

pub use forward::{NotRotated, Rotated};
pub use grants::{MOST_MINUTES, Wish, Wished};
pub use office::{Place, ResourceState};
pub use own_rules::{marks, own_rules};
pub use reload::ReloadError;
pub use reply::{CutShort, ReplyBody};
pub use serve::Running;
pub use setup::SetupError;

use setup::Setup;

/// Everything the spine uses, built from one configuration. What a reload replaces lies in `setup` and
/// in the authorizer; the rest lives as long as the process.
pub struct Gateway {
    setup: ArcSwap<Setup>,
    authorizer: Arc<Authorizer>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    /// What is read again on a reload, one at a time.
    source: reload::Source,
    state: state::State,
    /// Cancelled when no new requests are taken: what waits for consent need not wait longer.
    drain: CancellationToken,
    /// The agents that are connected, where any can be.
    agents: Option<Arc<tunnel::Agents>>,
    /// Requests in flight.
    room: Arc<Semaphore>,
    /// Request bytes held, in units of [`session::MEMORY_UNIT`].
    memory: Arc<Semaphore>,
}

impl Gateway {
    fn setup(&self) -> Arc<Setup> {
        self.setup.load_full()
    }

    fn room_for_one(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }
}
