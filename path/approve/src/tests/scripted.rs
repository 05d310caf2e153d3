//! A store in memory whose every answer takes a turn, so that a test decides what comes between a reading
//! and a writing. Ten thousand histories would wear out a disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use jiff::Timestamp;
use model::{Clock, FixedClock};
use serde::de::DeserializeOwned;
use store::{
    Answer, Change, Changed, Changes, Commit, Cursor, Entry, Expect, Lease, Page, Store, StoreError, Until,
    Version, Write,
};

/// What both ends of a race see.
pub(crate) struct Scripted {
    pub(crate) clock: Arc<FixedClock>,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    /// Value, version, and when it ends. A removed one has no value.
    all: BTreeMap<String, (Option<String>, u64, Option<Timestamp>)>,
    version: u64,
}

impl Scripted {
    pub(crate) fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self { clock: Arc::new(FixedClock::at(now)), entries: Mutex::default() })
    }

    fn answer<'a, T: 'a>(
        &'a self,
        give: impl FnOnce(&mut Entries, Timestamp) -> T + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(async move {
            give_way().await;
            Ok(give(&mut self.entries.lock().unwrap(), self.clock.now()))
        })
    }
}

/// Gives way once.
async fn give_way() {
    let mut gone = false;
    std::future::poll_fn(
        |_| if std::mem::replace(&mut gone, true) { Poll::Ready(()) } else { Poll::Pending },
    )
    .await;
}

/// The store's own types, as it writes them.
fn made<T: DeserializeOwned>(json: &serde_json::Value) -> T {
    serde_json::from_value(json.clone()).unwrap()
}

fn version(number: u64) -> Version {
    made(&number.into())
}

fn cursor(at: u64) -> Cursor {
    made(&serde_json::json!({ "store": 1, "at": at }))
}

impl Entries {
    fn entry(&self, key: &str, now: Timestamp) -> Option<Entry> {
        let (value, number, expires) = self.all.get(key)?;
        let lives = expires.is_none_or(|at| at > now);
        let value = value.clone().filter(|_| lives)?;
        Some(Entry { key: key.to_owned(), value, version: version(*number), expires: *expires })
    }

    fn commit(&mut self, writes: Vec<Write>, now: Timestamp) -> Commit {
        for write in &writes {
            let found = self.entry(&write.key, now);
            let fits = match write.expect {
                Expect::Anything => true,
                Expect::Nothing => found.is_none(),
                Expect::Version(expected) => found.as_ref().is_some_and(|entry| entry.version == expected),
            };
            if !fits {
                return Commit::Conflict { key: write.key.clone(), found };
            }
        }
        let mut versions = Vec::new();
        for write in writes {
            self.version += 1;
            versions.push(version(self.version));
            let entry = match write.change {
                Change::Put { value, until } => {
                    let expires = match until {
                        Until::Removed => None,
                        Until::After(lasts) => Some(now.checked_add(lasts).unwrap()),
                        Until::At(at) => Some(at),
                    };
                    (Some(value), self.version, expires)
                }
                Change::Remove => (None, self.version, None),
            };
            self.all.insert(write.key, entry);
        }
        Commit::Done(versions)
    }
}

impl Store for Scripted {
    fn now(&self) -> Answer<'_, Timestamp> {
        self.answer(|_, now| now)
    }

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Entry>> {
        self.answer(move |entries, now| entries.entry(key, now))
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> Answer<'a, Page> {
        self.answer(move |entries, now| {
            let keys = entries.all.keys().filter(|key| key.starts_with(prefix));
            let keys = keys.filter(|key| after.is_none_or(|after| key.as_str() > after));
            let found = keys.filter_map(|key| entries.entry(key, now)).take(limit).collect();
            Page { entries: found, next: None }
        })
    }

    fn count<'a>(&'a self, prefix: &'a str) -> Answer<'a, u64> {
        self.answer(move |entries, now| {
            let keys = entries.all.keys().filter(|key| key.starts_with(prefix));
            keys.filter(|key| entries.entry(key, now).is_some()).count() as u64
        })
    }

    fn commit(&self, writes: Vec<Write>) -> Answer<'_, Commit> {
        self.answer(move |entries, now| entries.commit(writes, now))
    }

    fn cursor(&self) -> Answer<'_, Cursor> {
        self.answer(|entries, _| cursor(entries.version))
    }

    fn changes<'a>(&'a self, prefix: &'a str, since: Cursor, _limit: usize) -> Answer<'a, Changes> {
        self.answer(move |entries, now| {
            let since = serde_json::to_value(since).unwrap()["at"].as_u64().unwrap();
            let changed =
                entries.all.iter().filter(|(key, (_, at, _))| *at > since && key.starts_with(prefix));
            let changed = changed
                .map(|(key, _)| Changed { key: key.clone(), entry: entries.entry(key, now) })
                .collect();
            Changes { changed, next: cursor(entries.version), more: false }
        })
    }

    fn lease<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> Answer<'a, Option<Lease>> {
        Box::pin(async { Err(StoreError::Unfit("nobody asks".to_owned())) })
    }

    fn release<'a>(&'a self, _: &'a Lease) -> Answer<'a, bool> {
        Box::pin(async { Err(StoreError::Unfit("nobody asks".to_owned())) })
    }
}
