//! Callers by their canonical id: who was seen, and how they stand.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use model::{CallerKind, GroupName, Identity, hex};
use serde::{Deserialize, Serialize};
use store::{Entry, Expect, Store, Until, Write};

use super::rules::{Block, Revocation, Rules};
use super::{Standing, StandingError};
use crate::digest::{Digest, of_pair};

/// Under which sightings lie in the store.
const PREFIX: &str = "callers/";
/// How long somebody who does not come back stays in the list.
pub(super) const KEPT: Until = Until::After(Duration::from_secs(90 * 24 * 3600));
/// The most callers that are kept.
pub(super) const MOST_CALLERS: u64 = 50_000;
/// The most groups that are kept of one caller.
const MOST_GROUPS: usize = 200;

/// A caller's canonical id: issuer and subject, written `issuer#subject` as in policies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallerId {
    issuer: String,
    subject: String,
}

impl CallerId {
    /// Reads `issuer#subject`. An issuer's URL has no fragment, so the first `#` separates.
    ///
    /// # Errors
    /// [`StandingError::Unfit`] when it names nobody.
    pub fn parse(text: &str) -> Result<Self, StandingError> {
        let fits =
            |part: &str, most: usize| (1..=most).contains(&part.len()) && !part.chars().any(char::is_control);
        match text.split_once('#') {
            Some((issuer, subject)) if fits(issuer, 2048) && fits(subject, 255) => {
                Ok(Self { issuer: issuer.to_owned(), subject: subject.to_owned() })
            }
            _ => Err(StandingError::Unfit(
                "a caller is written `issuer#subject`, as `callers list` and policies have it".to_owned(),
            )),
        }
    }

    /// The id of somebody who is known.
    pub fn of(identity: &Identity) -> Self {
        Self { issuer: identity.issuer.clone(), subject: identity.subject.clone() }
    }

    /// The issuer's URL.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The subject.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    pub(super) fn digest(&self) -> Digest {
        of_pair(&self.issuer, &self.subject)
    }
}

impl fmt::Display for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.issuer, self.subject)
    }
}

impl TryFrom<String> for CallerId {
    type Error = StandingError;
    fn try_from(text: String) -> Result<Self, StandingError> {
        Self::parse(&text)
    }
}

impl From<CallerId> for String {
    fn from(id: CallerId) -> Self {
        id.to_string()
    }
}

/// What was seen of a caller, last time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The configured name of the issuer.
    pub issuer_name: String,
    /// Person or program.
    pub kind: CallerKind,
    /// The e-mail address, if the issuer vouched for one.
    pub email: Option<String>,
    /// A name for people to read.
    pub display: Option<String>,
    /// The groups of the last token, the first 200 of them.
    pub groups: BTreeSet<GroupName>,
    /// When they were first seen.
    pub first: Timestamp,
    /// When they last used a token.
    pub last: Timestamp,
    /// When that token was issued, if it says.
    pub token_issued_at: Option<Timestamp>,
    /// When that token ends.
    pub token_expires_at: Timestamp,
}

impl Sighting {
    pub(super) fn of(identity: &Identity, last: Timestamp) -> Self {
        Self {
            issuer_name: identity.issuer_name.clone(),
            kind: identity.kind,
            email: identity.email.clone(),
            display: identity.display.clone(),
            groups: identity.groups.iter().take(MOST_GROUPS).cloned().collect(),
            first: last,
            last,
            token_issued_at: identity.token.issued_at,
            token_expires_at: identity.token.expires_at,
        }
    }
}

/// One caller, and how they stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    /// The canonical id.
    pub id: CallerId,
    /// What was seen of them, if anything was.
    pub seen: Option<Sighting>,
    /// Whether and why they are blocked.
    pub blocked: Option<Arc<Block>>,
    /// Which of their tokens are revoked.
    pub revoked: Option<Arc<Revocation>>,
}

/// Some callers, in an order that only holds still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownPage {
    /// The callers.
    pub callers: Vec<Known>,
    /// Where to go on, when there may be more.
    pub next: Option<String>,
}

/// An entry of the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) id: CallerId,
    pub(super) seen: Option<Sighting>,
}

impl Row {
    fn known(self, rules: &Rules) -> Known {
        let digest = self.id.digest();
        let (blocked, revoked) = (rules.block(&digest).cloned(), rules.revocation(&digest).cloned());
        Known { id: self.id, seen: self.seen, blocked, revoked }
    }
}

pub(super) fn key(caller: &Digest) -> String {
    format!("{PREFIX}{}", hex(caller))
}

pub(super) async fn count(store: &dyn Store) -> Result<u64, StandingError> {
    Ok(store.count(PREFIX).await?)
}

/// Keeps `caller` in the list `until` then, seen or not. What was seen of them stays as it is.
pub(super) async fn keep(store: &dyn Store, caller: &CallerId, until: Until) -> Result<(), StandingError> {
    let key = key(&caller.digest());
    let found = store.get(&key).await?;
    let row = match &found {
        Some(entry) => entry.read()?,
        None => Row { id: caller.clone(), seen: None },
    };
    let expect = found.map_or(Expect::Nothing, |entry| Expect::Version(entry.version));
    // Somebody else writes the same row only because the caller was seen just now; theirs counts.
    store.commit(vec![Write::put(key, &row)?.lasting(until).expecting(expect)]).await?;
    Ok(())
}

impl Standing {
    /// Some callers after `cursor`, at most `limit`.
    ///
    /// # Errors
    /// [`StandingError`] when the store cannot be read.
    pub async fn list(&self, cursor: Option<&str>, limit: usize) -> Result<KnownPage, StandingError> {
        let rules = self.rules.load_full();
        let after = cursor.map(|cursor| format!("{PREFIX}{cursor}"));
        let page = self.writable()?.list(PREFIX, after.as_deref(), limit).await?;
        let rows: Result<Vec<Row>, _> = page.entries.iter().map(Entry::read).collect();
        let next = page.next.and_then(|next| next.strip_prefix(PREFIX).map(str::to_owned));
        Ok(KnownPage { callers: rows?.into_iter().map(|row| row.known(&rules)).collect(), next })
    }

    /// One caller. None when they were neither seen nor blocked.
    ///
    /// # Errors
    /// As [`Standing::list`].
    pub async fn get(&self, caller: &CallerId) -> Result<Option<Known>, StandingError> {
        let rules = self.rules.load_full();
        let entry = self.writable()?.get(&key(&caller.digest())).await?;
        let row: Option<Row> = entry.as_ref().map(Entry::read).transpose()?;
        Ok(row.map(|row| row.known(&rules)))
    }

    /// Callers that people mean by `name`: the canonical id, the subject or the e-mail address.
    ///
    /// # Errors
    /// As [`Standing::list`].
    pub async fn named(&self, name: &str) -> Result<Vec<Known>, StandingError> {
        if let Ok(id) = CallerId::parse(name)
            && let Some(known) = self.get(&id).await?
        {
            return Ok(vec![known]);
        }
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.list(cursor.as_deref(), store::MAX_PAGE).await?;
            found.extend(page.callers.into_iter().filter(|known| {
                let email = known.seen.as_ref().and_then(|seen| seen.email.as_deref());
                known.id.subject == name || email.is_some_and(|email| email.eq_ignore_ascii_case(name))
            }));
            match page.next {
                Some(next) if found.len() < store::MAX_PAGE => cursor = Some(next),
                _ => return Ok(found),
            }
        }
    }
}
