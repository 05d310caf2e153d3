//! What exchanges are found by: their numbers in the index, the properties they have, and the sessions they
//! belong to. Derived leaf by leaf, in the order of the ledger, so that a rebuilt index is the live one.
//!
//! What the next leaves will likely ask for is remembered between batches; a batch that is not entered
//! forgets it all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde_json::json;
use sqlx::{Row as _, SqliteConnection};

use crate::digest::sha256;
use crate::forgetting;
use crate::index::number;
use crate::leaf::{Leaf, What};
use crate::opened::Opened;
use crate::posting::{BLOCK, Posting};
use crate::rows::{Cell, Row, Rows, Statement, count, enter, text};
use crate::segment::Position;
use crate::terms::{self, Terms};
use crate::text::Ear;

/// Things of a kind remembered; above, all of them are forgotten and read again when asked for.
const MOST: usize = 1 << 15;
/// Bits of a posting's key that tell its block.
pub(crate) const BLOCK_BITS: u32 = 24;

pub(crate) const TABLES: &str = "
DROP TABLE IF EXISTS terms; DROP TABLE IF EXISTS people; DROP TABLE IF EXISTS postings;
DROP TABLE IF EXISTS blocks; DROP TABLE IF EXISTS sessions;
CREATE TABLE terms (t INTEGER PRIMARY KEY, term TEXT NOT NULL UNIQUE);
CREATE TABLE people (name TEXT NOT NULL, t INTEGER NOT NULL, PRIMARY KEY (name, t)) WITHOUT ROWID;
CREATE TABLE postings (key INTEGER PRIMARY KEY, bits BLOB NOT NULL);
CREATE TABLE blocks (block INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE TABLE sessions (
  first INTEGER PRIMARY KEY, key BLOB NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
  ended INTEGER NOT NULL, name TEXT
);
CREATE INDEX sessions_key ON sessions (key);
";

const POSTINGS: Statement = Statement { before: "REPLACE INTO postings ", after: "" };
const PEOPLE: Statement = Statement { before: "INSERT OR IGNORE INTO people ", after: "" };
const TERMS: Statement = Statement { before: "INSERT INTO terms ", after: "" };
const TEXTS: Statement = Statement { before: "INSERT INTO texts (rowid, said) ", after: "" };
const BLOCKS: Statement = Statement {
    before: "INSERT INTO blocks ",
    after: " ON CONFLICT (block) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)",
};
const SESSIONS: Statement = Statement {
    before: "INSERT INTO sessions ",
    after: " ON CONFLICT (first) DO UPDATE SET last = excluded.last, count = excluded.count, ended = excluded.ended",
};

type Id = [u8; 16];
/// What exchanges of one session have in common.
type Key = [u8; 32];

/// A session so far.
#[derive(Clone, Debug)]
struct Session {
    first: i64,
    last: i64,
    count: i64,
    ended: i64,
    name: Option<String>,
}

/// What is remembered.
#[derive(Default)]
pub(crate) struct Memory {
    /// Up to where; nothing is remembered before the first batch.
    at: Option<Position>,
    /// The number of the next exchange.
    next: i64,
    next_term: i64,
    /// Exchanges that are not sealed, with the session each is in.
    open: HashMap<Id, (i64, Option<(Key, i64)>)>,
    terms: HashMap<String, i64>,
    people: HashMap<i64, BTreeSet<String>>,
    postings: HashMap<i64, Posting>,
    sessions: HashMap<Key, Session>,
    /// Whether `terms`, and `sessions`, hold all there are, so that what is not there is new.
    all_terms: bool,
    all_sessions: bool,
    /// The terms of the leaf that is taken, and their numbers.
    found_by: Terms,
    numbers: Vec<i64>,
    /// What was said, where words are indexed.
    ear: Option<Ear>,
}

/// How a batch is entered.
#[derive(Clone, Copy)]
pub(crate) struct How<'a> {
    /// After so many nanoseconds of silence a session is over.
    pub(crate) idle: i64,
    /// The ledger whose words are indexed, if they are.
    pub(crate) words: Option<&'a Path>,
}

