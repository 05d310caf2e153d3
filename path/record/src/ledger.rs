//! The ledger as the path uses it: open it, open exchanges in it, record refusals, close it.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use model::{Clock, ExchangeId, Identity, PolicySetHash, Refusal};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::checkpoints::{self, Cadence, last_checkpoint};
use crate::describe::{self, nanoseconds};
use crate::desk::Desk;
use crate::digest::DigestKey;
use crate::disk::{Disk, RealDisk};
use crate::health::Status;
use crate::keeper::{self, Keeper};
use crate::leaf::{Key, Leaf, PolicySet, Refused, Torn, What};
use crate::note::Signed;
use crate::recorded::{Recorded, Words};
use crate::recover::recover;
use crate::reserve::Reserve;
use crate::retention::Standing;
use crate::segment::Position;
use crate::shelves::Shelves;
use crate::signing::Signer;
use crate::strangers::Strangers;
use crate::watch::watch;
use crate::work::{Job, Work};
use crate::writer::Writer;
use crate::{Condition, LedgerError, LedgerHealth, Settings, index};

/// Bytes that may wait in the queue, in all.
const ROOM: usize = 64 << 20;

/// A request that ends before there is a caller, and what the gateway says to it.
#[derive(Debug)]
pub struct Stranger<'a> {
    /// The name the request was given.
    pub exchange: ExchangeId,
    /// When it arrived.
    pub arrived: Timestamp,
    /// From where.
    pub client: SocketAddr,
    /// At which listener: each has its own rate.
    pub listener: SocketAddr,
    /// Who it is, if the token was good and what it asked for was not there.
    pub caller: Option<&'a Identity>,
    /// The method as sent.
    pub method: &'a str,
    /// The path as sent; 1024 bytes of it are kept.
    pub path: &'a str,
    /// The host as sent; 255 bytes of it are kept.
    pub host: &'a str,
    /// Why it was refused. None for what the gateway tells anybody who asks: where to log in.
    pub refusal: Option<&'a Refusal>,
    /// What the gateway says.
    pub status: StatusCode,
    /// With which headers.
    pub headers: HeaderMap,
    /// And which body.
    pub body: Bytes,
}

