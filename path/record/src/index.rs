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
use tokio::sync::{oneshot, watch};

use crate::LedgerError;
use crate::leaf::{Leaf, Refused, Sealed, What};
use crate::ledger::spawn;
use crate::opened::Opened;
use crate::segment::{HEADER, Position, Series};

/// Changes whenever the tables do; an index of another version is built anew.
const VERSION: i64 = 1;
/// Leaves indexed in one transaction,
const BATCH: usize = 1000;
/// or bytes of them.
const BATCH_BYTES: usize = 4 << 20;

const TABLES: &str = "
DROP TABLE IF EXISTS place; DROP TABLE IF EXISTS exchanges; DROP TABLE IF EXISTS leaves;
CREATE TABLE place (segment INTEGER NOT NULL, offset INTEGER NOT NULL, node BLOB NOT NULL);
CREATE TABLE exchanges (
  id TEXT PRIMARY KEY, arrived INTEGER, client TEXT, caller TEXT, issuer TEXT, subject TEXT, email TEXT,
  kind TEXT, groups TEXT, resource TEXT, model TEXT, classes TEXT, operations TEXT, method TEXT,
  path TEXT, ruling TEXT, policies TEXT, outcome TEXT, code TEXT, status INTEGER, first_byte INTEGER,
  total INTEGER, input_tokens INTEGER, output_tokens INTEGER, masked TEXT, revealed TEXT
) WITHOUT ROWID;
CREATE INDEX exchanges_arrived ON exchanges (arrived, id);
CREATE TABLE leaves (
  id TEXT NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (id, segment, offset)
) WITHOUT ROWID;
PRAGMA user_version = 1;
";

/// The index of one ledger.
pub(crate) struct Index {
    pub(crate) pool: SqlitePool,
}

fn sql(error: sqlx::Error) -> LedgerError {
    LedgerError::Index { cause: error.to_string() }
}

impl Index {
    /// Opens or makes the index of the ledger in `dir`, to write.
    pub(crate) async fn open(dir: &Path) -> Result<Self, LedgerError> {
        let options = SqliteConnectOptions::new()
            .filename(dir.join("index.sqlite"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Off)
            .busy_timeout(Duration::from_secs(5));
        Self::with(options).await
    }

    /// An index in memory, for a ledger that can only be read.
    pub(crate) async fn in_memory() -> Result<Self, LedgerError> {
        Self::with(SqliteConnectOptions::new().in_memory(true)).await
    }

    async fn with(options: SqliteConnectOptions) -> Result<Self, LedgerError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(sql)?;
        let index = Self { pool };
        let version: i64 =
            sqlx::query("PRAGMA user_version").fetch_one(&index.pool).await.map_err(sql)?.get(0);
        if version != VERSION {
            index.reset().await?;
        }
        Ok(index)
    }

    /// Forgets everything.
    pub(crate) async fn reset(&self) -> Result<(), LedgerError> {
        let mut all = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(sql)?;
        sqlx::raw_sql(TABLES).execute(&mut *all).await.map_err(sql)?;
        all.commit().await.map_err(sql)
    }

    /// Up to where the leaves are indexed, and of which node.
    pub(crate) async fn place(&self) -> Result<(Position, Vec<u8>), LedgerError> {
        let mut connection = self.pool.acquire().await.map_err(sql)?;
        place(&mut connection).await
    }