/// What a batch changes.
#[derive(Default)]
struct Changes {
    terms: Vec<Row>,
    people: Vec<Row>,
    /// In the order of the leaves: the posting, the place in it, and whether it is there.
    postings: Vec<(i64, u16, bool)>,
    blocks: BTreeMap<i64, (i64, i64)>,
    /// By the number of the first exchange.
    sessions: BTreeMap<i64, (Key, Session)>,
    texts: Vec<Row>,
    /// In which body segments the words stand,
    spoken: Vec<Row>,
    /// and those that were dropped: their words go too.
    silenced: Vec<(String, i64)>,
    /// Sessions that are not remembered, and when something of them ended.
    ended: Vec<(i64, i64)>,
}

impl Memory {
    /// Enters a batch of leaves that ends at `end`. The index stands at `from`.
    pub(crate) async fn enter(
        &mut self,
        all: &mut SqliteConnection,
        leaves: Vec<(Position, Leaf)>,
        (from, end): (Position, Position),
        how: How<'_>,
    ) -> Result<(), sqlx::Error> {
        // Another process may have indexed since.
        if self.at != Some(from) {
            *self = Self { ear: how.words.and_then(Ear::new), ..Self::begin(all).await? };
        }
        // Remembered again only when the batch is in.
        self.at = None;
        let (mut rows, mut changes) = (Rows::default(), Changes::default());
        for (at, leaf) in leaves {
            self.take(all, (at, leaf), how.idle, (&mut rows, &mut changes)).await?;
        }
        rows.enter(all).await?;
        self.write(all, changes).await?;
        self.forget();
        self.at = Some(end);
        Ok(())
    }

    async fn begin(all: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        const NEXT: &str = "SELECT (SELECT coalesce(max(n), 0) + 1 FROM exchanges), (SELECT coalesce(max(t), 0) + 1 FROM terms)";
        const ALL: &str = "SELECT term, t FROM terms LIMIT ?";
        let row = sqlx::query(NEXT).fetch_one(&mut *all).await?;
        let terms = sqlx::query(ALL).bind(i64::try_from(MOST).unwrap_or(i64::MAX)).fetch_all(all).await?;
        let terms: HashMap<String, i64> = terms.iter().map(|row| (row.get(0), row.get(1))).collect();
        let (all_terms, next) = (terms.len() < MOST, row.get(0));
        Ok(Self { next, next_term: row.get(1), terms, all_terms, all_sessions: next == 1, ..Self::default() })
    }

    fn forget(&mut self) {
        if self.open.len() > MOST {
            self.open.clear();
        }
        if self.terms.len() > MOST {
            self.terms.clear();
            self.all_terms = false;
        }
        if self.people.len() > MOST {
            self.people.clear();
        }
        if self.postings.len() > MOST {
            self.postings.clear();
        }
        if self.sessions.len() > MOST {
            self.sessions.clear();
            self.all_sessions = false;
        }
    }

