//! The agents that are connected to this gateway, and the choice among them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use jiff::Timestamp;
use model::{AgentName, ResourceName};
use store::{Cursor, StoreError};
use tokio_util::sync::CancellationToken;

use crate::agree::Spoken;
use crate::client::Sender;
use crate::error::{Refused, Why};
use crate::identity::AgentIdentity;
use crate::lease::Lease;
use crate::roster::{MEMBERS, Member, Roster};
use crate::window::{MOST_CONNECTIONS, MOST_STREAMS};
use crate::workload::Workloads;

/// How often the roster is looked at: what is revoked elsewhere ends here within a second.
const FOLLOWED_EVERY: Duration = Duration::from_millis(250);

/// One connection of an agent.
pub(crate) struct Connected {
    id: u64,
    pub(crate) identity: AgentIdentity,
    fingerprint: String,
    expires: Timestamp,
    address: SocketAddr,
    since: Timestamp,
    pub(crate) spoken: Spoken,
    pub(crate) sender: Sender,
    /// Requests under way in it.
    pub(crate) streams: AtomicUsize,
    /// Requests under way at the agent, in all its connections.
    pub(crate) load: Arc<AtomicUsize>,
    /// Cuts it.
    cut: CancellationToken,
}

/// What is known of a connection when it begins.
pub(crate) struct Arrived {
    pub(crate) identity: AgentIdentity,
    pub(crate) fingerprint: String,
    pub(crate) expires: Timestamp,
    pub(crate) address: SocketAddr,
    pub(crate) spoken: Spoken,
}

/// Why no agent can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAgent {
    /// None that is enrolled for the resource is connected.
    NoneConnected,
    /// Those that are have no room.
    AllBusy,
}

/// How a connected agent does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentState {
    /// Its name.
    pub name: AgentName,
    /// Its connections to this gateway.
    pub connections: usize,
    /// Requests under way.
    pub streams: usize,
    /// Where the oldest connection comes from.
    pub address: SocketAddr,
    /// Since when that one stands.
    pub since: Timestamp,
    /// Which program it is, as it says.
    pub software: String,
}

#[derive(Default)]
struct Table {
    by_name: HashMap<AgentName, Vec<Arc<Connected>>>,
    by_resource: HashMap<ResourceName, Vec<Arc<Connected>>>,
}

/// The agents that are connected.
pub struct Agents {
    roster: Arc<Roster>,
    /// Who knows programs by tokens of their own, once it stands.
    workloads: OnceLock<Arc<dyn Workloads>>,
    table: RwLock<Table>,
    ids: AtomicU64,
    /// Where the search begins, so that equals take turns.
    turn: AtomicUsize,
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Agents")
    }
}

impl Agents {
    /// Nobody is connected yet.
    pub fn new(roster: Arc<Roster>) -> Arc<Self> {
        Arc::new(Self {
            roster,
            workloads: OnceLock::new(),
            table: RwLock::default(),
            ids: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        })
    }

    /// Who may be an agent.
    pub fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// From now on programs become agents by tokens that `workloads` knows. The first to say so counts.
    pub fn let_in(&self, workloads: Arc<dyn Workloads>) {
        // A second one is a fault of ours, and changes nothing.
        let _ = self.workloads.set(workloads);
    }

