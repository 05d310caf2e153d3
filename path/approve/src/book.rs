//! The book of approvals: the state machine over the store.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use model::{CallerKind, Decision, ExchangeId, Identity, PolicyReason, Refusal};
use record::Ledger;
use store::{Change, Commit, Cursor, Entry, Expect, Store, StoreError, Until, Write};
use tokio::sync::watch;

use crate::approval::{Approval, ApprovalId, Refused, State, Step, Wanted};
use crate::digest::Digest;
use crate::error::{self, ApproveError};
use crate::keys::{self, Standing};
use crate::said::Said;
use crate::seats::{Seat, Seats};
use crate::settings::Settings;
use crate::told::{Event, Witness};
use crate::watch::{Watch, Watched};

/// How often a step is tried again when others changed the approval meanwhile.
const TRIES: usize = 64;
/// How long a closed approval can be looked up. The ledger keeps it for longer.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// What somebody asks the consent of others for.
#[derive(Clone, Debug)]
pub struct Petition {
    /// The exchange that asks, if it is one.
    pub exchange: Option<ExchangeId>,
    /// Who asks.
    pub requester: Arc<Identity>,
    /// What.
    pub wanted: Wanted,
    /// What is bound.
    pub digest: Digest,
    /// How many persons must consent.
    pub needed: u8,
    /// The policies that permit it then.
    pub policies: Vec<PolicyReason>,
}

/// What became of a petition.
#[derive(Debug)]
pub enum Asked {
    /// It waits, or is approved already: follow it.
    Open(Watch),
    /// The same was denied a while ago, and that stands.
    Denied(Arc<Approval>),
}

/// Which approvals to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Waiting or approved, oldest first.
    Open,
    /// Denied, released or expired, latest first; for a week.
    Closed,
}

/// Some approvals.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// In their order.
    pub approvals: Vec<Approval>,
    /// Where the next page begins, when there may be one.
    pub next: Option<String>,
}

/// Every approval there is.
pub struct Approvals {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) witness: Witness,
    settings: ArcSwap<Settings>,
    pub(crate) watched: Arc<Watched>,
    seats: Arc<Seats>,
    /// When open ones end.
    pub(crate) due: Mutex<BTreeSet<(Timestamp, ApprovalId)>>,
    /// Up to where the store was followed.
    pub(crate) followed: tokio::sync::Mutex<Option<Cursor>>,
    pub(crate) ticks: watch::Sender<u64>,
    /// One step at a time in this process: others wait in line instead of trying again.
    turn: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Approvals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Approvals").field("held", &self.seats.held()).finish_non_exhaustive()
    }
}

impl Approvals {
    /// Opens the book, and reads what is open. Run [`Approvals::follow`] beside it.
    ///
    /// # Errors
    /// [`ApproveError::Store`].
    pub async fn open(
        store: Arc<dyn Store>,
        ledger: Ledger,
        settings: Settings,
    ) -> Result<Arc<Self>, ApproveError> {
        Self::with(store, Witness::Ledger(ledger), settings).await
    }

    pub(crate) async fn with(
        store: Arc<dyn Store>,
        witness: Witness,
        settings: Settings,
    ) -> Result<Arc<Self>, ApproveError> {
        let book = Self {
            store,
            witness,
            settings: ArcSwap::from_pointee(settings),
            watched: Arc::default(),
            seats: Arc::default(),
            due: Mutex::default(),
            followed: tokio::sync::Mutex::new(None),
            ticks: watch::Sender::new(0),
            turn: tokio::sync::Mutex::new(()),
        };
        book.catch_up().await?;
        Ok(Arc::new(book))
    }