/// A handle on the ledger. Clones share it. It is closed by [`Ledger::close`], or when the last handle
/// and the last record are gone.
#[derive(Clone)]
pub struct Ledger(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    jobs: SyncSender<Job>,
    desk: Arc<Desk>,
    room: Arc<Semaphore>,
    /// What the smallest job takes of the room, so that no more than `queue` jobs wait.
    unit: usize,
    timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key: DigestKey,
    pub(crate) seal_to: Vec<age::x25519::Recipient>,
    pub(crate) status: Arc<Status>,
    pub(crate) written: watch::Receiver<Position>,
    /// Tells when the threads that sign and that index have ended.
    ended: Mutex<Vec<oneshot::Receiver<()>>>,
    /// The retention class of each resource with one of its own.
    pub(crate) classes: BTreeMap<String, Arc<str>>,
    pub(crate) standing: Arc<Mutex<Standing>>,
    /// Held by whoever drops a segment or holds one, from the look to the leaf.
    pub(crate) gate: tokio::sync::Mutex<()>,
    checkpoints: watch::Receiver<Option<Arc<Signed>>>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("status", &self.0.status).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens the ledger, making it if it is absent. Torn ends are put aside, and exchanges that were
    /// open are sealed as interrupted, before this returns. Starts the threads that
    /// write, sign checkpoints, and index.
    ///
    /// # Errors
    /// [`LedgerError`] when another process has it open, or it cannot be read or written.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, LedgerError> {
        Self::open_on(settings, clock, Arc::new(RealDisk))
    }

    pub(crate) fn open_on(
        settings: Settings,
        clock: Arc<dyn Clock>,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, LedgerError> {
        let dir = settings.dir.clone();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(|error| LedgerError::file("make", &dir, error))?;
        let lock = lock(&dir)?;
        let key = DigestKey::load(&settings.digest_key, &dir)?;
        checkpoints::mend(&dir)?;
        let found = recover(&settings, &*disk, nanoseconds(clock.now()))?;
        let path = dir.join("reserve");
        let reserve = Reserve::open(&path, settings.reserve_bytes)
            .map_err(|error| LedgerError::file("open", &path, error))?;
        let status = Arc::new(Status::new());
        let (sender, written) = watch::channel(found.leaves.end());
        let (shown, to_sign) = watch::channel(None);
        let origin = format!("portcullis/{}", model::hex(&found.node));
        let signer = Signer::load(&settings.signing_key, &dir, origin, &found.keys)?;
        let signed = last_checkpoint(&dir)?.map_or(0, |last| last.checkpoint().size).min(found.tree.size());
        let standing = Arc::new(Mutex::new(found.standing));
        let classes = settings.retention.resources.keys().map(|class| (class.clone(), class.as_str().into()));
        let classes = classes.collect();
        let mut writer = Writer {
            clock: clock.clone(),
            disk: disk.clone(),
            leaves: found.leaves,
            bodies: Shelves::new(found.bodies, &settings),
            standing: standing.clone(),
            table: found.open,
            cadence: Cadence::new(settings.checkpoint_every, settings.checkpoint_leaves),
            tree: found.tree,
            keys: found.keys,
            shown,
            unmarked: 0,
            stage: Default::default(),
            status: status.clone(),
            reserve,
            strangers: Strangers::default(),
            trouble: None,
            written: sender,
            lock,
            settings,
        };
        begin(&mut writer, found.torn, &signer)?;
        let retention = writer.settings.retention.clone();
        let queue = writer.settings.queue.clamp(1, ROOM);
        let timeout = writer.settings.write_timeout;
        let indexing = writer.settings.indexing;
        let seal_to = writer.settings.seal_to.clone();
        let (jobs, receiver) = sync_channel(queue.saturating_add(64));
        let desk = Arc::new(Desk::new(writer));
        let at_desk = Arc::clone(&desk);
        spawn("ledger", &dir, move || at_desk.run(&receiver))?;
        let (crew, seen, watched) = (Arc::downgrade(&desk.crew), status.clone(), clock.clone());
        spawn("ledger-watch", &dir, move || watch(&crew, &seen, &watched, timeout))?;
        let (end, indexed) = oneshot::channel();
        index::follow(&dir, indexing, written.clone(), end)?;
        let (end, signing) = oneshot::channel();
        let checkpoints = checkpoints::keep(&dir, signer, signed, status.clone(), to_sign, end)?;
        let (end, keeping) = oneshot::channel();
        let ended = Mutex::new(vec![signing, indexed, keeping]);
        let unit = ROOM.div_ceil(queue);
        let room = Arc::new(Semaphore::new(ROOM));
        let inner = Inner {
            jobs,
            desk,
            room,
            unit,
            timeout,
            clock,
            key,
            seal_to,
            status,
            written,
            ended,
            checkpoints,
            classes,
            standing,
            gate: tokio::sync::Mutex::new(()),
        };
        let inner = Arc::new(inner);
        let keeper = Keeper {
            dir,
            retention,
            disk,
            clock: inner.clock.clone(),
            ledger: Arc::downgrade(&inner),
            status: inner.status.clone(),
            written: inner.written.clone(),
            survey: None,
        };
        keeper::keep(keeper, end)?;
        Ok(Self(inner))
    }

    /// Records what is said before there is a caller, mostly refusals: one leaf, or above the rate of 50 a second and
    /// listener (200 at once) a count, written every second. Returns when it is in the ledger, either way.
    ///
    /// # Errors
    /// [`LedgerError`] when it is not.
    pub async fn refuse_stranger(&self, stranger: Stranger<'_>) -> Result<Words, LedgerError> {
        let refused = Refused {
            exchange: stranger.exchange.as_bytes().to_vec(),
            arrived: nanoseconds(stranger.arrived),
            client: stranger.client.to_string(),
            listener: stranger.listener.to_string(),
            method: describe::clipped(stranger.method, 32),
            path: describe::clipped(stranger.path, 1024),
            host: describe::clipped(stranger.host, 255),
            refusal: stranger.refusal.map(describe::refusal),
            status: u32::from(stranger.status.as_u16()),
            caller: stranger.caller.map(describe::caller),
        };
        let work = Work::Refuse { listener: stranger.listener, refused: Box::new(refused) };
        // A counted one waits for its summary.
        let limit = self.0.timeout.saturating_add(Duration::from_secs(2));
        self.0.hand_over_within(limit, Some(stranger.exchange), work).await?;
        Ok(Words::new(stranger.exchange, stranger.status, stranger.headers, stranger.body))
    }

    /// The one answer that may go out without a record: that the record cannot be written. `error` is
    /// the proof of it. `None` if it is an error of reading, or the body is no short refusal (4 KiB): then
    /// nothing may be said. How often it happened is in the health.
    pub fn unrecorded(
        &self,
        error: &LedgerError,
        exchange: ExchangeId,
        status: StatusCode,
        headers: HeaderMap,
        body: Bytes,
    ) -> Option<Words> {
        if !error.is_of_writing() || body.len() > 4096 {
            return None;
        }
        tracing::warn!(%exchange, %error, "an exchange was refused without a record");
        metrics::counter!("portcullis_ledger_unrecorded_refusals_total").increment(1);
        self.0.status.unrecorded.fetch_add(1, Ordering::Relaxed);
        Some(Words::new(exchange, status, headers, body))
    }

    /// Records that a policy set decides from now on.
    ///
    /// # Errors
    /// [`LedgerError`] when it is not in the ledger.
    pub async fn policy_set(
        &self,
        hash: PolicySetHash,
        text: &str,
        loaded_by: &str,
    ) -> Result<(), LedgerError> {
        let set = PolicySet { hash: hash.0.to_vec(), text: text.to_owned(), loaded_by: loaded_by.to_owned() };
        self.leaf(What::PolicySet(set)).await
    }

    /// Records that a key is used from now on.
    ///
    /// # Errors
    /// [`LedgerError`] when it is not in the ledger.
    pub async fn key(&self, key: Key) -> Result<(), LedgerError> {
        self.leaf(What::Key(key)).await
    }

    pub(crate) async fn leaf(&self, what: What) -> Result<(), LedgerError> {
        let leaf = Leaf { time: 0, bodies: None, what: Some(what) };
        self.0.hand_over(None, Work::Leaf(Box::new(leaf))).await
    }

    /// Whether it can be written, and what is open.
    pub fn health(&self) -> LedgerHealth {
        self.0.status.health(self.0.clock.elapsed(), self.0.timeout)
    }

    /// Resolves, with the reason to refuse, once a write has not come back for longer than the write
    /// timeout: whoever waits for an exchange that is held up by it need not wait longer.
    pub async fn hung(&self) -> LedgerError {
        loop {
            tokio::time::sleep(self.0.timeout).await;
            if matches!(self.health().condition, Condition::Hanging { .. }) {
                return LedgerError::TimedOut { after: self.0.timeout };
            }
        }
    }

    /// Each checkpoint from now on, once it is signed and kept. Whoever is slow misses some, never the last.
    pub fn checkpoints(&self) -> watch::Receiver<Option<Arc<Signed>>> {
        self.0.checkpoints.clone()
    }

    /// Where the next leaf will begin.
    pub fn end(&self) -> Position {
        *self.0.written.borrow()
    }

    /// Writes what is in the queue, seals as interrupted what is still open, and closes the files.
    /// Whatever is handed over later fails.
    ///
    /// # Errors
    /// [`LedgerError`] when something could not be sealed; the next start will.
    pub async fn close(self) -> Result<(), LedgerError> {
        let sealed = self.0.hand_over(None, Work::Close).await;
        let ended = std::mem::take(&mut *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner));
        for end in ended {
            // The index is derived, and the next start signs: no reason to wait longer for a slow one.
            let _ = tokio::time::timeout(self.0.timeout, end).await;
        }
        sealed
    }
}

