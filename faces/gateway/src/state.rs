//! The gateway's state: the store, and what lies in it: who is shut out, and what waits for consent.

use std::sync::Arc;

use approve::{Approvals, Bounds, Settings};
use authenticate::Standing;
use config::Config;
use model::Clock;
use record::Ledger;
use store::{SqliteStore, Store};
use tokio_util::task::AbortOnDropHandle;

use crate::{Gateway, SetupError};

/// The store, and what follows it.
pub(crate) struct State {
    store: Arc<dyn Store>,
    pub(crate) standing: Arc<Standing>,
    approvals: Arc<Approvals>,
    /// They keep the rules and the approvals up with the store, for as long as the gateway lives.
    _following: [AbortOnDropHandle<()>; 2],
}

impl State {
    /// Opens the store and reads every rule: without them nobody may be let in.
    pub(crate) async fn open(
        config: &Config,
        clock: &Arc<dyn Clock>,
        ledger: &Ledger,
    ) -> Result<Self, SetupError> {
        let store = SqliteStore::open(&config.state.dir, Arc::clone(clock)).await?;
        let store: Arc<dyn Store> = Arc::new(store);
        let standing = Standing::open(Arc::clone(&store), Arc::clone(clock)).await?;
        let approvals = Approvals::open(Arc::clone(&store), ledger.clone(), settings(config)).await?;
        let followed = (Arc::clone(&standing), Arc::clone(&approvals));
        let following = [
            tokio::spawn(async move { followed.0.follow().await }),
            tokio::spawn(async move { followed.1.follow().await }),
        ];
        Ok(Self { store, standing, approvals, _following: following.map(AbortOnDropHandle::new) })
    }
}

/// What the configuration says of approvals.
pub(crate) fn settings(config: &Config) -> Settings {
    let approvals = &config.approvals;
    Settings {
        expires: approvals.expires,
        open: approvals.open,
        open_per_caller: approvals.open_per_caller,
        held: Bounds {
            requests: approvals.held,
            requests_per_caller: approvals.held_per_caller,
            bytes: approvals.held_bytes,
            bytes_per_caller: approvals.held_bytes_per_caller,
        },
        url: approvals.url.clone(),
        people: Arc::new(config.people.clone()),
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

    /// What waits for the consent of people.
    pub fn approvals(&self) -> &Arc<Approvals> {
        &self.state.approvals
    }

    /// What this gateway remembers besides its ledger.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.state.store
    }
}
