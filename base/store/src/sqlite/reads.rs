//! Reading: one entry, a page, the changes since a cursor.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{SqliteStore, millis, number, time, unread, unsigned};
use crate::StoreError;
use crate::vocabulary::{Changed, Changes, Cursor, Entry, MAX_PAGE, Page, Version, check_key};

/// Keys are printable ASCII: every key that begins with a prefix lies between it and this behind it.
const BEYOND: char = '\u{7f}';

impl SqliteStore {
    pub(super) async fn read_one(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        check_key(key)?;
        let mut connection = self.readers.acquire().await.map_err(unread)?;
        entry(&mut connection, key, millis(self.clock.now())).await.map_err(unread)
    }

    pub(super) async fn read_page(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let rows = sqlx::query(
            "SELECT key, value, version, expires FROM entries WHERE key >= ?1 AND key < ?2 AND key > ?3
               AND value IS NOT NULL AND (expires IS NULL OR expires > ?4) ORDER BY key LIMIT ?5",
        )
        .bind(prefix)
        .bind(format!("{prefix}{BEYOND}"))
        .bind(after.unwrap_or_default())
        .bind(millis(self.clock.now()))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(unread)?;
        let entries: Vec<Entry> = rows.iter().map(read).collect();
        let next = entries.last().filter(|_| entries.len() == limit).map(|last| last.key.clone());
        Ok(Page { entries, next })
    }

    pub(super) async fn read_count(&self, prefix: &str) -> Result<u64, StoreError> {
        let row =
            sqlx::query("SELECT count(*) FROM entries WHERE key >= ? AND key < ? AND value IS NOT NULL")
                .bind(prefix)
                .bind(format!("{prefix}{BEYOND}"))
                .fetch_one(&self.readers)
                .await
                .map_err(unread)?;
        Ok(unsigned(row.get(0)))
    }

    pub(super) async fn read_cursor(&self) -> Result<Cursor, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(unread)?;
        Ok(standing(&mut connection).await.map_err(unread)?.0)
    }

    pub(super) async fn read_changes(
        &self,
        prefix: &str,
        since: Cursor,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        self.in_place()?;
        let limit = limit.clamp(1, MAX_PAGE);
        // Most often nothing has changed: that costs one statement.
        if self.read_cursor().await? == since {
            return Ok(Changes { changed: Vec::new(), next: since, more: false });
        }
        // One view of the file: a commit between the two reads would be skipped.
        let mut view = self.readers.begin().await.map_err(unread)?;
        let (now, forgotten) = standing(&mut view).await.map_err(unread)?;
        if now.store != since.store || since.at < forgotten || since.at > now.at {
            return Err(StoreError::CursorLost);
        }
        let rows = sqlx::query(
            "SELECT key, value, version, expires FROM entries
             WHERE version > ? AND key >= ? AND key < ? ORDER BY version LIMIT ?",
        )
        .bind(number(since.at))
        .bind(prefix)
        .bind(format!("{prefix}{BEYOND}"))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *view)
        .await
        .map_err(unread)?;
        let more = rows.len() == limit;
        let last = rows.last().filter(|_| more).map_or(now.at, |row| unsigned(row.get(2)));
        let at = self.clock.now();
        let changed = rows.iter().map(|row| changed(row, at)).collect();
        Ok(Changes { changed, next: Cursor { at: last, ..now }, more })
    }
}

/// Where the order stands, and up to where removals are forgotten.
pub(super) async fn standing(connection: &mut SqliteConnection) -> Result<(Cursor, u64), sqlx::Error> {
    let row = sqlx::query("SELECT id, version, forgotten FROM store").fetch_one(connection).await?;
    Ok((Cursor { store: row.get(0), at: unsigned(row.get(1)) }, unsigned(row.get(2))))
}

/// The entry at `key` that holds at `now`.
pub(super) async fn entry(
    connection: &mut SqliteConnection,
    key: &str,
    now: i64,
) -> Result<Option<Entry>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT key, value, version, expires FROM entries
         WHERE key = ? AND value IS NOT NULL AND (expires IS NULL OR expires > ?)",
    )
    .bind(key)
    .bind(now)
    .fetch_optional(connection)
    .await?;
    Ok(row.as_ref().map(read))
}

fn read(row: &SqliteRow) -> Entry {
    Entry {
        key: row.get(0),
        value: row.get(1),
        version: Version(unsigned(row.get(2))),
        expires: row.get::<Option<i64>, _>(3).map(time),
    }
}

fn changed(row: &SqliteRow, now: jiff::Timestamp) -> Changed {
    let there = row.get::<Option<&str>, _>(1).is_some();
    let entry = there.then(|| read(row)).filter(|entry| entry.expires.is_none_or(|end| end > now));
    Changed { key: row.get(0), entry }
}
