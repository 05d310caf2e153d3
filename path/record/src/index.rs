//! The index beside the ledger, `index.sqlite`: which exchanges there are, to search in. Derived from
//! the leaves alone, fed behind the writer's back, and rebuilt whenever it does not fit them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use prost::Message;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Row, SqliteConnection};
use tokio::sync::{Mutex, oneshot, watch};

use crate::LedgerError;
use crate::facets::{self, How, Memory};
use crate::leaf::Leaf;
use crate::ledger::{spawn, stand_back};
use crate::segment::{HEADER, Position, Series};
use crate::text::Ear;

/// Changes whenever the tables do; an index of another version is built anew.
const VERSION: i64 = 4;
/// Leaves indexed in one transaction,
const BATCH: usize = 4000;
/// or bytes of them.
const BATCH_BYTES: usize = 8 << 20;

const TABLES: &str = "
DROP TABLE IF EXISTS place; DROP TABLE IF EXISTS exchanges; DROP TABLE IF EXISTS leaves;
DROP TABLE IF EXISTS indexing; DROP TABLE IF EXISTS texts;
CREATE TABLE indexing (idle INTEGER NOT NULL, full_text INTEGER NOT NULL);
CREATE VIRTUAL TABLE texts USING fts5 (said, content='', contentless_delete=1, tokenize='unicode61');
DROP TABLE IF EXISTS spoken;
CREATE TABLE spoken (
  class TEXT NOT NULL, segment INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (class, segment, n)
) WITHOUT ROWID;
DROP TABLE IF EXISTS dropped;
CREATE TABLE place (segment INTEGER NOT NULL, offset INTEGER NOT NULL, node BLOB NOT NULL);
CREATE TABLE exchanges (
  n INTEGER PRIMARY KEY, id BLOB NOT NULL, arrived INTEGER, session INTEGER, client TEXT, caller TEXT,
  issuer TEXT, subject TEXT, email TEXT, kind TEXT, groups TEXT, resource TEXT, model TEXT, classes TEXT,
  operations TEXT, method TEXT, path TEXT, ruling TEXT, policies TEXT, outcome TEXT, code TEXT,
  status INTEGER, first_byte INTEGER, total INTEGER, input_tokens INTEGER, output_tokens INTEGER,
  masked TEXT, revealed TEXT
);
CREATE UNIQUE INDEX exchanges_id ON exchanges (id);
CREATE TABLE leaves (
  n INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (n, segment, offset)
) WITHOUT ROWID;
CREATE TABLE dropped (
  class TEXT NOT NULL, segment INTEGER NOT NULL, time INTEGER NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (class, segment)
) WITHOUT ROWID;
PRAGMA user_version = 4;
";

/// The index of one ledger.
pub(crate) struct Index {
    pub(crate) pool: SqlitePool,
    memory: Mutex<Memory>,
    indexing: Indexing,
}

/// How exchanges are indexed. An index that was made otherwise is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indexing {
    /// How long a token may be silent before what comes next is another session.
    pub session_idle: Duration,
    /// Whether words of requests and answers are indexed. What any rule finds in them is masked first, and
    /// sealed bodies are left out.
    pub full_text: bool,
}

impl Default for Indexing {
    fn default() -> Self {
        Self { session_idle: Duration::from_secs(1800), full_text: false }
    }
}

impl Indexing {
    fn idle(&self) -> i64 {
        i64::try_from(self.session_idle.as_nanos()).unwrap_or(i64::MAX)
    }
}

pub(crate) fn sql(error: sqlx::Error) -> LedgerError {
    // SQLITE_CORRUPT and SQLITE_NOTADB, whichever the extended code is.
    let code =
        error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok());
    let damaged = code.is_some_and(|code| matches!(code & 0xff, 11 | 26));
    LedgerError::Index { cause: error.to_string(), damaged }
}

impl Index {
    /// Opens or makes the index of the ledger in `dir`, to write: as it was made, or else by default.
    pub(crate) async fn open(dir: &Path) -> Result<Self, LedgerError> {
        Self::open_as(dir, None).await
    }

