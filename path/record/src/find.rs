//! Finding exchanges: the newest first that fit everything that is asked for.
//!
//! Numbers of exchanges with each property are taken together block by block, from the newest back, until a
//! page is full. Only then rows are read, so what is rare is found as quickly as what is common.

use std::fmt;

use jiff::Timestamp;
use model::{ExchangeId, Identity};
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::describe::nanoseconds;
use crate::facets::posting_key;
use crate::listed::{Listed, listed};
use crate::posting::{BLOCK, Bits, Posting};
use crate::reader::unindexed;
use crate::terms::{self, Facet};
use crate::{LedgerError, Reader, text};

/// Blocks whose postings are read at once.
const WINDOW: i64 = 64;
/// The most rows read at once.
const ROWS: usize = 512;

/// Which exchanges to list: those that fit everything that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The caller's subject, e-mail address, or `issuer#subject`.
    pub caller: Option<String>,
    /// This very caller: issuer and subject.
    pub exactly: Option<(String, String)>,
    /// A group the caller was in.
    pub group: Option<String>,
    /// The resource.
    pub resource: Option<String>,
    /// A model asked for.
    pub model: Option<String>,
    /// The class of one of its operations.
    pub class: Option<String>,
    /// `allowed`, `needs-approvals` or `denied`.
    pub ruling: Option<String>,
    /// How it ended, or `running`.
    pub outcome: Option<String>,
    /// A data class that was masked in its request or answer, or one that it is in: `pii` is also `pii.email`.
    pub masked: Option<String>,
    /// A data class that was let through, likewise.
    pub revealed: Option<String>,
    /// The session, by its first exchange.
    pub session: Option<ExchangeId>,
    /// Words that were said; several in quotes are a phrase. Finds nothing where words are not indexed.
    pub text: Option<String>,
    /// Arrived at or after.
    pub since: Option<Timestamp>,
    /// Arrived before.
    pub until: Option<Timestamp>,
    /// Only those a session begins with.
    pub begins: bool,
    /// None with an operation of this name.
    pub without: Option<String>,
    /// How many at most; 100 if not given, never more than 1000.
    pub limit: Option<u32>,
    /// After this one, from the page before.
    pub cursor: Option<Cursor>,
}

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(i64);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Cursor {
    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Self)
    }
}

/// Some of a list, newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The exchanges.
    pub exchanges: Vec<Listed>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

impl Reader {
    /// The exchanges that fit `filter`, the last recorded first: what the index held when the ledger was opened.
    ///
    /// # Errors
    /// [`LedgerError`] when the index cannot be read.
    pub async fn list(&self, filter: &Filter) -> Result<Page, LedgerError> {
        let limit = usize::try_from(filter.limit.unwrap_or(100).clamp(1, 1000)).unwrap_or(100);
        let mut connection = self.index.pool.acquire().await.map_err(unindexed)?;
        let rows = Search::begin(&mut connection, filter, limit).await.map_err(unindexed)?;
        let rows = match rows {
            Some(search) => search.run(&mut connection).await.map_err(unindexed)?,
            None => Vec::new(),
        };
        let more = rows.len() > limit;
        let last = rows.get(limit.saturating_sub(1)).filter(|_| more);
        let next = last.map(|row| Cursor(row.get("n")));
        Ok(Page { exchanges: rows.iter().take(limit).filter_map(listed).collect(), next })
    }

    /// The exchanges of the very caller `identity`, newest first, from `cursor` on: at most `limit`, and
    /// never more than 1000. Those with an operation named `without` are left out.
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
        let filter = Filter {
            exactly: Some((identity.issuer.clone(), identity.subject.clone())),
            without: Some(without.to_owned()),
            limit: u32::try_from(limit).ok(),
            cursor: cursor.cloned(),
            ..Filter::default()
        };
        self.list(&filter).await
    }
}

