//! Keeps the ledger small behind the writer's back: compresses closed segments, and drops those of bodies
//! whose time has come. Nobody on the request path waits for it, and it reads no faster than it is told to.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use model::Clock;
use prost::Message;
use tokio::sync::{oneshot, watch};

use crate::audit::classes;
use crate::body::Body;
use crate::describe::nanoseconds;
use crate::disk::{Disk, sync_dir};
use crate::health::Status;
use crate::hold::Survey;
use crate::leaf::{self, Leaf, What};
use crate::ledger::{Inner, Ledger, spawn, stand_back};
use crate::pack::{self, Content};
use crate::retention::Policy;
use crate::segment::{Position, Series};
use crate::stock::{ClassStock, Stock};
use crate::{LedgerError, Retention, checkpoints};

/// While this file is there, and no older than a day, nothing is compressed or dropped: for copies.
const STILL: &str = "still";
const STILL_LASTS: Duration = Duration::from_secs(24 * 3600);

/// What keeps the ledger small.
pub(crate) struct Keeper {
    pub(crate) dir: PathBuf,
    pub(crate) retention: Retention,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) ledger: Weak<Inner>,
    pub(crate) status: Arc<Status>,
    pub(crate) written: watch::Receiver<Position>,
    pub(crate) survey: Option<Survey>,
}