    /// Opens or makes the index of the ledger in `dir`, to write. If it was made otherwise than `wanted`, it
    /// is emptied.
    pub(crate) async fn open_as(dir: &Path, wanted: Option<Indexing>) -> Result<Self, LedgerError> {
        let options = SqliteConnectOptions::new()
            .filename(dir.join("index.sqlite"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Off)
            // 16 MiB of pages: what a batch touches is not read again for the next,
            .pragma("cache_size", "-16384")
            // and is copied from the journal to its place less often.
            .pragma("wal_autocheckpoint", "4000")
            // Words of bodies that were dropped are not left lying in what is free.
            .pragma("secure_delete", "FAST")
            .busy_timeout(Duration::from_secs(5));
        Self::with(options, wanted).await
    }

    /// An index in memory, for a ledger that can only be read.
    pub(crate) async fn in_memory() -> Result<Self, LedgerError> {
        Self::with(SqliteConnectOptions::new().in_memory(true), None).await
    }

    async fn with(options: SqliteConnectOptions, wanted: Option<Indexing>) -> Result<Self, LedgerError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(sql)?;
        let mut index = Self { pool, memory: Mutex::default(), indexing: wanted.unwrap_or_default() };
        let mut all = index.pool.acquire().await.map_err(sql)?;
        let as_wanted =
            |made: Option<Indexing>| made.filter(|made| wanted.is_none_or(|wanted| wanted == *made));
        let mut made = as_wanted(made_as(&mut all).await?);
        drop(all);
        if made.is_none() {
            // Another process may be making it right now: looked at again where only one can write.
            let mut all = index.pool.begin_with("BEGIN IMMEDIATE").await.map_err(sql)?;
            made = as_wanted(made_as(&mut all).await?);
            if made.is_none() {
                index.make(&mut all).await?;
            }
            all.commit().await.map_err(sql)?;
        }
        index.indexing = made.unwrap_or(index.indexing);
        Ok(index)
    }

    /// Forgets everything.
    pub(crate) async fn reset(&self) -> Result<(), LedgerError> {
        let mut all = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(sql)?;
        self.make(&mut all).await?;
        all.commit().await.map_err(sql)
    }

    /// Makes empty tables.
    async fn make(&self, all: &mut SqliteConnection) -> Result<(), LedgerError> {
        sqlx::raw_sql(TABLES).execute(&mut *all).await.map_err(sql)?;
        sqlx::raw_sql(facets::TABLES).execute(&mut *all).await.map_err(sql)?;
        let made = sqlx::query("INSERT INTO indexing VALUES (?, ?)");
        let made = made.bind(self.indexing.idle()).bind(self.indexing.full_text);
        made.execute(&mut *all).await.map(drop).map_err(sql)
    }

    /// Up to where the leaves are indexed, and of which node.
    pub(crate) async fn place(&self) -> Result<(Position, Vec<u8>), LedgerError> {
        let mut connection = self.pool.acquire().await.map_err(sql)?;
        place(&mut connection).await
    }

    /// Waits until the index holds what the leaves held just now: whoever asks after a request means that
    /// request too. Not for longer than a moment; the index may be far behind, and lists what it has.
    pub(crate) async fn reach(&self, leaves: &Series) {
        const EVERY: Duration = Duration::from_millis(10);
        let numbers = leaves.numbers().unwrap_or_default();
        let Some(segment) = numbers.into_iter().max() else { return };
        let Ok(file) = fs::metadata(leaves.path(segment)) else { return };
        let wanted = Position { segment, offset: file.len() };
        for _ in 0..100 {
            match self.place().await {
                Ok((at, _)) if at < wanted && wanted.offset > HEADER => tokio::time::sleep(EVERY).await,
                _ => return,
            }
        }
    }