    /// Indexes the leaves in `dir` from where it stands on, up to `until` if given. Tells `progress` the
    /// place reached after each batch.
    pub(crate) async fn catch_up(
        &self,
        dir: &Path,
        until: Option<Position>,
        progress: &mut (dyn FnMut(Position) + Send),
    ) -> Result<(), LedgerError> {
        let series = Series::leaves(dir);
        let (mut from, node) = self.place().await?;
        if !fits(&series, from, &node) {
            self.reset().await?;
            from = Position::default();
        }
        loop {
            let (leaves, end, node) = batch(&series, from, until);
            if end == from {
                return Ok(());
            }
            let mut all = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(sql)?;
            // Another process may have indexed the same leaves meanwhile.
            let (stands, _) = place(&mut all).await?;
            if stands != from {
                from = stands;
                continue;
            }
            for (at, leaf) in leaves {
                enter(&mut all, at, leaf).await.map_err(sql)?;
            }
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
        || (fs::metadata(series.path(from.segment)).is_ok_and(|file| file.len() >= from.offset)
            && series.header(from.segment).is_ok_and(|header| header.node == node))
}

/// Some leaves from `from` on, where they end, and whose they are. Damaged ones are left out.
fn batch(
    series: &Series,
    from: Position,
    until: Option<Position>,
) -> (Vec<(Position, Leaf)>, Position, Vec<u8>) {
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

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// An exchange's id as the index spells it: 32 hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

async fn enter(all: &mut SqliteConnection, at: Position, leaf: Leaf) -> Result<(), sqlx::Error> {
    let id = match &leaf.what {
        Some(What::Opened(opened)) => hex(&opened.exchange),
        Some(What::Part(part)) => hex(&part.exchange),
        Some(What::Sealed(sealed)) => hex(&sealed.exchange),
        Some(What::Refused(refused)) => hex(&refused.exchange),
        _ => return Ok(()),
    };
    sqlx::query("INSERT OR IGNORE INTO leaves VALUES (?, ?, ?)")
        .bind(&id)
        .bind(number(at.segment))
        .bind(number(at.offset))
        .execute(&mut *all)
        .await?;
    match leaf.what {
        Some(What::Opened(opened)) => enter_opened(all, id, opened).await,
        Some(What::Sealed(sealed)) => enter_sealed(all, id, sealed).await,
        Some(What::Refused(refused)) => enter_refused(all, id, refused).await,
        _ => Ok(()),
    }
}

fn json(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    serde_json::to_string(&words).unwrap_or_default()
}

/// Words between spaces, each once, so that one can be looked for.
fn spaced<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: std::collections::BTreeSet<&str> = words.collect();
    words.into_iter().fold(String::from(" "), |text, word| text + word + " ")
}

async fn enter_opened(all: &mut SqliteConnection, id: String, opened: Opened) -> Result<(), sqlx::Error> {
    let caller = opened.caller.unwrap_or_default();
    let decision = opened.decision.unwrap_or_default();
    let request = opened.request.unwrap_or_default();
    let model = opened.operations.iter().map(|o| o.model.clone()).find(|model| !model.is_empty());
    let reasons = decision.judgements.iter().flat_map(|judgement| &judgement.reasons);
    let policies: Vec<&str> = reasons.map(|reason| reason.policy.as_str()).collect();
    sqlx::query(
        "INSERT INTO exchanges (id, arrived, client, caller, issuer, subject, email, kind, groups, resource,
           model, classes, operations, method, path, ruling, policies)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(id)
    .bind(opened.arrived)
    .bind(opened.client)
    .bind(format!("{}#{}", caller.issuer, caller.subject))
    .bind(caller.issuer)
    .bind(caller.subject)
    .bind(caller.email)
    .bind(caller.kind)
    .bind(json(&caller.groups))
    .bind(opened.resource)
    .bind(model)
    .bind(spaced(opened.operations.iter().map(|o| o.class.as_str())))
    .bind(spaced(opened.operations.iter().map(|o| o.name.as_str())))
    .bind(request.method)
    .bind(request.path)
    .bind(decision.ruling)
    .bind(json(&policies))
    .execute(all)
    .await
    .map(drop)
}

async fn enter_sealed(all: &mut SqliteConnection, id: String, sealed: Sealed) -> Result<(), sqlx::Error> {
    let times = sealed.times.unwrap_or_default();
    let counts = |count: fn(&crate::leaf::Finding) -> u64| {
        let found = sealed.findings.iter().filter(|finding| count(finding) > 0);
        serde_json::Value::Object(found.map(|f| (f.class.clone(), count(f).into())).collect()).to_string()
    };
    let (masked, revealed) = (counts(|finding| finding.masked), counts(|finding| finding.revealed));
    sqlx::query(
        "INSERT INTO exchanges (id, outcome, code, status, first_byte, total, input_tokens, output_tokens,
           masked, revealed)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, code = excluded.code,
           status = excluded.status, first_byte = excluded.first_byte, total = excluded.total,
           input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
           masked = excluded.masked, revealed = excluded.revealed",
    )
    .bind(id)
    .bind(sealed.outcome)
    .bind(sealed.refusal.map(|refusal| refusal.code))
    .bind(sealed.status)
    .bind(times.first_byte_after)
    .bind(times.total)
    .bind(sealed.usage.as_ref().map(|usage| number(usage.input)))
    .bind(sealed.usage.as_ref().map(|usage| number(usage.output)))
    .bind(masked)
    .bind(revealed)
    .execute(all)
    .await
    .map(drop)
}

async fn enter_refused(all: &mut SqliteConnection, id: String, refused: Refused) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO exchanges (id, arrived, client, method, path, outcome, code, status)
         VALUES (?, ?, ?, ?, ?, 'refused', ?, ?) ON CONFLICT (id) DO NOTHING",
    )
    .bind(id)
    .bind(refused.arrived)
    .bind(refused.client)
    .bind(refused.method)
    .bind(refused.path)
    .bind(refused.refusal.map(|refusal| refusal.code))
    .bind(refused.status)
    .execute(all)
    .await
    .map(drop)
}