    async fn take(
        &mut self,
        all: &mut SqliteConnection,
        (at, leaf): (Position, Leaf),
        idle: i64,
        (rows, changes): (&mut Rows, &mut Changes),
    ) -> Result<(), sqlx::Error> {
        let time = leaf.time;
        if let (Some(ear), Some(span)) = (&mut self.ear, &leaf.bodies) {
            ear.reach(span);
        }
        match leaf.what {
            Some(What::Opened(opened)) => {
                let n = self.number();
                rows.leaf(n, at);
                self.note(all, n, Some(opened.arrived), |terms| terms.opened(&opened), changes).await?;
                let session = self.join(all, n, &opened, idle, changes).await?;
                self.open.insert(id(&opened.exchange), (n, session));
                if session.is_some_and(|(_, first)| first == n) {
                    let begins = self.term(all, terms::BEGINS, changes).await?;
                    post(begins, n, true, changes);
                }
                if let Some(caller) = &opened.caller {
                    self.person(caller, changes);
                }
                rows.opened(n, session.map(|(_, first)| first), opened);
            }
            Some(What::Part(part)) => {
                let (n, _) = self.known(all, &part.exchange).await?;
                rows.leaf(n, at);
            }
            Some(What::Sealed(sealed)) => {
                let (n, session) = self.known(all, &sealed.exchange).await?;
                rows.leaf(n, at);
                self.open.remove(&id(&sealed.exchange));
                self.end(session, time, changes);
                self.note(all, n, None, |terms| terms.sealed(&sealed), changes).await?;
                let running = self.term(all, terms::RUNNING, changes).await?;
                post(running, n, false, changes);
                if let (Some(ear), Some(span)) = (&mut self.ear, &leaf.bodies) {
                    let said = ear.said(&sealed.exchange, span);
                    if !said.is_empty() {
                        changes.texts.push(vec![count(n), text(said)]);
                        changes.spoken.extend(forgetting::places(n, span));
                    }
                }
                rows.sealed(n, sealed);
            }
            Some(What::Refused(refused)) => {
                let n = self.number();
                rows.leaf(n, at);
                self.note(all, n, Some(refused.arrived), |terms| terms.refused(&refused), changes).await?;
                if let Some(caller) = &refused.caller {
                    self.person(caller, changes);
                }
                rows.refused(n, refused);
            }
            Some(What::Dropped(dropped)) => {
                changes.silenced.push((dropped.class.clone(), number(dropped.segment)));
                rows.dropped(time, dropped);
            }
            _ => {}
        }
        Ok(())
    }

    fn number(&mut self) -> i64 {
        let n = self.next;
        self.next = self.next.saturating_add(1);
        n
    }

    /// The number of an exchange that was opened before, and its session. One whose opening can't be read
    /// gets a number now.
    async fn known(
        &mut self,
        all: &mut SqliteConnection,
        exchange: &[u8],
    ) -> Result<(i64, Option<(Key, i64)>), sqlx::Error> {
        if let Some(known) = self.open.get(&id(exchange)) {
            return Ok(*known);
        }
        const FIND: &str = "SELECT e.n, s.key, s.first FROM exchanges e LEFT JOIN sessions s ON s.first = e.session WHERE e.id = ?";
        let row = sqlx::query(FIND).bind(exchange).fetch_optional(all).await?;
        let known = match row {
            Some(row) => {
                let key: Option<Vec<u8>> = row.get(1);
                (row.get(0), key.and_then(|key| Key::try_from(key).ok()).zip(row.get(2)))
            }
            None => (self.number(), None),
        };
        self.open.insert(id(exchange), known);
        Ok(known)
    }

    /// Remembers the properties of exchange `n`: the terms that `fill` tells.
    async fn note(
        &mut self,
        all: &mut SqliteConnection,
        n: i64,
        arrived: Option<i64>,
        fill: impl FnOnce(&mut Terms),
        changes: &mut Changes,
    ) -> Result<(), sqlx::Error> {
        let mut found_by = std::mem::take(&mut self.found_by);
        found_by.clear();
        fill(&mut found_by);
        self.numbers.clear();
        for term in found_by.iter() {
            let term = self.term(all, term, changes).await?;
            self.numbers.push(term);
            post(term, n, true, changes);
        }
        self.found_by = found_by;
        if let Some(arrived) = arrived {
            let (first, last) = changes.blocks.entry(n / BLOCK).or_insert((arrived, arrived));
            (*first, *last) = ((*first).min(arrived), (*last).max(arrived));
        }
        Ok(())
    }