    /// Indexes the leaves in `dir` from where it stands on, up to `until` if given. Tells `progress` the
    /// place reached after each batch.
    pub(crate) async fn catch_up(
        &self,
        dir: &Path,
        until: Option<Position>,
        progress: &mut (dyn FnMut(Position) + Send),
    ) -> Result<(), LedgerError> {
        if self.indexing.full_text {
            // Before the tables are locked.
            Ear::get_ready();
        }
        let series = Series::leaves(dir);
        let (mut from, node) = self.place().await?;
        if !fits(&series, from, &node) {
            self.reset().await?;
            from = Position::default();
        }
        let mut ahead = read_ahead(&series, from, until);
        loop {
            let (begun, (leaves, end, node)) = ahead
                .await
                .map_err(|error| LedgerError::Index { cause: error.to_string(), damaged: false })?;
            if begun != from {
                ahead = read_ahead(&series, from, until);
                continue;
            }
            if end == from {
                return Ok(());
            }
            // Read and decoded while this one goes into the tables.
            ahead = read_ahead(&series, end, until);
            let mut all = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(sql)?;
            // Another process may have indexed the same leaves meanwhile.
            let (stands, _) = place(&mut all).await?;
            if stands != from {
                from = stands;
                continue;
            }
            let how = How { idle: self.indexing.idle(), words: self.indexing.full_text.then_some(dir) };
            let mut memory = self.memory.lock().await;
            memory.enter(&mut all, leaves, (from, end), how).await.map_err(sql)?;
            drop(memory);
            sqlx::query("DELETE FROM place").execute(&mut *all).await.map_err(sql)?;
            sqlx::query("INSERT INTO place VALUES (?, ?, ?)")
                .bind(number(end.segment))
                .bind(number(end.offset))
                .bind(node)
                .execute(&mut *all)
                .await
                .map_err(sql)?;
            all.commit().await.map_err(sql)?;
            progress(end);
            from = end;
        }
    }
}

/// How an index was made; none if it is not, or is one of another version.
async fn made_as(connection: &mut SqliteConnection) -> Result<Option<Indexing>, LedgerError> {
    let version = sqlx::query("PRAGMA user_version").fetch_one(&mut *connection).await.map_err(sql)?;
    if version.get::<i64, _>(0) != VERSION {
        return Ok(None);
    }
    let row = sqlx::query("SELECT idle, full_text FROM indexing");
    let row = row.fetch_optional(connection).await.map_err(sql)?;
    Ok(row.map(|row| Indexing {
        session_idle: Duration::from_nanos(unsigned(row.get(0))),
        full_text: row.get(1),
    }))
}

async fn place(connection: &mut SqliteConnection) -> Result<(Position, Vec<u8>), LedgerError> {
    let row = sqlx::query("SELECT segment, offset, node FROM place")
        .fetch_optional(connection)
        .await
        .map_err(sql)?;
    Ok(row.map_or_else(Default::default, |row| {
        (Position { segment: unsigned(row.get(0)), offset: unsigned(row.get(1)) }, row.get(2))
    }))
}

/// Whether an index that stands at `from` is one of these leaves.
fn fits(series: &Series, from: Position, node: &[u8]) -> bool {
    from == Position::default()
        || (series.length(from.segment).is_some_and(|length| length >= from.offset)
            && series.header(from.segment).is_ok_and(|header| header.node == node))
}

/// Some leaves, where they end, and whose they are.
type Batch = (Vec<(Position, Leaf)>, Position, Vec<u8>);

/// Reads a batch from `from` on, on another thread, and tells from where it was.
fn read_ahead(
    series: &Series,
    from: Position,
    until: Option<Position>,
) -> tokio::task::JoinHandle<(Position, Batch)> {
    let series = series.clone();
    tokio::task::spawn_blocking(move || (from, batch(&series, from, until)))
}

/// Some leaves from `from` on, where they end, and whose they are. Damaged ones are left out.
fn batch(series: &Series, from: Position, until: Option<Position>) -> Batch {
    let mut reader = series.read(from);
    let (mut leaves, mut bytes, mut end) = (Vec::new(), 0usize, from);
    while leaves.len() < BATCH && bytes < BATCH_BYTES && until.is_none_or(|until| reader.position() < until) {
        match reader.next() {
            Ok(Some((at, frame))) => {
                bytes = bytes.saturating_add(frame.payload.len());
                match Leaf::decode(frame.payload.as_slice()) {
                    Ok(leaf) => leaves.push((at, leaf)),
                    Err(error) => tracing::warn!(%at, %error, "a leaf is unreadable and not indexed"),
                }
            }
            Ok(None) => break,
            Err(damage) => tracing::warn!(%damage, "leaves are damaged and not indexed"),
        }
        end = reader.position();
    }
    // A segment's number without a place in it is no progress.
    let end = if end.offset < HEADER { from } else { end };
    let node = series.header(end.segment).map(|header| header.node.to_vec()).unwrap_or_default();
    (leaves, end, node)
}

pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Builds the index of the ledger in `dir` anew from its leaves. Works beside a running gateway.
/// `progress` is told how many bytes of how many were read.
///
/// # Errors
/// [`LedgerError`] when the index cannot be written.
pub async fn rebuild_index(dir: &Path, progress: impl FnMut(u64, u64) + Send) -> Result<(), LedgerError> {
    rebuild_index_as(dir, None, progress).await
}

/// The same, made as `wanted` says.
///
/// # Errors
/// [`LedgerError`] when the index cannot be written.
pub async fn rebuild_index_as(
    dir: &Path,
    wanted: Option<Indexing>,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<(), LedgerError> {
    let index = Index::open_as(dir, wanted).await?;
    index.reset().await?;
    let series = Series::leaves(dir);
    let numbers = series.numbers().map_err(|error| LedgerError::file("list", &series.dir, error))?;
    let sizes: Vec<(u64, u64)> =
        numbers.into_iter().map(|number| (number, series.length(number).unwrap_or(0))).collect();
    let total = sizes.iter().fold(0u64, |sum, (_, size)| sum.saturating_add(*size));
    index
        .catch_up(dir, None, &mut |at: Position| {
            let before = sizes.iter().filter(|(number, _)| *number < at.segment);
            let done = before.fold(at.offset, |sum, (_, size)| sum.saturating_add(*size));
            progress(done.min(total), total);
        })
        .await?;
    index.pool.close().await;
    Ok(())
}

/// Starts the thread that keeps the index up with the leaves, until the writer is gone. The sender is
/// dropped when it ends.
pub(crate) fn follow(
    dir: &Path,
    indexing: Indexing,
    written: watch::Receiver<Position>,
    ended: oneshot::Sender<()>,
) -> Result<(), LedgerError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LedgerError::file("start a thread for", dir, error))?;
    let folder = dir.to_owned();
    spawn("ledger-index", dir, move || {
        stand_back();
        runtime.block_on(keep_up(&folder, indexing, written));
        drop(runtime);
        drop(ended);
    })
}

async fn keep_up(dir: &Path, indexing: Indexing, mut written: watch::Receiver<Position>) {
    const AGAIN: Duration = Duration::from_millis(200);
    let mut index = None;
    loop {
        let until = *written.borrow_and_update();
        let outcome = match &index {
            None => match Index::open_as(dir, Some(indexing)).await {
                Ok(opened) => {
                    index = Some(opened);
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Some(index) => Index::catch_up(index, dir, Some(until), &mut |_| ()).await,
        };
        match (outcome, &index) {
            (Ok(()), Some(_)) if caught_up(index.as_ref(), until).await => {
                if written.changed().await.is_err() {
                    break;
                }
                let reached = *written.borrow();
                tokio::time::sleep(pause(until, reached)).await;
            }
            (Ok(()), _) => {}
            (Err(error), _) => {
                tracing::warn!(%error, "the ledger's index is behind; it is tried again");
                // An error may leave a connection that works no more.
                if let Some(failed) = index.take() {
                    failed.pool.close().await;
                }
                // Others may have it open: only what is no database goes.
                if matches!(error, LedgerError::Index { damaged: true, .. }) {
                    discard(dir);
                }
                if written.has_changed().is_err() {
                    break;
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
    if let Some(index) = index {
        index.pool.close().await;
    }
}

/// How long to wait for more leaves, if `from` to `to` came since the last ones. Weak in time, never in order:
/// behind by this much, so that it works in batches, and under load in large ones, which cost less.
fn pause(from: Position, to: Position) -> Duration {
    const LITTLE: u64 = 64 << 10;
    let much = to.segment == from.segment && to.offset.saturating_sub(from.offset) > LITTLE;
    Duration::from_millis(if much { 500 } else { 100 })
}

async fn caught_up(index: Option<&Index>, until: Position) -> bool {
    let Some(index) = index else { return false };
    // Nothing was written yet: there is nothing to stand at.
    until.offset <= HEADER || index.place().await.is_ok_and(|(at, _)| at >= until)
}

/// Removes an index that is damaged.
fn discard(dir: &Path) {
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = fs::remove_file(dir.join(name));
    }
}
