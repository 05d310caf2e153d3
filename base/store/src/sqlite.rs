//! The embedded store: one SQLite file in a folder of the gateway's own, in WAL mode, so that a command
//! of the operator may read and write beside a running gateway.

mod commit;
mod reads;

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use model::Clock;
use sqlx::Row;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::StoreError;
use crate::vocabulary::{Answer, Changes, Commit, Cursor, Entry, Lease, Page, Store, Write};

/// The file's name in its folder.
pub const FILE_NAME: &str = "state.db";

/// Changes whenever the tables do.
const VERSION: i64 = 1;
/// The most pages of 4 KiB the file may have: 4 GiB. Then writes fail, and reads go on.
const MAX_PAGES: &str = "1048576";
/// How long a writer waits for another process.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many may read at once.
const READERS: u32 = 2;

/// A removed key keeps its row without a value, so that the removal can be followed; `expires` then says
/// when the row itself goes.
const TABLES: &str = "
CREATE TABLE store (id INTEGER NOT NULL, version INTEGER NOT NULL, forgotten INTEGER NOT NULL);
INSERT INTO store VALUES (random(), 0, 0);
CREATE TABLE entries (
  key TEXT PRIMARY KEY, value TEXT, version INTEGER NOT NULL, expires INTEGER
) WITHOUT ROWID;
CREATE UNIQUE INDEX entries_version ON entries (version);
CREATE INDEX entries_expires ON entries (expires) WHERE expires IS NOT NULL;
CREATE TABLE leases (
  name TEXT PRIMARY KEY, holder TEXT NOT NULL, fence INTEGER NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = 1;
";

/// A store in a file.
pub struct SqliteStore {
    /// One writer: SQLite takes no more, and waiting in line here is fair.
    writer: SqlitePool,
    readers: SqlitePool,
    clock: Arc<dyn Clock>,
    file: PathBuf,
    /// Device and inode of the file that was opened.
    inode: (u64, u64),
}

impl SqliteStore {
    /// Opens the store in `dir`, and makes both where they are not there: the folder with mode 0700, the
    /// file with mode 0600.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written, or is no store of this version.
    pub async fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let file = dir.join(FILE_NAME);
        prepare(dir, &file)?;
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .journal_mode(SqliteJournalMode::Wal)
            // A block that was answered must be there after a power cut.
            .synchronous(SqliteSynchronous::Full)
            .pragma("max_page_count", MAX_PAGES)
            .pragma("journal_size_limit", "16777216")
            .busy_timeout(PATIENCE);
        let writer = pool(1, options.clone()).await.map_err(|error| unopened(&file, &error))?;
        set_up(&writer, &file).await?;
        let readers = pool(READERS, options.pragma("query_only", "1"));
        let readers = readers.await.map_err(|error| unopened(&file, &error))?;
        Ok(Self { inode: inode(&file)?, writer, readers, clock, file })
    }

    /// Opens the store in `dir` to read alone, and changes nothing there, also where nothing may be
    /// written. Every write fails.
    ///
    /// # Errors
    /// [`StoreError`] when there is none, or it cannot be read.
    pub async fn open_to_read(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let file = dir.join(FILE_NAME);
        let options = SqliteConnectOptions::new().filename(&file).read_only(true).busy_timeout(PATIENCE);
        let readers = match pool(1, options.clone()).await {
            Ok(pool) if version(&pool).await.is_ok() => pool,
            // WAL needs a file beside it even to read; where none may be made, nobody writes either.
            _ => pool(1, options.immutable(true)).await.map_err(|error| unopened(&file, &error))?,
        };
        fits(version(&readers).await.map_err(|error| unopened(&file, &error))?, &file)?;
        Ok(Self { inode: inode(&file)?, writer: readers.clone(), readers, clock, file })
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Says so when the file is not there any more, or another is in its place: what others write would
    /// not be seen, and what is written here would be lost.
    fn in_place(&self) -> Result<(), StoreError> {
        if inode(&self.file)? == self.inode {
            return Ok(());
        }
        let why = "another file was put in its place: start again".to_owned();
        Err(StoreError::File { action: "go on with", path: self.file.clone(), why })
    }

    /// Closes the file, once what runs is done.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn inode(file: &Path) -> Result<(u64, u64), StoreError> {
    let seen = std::fs::metadata(file).map(|seen| (seen.dev(), seen.ino()));
    seen.map_err(|error| StoreError::File { action: "find", path: file.to_owned(), why: error.to_string() })
}

fn prepare(dir: &Path, file: &Path) -> Result<(), StoreError> {
    let fault = |action, path: &Path, error: std::io::Error| StoreError::File {
        action,
        path: path.to_owned(),
        why: error.to_string(),
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir).map_err(|error| fault("make the folder", dir, error))?;
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(file);
    let opened = opened.map_err(|error| fault("open", file, error))?;
    let mode = opened.metadata().map_err(|error| fault("look at", file, error))?.permissions().mode();
    if mode & 0o077 != 0 {
        let private = opened.set_permissions(Permissions::from_mode(0o600));
        private.map_err(|error| fault("make private (mode 0600)", file, error))?;
    }
    Ok(())
}

async fn pool(connections: u32, options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(PATIENCE)
        .connect_with(options)
        .await
}

async fn version(pool: &SqlitePool) -> Result<i64, sqlx::Error> {
    Ok(sqlx::query("PRAGMA user_version").fetch_one(pool).await?.get(0))
}

async fn set_up(writer: &SqlitePool, file: &Path) -> Result<(), StoreError> {
    let failed = |error: sqlx::Error| unopened(file, &error);
    let mut all = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let version: i64 = sqlx::query("PRAGMA user_version").fetch_one(&mut *all).await.map_err(failed)?.get(0);
    if version == 0 {
        sqlx::raw_sql(TABLES).execute(&mut *all).await.map_err(failed)?;
        all.commit().await.map_err(failed)?;
        return Ok(());
    }
    fits(version, file)
}

fn fits(version: i64, file: &Path) -> Result<(), StoreError> {
    if version == VERSION {
        return Ok(());
    }
    let why = format!("it is of version {version}, and this program reads version {VERSION}");
    Err(StoreError::File { action: "read", path: file.to_owned(), why })
}

fn unopened(file: &Path, error: &sqlx::Error) -> StoreError {
    StoreError::File { action: "open", path: file.to_owned(), why: error.to_string() }
}

/// What a failed read becomes.
fn unread(error: sqlx::Error) -> StoreError {
    StoreError::Backend { action: "read", why: error.to_string() }
}

/// What a failed write becomes.
fn unwritten(error: sqlx::Error) -> StoreError {
    StoreError::Backend { action: "written", why: error.to_string() }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A time as the tables hold it: milliseconds, rounded up, so that nothing ends before its time.
fn millis(at: Timestamp) -> i64 {
    let whole = at.as_millisecond();
    if at.as_nanosecond() % 1_000_000 > 0 { whole.saturating_add(1) } else { whole }
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

impl Store for SqliteStore {
    fn now(&self) -> Answer<'_, Timestamp> {
        Box::pin(async { Ok(self.clock.now()) })
    }

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Entry>> {
        Box::pin(self.read_one(key))
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> Answer<'a, Page> {
        Box::pin(self.read_page(prefix, after, limit))
    }

    fn count<'a>(&'a self, prefix: &'a str) -> Answer<'a, u64> {
        Box::pin(self.read_count(prefix))
    }

    fn commit(&self, writes: Vec<Write>) -> Answer<'_, Commit> {
        Box::pin(self.write_all(writes))
    }

    fn cursor(&self) -> Answer<'_, Cursor> {
        Box::pin(self.read_cursor())
    }

    fn changes<'a>(&'a self, prefix: &'a str, since: Cursor, limit: usize) -> Answer<'a, Changes> {
        Box::pin(self.read_changes(prefix, since, limit))
    }

    fn lease<'a>(&'a self, name: &'a str, holder: &'a str, lasts: Duration) -> Answer<'a, Option<Lease>> {
        Box::pin(self.take_lease(name, holder, lasts))
    }

    fn release<'a>(&'a self, lease: &'a Lease) -> Answer<'a, bool> {
        Box::pin(self.give_back(lease))
    }
}

#[cfg(test)]
mod tests;
