//! One caller's own exchanges: found by an index of their own, so that whoever looks at theirs does not
//! read everybody's.

use model::Identity;

use crate::describe::nanoseconds;
use crate::index::hex;
use crate::reader::listed;
use crate::{Cursor, LedgerError, Listed, Page, Reader};

impl Reader {
    /// The exchanges of the very caller `identity`, newest first, from `cursor` on: at most `limit`, and
    /// never more than 1000. Those whose operations are named `without` are left out.
    ///
    /// # Errors
    /// [`LedgerError`] when the index cannot be read.
    pub async fn own(
        &self,
        identity: &Identity,
        without: &str,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, LedgerError> {
        let limit = limit.clamp(1, 1000);
        let rows = sqlx::query(
            "SELECT * FROM exchanges
             WHERE caller = ?1 AND issuer = ?2 AND subject = ?3 AND instr(coalesce(operations, ''), ' ' || ?4 || ' ') = 0
               AND (arrived, id) < (?5, ?6)
             ORDER BY arrived DESC, id DESC LIMIT ?7",
        )
        .bind(identity.entity_id())
        .bind(&identity.issuer)
        .bind(&identity.subject)
        .bind(without)
        .bind(cursor.map_or(i64::MAX, |cursor| cursor.arrived))
        .bind(cursor.map_or("g", |cursor| cursor.id.as_str()))
        .bind(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX))
        .fetch_all(&self.index.pool)
        .await
        .map_err(|error| LedgerError::Index { cause: error.to_string() })?;
        let more = rows.len() > limit;
        let exchanges: Vec<Listed> = rows.iter().take(limit).filter_map(listed).collect();
        let next = exchanges
            .last()
            .filter(|_| more)
            .map(|last| Cursor { arrived: nanoseconds(last.arrived), id: hex(last.exchange.as_bytes()) });
        Ok(Page { exchanges, next })
    }
}
