//! The seam: what any backend can be asked.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// The longest key, in bytes. Keys are printable ASCII without blanks.
pub const MAX_KEY_BYTES: usize = 512;
/// The largest value, in bytes of JSON.
pub const MAX_VALUE_BYTES: usize = 64 << 10;
/// The most writes in one commit.
pub const MAX_BATCH: usize = 1000;
/// The most entries or changes on one page; more are not refused, but left for the next page.
pub const MAX_PAGE: usize = 1000;

/// What a backend answers, once it does.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Small entries with versions, shared by everything that opens the same store.
///
/// Commits have one order, and every commit is in it whole. An answer shows all commits that were
/// answered before it was asked for.
pub trait Store: Send + Sync {
    /// The time by the store's clock, which judges expiry and leases for all who share the store.
    fn now(&self) -> Answer<'_, Timestamp>;

    /// The entry at `key`, if there is one that has not expired.
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Entry>>;

    /// Entries whose keys begin with `prefix`, in the order of their keys' bytes, after the key `after`.
    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> Answer<'a, Page>;

    /// How many entries begin with `prefix`. Those that expired a moment ago may still be counted.
    fn count<'a>(&'a self, prefix: &'a str) -> Answer<'a, u64>;

    /// Does all of `writes`, or none of them when one does not find what it expects.
    fn commit(&self, writes: Vec<Write>) -> Answer<'_, Commit>;

    /// Where the order of commits stands now: what is committed later is a change since this cursor.
    fn cursor(&self) -> Answer<'_, Cursor>;

    /// Keys that begin with `prefix` and changed since `since`, oldest change first. A key that changed
    /// several times is told once, as it is now. An expiry becomes a change with some later commit: who
    /// keeps entries keeps their `expires` too.
    ///
    /// [`StoreError::CursorLost`] when removals since then are forgotten, or it is another store's.
    fn changes<'a>(&'a self, prefix: &'a str, since: Cursor, limit: usize) -> Answer<'a, Changes>;

    /// Takes the lease `name` for `holder`, or renews it when `holder` has it. None when somebody else
    /// has it still.
    fn lease<'a>(&'a self, name: &'a str, holder: &'a str, lasts: Duration) -> Answer<'a, Option<Lease>>;

    /// Gives a lease back before its end. False when it is not held any more as it was.
    fn release<'a>(&'a self, lease: &'a Lease) -> Answer<'a, bool>;
}

/// When an entry was last written, in the order of all commits: no two writes share one, and it never
/// comes back after a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub(crate) u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in one store's order of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Which store: a file that was put in the place of another has another order.
    pub(crate) store: i64,
    pub(crate) at: u64,
}

/// A value under its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value, as JSON text.
    pub value: String,
    /// For [`Expect::Version`].
    pub version: Version,
    /// When it is gone, by the store's clock.
    pub expires: Option<Timestamp>,
}

impl Entry {
    /// The value as what it was written from.
    ///
    /// # Errors
    /// [`StoreError::Value`] when it was written from something else.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_str(&self.value)
            .map_err(|error| StoreError::Value { key: self.key.clone(), why: error.to_string() })
    }
}

/// Some entries, in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The key to go on after, when there may be more.
    pub next: Option<String>,
}

/// What a write must find, or nothing of its commit is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there.
    Anything,
    /// No entry.
    Nothing,
    /// The entry as it was read.
    Version(Version),
}

/// How long an entry stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until it is removed.
    Removed,
    /// For so long from the commit on, by the store's clock.
    After(Duration),
    /// Until this time, by the store's clock.
    At(Timestamp),
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets the value.
    Put {
        /// JSON text.
        value: String,
        /// How long it stays.
        until: Until,
    },
    /// Removes the entry. Nothing happens when there is none.
    Remove,
}

/// One write of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub key: String,
    /// On what condition.
    pub expect: Expect,
    /// What.
    pub change: Change,
}

impl Write {
    /// Sets `key` to `value`, whatever is there, until it is removed.
    ///
    /// # Errors
    /// [`StoreError::Value`] when `value` is nothing that JSON can say.
    pub fn put<T: Serialize + ?Sized>(key: impl Into<String>, value: &T) -> Result<Self, StoreError> {
        let key = key.into();
        match serde_json::to_string(value) {
            Ok(value) => Ok(Self {
                key,
                expect: Expect::Anything,
                change: Change::Put { value, until: Until::Removed },
            }),
            Err(error) => Err(StoreError::Value { key, why: error.to_string() }),
        }
    }

    /// Removes `key`, whatever is there.
    pub fn remove(key: impl Into<String>) -> Self {
        Self { key: key.into(), expect: Expect::Anything, change: Change::Remove }
    }

    /// The same on a condition.
    #[must_use]
    pub fn expecting(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// The same with an end. A removal has none.
    #[must_use]
    pub fn lasting(mut self, lasts: Until) -> Self {
        if let Change::Put { until, .. } = &mut self.change {
            *until = lasts;
        }
        self
    }

    /// Says why a backend must not take it.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        check_key(&self.key)?;
        match &self.change {
            Change::Put { value, .. } if value.len() > MAX_VALUE_BYTES => Err(StoreError::Unfit(format!(
                "the value of `{}` has {} bytes, at most {MAX_VALUE_BYTES} are kept",
                self.key,
                value.len()
            ))),
            _ => Ok(()),
        }
    }
}

/// Says why `key` cannot be one.
pub(crate) fn check_key(key: &str) -> Result<(), StoreError> {
    if (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let shown: String = key.chars().take(80).collect();
    let why = format!(
        "a key is 1 to {MAX_KEY_BYTES} printable ASCII characters, unlike `{}`",
        shown.escape_debug()
    );
    Err(StoreError::Unfit(why))
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// All of it was done; the versions of the writes, in their order.
    Done(Vec<Version>),
    /// Nothing was done: this key was not as expected. What it is now.
    Conflict {
        /// The first such key.
        key: String,
        /// Its entry.
        found: Option<Entry>,
    },
}

impl Commit {
    /// Whether it was done.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

/// A key that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The key.
    pub key: String,
    /// The entry as it is now; none when it was removed or has expired.
    pub entry: Option<Entry>,
}

/// Some changes, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Oldest first.
    pub changed: Vec<Changed>,
    /// The cursor behind them.
    pub next: Cursor,
    /// Whether there are more already.
    pub more: bool,
}

/// A name that one holder has for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The name.
    pub name: String,
    /// Who has it.
    pub holder: String,
    /// Grows whenever it changes hands: what an earlier holder still sends can be told by it.
    pub fence: u64,
    /// When it ends unless it is renewed, by the store's clock.
    pub until: Timestamp,
}
