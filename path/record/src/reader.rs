//! Reading a ledger: lists from the index, whole exchanges and their frames from the segments. Works
//! beside a running gateway and on a copied folder.

use std::fmt;
use std::fs::{self, TryLockError};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use model::ExchangeId;
use prost::Message;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::body::{Body, Direction};
use crate::describe::nanoseconds;
use crate::digest::{Chain, sha256};
use crate::frame::{Damage, Fault};
use crate::index::{Index, hex, unsigned};
use crate::leaf::{Leaf, Part, Refused, Sealed, Span, What};
use crate::opened::Opened;
use crate::recover::{exchange as read_id, mark};
use crate::segment::{Position, Series, SeriesReader};
use crate::{DataKey, LedgerError};

/// Which exchanges to list: those that fit everything that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The caller's subject, e-mail address, or `issuer#subject`.
    pub caller: Option<String>,
    /// The resource.
    pub resource: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The class of one of its operations.
    pub class: Option<String>,
    /// `allowed`, `needs-approvals` or `denied`.
    pub ruling: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// Arrived at or after.
    pub since: Option<Timestamp>,
    /// Arrived before.
    pub until: Option<Timestamp>,
    /// How many at most; 100 if not given, never more than 1000.
    pub limit: Option<u32>,
    /// After this one, from the page before.
    pub cursor: Option<Cursor>,
}

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) arrived: i64,
    pub(crate) id: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.arrived, self.id)
    }
}

impl Cursor {
    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        let (arrived, id) = text.rsplit_once('-')?;
        let id = Some(id).filter(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()))?;
        Some(Self { arrived: arrived.parse().ok()?, id: id.to_owned() })
    }
}

/// One line of a list. What an exchange does not have yet, or never had, is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub exchange: ExchangeId,
    /// When it arrived.
    pub arrived: Timestamp,
    /// From where.
    pub client: Option<String>,
    /// The caller's issuer.
    pub issuer: Option<String>,
    /// The caller's subject.
    pub subject: Option<String>,
    /// The caller's e-mail address.
    pub email: Option<String>,
    /// `human` or `workload`.
    pub kind: Option<String>,
    /// The caller's groups.
    pub groups: Vec<String>,
    /// The resource.
    pub resource: Option<String>,
    /// The model asked for.
    pub model: Option<String>,
    /// The operations' classes.
    pub classes: Vec<String>,
    /// The operations' names.
    pub operations: Vec<String>,
    /// The method.
    pub method: Option<String>,
    /// The path.
    pub path: Option<String>,
    /// What policy ruled.
    pub ruling: Option<String>,
    /// The policies that determined it.
    pub policies: Vec<String>,
    /// How it ended; `None` while it is open.
    pub outcome: Option<String>,
    /// The refusal's code.
    pub code: Option<String>,
    /// The status the caller got.
    pub status: Option<u16>,
    /// Nanoseconds from arrival to the first byte of the answer's body.
    pub first_byte_after: Option<u64>,
    /// Nanoseconds from arrival to the end.
    pub total: Option<u64>,
    /// Tokens read and written.
    pub tokens: Option<(u64, u64)>,
    /// Values masked, by class.
    pub masked: Vec<(String, u64)>,
    /// Values revealed, by class.
    pub revealed: Vec<(String, u64)>,
}

/// Some of a list, newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The exchanges.
    pub exchanges: Vec<Listed>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// Everything the leaves say of one exchange.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exchange {
    /// What was asked, by whom, and what policy said.
    pub opened: Option<Opened>,
    /// What was certified of a long one on the way.
    pub parts: Vec<Part>,
    /// How it ended.
    pub sealed: Option<Sealed>,
    /// If it was refused before there was a caller: all there is.
    pub refused: Option<Refused>,
    /// Where its body frames lie. An open one has no end yet.
    pub bodies: Option<Span>,
}