/// One search.
struct Search<'a> {
    filter: &'a Filter,
    /// Rows wanted: one more than the page has, to know whether there are more.
    wanted: usize,
    /// For each property, the terms that stand for it.
    properties: Vec<Vec<i64>>,
    /// Words, as the full-text index takes them.
    words: Option<String>,
    /// The numbers looked at: from, and before.
    range: (i64, i64),
    /// The number of the first exchange of the session.
    session: Option<i64>,
}

impl<'a> Search<'a> {
    /// None if nothing can be found.
    async fn begin(
        all: &mut SqliteConnection,
        filter: &'a Filter,
        limit: usize,
    ) -> Result<Option<Self>, sqlx::Error> {
        let mut search = Self {
            filter,
            wanted: limit.saturating_add(1),
            properties: Vec::new(),
            words: filter.text.as_deref().map(text::query),
            range: (0, filter.cursor.as_ref().map_or(i64::MAX, |cursor| cursor.0)),
            session: None,
        };
        if search.words.as_deref() == Some("") {
            return Ok(None);
        }
        if !search.narrow(all).await? {
            return Ok(None);
        }
        let words = [
            (Facet::Group, &filter.group),
            (Facet::Resource, &filter.resource),
            (Facet::Model, &filter.model),
            (Facet::Class, &filter.class),
            (Facet::Ruling, &filter.ruling),
            (Facet::Outcome, &filter.outcome),
            (Facet::Masked, &filter.masked),
            (Facet::Revealed, &filter.revealed),
        ];
        let words = words.into_iter().filter_map(|(facet, word)| Some(facet.term(word.as_deref()?)));
        let exactly = filter.exactly.as_ref();
        let exactly = exactly.map(|(issuer, subject)| Facet::Caller.term(&format!("{issuer}#{subject}")));
        let begins = filter.begins.then(|| terms::BEGINS.to_owned());
        for term in words.chain(exactly).chain(begins) {
            search.properties.push(numbers(all, "SELECT t FROM terms WHERE term = ?", &term).await?);
        }
        if let Some(caller) = &filter.caller {
            const CALLER: &str =
                "SELECT t FROM people WHERE name = ?1 UNION SELECT t FROM terms WHERE term = 'c:' || ?1";
            search.properties.push(numbers(all, CALLER, caller).await?);
        }
        Ok(Some(search).filter(|search| search.properties.iter().all(|terms| !terms.is_empty())))
    }

    /// Narrows the range to the time and the session. Whether anything is left.
    async fn narrow(&mut self, all: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        const TOP: &str = "SELECT coalesce(max(n), 0) + 1 FROM exchanges";
        const TIME: &str = "SELECT min(block), max(block) FROM blocks WHERE last >= ? AND first < ?";
        const SESSION: &str = "SELECT s.first, s.last, e.caller FROM exchanges e JOIN sessions s ON s.first = e.n WHERE e.id = ?";
        let top: i64 = sqlx::query(TOP).fetch_one(&mut *all).await?.get(0);
        self.range.1 = self.range.1.min(top);
        if self.filter.since.is_some() || self.filter.until.is_some() {
            let (since, until) = self.times();
            let row = sqlx::query(TIME).bind(since).bind(until).fetch_one(&mut *all).await?;
            let (Some(first), Some(last)) = (row.get::<Option<i64>, _>(0), row.get::<Option<i64>, _>(1))
            else {
                return Ok(false);
            };
            self.bound(first.saturating_mul(BLOCK), last.saturating_add(1).saturating_mul(BLOCK));
        }
        if let Some(session) = &self.filter.session {
            let row =
                sqlx::query(SESSION).bind(session.as_bytes().as_slice()).fetch_optional(&mut *all).await?;
            let Some(row) = row else { return Ok(false) };
            let (first, last, caller): (i64, i64, String) = (row.get(0), row.get(1), row.get(2));
            self.session = Some(first);
            self.bound(first, last.saturating_add(1));
            let term = Facet::Caller.term(&caller);
            self.properties.push(numbers(all, "SELECT t FROM terms WHERE term = ?", &term).await?);
        }
        Ok(self.range.0 < self.range.1)
    }