    /// The number of a term, which it gets when it is met first.
    async fn term(
        &mut self,
        all: &mut SqliteConnection,
        term: &str,
        changes: &mut Changes,
    ) -> Result<i64, sqlx::Error> {
        if let Some(t) = self.terms.get(term) {
            return Ok(*t);
        }
        const FIND: &str = "SELECT t FROM terms WHERE term = ?";
        let row =
            if self.all_terms { None } else { sqlx::query(FIND).bind(term).fetch_optional(all).await? };
        let t = match row {
            Some(row) => row.get(0),
            None => {
                let t = self.next_term;
                self.next_term = self.next_term.saturating_add(1);
                changes.terms.push(vec![count(t), text(term)]);
                t
            }
        };
        self.terms.insert(term.to_owned(), t);
        Ok(t)
    }

    /// Remembers by which names a caller is asked for.
    fn person(&mut self, caller: &crate::opened::Caller, changes: &mut Changes) {
        // Its term is the first one of the leaf.
        let Some(t) = self.numbers.first().copied() else { return };
        let names = self.people.entry(t).or_default();
        for name in [Some(&caller.subject), caller.email.as_ref()].into_iter().flatten() {
            if !names.contains(name) {
                names.insert(name.clone());
                changes.people.push(vec![text(&**name), count(t)]);
            }
        }
    }

    /// The session an exchange belongs to, and the number of its first exchange: what the client says
    /// belongs together, or else what came with one token without a long pause.
    async fn join(
        &mut self,
        all: &mut SqliteConnection,
        n: i64,
        opened: &Opened,
        idle: i64,
        changes: &mut Changes,
    ) -> Result<Option<(Key, i64)>, sqlx::Error> {
        let Some(key) = session_key(opened, &self.numbers) else { return Ok(None) };
        let known = match self.sessions.get(&key) {
            Some(session) => Some(session.clone()),
            None if self.all_sessions => None,
            None => stored_session(all, &key).await?,
        };
        let said = !opened.session.is_empty();
        let goes_on = |session: &Session| said || opened.arrived.saturating_sub(session.ended) <= idle;
        let session = match known.filter(goes_on) {
            Some(session) => Session {
                last: n,
                count: session.count.saturating_add(1),
                ended: session.ended.max(opened.arrived),
                ..session
            },
            None => {
                let name = Some(opened.session_name.clone()).filter(|name| !name.is_empty());
                Session { first: n, last: n, count: 1, ended: opened.arrived, name }
            }
        };
        let first = session.first;
        changes.sessions.insert(first, (key, session.clone()));
        self.sessions.insert(key, session);
        Ok(Some((key, first)))
    }

    /// Something of a session ended: until then it was not idle.
    fn end(&mut self, session: Option<(Key, i64)>, time: i64, changes: &mut Changes) {
        let Some((key, first)) = session else { return };
        match self.sessions.get_mut(&key).filter(|session| session.first == first) {
            Some(session) => {
                session.ended = session.ended.max(time);
                changes.sessions.insert(first, (key, session.clone()));
            }
            None => changes.ended.push((first, time)),
        }
    }

    async fn write(&mut self, all: &mut SqliteConnection, changes: Changes) -> Result<(), sqlx::Error> {
        enter(all, &TERMS, changes.terms).await?;
        enter(all, &PEOPLE, changes.people).await?;
        enter(all, &TEXTS, changes.texts).await?;
        enter(all, &forgetting::SPOKEN, changes.spoken).await?;
        forgetting::silence(all, &changes.silenced).await?;
        let blocks = changes.blocks.into_iter();
        let blocks = blocks.map(|(block, (first, last))| vec![count(block), count(first), count(last)]);
        enter(all, &BLOCKS, blocks.collect()).await?;
        let sessions = changes.sessions.into_iter().map(|(first, (key, session))| {
            let Session { last, count: exchanges, ended, name, .. } = session;
            let key = Cell::Bytes(key.to_vec());
            vec![count(first), key, count(last), count(exchanges), count(ended), Cell::Text(name)]
        });
        enter(all, &SESSIONS, sessions.collect()).await?;
        for (first, time) in changes.ended {
            let update = sqlx::query("UPDATE sessions SET ended = max(ended, ?) WHERE first = ?");
            update.bind(time).bind(first).execute(&mut *all).await?;
        }
        self.write_postings(all, changes.postings).await
    }