    pub(crate) fn workloads(&self) -> Option<&Arc<dyn Workloads>> {
        self.workloads.get()
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place at the least busy agent that serves `resource`, and there in the least busy connection.
    /// `names` says which agents may be asked; empty: any. Those in `tried` are passed over.
    ///
    /// # Errors
    /// [`NoAgent`] when there is none left to ask.
    pub fn choose(
        &self,
        resource: &ResourceName,
        names: &[AgentName],
        tried: &[u64],
    ) -> Result<Lease, NoAgent> {
        let table = self.read();
        let serving = table.by_resource.get(resource).map(Vec::as_slice).unwrap_or_default();
        let count = serving.len();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % count.max(1);
        let mut none = NoAgent::NoneConnected;
        let mut best: Option<((usize, usize), &Arc<Connected>)> = None;
        for connected in (0..count).filter_map(|place| serving.get((turn + place) % count)) {
            let named = names.is_empty() || names.contains(&connected.identity.name);
            if !named || tried.contains(&connected.id) || connected.sender.is_closed() {
                continue;
            }
            let streams = connected.streams.load(Ordering::Relaxed);
            if streams >= MOST_STREAMS {
                none = NoAgent::AllBusy;
                continue;
            }
            let standing = (connected.load.load(Ordering::Relaxed), streams);
            if best.as_ref().is_none_or(|(known, _)| standing < *known) {
                best = Some((standing, connected));
            }
        }
        best.map(|(_, connected)| Lease::of(connected)).ok_or(none)
    }

    /// Whether an agent is connected that serves `resource`.
    pub fn serve(&self, resource: &ResourceName, names: &[AgentName]) -> bool {
        let table = self.read();
        let mut serving = table.by_resource.get(resource).into_iter().flatten();
        serving.any(|connected| names.is_empty() || names.contains(&connected.identity.name))
    }

    /// How each connected agent does, by name.
    pub fn states(&self) -> Vec<AgentState> {
        let table = self.read();
        let state = |(name, connections): (&AgentName, &Vec<Arc<Connected>>)| {
            let first = connections.iter().min_by_key(|connected| connected.since)?;
            Some(AgentState {
                name: name.clone(),
                connections: connections.len(),
                streams: first.load.load(Ordering::Relaxed),
                address: first.address,
                since: first.since,
                software: first.spoken.software.clone(),
            })
        };
        let mut states: Vec<AgentState> = table.by_name.iter().filter_map(state).collect();
        states.sort_by(|one, other| one.name.cmp(&other.name));
        states
    }

    /// Whether one more connection of an agent fits.
    pub(crate) fn has_room(&self, name: &AgentName) -> Result<(), Refused> {
        match self.read().by_name.get(name).map_or(0, Vec::len) {
            // An old connection may still drain beside the new one that takes its place.
            many if many >= 2 * MOST_CONNECTIONS => {
                let sentence = format!("the agent has {many} connections already; try again");
                Err(Refused::new(Why::Busy, sentence))
            }
            _ => Ok(()),
        }
    }

    /// Takes a connection in.
    pub(crate) fn join(&self, arrived: Arrived, sender: Sender, cut: CancellationToken) -> Arc<Connected> {
        let Arrived { identity, fingerprint, expires, address, spoken } = arrived;
        let mut table = self.write();
        let beside = table.by_name.get(&identity.name).and_then(|known| known.first());
        let load = beside.map(|known| Arc::clone(&known.load)).unwrap_or_default();
        let connected = Arc::new(Connected {
            id: self.ids.fetch_add(1, Ordering::Relaxed),
            fingerprint,
            expires,
            address,
            since: self.roster.clock.now(),
            spoken,
            sender,
            streams: AtomicUsize::new(0),
            load,
            cut,
            identity,
        });
        table.by_name.entry(connected.identity.name.clone()).or_default().push(Arc::clone(&connected));
        for resource in &connected.identity.resources {
            table.by_resource.entry(resource.clone()).or_default().push(Arc::clone(&connected));
        }
        gauge(&table);
        connected
    }

    /// Lets a connection go that has ended.
    pub(crate) fn leave(&self, gone: &Connected) {
        let mut table = self.write();
        let Table { by_name, by_resource } = &mut *table;
        for connections in by_name.values_mut().chain(by_resource.values_mut()) {
            connections.retain(|connected| connected.id != gone.id);
        }
        by_name.retain(|_, connections| !connections.is_empty());
        by_resource.retain(|_, connections| !connections.is_empty());
        gauge(&table);
    }

    /// Cuts every connection.
    pub(crate) fn cut_all(&self) {
        for connected in self.read().by_name.values().flatten() {
            connected.cut.cancel();
        }
    }

    /// Cuts the connections of an agent that `member`, as the roster has it now, does not admit.
    fn review(&self, name: &AgentName, member: Option<&Member>) {
        let now = self.roster.clock.now();
        let table = self.read();
        for connected in table.by_name.get(name).into_iter().flatten() {
            let admitted = member.is_some_and(|member| member.admits(&connected.fingerprint, now).is_ok());
            if !admitted && !connected.cut.is_cancelled() {
                tracing::warn!(agent = %name, address = %connected.address, "the tunnel is cut: the agent is enrolled no more");
                connected.cut.cancel();
            }
        }
    }

    /// Looks again at one agent, whom somebody here has just put out.
    ///
    /// # Errors
    /// [`StoreError`]; then its connections are cut, since it is not known how it stands.
    pub async fn look_again(&self, name: &AgentName) -> Result<(), crate::TunnelError> {
        let member = self.roster.member(name).await;
        self.review(name, member.as_ref().ok().and_then(Option::as_ref));
        member.map(|_| ())
    }

    /// Follows the roster for as long as the gateway runs: cuts who was put out, and whose certificate
    /// has ended.
    pub async fn follow(&self) {
        let mut cursor = None;
        loop {
            match self.catch_up(cursor).await {
                Ok(next) => cursor = Some(next),
                Err(StoreError::CursorLost) => cursor = None,
                // What is wrong with the store is told where callers are looked up in it.
                Err(fault) => tracing::debug!(%fault, "the roster of agents cannot be followed"),
            }
            tokio::time::sleep(FOLLOWED_EVERY).await;
            let now = self.roster.clock.now();
            for connected in self.read().by_name.values().flatten() {
                if now >= connected.expires && !connected.cut.is_cancelled() {
                    tracing::warn!(agent = %connected.identity.name, "the tunnel is cut: its certificate has ended");
                    connected.cut.cancel();
                }
            }
        }
    }

    async fn catch_up(&self, cursor: Option<Cursor>) -> Result<Cursor, StoreError> {
        let store = &self.roster.store;
        let Some(mut cursor) = cursor else {
            let cursor = store.cursor().await?;
            let names: Vec<AgentName> = self.read().by_name.keys().cloned().collect();
            for name in names {
                // Told where it matters: a connection whose agent cannot be looked up is cut.
                let _ = self.look_again(&name).await;
            }
            return Ok(cursor);
        };
        loop {
            let changes = store.changes(MEMBERS, cursor, store::MAX_PAGE).await?;
            for changed in changes.changed {
                let Some(Ok(name)) = changed.key.strip_prefix(MEMBERS).map(AgentName::new) else { continue };
                let member = changed.entry.map(|entry| entry.read::<Member>()).transpose()?;
                self.review(&name, member.as_ref());
            }
            cursor = changes.next;
            if !changes.more {
                return Ok(cursor);
            }
        }
    }
}

impl Connected {
    /// Its number among all.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

fn gauge(table: &Table) {
    #[expect(clippy::cast_precision_loss, reason = "counts this small are exact")]
    let number = |count: usize| count as f64;
    metrics::gauge!("portcullis_agents_connected").set(number(table.by_name.len()));
    let connections = table.by_name.values().map(Vec::len).sum::<usize>();
    metrics::gauge!("portcullis_agent_connections").set(number(connections));
}