/// What must be in the ledger before anything else.
fn begin(writer: &mut Writer, torn: Vec<Torn>, signer: &Signer) -> Result<(), LedgerError> {
    let time = nanoseconds(writer.clock.now());
    let key = signer.leaf();
    let is_new = writer.keys.last() != Some(&key.public_key);
    let public = key.public_key.clone();
    let leaf = |what| Leaf { time, bodies: None, what: Some(what) };
    let rules = writer.new_rules().map(What::Retention);
    let all = torn.into_iter().map(What::Torn).chain(is_new.then_some(What::Key(key))).chain(rules);
    let jobs = all.map(|what| Job::own(None, Work::Leaf(Box::new(leaf(what))))).collect();
    let written = writer.group(jobs) && writer.seal_all();
    if !written {
        let busy = std::io::Error::other("what was found open or torn could not be recorded");
        return Err(LedgerError::file("write", &writer.settings.dir, busy));
    }
    if is_new {
        writer.keys.push(public);
    }
    writer.fill_reserve()?;
    writer.publish(true);
    writer.mark();
    writer.show(false);
    Ok(())
}

fn lock(dir: &Path) -> Result<File, LedgerError> {
    let path = dir.join("lock");
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| LedgerError::file("open", &path, error))?;
    // A reader holds the lock for a moment to see whether a gateway runs; that is no second writer.
    for _ in 0..20 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(25)),
            Err(TryLockError::Error(error)) => return Err(LedgerError::file("lock", &path, error)),
        }
    }
    Err(LedgerError::Locked { dir: dir.to_owned() })
}