/// Builds the index of the ledger in `dir` anew from its leaves. Works beside a running gateway.
/// `progress` is told how many bytes of how many were read.
///
/// # Errors
/// [`LedgerError`] when the index cannot be written.
pub async fn rebuild_index(dir: &Path, mut progress: impl FnMut(u64, u64) + Send) -> Result<(), LedgerError> {
    let index = Index::open(dir).await?;
    index.reset().await?;
    let series = Series::leaves(dir);
    let numbers = series.numbers().map_err(|error| LedgerError::file("list", &series.dir, error))?;
    let sizes: Vec<(u64, u64)> = numbers
        .into_iter()
        .map(|number| (number, fs::metadata(series.path(number)).map_or(0, |file| file.len())))
        .collect();
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
    written: watch::Receiver<Position>,
    ended: oneshot::Sender<()>,
) -> Result<(), LedgerError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LedgerError::file("start a thread for", dir, error))?;
    let folder = dir.to_owned();
    spawn("ledger-index", dir, move || {
        runtime.block_on(keep_up(&folder, written));
        drop(runtime);
        drop(ended);
    })
}

async fn keep_up(dir: &Path, mut written: watch::Receiver<Position>) {
    // Weak in time, never in order: behind by this much under load, so that it works in batches.
    const PAUSE: Duration = Duration::from_millis(20);
    const AGAIN: Duration = Duration::from_millis(200);
    let mut index = None;
    loop {
        let until = *written.borrow_and_update();
        let outcome = match &index {
            None => match Index::open(dir).await {
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
                tokio::time::sleep(PAUSE).await;
            }
            (Ok(()), _) => {}
            (Err(error), opened) => {
                tracing::warn!(%error, "the ledger's index is behind; it is tried again");
                if opened.is_none() {
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

async fn caught_up(index: Option<&Index>, until: Position) -> bool {
    let Some(index) = index else { return false };
    // Nothing was written yet: there is nothing to stand at.
    until.offset <= HEADER || index.place().await.is_ok_and(|(at, _)| at >= until)
}

/// Removes an index that cannot even be opened.
fn discard(dir: &Path) {
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = fs::remove_file(dir.join(name));
    }
}
