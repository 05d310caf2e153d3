//! Memberships for a while: who is in which group beside those of the token, and until when.
//!
//! A grant has an absolute end. It lies in the store with that end, and the snapshot beside it keeps the
//! end on the clock that never steps backward: setting the clock back extends nothing. While it lives the
//! caller's identity has the group, for policies and for the record. An exchange that began with a grant
//! ends with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use model::{Clock, GroupName, Identity, hex};
use serde::{Deserialize, Serialize};
use store::{Commit, Entry, Expect, StoreError, Until, Write};

use super::rules::PREFIX;
use super::{CallerId, Standing, StandingError};
use crate::digest::Digest;

/// What the part of a key behind [`PREFIX`] begins with.
const KIND: &str = "grant/";
/// How long a grant that is over can be looked up. The ledger keeps it for longer.
pub const GRANT_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// The most grants of one caller that live at once.
pub const MOST_GRANTS: usize = 32;
/// How often a change is tried that others come between.
const TRIES: usize = 16;

/// A membership for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its id: that of the approval, where one was needed, and else of the exchange that asked.
    pub id: String,
    /// The issuer's URL,
    pub issuer: String,
    /// and the subject: who is in the group.
    pub subject: String,
    /// The e-mail address or name of who that is, for people to read.
    pub name: Option<String>,
    /// The group.
    pub group: GroupName,
    /// Why, as they said.
    pub reason: String,
    /// Since when.
    pub began: Timestamp,
    /// Until when, whatever happens.
    pub ends: Timestamp,
    /// Who consented, as `issuer#subject`. Empty where policy asked for nobody.
    pub consents: Vec<String>,
    /// How it ended, once it has.
    pub over: Option<Over>,
}

/// How a grant ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// When that was noted.
    pub at: Timestamp,
    /// Who took it back; none when its time was over.
    pub by: Option<String>,
    /// Why it was taken back.
    pub reason: Option<String>,
}

impl Grant {
    /// Whose it is.
    ///
    /// # Errors
    /// [`StandingError::Unfit`] when that is nobody.
    pub fn caller(&self) -> Result<CallerId, StandingError> {
        CallerId::parse(&self.entity_id())
    }

    /// Whose it is, as policies and the record name them: issuer, `#` and subject.
    pub fn entity_id(&self) -> String {
        format!("{}#{}", self.issuer, self.subject)
    }

    /// Whether it holds at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.over.is_none() && now < self.ends
    }
}

/// A grant of the snapshot.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) grant: Grant,
    /// Its end on the clock that never steps backward.
    deadline: Duration,
}

impl Held {
    /// How long it still holds: nothing when it is over.
    fn left(&self, clock: &dyn Clock) -> Option<Duration> {
        if self.grant.over.is_some() {
            return None;
        }
        let by_wall = Duration::try_from(self.grant.ends.duration_since(clock.now())).ok()?;
        let left = by_wall.min(self.deadline.checked_sub(clock.elapsed())?);
        (!left.is_zero()).then_some(left)
    }
}

/// The grants of the snapshot, by caller and id.
#[derive(Clone, Debug, Default)]
pub(super) struct Grants(HashMap<Digest, HashMap<String, Arc<Held>>>);