/// A ledger to read.
pub struct Reader {
    dir: PathBuf,
    pub(crate) index: Index,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Whether a process writes the ledger in `dir` now.
pub fn is_written(dir: &Path) -> bool {
    let Ok(file) = fs::File::open(dir.join("lock")) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

impl Reader {
    /// Opens the ledger in `dir`. If no gateway keeps its index, brings it up to date; if the folder
    /// cannot be written, reads all leaves into an index in memory.
    ///
    /// # Errors
    /// [`LedgerError`] when there is no ledger, or it cannot be read.
    pub async fn open(dir: &Path) -> Result<Self, LedgerError> {
        let leaves = Series::leaves(dir);
        fs::metadata(&leaves.dir)
            .map_err(|error| LedgerError::file("find the ledger", &leaves.dir, error))?;
        let index = match Index::open(dir).await {
            Ok(index) if is_written(dir) => {
                index.reach(&leaves).await;
                index
            }
            Ok(index) => match index.catch_up(dir, None, &mut |_| ()).await {
                Ok(()) => index,
                Err(_) => Self::in_memory(dir).await?,
            },
            Err(_) => Self::in_memory(dir).await?,
        };
        Ok(Self { dir: dir.to_owned(), index })
    }

    async fn in_memory(dir: &Path) -> Result<Index, LedgerError> {
        let index = Index::in_memory().await?;
        index.catch_up(dir, None, &mut |_| ()).await?;
        Ok(index)
    }

    /// The exchanges that fit `filter`, newest first: what was recorded when the ledger was opened.
    ///
    /// # Errors
    /// [`LedgerError`] when the index cannot be read.
    pub async fn list(&self, filter: &Filter) -> Result<Page, LedgerError> {
        let limit = usize::try_from(filter.limit.unwrap_or(100).clamp(1, 1000)).unwrap_or(100);
        let rows = sqlx::query(
            "SELECT * FROM exchanges
             WHERE arrived IS NOT NULL
               AND (?1 IS NULL OR ?1 IN (subject, email, caller)) AND (?2 IS NULL OR resource = ?2)
               AND (?3 IS NULL OR model = ?3) AND (?4 IS NULL OR instr(classes, ' ' || ?4 || ' ') > 0)
               AND (?5 IS NULL OR ruling = ?5) AND (?6 IS NULL OR outcome = ?6)
               AND (?7 IS NULL OR arrived >= ?7) AND (?8 IS NULL OR arrived < ?8)
               AND (?9 IS NULL OR (arrived, id) < (?9, ?10))
             ORDER BY arrived DESC, id DESC LIMIT ?11",
        )
        .bind(filter.caller.as_deref())
        .bind(filter.resource.as_deref())
        .bind(filter.model.as_deref())
        .bind(filter.class.as_deref())
        .bind(filter.ruling.as_deref())
        .bind(filter.outcome.as_deref())
        .bind(filter.since.map(nanoseconds))
        .bind(filter.until.map(nanoseconds))
        .bind(filter.cursor.as_ref().map(|cursor| cursor.arrived))
        .bind(filter.cursor.as_ref().map(|cursor| cursor.id.as_str()))
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

    /// The one exchange whose id begins with `text`, dashes or not.
    ///
    /// # Errors
    /// [`LedgerError::NotFound`] or [`LedgerError::Ambiguous`].
    pub async fn find(&self, text: &str) -> Result<ExchangeId, LedgerError> {
        if let Some(exchange) = ExchangeId::parse(text) {
            return Ok(exchange);
        }
        let prefix: String = text.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
        let missing = || LedgerError::NotFound { id: text.to_owned() };
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(missing());
        }
        let rows = sqlx::query("SELECT id FROM exchanges WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 2")
            .bind(&prefix)
            .fetch_all(&self.index.pool)
            .await
            .map_err(|error| LedgerError::Index { cause: error.to_string() })?;
        let mut found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        self.tail(|_, leaf| {
            let id = leaf.what.as_ref().and_then(exchange_of).map(hex);
            found.extend(id.filter(|id| id.starts_with(&prefix)));
        })
        .await?;
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [] => Err(missing()),
            [id] => ExchangeId::parse(id).ok_or_else(missing),
            _ => Err(LedgerError::Ambiguous { id: text.to_owned() }),
        }
    }

    /// Everything the leaves say of `exchange`, also if it is newer than the index.
    ///
    /// # Errors
    /// [`LedgerError::NotFound`], or [`LedgerError::Damaged`] with the place.
    pub async fn show(&self, exchange: ExchangeId) -> Result<Exchange, LedgerError> {
        let leaves = Series::leaves(&self.dir);
        let rows = sqlx::query("SELECT segment, offset FROM leaves WHERE id = ? ORDER BY segment, offset")
            .bind(hex(exchange.as_bytes()))
            .fetch_all(&self.index.pool)
            .await
            .map_err(|error| LedgerError::Index { cause: error.to_string() })?;
        let mut shown = Exchange::default();
        let mut last = None;
        for row in rows {
            let at = Position { segment: unsigned(row.get(0)), offset: unsigned(row.get(1)) };
            let frame = leaves.frame(at)?;
            let leaf = Leaf::decode(frame.payload.as_slice()).map_err(|_| Damage {
                file: leaves.path(at.segment),
                offset: at.offset,
                fault: Fault::Message,
            })?;
            shown.take(leaf);
            last = Some(at);
        }
        if shown.sealed.is_none() && shown.refused.is_none() {
            self.tail(|at, leaf| {
                let same = leaf.what.as_ref().and_then(exchange_of) == Some(exchange.as_bytes().as_slice());
                if same && last.is_none_or(|last| at > last) {
                    shown.take(leaf);
                }
            })
            .await?;
        }
        if shown == Exchange::default() {
            return Err(LedgerError::NotFound { id: exchange.to_string() });
        }
        Ok(shown)
    }

    /// Gives `each` the leaves that are newer than the index.
    async fn tail(&self, mut each: impl FnMut(Position, Leaf)) -> Result<(), LedgerError> {
        let (from, _) = self.index.place().await?;
        let mut reader = Series::leaves(&self.dir).read(from);
        loop {
            match reader.next() {
                Ok(Some((at, frame))) => {
                    if let Ok(leaf) = Leaf::decode(frame.payload.as_slice()) {
                        each(at, leaf);
                    }
                }
                Ok(None) => return Ok(()),
                // What is damaged is told by whoever verifies; what is behind it can still be shown.
                Err(damage) => tracing::warn!(%damage, "leaves are damaged"),
            }
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// All leaves from `from` on, as stored.
    pub fn leaves(&self, from: Position) -> SeriesReader {
        Series::leaves(&self.dir).read(from)
    }

    /// The body frames of a shown exchange, in order, with their times. Reads files as it goes.
    pub fn frames(&self, exchange: ExchangeId, shown: &Exchange) -> Frames {
        let span = shown.bodies.clone().unwrap_or_default();
        let from = Position { segment: span.first_segment, offset: span.first_offset };
        let end = Position { segment: span.end_segment, offset: span.end_offset };
        let series = Series::bodies(&self.dir, &span.class);
        let until = match (&shown.sealed, &shown.opened) {
            (Some(_), _) => Some(end),
            // Still open: up to the end of what is there.
            (None, Some(_)) => None,
            (None, None) => Some(Position::default()),
        };
        Frames { exchange, reader: series.read(from), series, until, chains: Default::default(), key: None }
    }

    /// Reads all frames of a sealed exchange and compares them with the digests in its seal.
    ///
    /// # Errors
    /// [`LedgerError`] says what does not fit.
    pub fn check(&self, exchange: ExchangeId, shown: &Exchange) -> Result<(), LedgerError> {
        let mut frames = self.frames(exchange, shown);
        for frame in &mut frames {
            frame?;
        }
        let Some(sealed) = &shown.sealed else { return Ok(()) };
        let stated = |digest: &Option<crate::leaf::Digest>| digest.as_ref().map(Chain::from_message);
        if stated(&sealed.request) == Some(frames.chains.0)
            && stated(&sealed.response) == Some(frames.chains.1)
        {
            Ok(())
        } else {
            Err(LedgerError::Mismatch { id: exchange.to_string() })
        }
    }
}

/// The exchange a leaf belongs to.
fn exchange_of(what: &What) -> Option<&[u8]> {
    match what {
        What::Opened(opened) => Some(&opened.exchange),
        What::Part(part) => Some(&part.exchange),
        What::Sealed(sealed) => Some(&sealed.exchange),
        What::Refused(refused) => Some(&refused.exchange),
        _ => None,
    }
}

impl Exchange {
    fn take(&mut self, leaf: Leaf) {
        self.bodies = leaf.bodies.or(self.bodies.take());
        match leaf.what {
            Some(What::Opened(opened)) => self.opened = Some(opened),
            Some(What::Part(part)) => self.parts.push(part),
            Some(What::Sealed(sealed)) => self.sealed = Some(sealed),
            Some(What::Refused(refused)) => self.refused = Some(refused),
            _ => {}
        }
    }
}

/// The body frames of one exchange.
pub struct Frames {
    exchange: ExchangeId,
    series: Series,
    reader: SeriesReader,
    until: Option<Position>,
    chains: (Chain, Chain),
    key: Option<DataKey>,
}

impl Frames {
    /// The same, opened with `key`, if they are encrypted.
    pub fn opened_with(self, key: Option<DataKey>) -> Self {
        Self { key, ..self }
    }

    /// The chains over the request's and the answer's frames read so far.
    pub fn chains(&self) -> (Chain, Chain) {
        self.chains
    }
}

impl Iterator for Frames {
    type Item = Result<Body, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.until.is_some_and(|until| self.reader.position() >= until) {
                return None;
            }
            let (at, frame) = match self.reader.next() {
                Ok(found) => found?,
                Err(damage) => return Some(Err(damage)),
            };
            let digest = sha256(&frame.payload);
            let Ok(body) = Body::decode(Bytes::from(frame.payload)) else {
                let file = self.series.path(at.segment);
                return Some(Err(Damage { file, offset: at.offset, fault: Fault::Message }));
            };
            if read_id(&body.exchange) != Some(self.exchange) {
                continue;
            }
            let mark = mark(&body, digest);
            let chain =
                if mark.direction == Direction::Request { &mut self.chains.0 } else { &mut self.chains.1 };
            chain.push(&mark.digest, mark.bytes);
            let Some(key) = &self.key else { return Some(Ok(body)) };
            let file = self.series.path(at.segment);
            return Some(key.open(body).ok_or(Damage { file, offset: at.offset, fault: Fault::Box }));
        }
    }
}

pub(crate) fn listed(row: &SqliteRow) -> Option<Listed> {
    let words = |column: &str| -> Vec<String> {
        let text: Option<String> = row.get(column);
        text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let list = |column: &str| -> Vec<String> {
        let text: Option<String> = row.get(column);
        serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default()
    };
    let counts = |column: &str| -> Vec<(String, u64)> {
        let text: Option<String> = row.get(column);
        let counts: std::collections::BTreeMap<String, u64> =
            serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default();
        counts.into_iter().collect()
    };
    let id: String = row.get("id");
    let arrived: i64 = row.get("arrived");
    let count = |column: &str| row.get::<Option<i64>, _>(column).map(unsigned);
    Some(Listed {
        exchange: ExchangeId::parse(&id)?,
        arrived: Timestamp::from_nanosecond(i128::from(arrived)).ok()?,
        client: row.get("client"),
        issuer: row.get("issuer"),
        subject: row.get("subject"),
        email: row.get("email"),
        kind: row.get("kind"),
        groups: list("groups"),
        resource: row.get("resource"),
        model: row.get("model"),
        classes: words("classes"),
        operations: words("operations"),
        method: row.get("method"),
        path: row.get("path"),
        ruling: row.get("ruling"),
        policies: list("policies"),
        outcome: row.get("outcome"),
        code: row.get("code"),
        status: count("status").and_then(|status| u16::try_from(status).ok()).filter(|status| *status > 0),
        first_byte_after: count("first_byte"),
        total: count("total"),
        tokens: count("input_tokens").zip(count("output_tokens")),
        masked: counts("masked"),
        revealed: counts("revealed"),
    })
}