    async fn write_postings(
        &mut self,
        all: &mut SqliteConnection,
        mut changed: Vec<(i64, u16, bool)>,
    ) -> Result<(), sqlx::Error> {
        // What is said of one place later must come later still.
        changed.sort_by_key(|(key, ..)| *key);
        let one_posting = |one: &(i64, u16, bool), other: &(i64, u16, bool)| one.0 == other.0;
        let keys = changed.chunk_by(one_posting).filter_map(|chunk| Some(chunk.first()?.0));
        let missing: Vec<i64> = keys.filter(|key| !self.postings.contains_key(key)).collect();
        if !missing.is_empty() {
            const LOAD: &str = "SELECT key, bits FROM postings WHERE key IN (SELECT value FROM json_each(?))";
            let stored = sqlx::query(LOAD).bind(json!(missing).to_string()).fetch_all(&mut *all).await?;
            for row in stored {
                let bits: Vec<u8> = row.get(1);
                self.postings.insert(row.get(0), Posting::decode(&bits));
            }
        }
        let mut rows = Vec::new();
        for places in changed.chunk_by(one_posting) {
            let Some((key, ..)) = places.first() else { continue };
            let posting = self.postings.entry(*key).or_default();
            let mut other = false;
            for (_, at, there) in places {
                other |= posting.put(*at, *there);
            }
            if other {
                rows.push(vec![count(*key), Cell::Bytes(posting.encode())]);
            }
        }
        enter(all, &POSTINGS, rows).await
    }
}

async fn stored_session(all: &mut SqliteConnection, key: &Key) -> Result<Option<Session>, sqlx::Error> {
    const FIND: &str =
        "SELECT first, last, count, ended, name FROM sessions WHERE key = ? ORDER BY first DESC LIMIT 1";
    let row = sqlx::query(FIND).bind(key.as_slice()).fetch_optional(all).await?;
    Ok(row.map(|row| Session {
        first: row.get(0),
        last: row.get(1),
        count: row.get(2),
        ended: row.get(3),
        name: row.get(4),
    }))
}

fn post(term: i64, n: i64, there: bool, changes: &mut Changes) {
    let at = u16::try_from(n % BLOCK).unwrap_or_default();
    changes.postings.push((posting_key(term, n / BLOCK), at, there));
}

/// Where the posting of a term in a block is stored.
pub(crate) fn posting_key(term: i64, block: i64) -> i64 {
    (term << BLOCK_BITS) | (block & ((1 << BLOCK_BITS) - 1))
}

/// What exchanges of one session have in common: who, on what, by the numbers of their terms, and the client's
/// word for it or the token. Acts on Portcullis itself are no sessions.
fn session_key(opened: &Opened, numbers: &[i64]) -> Option<Key> {
    let caller = opened.caller.as_ref()?;
    let token = caller.token.as_ref().map(|token| token.digest.as_str()).unwrap_or_default();
    let said = !opened.session.is_empty();
    if opened.resource.contains('/') || (!said && token.is_empty()) {
        return None;
    }
    let mark = if said { id(&opened.session) } else { half_of(token) };
    // The caller's term comes first, then its groups' and the resource's.
    let (who, what) = (numbers.first()?, numbers.get(caller.groups.len().saturating_add(1))?);
    // A word of the client's never stands for a token.
    let what = if said { -what } else { *what };
    let mut key = Key::default();
    let bytes = who.to_le_bytes().into_iter().chain(what.to_le_bytes()).chain(mark);
    key.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    Some(key)
}

/// The first half of a digest in hex; what is none is digested.
fn half_of(digest: &str) -> Id {
    let half = digest.get(..32).and_then(model::from_hex);
    half.unwrap_or_else(|| id(&sha256(digest.as_bytes())))
}

/// The first sixteen bytes; an id that is none of ours is filled up.
fn id(bytes: &[u8]) -> Id {
    let mut id = Id::default();
    id.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    id
}
