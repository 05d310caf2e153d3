//! Reading a ledger: whole exchanges and their frames from the segments; lists are in `find`. Works beside a
//! running gateway and on a copied folder.

use std::fmt;
use std::fs::{self, TryLockError};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use model::{ExchangeId, hex};
use prost::Message;
use sqlx::Row;

use crate::body::{Body, Direction};
use crate::digest::{Chain, sha256};
use crate::frame::{Damage, Fault};
use crate::index::{Index, unsigned};
use crate::leaf::{Leaf, Part, Refused, Sealed, Span, What};
use crate::opened::Opened;
use crate::recover::{exchange as read_id, mark};
use crate::segment::{Position, Series, SeriesReader};
use crate::{DataKey, LedgerError};

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
        let whole = |filled| {
            let rest = std::iter::repeat_n(filled, 32usize.saturating_sub(prefix.len()));
            ExchangeId::parse(&prefix.chars().chain(rest).collect::<String>())
        };
        let (first, last) = (whole('0'), whole('f'));
        let (Some(first), Some(last)) = (first, last) else { return Err(missing()) };
        let rows = sqlx::query("SELECT id FROM exchanges WHERE id BETWEEN ? AND ? LIMIT 2")
            .bind(first.as_bytes().as_slice())
            .bind(last.as_bytes().as_slice())
            .fetch_all(&self.index.pool)
            .await
            .map_err(unindexed)?;
        let mut found: Vec<String> = rows.iter().map(|row| hex(row.get(0))).collect();
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
        const LEAVES: &str =
            "SELECT segment, offset FROM leaves WHERE n = (SELECT n FROM exchanges WHERE id = ?)
                              ORDER BY segment, offset";
        let rows = sqlx::query(LEAVES)
            .bind(exchange.as_bytes().as_slice())
            .fetch_all(&self.index.pool)
            .await
            .map_err(unindexed)?;
        let mut shown = Exchange::default();
        let mut last = None;
        for row in rows {
            let at = Position { segment: unsigned(row.get(0)), offset: unsigned(row.get(1)) };
            let frame = leaves.frame(at)?;
            let leaf = Leaf::decode(frame.payload.as_slice()).map_err(|_| Damage {
                file: leaves.stored_path(at.segment),
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

/// The index can't be read.
pub(crate) fn unindexed(error: sqlx::Error) -> LedgerError {
    LedgerError::Index { cause: error.to_string() }
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

    /// Goes on behind the end: with what was written since, and to where the exchange ends if `shown` knows
    /// that by now.
    pub fn again(&mut self, shown: &Exchange) {
        let span = shown.bodies.as_ref().filter(|_| shown.sealed.is_some());
        let end = span.map(|span| Position { segment: span.end_segment, offset: span.end_offset });
        self.until = end.or(self.until);
        self.reader.again();
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
                let file = self.series.stored_path(at.segment);
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