impl Grants {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().map(HashMap::len).sum()
    }

    /// Whether `key` is a grant's.
    pub(super) fn are_at(key: &str) -> bool {
        key.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with(KIND))
    }

    /// Takes over what the store says at `key`. What is over is kept no longer than the store does.
    pub(super) fn apply(
        &mut self,
        key: &str,
        entry: Option<&Entry>,
        clock: &dyn Clock,
    ) -> Result<(), StoreError> {
        let unfit = || StoreError::Value { key: key.to_owned(), why: "this is no grant's name".to_owned() };
        let rest = key.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(KIND)).ok_or_else(unfit)?;
        let (caller, id) = rest.split_once('/').ok_or_else(unfit)?;
        let caller: Digest = model::from_hex(caller).ok_or_else(unfit)?;
        let grant: Option<Grant> = entry.map(Entry::read).transpose()?;
        match grant.filter(|grant| grant.over.is_none()) {
            Some(grant) => {
                let left = Duration::try_from(grant.ends.duration_since(clock.now())).unwrap_or_default();
                let mut deadline = clock.elapsed().saturating_add(left);
                let of_caller = self.0.entry(caller).or_default();
                if let Some(known) = of_caller.get(id) {
                    deadline = deadline.min(known.deadline);
                }
                of_caller.insert(id.to_owned(), Arc::new(Held { grant, deadline }));
            }
            None => {
                if let Some(of_caller) = self.0.get_mut(&caller) {
                    of_caller.remove(id);
                    if of_caller.is_empty() {
                        self.0.remove(&caller);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes over the ends that `before` knew: the same grant never gets a later one.
    pub(super) fn ends_as(&mut self, before: &Self) {
        for (caller, grants) in &mut self.0 {
            for (id, held) in grants {
                let known = before.0.get(caller).and_then(|grants| grants.get(id));
                if let Some(known) = known.filter(|known| known.deadline < held.deadline) {
                    *held = Arc::new(Held { grant: held.grant.clone(), deadline: known.deadline });
                }
            }
        }
    }

    fn live(&self, caller: &Digest, clock: &dyn Clock) -> Vec<Arc<Held>> {
        let grants = self.0.get(caller).into_iter().flat_map(HashMap::values);
        grants.filter(|held| held.left(clock).is_some()).cloned().collect()
    }

    fn holds(&self, caller: &Digest, held: &Held) -> bool {
        self.0.get(caller).is_some_and(|grants| grants.contains_key(&held.grant.id))
    }
}

/// The grants an exchange began with. Empty for almost everybody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Granted(Vec<Arc<Held>>);

impl Standing {
    /// The caller's identity with the groups of live grants, and those grants.
    pub(crate) fn widened(&self, caller: &Digest, identity: &Arc<Identity>) -> (Arc<Identity>, Granted) {
        let rules = self.rules.load();
        if rules.grants.is_empty() {
            return (Arc::clone(identity), Granted::default());
        }
        let live = rules.grants.live(caller, &*self.clock);
        if live.is_empty() {
            return (Arc::clone(identity), Granted::default());
        }
        let mut widened = Identity::clone(identity);
        widened.groups.extend(live.iter().map(|held| held.grant.group.clone()));
        (Arc::new(widened), Granted(live))
    }

    /// The first of `granted` that holds no more.
    pub(super) fn over(&self, caller: &Digest, granted: &Granted) -> Option<Arc<Held>> {
        if granted.0.is_empty() {
            return None;
        }
        let rules = self.rules.load();
        let gone = |held: &&Arc<Held>| held.left(&*self.clock).is_none() || !rules.grants.holds(caller, held);
        granted.0.iter().find(gone).cloned()
    }

    /// How long all of `granted` hold if nobody takes one back. None when there are none.
    pub(super) fn holds_for(&self, granted: &Granted) -> Option<Duration> {
        granted.0.iter().map(|held| held.left(&*self.clock).unwrap_or_default()).min()
    }

    /// Begins `grant`, from the next request on. One of this id that is there already stays as it is.
    ///
    /// # Errors
    /// [`StandingError`] when it could not be written or not be read back, when it is over already, or its
    /// caller has as many as may be.
    pub async fn grant(&self, grant: &Grant) -> Result<Grant, StandingError> {
        self.room()?;
        let (caller, now) = (grant.caller()?, self.clock.now());
        if !grant.is_live(now) {
            return Err(StandingError::Unfit(format!("the membership would have ended at {}", grant.ends)));
        }
        if self.rules.load().grants.live(&caller.digest(), &*self.clock).len() >= MOST_GRANTS {
            return Err(StandingError::Unfit(format!("nobody has more than {MOST_GRANTS} at once")));
        }
        let key = key(&caller, &grant.id);
        let until = grant.ends.checked_add(GRANT_KEPT).unwrap_or(Timestamp::MAX);
        let write = Write::put(key, grant)?.expecting(Expect::Nothing).lasting(Until::At(until));
        let known = match self.writable()?.commit(vec![write]).await? {
            Commit::Done(_) => grant.clone(),
            Commit::Conflict { found: Some(found), .. } => found.read()?,
            Commit::Conflict { found: None, .. } => return Err(StandingError::Contended),
        };
        self.catch_up().await?;
        tracing::info!(%caller, group = %grant.group, grant = %grant.id, ends = %grant.ends, "a membership began");
        Ok(known)
    }

    /// Takes the grant `id` back, or with `by` none notes that its time is over: from the next request on it
    /// holds no more, and what runs with it ends. None when no such grant lives.
    ///
    /// # Errors
    /// [`StandingError`] when it could not be written, or not be read back. To try again does no harm.
    pub async fn end_grant(
        &self,
        id: &str,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Result<Option<Grant>, StandingError> {
        let store = self.writable()?;
        let reason = self.reason(reason)?;
        for _ in 0..TRIES {
            let Some(entry) = self.find(id).await? else { return Ok(None) };
            let mut grant: Grant = entry.read()?;
            if grant.over.is_some() {
                return Ok(None);
            }
            let by = by.map(str::to_owned);
            grant.over = Some(Over { at: self.clock.now(), by, reason: reason.clone() });
            let until = Until::After(GRANT_KEPT);
            let write = Write::put(entry.key, &grant)?.expecting(Expect::Version(entry.version));
            if store.commit(vec![write.lasting(until)]).await?.is_done() {
                self.catch_up().await?;
                tracing::info!(grant = id, group = %grant.group, "a membership ended");
                return Ok(Some(grant));
            }
        }
        Err(StandingError::Contended)
    }

    /// The grant `id`, live or over of late.
    ///
    /// # Errors
    /// As [`Standing::list`].
    pub async fn grant_by_id(&self, id: &str) -> Result<Option<Grant>, StandingError> {
        Ok(self.find(id).await?.as_ref().map(Entry::read).transpose()?)
    }

    /// Every grant, live or over of late, in an order that only holds still; those of `caller` alone where
    /// one is given.
    ///
    /// # Errors
    /// As [`Standing::list`].
    pub async fn grants(&self, caller: Option<&CallerId>) -> Result<Vec<Grant>, StandingError> {
        let prefix = match caller {
            Some(caller) => format!("{PREFIX}{KIND}{}/", hex(&caller.digest())),
            None => format!("{PREFIX}{KIND}"),
        };
        let mut grants = Vec::new();
        let read = |entry: Entry| entry.read().map(|grant| grants.push(grant));
        store::every(&**self.writable()?, &prefix, read).await?;
        Ok(grants)
    }

    /// Grants whose time is over, and nobody has noted it yet.
    pub fn grants_past(&self) -> Vec<Grant> {
        let rules = self.rules.load();
        let all = rules.grants.0.values().flat_map(HashMap::values);
        let past = all.filter(|held| held.left(&*self.clock).is_none());
        past.map(|held| held.grant.clone()).collect()
    }

    async fn find(&self, id: &str) -> Result<Option<Entry>, StandingError> {
        // Ids are few and short-lived; who asks by one knows no caller.
        let mut found = None;
        let look = |entry: Entry| {
            if entry.key.rsplit_once('/').is_some_and(|(_, known)| known == id) {
                found = Some(entry);
            }
            Ok::<_, StoreError>(())
        };
        store::every(&**self.writable()?, &format!("{PREFIX}{KIND}"), look).await?;
        Ok(found)
    }
}

fn key(caller: &CallerId, id: &str) -> String {
    format!("{PREFIX}{KIND}{}/{id}", hex(&caller.digest()))
}