    /// What the configuration says.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// The configuration changed.
    pub fn set(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// Where an approval's page is.
    pub fn url(&self, id: ApprovalId) -> Option<String> {
        let settings = self.settings.load();
        settings.url.as_ref().map(|url| format!("{}/approvals/{id}", url.trim_end_matches('/')))
    }

    /// What the requester of an approval is told while it waits, or how it ended.
    pub fn refusal(&self, approval: &Approval) -> Refusal {
        error::told(approval, self.url(approval.id))
    }

    /// A place for one more request that is held with so many body bytes.
    ///
    /// # Errors
    /// A refusal (429) when there is none.
    pub fn seat(&self, caller: &Identity, bytes: usize) -> Result<Seat, Refusal> {
        self.seats.take(self.settings.load().held, &caller.canonical(), bytes)
    }

    /// How many requests are held in this process.
    pub fn held(&self) -> usize {
        self.seats.held()
    }

    /// Asks for consent: finds the approval that is open for the same already, or makes one.
    ///
    /// # Errors
    /// [`ApproveError::Full`] when as many wait as may, or why it could not be written down.
    pub async fn ask(&self, petition: &Petition) -> Result<Asked, ApproveError> {
        let _turn = self.turn.lock().await;
        let canonical = petition.requester.canonical();
        let place = keys::asked(&canonical, &petition.digest);
        for _ in 0..TRIES {
            let now = self.store.now().await?;
            let found = self.store.get(&place).await?;
            let standing = found.as_ref().map(Entry::read::<Standing>).transpose()?;
            if let Some(standing) = standing {
                match self.stands(standing, petition, now).await? {
                    Stands::Open(asked) => return Ok(asked),
                    Stands::Changed => continue,
                    Stands::Not => {}
                }
            }
            let approval = self.new_approval(petition, &canonical, now).await?;
            let expected = found.map_or(Expect::Nothing, |entry| Expect::Version(entry.version));
            let until = Until::At(approval.expires);
            let standing = Standing { id: approval.id, denied: false };
            let writes = vec![
                fitting(Write::put(keys::open(approval.id), &approval)?.expecting(Expect::Nothing))?,
                Write::put(place.clone(), &standing)?.expecting(expected).lasting(until),
            ];
            if self.store.commit(writes).await?.is_done() {
                let watch = self.published(Event::Asked, approval, petition.exchange, None).await;
                return watch.map(Asked::Open);
            }
        }
        Err(ApproveError::Contended)
    }

    /// What stands where the same was asked.
    async fn stands(
        &self,
        standing: Standing,
        petition: &Petition,
        now: Timestamp,
    ) -> Result<Stands, ApproveError> {
        if standing.denied {
            let denied = self.read(standing.id).await?.map(|(approval, _)| approval);
            let denied = denied.filter(|approval| approval.expires > now);
            return Ok(denied.map_or(Stands::Not, |denied| Stands::Open(Asked::Denied(Arc::new(denied)))));
        }
        let Some((mut approval, Some(entry))) = self.read(standing.id).await? else { return Ok(Stands::Not) };
        let Some(exchange) = petition.exchange else {
            let open = !approval.has_expired(now);
            let watch = open.then(|| self.watched.begin(Arc::new(approval)));
            return Ok(watch.map_or(Stands::Not, |watch| Stands::Open(Asked::Open(watch))));
        };
        let people = Arc::clone(&self.settings.load().people);
        let joined = approval
            .join(exchange, now)
            // Policy may ask for more than it did when this was asked for first.
            .and_then(|_| approval.need(petition.needed, &people, now));
        if joined.is_err() {
            return Ok(Stands::Not);
        }
        let write = Write::put(keys::open(approval.id), &approval)?;
        let write = fitting(write.expecting(Expect::Version(entry.version)))?;
        if !self.store.commit(vec![write]).await?.is_done() {
            return Ok(Stands::Changed);
        }
        let watch = self.published(Event::Joined, approval, Some(exchange), None).await?;
        Ok(Stands::Open(Asked::Open(watch)))
    }

    async fn new_approval(
        &self,
        petition: &Petition,
        canonical: &str,
        now: Timestamp,
    ) -> Result<Approval, ApproveError> {
        let settings = self.settings();
        let all = self.store.count(keys::OPEN).await?;
        let own = self.store.count(&keys::asked_by(canonical)).await?;
        if all >= settings.open {
            return Err(ApproveError::Full(all, "all callers"));
        }
        if own >= settings.open_per_caller {
            return Err(ApproveError::Full(own, "this caller"));
        }
        Ok(Approval {
            id: ApprovalId::at(now),
            state: State::Waiting,
            wanted: petition.wanted.clone(),
            digest: petition.digest,
            requester: Identity::clone(&petition.requester),
            owner: settings.people.owner(&petition.requester),
            marks: settings.people.behind(&petition.requester),
            needed: petition.needed.max(1),
            policies: petition.policies.clone(),
            consents: Vec::new(),
            since: now,
            expires: now.checked_add(settings.expires).unwrap_or(Timestamp::MAX),
            exchanges: petition.exchange.into_iter().collect(),
        })
    }

    /// Somebody consents. `act` is the call it is done in; that they may was decided there.
    ///
    /// # Errors
    /// [`ApproveError::Refused`] when it does not count, with how the approval stands.
    pub async fn consent(
        &self,
        id: ApprovalId,
        by: &Identity,
        word: Said<'_>,
    ) -> Result<Arc<Approval>, ApproveError> {
        let people = Arc::clone(&self.settings.load().people);
        let signed = |approval: &mut Approval, now| {
            if by.kind != CallerKind::Human {
                return Err(Refused::NotAPerson);
            }
            let signature = word.signed(by, approval.digest, &people, now);
            approval.consent(signature, &people, now)
        };
        self.step(id, Event::Consented, (None, None), signed).await
    }

    /// Somebody denies it, with a reason.
    ///
    /// # Errors
    /// [`ApproveError::Refused`] when it does not count, with how the approval stands.
    pub async fn deny(
        &self,
        id: ApprovalId,
        by: &Identity,
        word: Said<'_>,
    ) -> Result<Arc<Approval>, ApproveError> {
        let people = Arc::clone(&self.settings.load().people);
        let signed =
            |approval: &mut Approval, now| approval.deny(word.signed(by, approval.digest, &people, now), now);
        self.step(id, Event::Denied, (None, None), signed).await
    }

    /// Policy asks for more persons now.
    ///
    /// # Errors
    /// [`ApproveError::Refused`] when it is closed.
    pub async fn need(&self, id: ApprovalId, needed: u8) -> Result<Arc<Approval>, ApproveError> {
        let people = Arc::clone(&self.settings.load().people);
        let more = |approval: &mut Approval, now| approval.need(needed, &people, now);
        self.step(id, Event::Needed, (None, None), more).await
    }

    /// An approval by its id, open or closed.
    ///
    /// # Errors
    /// [`ApproveError::Store`].
    pub async fn get(&self, id: ApprovalId) -> Result<Option<Approval>, ApproveError> {
        let now = self.store.now().await?;
        Ok(self.read(id).await?.map(|(approval, _)| seen(approval, now)))
    }

    /// A page of approvals. `after` is [`Listed::next`] of the page before.
    ///
    /// # Errors
    /// [`ApproveError::Store`], also when `after` is none of ours.
    pub async fn list(
        &self,
        which: Which,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed, ApproveError> {
        let prefix = match which {
            Which::Open => keys::OPEN,
            Which::Closed => keys::CLOSED,
        };
        let after = after.map(|after| format!("{prefix}{after}"));
        let page = self.store.list(prefix, after.as_deref(), limit).await?;
        let now = self.store.now().await?;
        let read = |entry: &Entry| entry.read::<Approval>().map(|approval| seen(approval, now));
        let approvals: Result<Vec<Approval>, StoreError> = page.entries.iter().map(read).collect();
        let next = page.next.and_then(|next| next.strip_prefix(prefix).map(str::to_owned));
        Ok(Listed { approvals: approvals?, next })
    }

    /// Follows one approval. None when there is none.
    ///
    /// # Errors
    /// [`ApproveError::Store`].
    pub async fn watch(&self, id: ApprovalId) -> Result<Option<Watch>, ApproveError> {
        let _turn = self.turn.lock().await;
        Ok(self.read(id).await?.map(|(approval, _)| self.watched.begin(Arc::new(approval))))
    }

    /// The approval, and its entry while it is open.
    async fn read(&self, id: ApprovalId) -> Result<Option<(Approval, Option<Entry>)>, ApproveError> {
        if let Some(entry) = self.store.get(&keys::open(id)).await? {
            return Ok(Some((entry.read()?, Some(entry))));
        }
        match self.store.get(&keys::closed(id)).await? {
            Some(entry) => Ok(Some((entry.read()?, None))),
            None => Ok(None),
        }
    }

    /// Takes a step by compare-and-set, as often as others come between, and tells of it.
    pub(crate) async fn step(
        &self,
        id: ApprovalId,
        event: Event,
        (exchange, decision): (Option<ExchangeId>, Option<&Decision>),
        take: impl Fn(&mut Approval, Timestamp) -> Result<Step, Refused>,
    ) -> Result<Arc<Approval>, ApproveError> {
        let _turn = self.turn.lock().await;
        for _ in 0..TRIES {
            let now = self.store.now().await?;
            let Some((mut approval, entry)) = self.read(id).await? else {
                return Err(ApproveError::NotFound(id));
            };
            let Some(entry) = entry else {
                return Err(ApproveError::Refused(Refused::Closed, Box::new(approval)));
            };
            match take(&mut approval, now) {
                Ok(Step::Taken) => {}
                Ok(Step::Already) => return Ok(Arc::new(approval)),
                Err(why) => return Err(ApproveError::Refused(why, Box::new(seen(approval, now)))),
            }
            let writes = self.writes(&approval, &entry).await?;
            if let Commit::Done(_) = self.store.commit(writes).await? {
                let told = self.published(event, approval, exchange, decision).await;
                return told.map(|mut watch| watch.now());
            }
        }
        Err(ApproveError::Contended)
    }

    /// The writes that put `approval` in the place of `entry`.
    async fn writes(&self, approval: &Approval, entry: &Entry) -> Result<Vec<Write>, ApproveError> {
        let expected = Expect::Version(entry.version);
        if approval.state.is_open() {
            return Ok(vec![fitting(Write::put(entry.key.clone(), approval)?.expecting(expected))?]);
        }
        let closed = Write::put(keys::closed(approval.id), approval)?.lasting(Until::After(KEPT));
        let mut writes = vec![Write::remove(entry.key.clone()).expecting(expected), fitting(closed)?];
        let place = keys::asked(&approval.requester.canonical(), &approval.digest);
        let found = self.store.get(&place).await?;
        let ours = found.as_ref().map(Entry::read::<Standing>).transpose()?;
        if let Some(found) = found.filter(|_| ours.is_some_and(|standing| standing.id == approval.id)) {
            let expected = Expect::Version(found.version);
            writes.push(match approval.state {
                State::Denied { .. } => {
                    let standing = Standing { id: approval.id, denied: true };
                    Write::put(place, &standing)?.expecting(expected).lasting(Until::At(approval.expires))
                }
                _ => Write::remove(place).expecting(expected),
            });
        }
        Ok(writes)
    }

    /// Tells everybody of what is in the store now: the ledger first.
    async fn published(
        &self,
        event: Event,
        approval: Approval,
        exchange: Option<ExchangeId>,
        decision: Option<&Decision>,
    ) -> Result<Watch, ApproveError> {
        let recorded = self.witness.tell(event, &approval, exchange, decision).await;
        let approval = Arc::new(approval);
        // What is in the store holds, recorded or not: a release looks at all of it again.
        self.heard(&approval);
        recorded?;
        Ok(self.watched.begin(approval))
    }
}

/// What stands where something was asked.
enum Stands {
    Open(Asked),
    /// Others changed it meanwhile.
    Changed,
    /// Nothing, any more.
    Not,
}

/// As it is at `now`, noted or not.
fn seen(mut approval: Approval, now: Timestamp) -> Approval {
    if approval.has_expired(now) {
        approval.state = State::Expired;
    }
    approval
}

fn fitting(write: Write) -> Result<Write, ApproveError> {
    match &write.change {
        Change::Put { value, .. } if value.len() > store::MAX_VALUE_BYTES => Err(ApproveError::TooLarge),
        _ => Ok(write),
    }
}