/// Starts the thread, which ends when the writer is gone. The sender is dropped then.
pub(crate) fn keep(mut keeper: Keeper, ended: oneshot::Sender<()>) -> Result<(), LedgerError> {
    // How often it is looked at the clock.
    const LOOK: Duration = Duration::from_millis(250);
    if keeper.retention.pace == 0 {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| LedgerError::file("start a thread for", &keeper.dir, error))?;
    let (dir, every) = (keeper.dir.clone(), keeper.retention.look());
    spawn("ledger-keep", &dir, move || {
        stand_back();
        runtime.block_on(async {
            let mut last: Option<Timestamp> = None;
            while !keeper.is_over() {
                let now = keeper.clock.now();
                let since = last.map(|last| now.duration_since(last).unsigned_abs());
                if since.is_none_or(|since| since >= every) {
                    last = Some(now);
                    keeper.round().await;
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        drop(runtime);
        drop(ended);
    })
}

/// A segment that does not grow any more.
#[derive(Clone, Copy, Debug)]
struct Closed {
    number: u64,
    begun: i64,
    /// When the next one was begun.
    closed: i64,
}

impl Keeper {
    fn is_over(&self) -> bool {
        self.written.has_changed().is_err()
    }

    /// Does all that is due. What fails is told, and tried again the next time.
    pub(crate) async fn round(&mut self) {
        if let Err(error) = self.finish_drops().await {
            self.tell("a segment that was dropped could not be removed", &error);
        }
        if !self.is_still() {
            for class in classes(&self.dir) {
                if let Err(error) = self.drop_due(&class).await {
                    self.tell("what is due could not be dropped", &error);
                }
            }
            if let Err(error) = self.pack_due() {
                self.tell("a segment could not be compressed", &error);
            }
        }
        self.status.stock.set(self.stock());
    }

    fn tell(&self, what: &str, error: &LedgerError) {
        if !self.is_over() {
            metrics::counter!("portcullis_ledger_keeping_failed_total").increment(1);
            tracing::warn!(%error, "{what}; it is tried again");
        }
    }

    /// Whether a copy is being taken.
    fn is_still(&self) -> bool {
        let asked = fs::metadata(self.dir.join(STILL)).and_then(|file| file.modified());
        let Some(asked) = asked.ok().and_then(|asked| Timestamp::try_from(asked).ok()) else { return false };
        let lasts = self.clock.now().duration_since(asked).unsigned_abs() < STILL_LASTS;
        if !lasts {
            tracing::warn!("`still` lies in the ledger for more than a day: it is not heeded any more");
        }
        lasts
    }

    /// Waits as long as so many bytes may take; stops when the ledger is closed.
    fn pace(&self) -> impl FnMut(u64) -> io::Result<()> + use<> {
        let (written, pace) = (self.written.clone(), self.retention.pace.max(1));
        let mut owed = Duration::ZERO;
        move |bytes| {
            if written.has_changed().is_err() {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "the ledger is closed"));
            }
            owed = owed.saturating_add(Duration::from_micros(bytes.saturating_mul(1_000_000) / pace));
            // Short sleeps cost more than they take.
            if owed >= Duration::from_millis(5) {
                std::thread::sleep(std::mem::take(&mut owed));
            }
            Ok(())
        }
    }

    /// All but the last of a series, the oldest first. One whose beginning is damaged is left out.
    fn closed(&self, series: &Series) -> Result<Vec<Closed>, LedgerError> {
        let numbers = series.numbers().map_err(|error| LedgerError::file("list", &series.dir, error))?;
        let begun = |number| series.header(number).ok().map(|header| (number, header.created));
        let all: Vec<(u64, i64)> = numbers.into_iter().filter_map(begun).collect();
        let pairs = all.iter().zip(all.iter().skip(1));
        Ok(pairs
            .map(|((number, begun), (_, closed))| Closed { number: *number, begun: *begun, closed: *closed })
            .collect())
    }

    fn age(&self, closed: i64) -> Duration {
        let age = nanoseconds(self.clock.now()).saturating_sub(closed);
        Duration::from_nanos(u64::try_from(age).unwrap_or(0))
    }

    /// Compresses every closed segment whose time has come, leaves too. One that can't be holds up no other.
    fn pack_due(&self) -> Result<(), LedgerError> {
        let bodies = classes(&self.dir);
        let all = bodies.iter().map(|class| Series::bodies(&self.dir, class));
        let mut outcome = Ok(());
        for series in std::iter::once(Series::leaves(&self.dir)).chain(all) {
            for segment in self.closed(&series)? {
                let due =
                    self.retention.compress_after.is_some_and(|after| self.age(segment.closed) >= after);
                let plain = series.path(segment.number);
                if self.is_still() || !plain.exists() || !(due || series.packed_path(segment.number).exists())
                {
                    continue;
                }
                if let Err(error) = self.pack(&series, segment.number) {
                    outcome = Err(LedgerError::file("compress", &plain, error));
                }
            }
        }
        outcome
    }

    /// Compresses one segment. Until the compressed file is whole on the disk and reads back the same, the
    /// plain one stays.
    pub(crate) fn pack(&self, series: &Series, number: u64) -> io::Result<()> {
        let (plain, packed) = (series.path(number), series.packed_path(number));
        let mut from = Content::Plain(fs::File::open(&plain)?);
        if packed.exists() {
            // A kill came between the two last steps; or the file is a stranger's.
            let same = Content::open(Path::new(""), &packed)
                .and_then(|mut packed| pack::hash(&mut packed, &mut self.pace()))
                .is_ok_and(|packed| {
                    pack::hash(&mut from, &mut self.pace()).is_ok_and(|plain| plain == packed)
                });
            if !same {
                return Err(io::Error::other("the compressed file beside it holds something else"));
            }
            fs::remove_file(&plain)?;
            return sync_dir(&series.dir);
        }
        let new = packed.with_extension("zst.new");
        let _ = fs::remove_file(&new);
        let made = pack::pack(&*self.disk, &mut from, &new, &mut self.pace()).and_then(|told| {
            let back = pack::hash(&mut Content::open(Path::new(""), &new)?, &mut self.pace())?;
            if back == told { Ok(told) } else { Err(io::Error::other("it does not read back the same")) }
        });
        if let Err(error) = made {
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        // A copy may have begun while this was made.
        if self.is_still() {
            return fs::remove_file(&new);
        }
        fs::rename(&new, &packed)?;
        sync_dir(&series.dir)?;
        metrics::counter!("portcullis_ledger_compressed_segments_total").increment(1);
        fs::remove_file(&plain)?;
        sync_dir(&series.dir)
    }

    /// Drops what is due of one class, the oldest first.
    async fn drop_due(&mut self, class: &str) -> Result<(), LedgerError> {
        let policy = self.retention.of(class);
        if policy.keeps_all() {
            return Ok(());
        }
        let series = Series::bodies(&self.dir, class);
        let numbers = series.numbers().map_err(|error| LedgerError::file("list", &series.dir, error))?;
        let mut total = numbers.iter().fold(0u64, |sum, number| sum.saturating_add(series.stored(*number)));
        for segment in self.closed(&series)? {
            let Some(rule) = due(&policy, self.age(segment.closed), total) else { continue };
            if self.is_held(class, segment.number)? {
                continue;
            }
            let stored = series.stored(segment.number);
            match self.drop(&series, segment, rule, total).await {
                Ok(true) => total = total.saturating_sub(stored),
                Ok(false) | Err(LedgerError::InUse { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether some hold fits an exchange in it. What cannot be found out holds it.
    fn is_held(&mut self, class: &str, segment: u64) -> Result<bool, LedgerError> {
        let Some(ledger) = self.ledger.upgrade() else { return Ok(true) };
        let holds = ledger.standing().holds.clone();
        if holds.is_empty() {
            self.survey = None;
            return Ok(false);
        }
        let fits = self.survey.take().filter(|survey| survey.holds() == holds);
        let mut survey = fits.unwrap_or_else(|| Survey::new(holds));
        survey.catch_up(&self.dir, &mut self.pace())?;
        let held = survey.on(class, segment).next().is_some();
        self.survey = Some(survey);
        Ok(held)
    }

    /// Drops one: says so in the ledger, flushed, and then removes it. Says whether it did; not when somebody
    /// began to hold something meanwhile.
    async fn drop(
        &self,
        series: &Series,
        segment: Closed,
        rule: &str,
        total: u64,
    ) -> Result<bool, LedgerError> {
        let dropped = self.describe(series, segment, rule, total)?;
        let Some(ledger) = self.ledger.upgrade().map(Ledger) else { return Ok(false) };
        let _gate = ledger.0.gate.lock().await;
        let held = ledger.0.standing().holds.clone();
        let seen = self.survey.as_ref().map(|survey| survey.holds().to_vec()).unwrap_or_default();
        if held != seen || self.is_still() {
            return Ok(false);
        }
        let mark = mark(series, segment.number);
        pack::touch(&mark).map_err(|error| LedgerError::file("write", &mark, error))?;
        if let Err(error) = ledger.leaf(What::Dropped(dropped.clone())).await {
            if !matches!(error, LedgerError::TimedOut { .. }) {
                let _ = fs::remove_file(&mark);
            }
            return Err(error);
        }
        self.remove(series, segment.number).map_err(|error| LedgerError::file("drop", &series.dir, error))?;
        let labels = [("class", series.class.clone()), ("rule", dropped.rule.clone())];
        metrics::counter!("portcullis_ledger_dropped_segments_total", &labels).increment(1);
        metrics::counter!("portcullis_ledger_dropped_bytes_total", &labels).increment(dropped.stored);
        self.status.stock.dropped(&series.class, self.clock.now());
        tracing::info!(
            class = series.class,
            segment = segment.number,
            reason = dropped.reason,
            "bodies were dropped"
        );
        Ok(true)
    }

    /// What the *dropped* leaf says. Reads the segment whole.
    fn describe(
        &self,
        series: &Series,
        segment: Closed,
        rule: &str,
        total: u64,
    ) -> Result<leaf::Dropped, LedgerError> {
        let (number, Closed { begun, closed, .. }) = (segment.number, segment);
        let policy = self.retention.of(&series.class);
        let unread = |error| LedgerError::file("read", &series.stored_path(number), error);
        let content = series.content(number).and_then(|mut all| pack::hash(&mut all, &mut self.pace()));
        let (sha256, bytes) = match content {
            Ok(whole) => (whole.sha256.to_vec(), whole.length),
            // Damaged: there is no more to say of it.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => (Vec::new(), 0),
            Err(error) => return Err(unread(error)),
        };
        let (mut frames, mut exchanges, mut pace) = (0u64, HashSet::new(), self.pace());
        let mut reader = series.read(Position { segment: number, offset: 0 });
        while let Ok(Some((at, frame))) = reader.next() {
            if at.segment != number {
                break;
            }
            frames = frames.saturating_add(1);
            pace(u64::try_from(frame.payload.len()).unwrap_or(0)).map_err(unread)?;
            if let Ok(body) = Body::decode(bytes::Bytes::from(frame.payload)) {
                exchanges.insert(<[u8; 16]>::try_from(body.exchange.as_slice()).unwrap_or_default());
            }
        }
        let reason = match (rule, policy.age, policy.size) {
            ("age", Some(age), _) => format!("its bodies are kept for {age:?}"),
            (_, _, Some(size)) => format!("its class may take {size} bytes, and took {total}"),
            _ => String::new(),
        };
        Ok(leaf::Dropped {
            class: series.class.clone(),
            segment: number,
            sha256,
            frames,
            bytes,
            reason,
            by: "retention".to_owned(),
            rule: rule.to_owned(),
            exchanges: u64::try_from(exchanges.len()).unwrap_or(u64::MAX),
            begun_at: begun,
            closed_at: closed,
            stored: series.stored(number),
            total,
        })
    }

    /// Removes the files of a segment whose *dropped* leaf is written, once that is on the disk.
    fn remove(&self, series: &Series, number: u64) -> io::Result<()> {
        let leaves = Series::leaves(&self.dir);
        let end = leaves.numbers()?.last().copied().unwrap_or(0);
        // The leaf may have been the last of its segment.
        let from = Position { segment: end.saturating_sub(1), offset: 0 };
        checkpoints::flush(&leaves, from, Position { segment: end, offset: 1 })?;
        for path in [series.path(number), series.packed_path(number), mark(series, number)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        sync_dir(&series.dir)
    }

    /// Finishes what a kill or a timeout left between the leaf and the file.
    async fn finish_drops(&self) -> Result<(), LedgerError> {
        for class in classes(&self.dir) {
            let series = Series::bodies(&self.dir, &class);
            let marked = marked(&series).map_err(|error| LedgerError::file("list", &series.dir, error))?;
            for number in marked {
                if self.was_dropped(&class, number)? {
                    self.remove(&series, number)
                        .map_err(|error| LedgerError::file("drop", &series.dir, error))?;
                } else {
                    let _ = fs::remove_file(mark(&series, number));
                }
            }
        }
        Ok(())
    }

    /// Whether a leaf says so.
    fn was_dropped(&self, class: &str, number: u64) -> Result<bool, LedgerError> {
        let mut pace = self.pace();
        let mut reader = Series::leaves(&self.dir).read(Position::default());
        while let Some((_, frame)) = reader.next()? {
            pace(u64::try_from(frame.payload.len()).unwrap_or(0))
                .map_err(|error| LedgerError::file("read", &self.dir, error))?;
            if let Ok(Leaf { what: Some(What::Dropped(dropped)), .. }) =
                Leaf::decode(frame.payload.as_slice())
                && (dropped.class.as_str(), dropped.segment) == (class, number)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What lies on the disk.
    fn stock(&self) -> Vec<ClassStock> {
        let of = |series: &Series| Stock::look(series);
        let bodies = classes(&self.dir);
        let all = bodies.iter().map(|class| of(&Series::bodies(&self.dir, class)));
        std::iter::once(of(&Series::leaves(&self.dir))).chain(all).collect()
    }
}

/// By which rule a segment closed so long ago is dropped, if its class takes `total` bytes.
fn due(policy: &Policy, age: Duration, total: u64) -> Option<&'static str> {
    if policy.age.is_some_and(|most| age >= most) {
        return Some("age");
    }
    policy.size.is_some_and(|most| total > most).then_some("size")
}

/// There from before a *dropped* leaf is written until the file is gone.
fn mark(series: &Series, number: u64) -> PathBuf {
    series.dir.join(format!("{number:08}.drop"))
}

fn marked(series: &Series) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(&series.dir)? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".drop"));
        numbers.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
    }
    Ok(numbers)
}