    fn bound(&mut self, from: i64, before: i64) {
        self.range = (self.range.0.max(from), self.range.1.min(before));
    }

    fn times(&self) -> (i64, i64) {
        (self.filter.since.map_or(i64::MIN, nanoseconds), self.filter.until.map_or(i64::MAX, nanoseconds))
    }

    async fn run(mut self, all: &mut SqliteConnection) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let mut found = Vec::new();
        if self.properties.is_empty() && self.words.is_none() {
            self.rows(all, None, &mut found).await?;
            return Ok(found);
        }
        if self.properties.is_empty() {
            self.by_words_alone(all, &mut found).await?;
            return Ok(found);
        }
        let (lowest, mut top) = (self.range.0 / BLOCK, self.range.1.saturating_sub(1) / BLOCK);
        while top >= lowest && found.len() < self.wanted {
            let bottom = lowest.max(top.saturating_sub(WINDOW - 1));
            for (block, mut bits) in self.window(all, bottom, top).await? {
                if self.words.is_some() {
                    bits.and(&self.said(all, block).await?);
                }
                let base = block.saturating_mul(BLOCK);
                let numbers = bits.backward().map(|at| base.saturating_add(i64::from(at)));
                let (from, before) = self.range;
                let numbers: Vec<i64> = numbers.filter(|n| (from..before).contains(n)).collect();
                for some in numbers.chunks(ROWS.min(self.wanted)) {
                    if found.len() < self.wanted {
                        self.rows(all, Some(some), &mut found).await?;
                    }
                }
                if found.len() >= self.wanted {
                    break;
                }
            }
            top = bottom.saturating_sub(1);
        }
        Ok(found)
    }

    /// What has all properties, in the blocks from `bottom` to `top` where anything has: the last first.
    async fn window(
        &self,
        all: &mut SqliteConnection,
        bottom: i64,
        top: i64,
    ) -> Result<Vec<(i64, Bits)>, sqlx::Error> {
        const LOAD: &str = "SELECT key, bits FROM postings WHERE key BETWEEN ? AND ?";
        let mut both: Vec<(i64, Bits)> = (bottom..=top).rev().map(|block| (block, Bits::all())).collect();
        for property in &self.properties {
            let mut any: Vec<Option<Bits>> = vec![None; both.len()];
            for term in property {
                let keys = (posting_key(*term, bottom), posting_key(*term, top));
                let rows = sqlx::query(LOAD).bind(keys.0).bind(keys.1).fetch_all(&mut *all).await?;
                for row in rows {
                    let from_top = keys.1.saturating_sub(row.get(0));
                    let place = usize::try_from(from_top).ok().and_then(|at| any.get_mut(at));
                    let Some(place) = place else { continue };
                    Posting::decode(row.get(1)).add_to(place.get_or_insert_with(Bits::none));
                }
            }
            for ((_, bits), other) in both.iter_mut().zip(&any) {
                match other {
                    Some(other) => bits.and(other),
                    None => *bits = Bits::none(),
                }
            }
        }
        both.retain(|(_, bits)| !bits.is_empty());
        Ok(both)
    }

    /// Where in a block the words were said.
    async fn said(&self, all: &mut SqliteConnection, block: i64) -> Result<Bits, sqlx::Error> {
        const WORDS: &str = "SELECT rowid FROM texts WHERE texts MATCH ? AND rowid BETWEEN ? AND ?";
        let base = block.saturating_mul(BLOCK);
        let query = sqlx::query(WORDS).bind(self.words.as_deref()).bind(base);
        let rows = query.bind(base.saturating_add(BLOCK - 1)).fetch_all(&mut *all).await?;
        let mut bits = Bits::none();
        for row in rows {
            bits.add(u16::try_from(row.get::<i64, _>(0).saturating_sub(base)).unwrap_or(u16::MAX));
        }
        Ok(bits)
    }

    async fn by_words_alone(
        &mut self,
        all: &mut SqliteConnection,
        found: &mut Vec<SqliteRow>,
    ) -> Result<(), sqlx::Error> {
        const WORDS: &str = "SELECT rowid FROM texts WHERE texts MATCH ? AND rowid >= ? AND rowid < ?
                             ORDER BY rowid DESC LIMIT ?";
        while found.len() < self.wanted {
            let query = sqlx::query(WORDS).bind(self.words.as_deref()).bind(self.range.0).bind(self.range.1);
            let rows = query.bind(size(ROWS)).fetch_all(&mut *all).await?;
            let some: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
            let Some(last) = some.last() else { break };
            self.range.1 = *last;
            self.rows(all, Some(&some), found).await?;
        }
        Ok(())
    }

    /// Reads the rows of these numbers, or of the whole range, as far as they fit what no posting tells.
    async fn rows(
        &self,
        all: &mut SqliteConnection,
        numbers: Option<&[i64]>,
        found: &mut Vec<SqliteRow>,
    ) -> Result<(), sqlx::Error> {
        const AMONG: &str =
            "SELECT e.*, f.id AS session_id, s.count AS session_count, s.ended AS session_ended,
              s.name AS session_name
            FROM exchanges e LEFT JOIN exchanges f ON f.n = e.session LEFT JOIN sessions s ON s.first = e.n
            WHERE e.n IN (SELECT value FROM json_each(?12))
              AND e.n >= ?1 AND e.n < ?2 AND e.arrived >= ?3 AND e.arrived < ?4
              AND (?5 IS NULL OR ?5 IN (e.subject, e.email, e.caller))
              AND (?6 IS NULL OR e.issuer = ?6) AND (?7 IS NULL OR e.subject = ?7)
              AND (?8 IS NULL OR e.session = ?8)
              AND (?9 IS NULL OR instr(coalesce(e.operations, ''), ' ' || ?9 || ' ') = 0)
              AND (?10 = 0 OR s.first IS NOT NULL)
            ORDER BY e.n DESC LIMIT ?11";
        const RANGE: &str =
            "SELECT e.*, f.id AS session_id, s.count AS session_count, s.ended AS session_ended,
              s.name AS session_name
            FROM exchanges e LEFT JOIN exchanges f ON f.n = e.session LEFT JOIN sessions s ON s.first = e.n
            WHERE e.n >= ?1 AND e.n < ?2 AND e.arrived >= ?3 AND e.arrived < ?4
              AND (?5 IS NULL OR ?5 IN (e.subject, e.email, e.caller))
              AND (?6 IS NULL OR e.issuer = ?6) AND (?7 IS NULL OR e.subject = ?7)
              AND (?8 IS NULL OR e.session = ?8)
              AND (?9 IS NULL OR instr(coalesce(e.operations, ''), ' ' || ?9 || ' ') = 0)
              AND (?10 = 0 OR s.first IS NOT NULL)
            ORDER BY e.n DESC LIMIT ?11";
        let (since, until) = self.times();
        let exactly = self.filter.exactly.as_ref();
        let query = sqlx::query(if numbers.is_some() { AMONG } else { RANGE })
            .bind(self.range.0)
            // What was found by words stands right below the range by now.
            .bind(if self.words.is_some() { i64::MAX } else { self.range.1 })
            .bind(since)
            .bind(until)
            .bind(self.filter.caller.as_deref())
            .bind(exactly.map(|(issuer, _)| issuer.as_str()))
            .bind(exactly.map(|(_, subject)| subject.as_str()))
            .bind(self.session)
            .bind(self.filter.without.as_deref())
            .bind(self.filter.begins)
            .bind(size(self.wanted.saturating_sub(found.len())));
        let query = match numbers {
            Some(numbers) => query.bind(json!(numbers).to_string()),
            None => query,
        };
        found.extend(query.fetch_all(&mut *all).await?);
        Ok(())
    }
}

fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

async fn numbers(
    all: &mut SqliteConnection,
    query: &'static str,
    word: &str,
) -> Result<Vec<i64>, sqlx::Error> {
    let rows = sqlx::query(query).bind(word).fetch_all(all).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
