//! Writing: all of a commit in one transaction, and leases.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Connection, Row, SqliteConnection};

use super::{SqliteStore, millis, number, reads, time, unsigned, unwritten};
use crate::StoreError;
use crate::vocabulary::{Change, Commit, Entry, Expect, Lease, MAX_BATCH, Until, Version, Write, check_key};

/// How long a removal can be followed.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// How many ended entries one commit takes out on its way.
const SWEEP: i64 = 200;

impl SqliteStore {
    pub(super) async fn write_all(&self, writes: Vec<Write>) -> Result<Commit, StoreError> {
        if writes.len() > MAX_BATCH {
            let why = format!("a commit holds {} writes, at most {MAX_BATCH} are taken", writes.len());
            return Err(StoreError::Unfit(why));
        }
        writes.iter().try_for_each(Write::check)?;
        self.in_place()?;
        self.write(&writes).await.map_err(unwritten)
    }

    async fn write(&self, writes: &[Write]) -> Result<Commit, sqlx::Error> {
        let mut connection = self.writer.acquire().await?;
        let result = self.write_by(&mut connection, writes).await;
        if result.is_err() {
            // A full disk ends a transaction in SQLite, which sqlx does not see: nothing could begin on
            // this connection any more.
            connection.close_on_drop();
        }
        result
    }

    async fn write_by(
        &self,
        connection: &mut SqliteConnection,
        writes: &[Write],
    ) -> Result<Commit, sqlx::Error> {
        let mut all = connection.begin_with("BEGIN IMMEDIATE").await?;
        let now = self.clock.now();
        let (cursor, _) = reads::standing(&mut all).await?;
        let mut last = sweep(&mut all, now, cursor.at).await?;
        let mut versions = Vec::with_capacity(writes.len());
        for write in writes {
            let found = reads::entry(&mut all, &write.key, millis(now)).await?;
            if !expected(write.expect, found.as_ref()) {
                all.rollback().await?;
                return Ok(Commit::Conflict { key: write.key.clone(), found });
            }
            if found.is_none() && write.change == Change::Remove {
                versions.push(Version(last));
                continue;
            }
            last += 1;
            let (value, expires) = match &write.change {
                Change::Put { value, until } => (Some(value.as_str()), end(*until, now)),
                Change::Remove => (None, Some(later(now, REMEMBERED))),
            };
            put(&mut all, &write.key, value, last, expires).await?;
            versions.push(Version(last));
        }
        sqlx::query("UPDATE store SET version = ?").bind(number(last)).execute(&mut *all).await?;
        all.commit().await?;
        Ok(Commit::Done(versions))
    }

    pub(super) async fn take_lease(
        &self,
        name: &str,
        holder: &str,
        lasts: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        check_key(name)?;
        check_key(holder)?;
        let now = self.clock.now();
        // Held by another and not ended: no row changes, none comes back.
        let row = sqlx::query(
            "INSERT INTO leases VALUES (?1, ?2, 1, ?4) ON CONFLICT (name) DO UPDATE SET
               fence = fence + (holder <> ?2 OR until <= ?3), holder = ?2, until = ?4
             WHERE holder = ?2 OR until <= ?3 RETURNING fence, until",
        )
        .bind(name)
        .bind(holder)
        .bind(millis(now))
        .bind(millis(later(now, lasts)))
        .fetch_optional(&self.writer)
        .await
        .map_err(unwritten)?;
        Ok(row.map(|row| Lease {
            name: name.to_owned(),
            holder: holder.to_owned(),
            fence: unsigned(row.get(0)),
            until: time(row.get(1)),
        }))
    }

    pub(super) async fn give_back(&self, lease: &Lease) -> Result<bool, StoreError> {
        // The row stays with its fence, or the next holder would begin again at the first.
        let done = sqlx::query(
            "UPDATE leases SET until = 0 WHERE name = ? AND holder = ? AND fence = ? AND until > ?",
        )
        .bind(&lease.name)
        .bind(&lease.holder)
        .bind(number(lease.fence))
        .bind(millis(self.clock.now()))
        .execute(&self.writer)
        .await
        .map_err(unwritten)?;
        Ok(done.rows_affected() > 0)
    }
}

fn expected(expect: Expect, found: Option<&Entry>) -> bool {
    match expect {
        Expect::Anything => true,
        Expect::Nothing => found.is_none(),
        Expect::Version(version) => found.is_some_and(|entry| entry.version == version),
    }
}

fn end(until: Until, now: Timestamp) -> Option<Timestamp> {
    match until {
        Until::Removed => None,
        Until::After(lasts) => Some(later(now, lasts)),
        Until::At(at) => Some(at),
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

async fn put(
    connection: &mut SqliteConnection,
    key: &str,
    value: Option<&str>,
    version: u64,
    expires: Option<Timestamp>,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT OR REPLACE INTO entries (key, value, version, expires) VALUES (?, ?, ?, ?)")
        .bind(key)
        .bind(value)
        .bind(number(version))
        .bind(expires.map(millis))
        .execute(connection)
        .await?;
    Ok(())
}

/// Makes removals of expired entries, and forgets removals that are old enough. The last version given.
async fn sweep(all: &mut SqliteConnection, now: Timestamp, mut last: u64) -> Result<u64, sqlx::Error> {
    let rows = sqlx::query("SELECT key, value IS NULL, version FROM entries WHERE expires <= ? LIMIT ?")
        .bind(millis(now))
        .bind(SWEEP)
        .fetch_all(&mut *all)
        .await?;
    for row in rows {
        let (key, removed): (&str, bool) = (row.get(0), row.get(1));
        if removed {
            sqlx::query("DELETE FROM entries WHERE key = ?").bind(key).execute(&mut *all).await?;
            sqlx::query("UPDATE store SET forgotten = max(forgotten, ?)")
                .bind(row.get::<i64, _>(2))
                .execute(&mut *all)
                .await?;
        } else {
            last += 1;
            put(&mut *all, key, None, last, Some(later(now, REMEMBERED))).await?;
        }
    }
    Ok(last)
}
