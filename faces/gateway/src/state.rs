//! The gateway's state: the store, and who is shut out by what lies in it.

use std::sync::Arc;

use authenticate::Standing;
use model::Clock;
use store::{SqliteStore, Store};
use tokio_util::task::AbortOnDropHandle;

use crate::{Gateway, SetupError};

/// The store, and what follows it.
pub(crate) struct State {
    store: Arc<dyn Store>,
    pub(crate) standing: Arc<Standing>,
    /// Keeps the rules up with the store, for as long as the gateway lives.
    _following: AbortOnDropHandle<()>,
}

impl State {
    /// Opens the store and reads every rule: without them nobody may be let in.
    pub(crate) async fn open(settings: &config::State, clock: &Arc<dyn Clock>) -> Result<Self, SetupError> {
        let store = SqliteStore::open(&settings.dir, Arc::clone(clock)).await?;
        let store: Arc<dyn Store> = Arc::new(store);
        let standing = Standing::open(Arc::clone(&store), Arc::clone(clock)).await?;
        let followed = Arc::clone(&standing);
        let following = AbortOnDropHandle::new(tokio::spawn(async move { followed.follow().await }));
        Ok(Self { store, standing, _following: following })
    }
}

impl State {
    /// The store itself.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

impl Gateway {
    /// Who is shut out, and who was seen.
    pub fn standing(&self) -> &Arc<Standing> {
        &self.state.standing
    }

    /// What this gateway remembers besides its ledger.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.state.store
    }
}