pub(crate) fn spawn(
    name: &str,
    dir: &Path,
    thread: impl FnOnce() + Send + 'static,
) -> Result<(), LedgerError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(thread)
        .map(drop)
        .map_err(|error| LedgerError::file("start a thread for", dir, error))
}

/// This thread, and those it starts, work on what others leave: about a tenth of a core that is busy with
/// requests, all of one that is idle. For work that nobody waits for.
pub(crate) fn stand_back() {
    // Many tests at once leave nothing, and look at what such work does.
    if cfg!(test) {
        return;
    }
    if let Err(error) = rustix::process::setpriority_process(None, BEHIND) {
        tracing::debug!(%error, "a thread of the ledger keeps its priority");
    }
}

/// How far such work stands back, as `nice` counts.
const BEHIND: i32 = 10;

impl Inner {
    /// What decides what may be dropped.
    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes work at once, or hands it to the writer's thread and waits until it is written.
    pub(crate) async fn hand_over(
        &self,
        exchange: Option<ExchangeId>,
        work: Work,
    ) -> Result<(), LedgerError> {
        self.hand_over_within(self.timeout, exchange, work).await
    }

    /// Seals an exchange whose record has left its last words: at once, or with what is written next while
    /// much is.
    pub(crate) async fn seal(&self, exchange: ExchangeId) -> Result<(), LedgerError> {
        if self.status.condition() == Condition::Writing && self.desk.leave(exchange) {
            return Ok(());
        }
        self.hand_over(Some(exchange), Work::Seal).await
    }

    async fn hand_over_within(
        &self,
        limit: Duration,
        exchange: Option<ExchangeId>,
        work: Work,
    ) -> Result<(), LedgerError> {
        let work = match self.desk.now(exchange, work) {
            Ok(outcome) => return outcome,
            Err(work) => work,
        };
        let (bodies, leaves) = work.size();
        let charge = bodies.saturating_add(leaves).clamp(self.unit, ROOM);
        let charge = u32::try_from(charge).unwrap_or(u32::MAX);
        let waited = async {
            let room = self.room.clone().acquire_many_owned(charge).await;
            let room = Some(room.map_err(|_| LedgerError::Closed)?);
            let (ack, done) = oneshot::channel();
            self.jobs.try_send(Job { exchange, work, ack: Some(ack), room }).map_err(
                |error| match error {
                    TrySendError::Full(_) => LedgerError::TimedOut { after: Duration::ZERO },
                    TrySendError::Disconnected(_) => LedgerError::Closed,
                },
            )?;
            done.await.map_err(|_| LedgerError::Closed)?
        };
        tokio::time::timeout(limit, waited).await.unwrap_or(Err(LedgerError::TimedOut { after: limit }))
    }

    /// Wakes the writer's thread to look for records that were dropped. Never waits.
    pub(crate) fn note_vanished(&self) {
        if !self.status.noted.swap(true, Ordering::SeqCst) {
            // If the queue is full, the thread is awake and looks without being told.
            let _: Result<(), mpsc::TrySendError<Job>> = self.jobs.try_send(Job::own(None, Work::Vanished));
        }
    }
}

impl Recorded {
    /// Whose it is.
    pub fn exchange(&self) -> ExchangeId {
        self.exchange
    }
}
