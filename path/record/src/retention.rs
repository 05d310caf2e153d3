//! How long bodies are kept: the rules, a class each, and how they stand in the record.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use crate::describe::nanoseconds;
use crate::leaf::{self, What};
use crate::segment::DEFAULT_CLASS;
use crate::table::Entry;
use crate::work::{Job, Work};
use crate::writer::Writer;
use crate::{LedgerError, shelves};

/// How long the bodies of one class are kept. Whichever limit is reached first drops the oldest segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// At least this long after the last of a segment was recorded; none keeps them for ever.
    pub age: Option<Duration>,
    /// At most about so many bytes on the disk.
    pub size: Option<u64>,
}

impl Policy {
    /// Whether everything is kept.
    pub fn keeps_all(&self) -> bool {
        self.age.is_none() && self.size.is_none()
    }

    /// When a segment ends at the latest.
    pub(crate) fn turn(&self) -> Option<Duration> {
        self.age.map(shelves::turn)
    }

    /// How large a segment grows: small against the limit, since whole ones are dropped.
    pub(crate) fn segment_bytes(&self, most: u64) -> u64 {
        self.size.map_or(most, |size| most.min((size / 8).max(64 << 10)))
    }
}

/// What is kept how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// For all resources without a rule of their own, and for acts on Portcullis itself.
    pub default: Policy,
    /// For the resources with one, by name: each is a retention class, and its bodies lie apart.
    pub resources: BTreeMap<String, Policy>,
    /// How long after it was closed a segment is compressed; none leaves them as they are.
    pub compress_after: Option<Duration>,
    /// Bytes of segments that are read or written a second, at most, for all of this.
    pub pace: u64,
}

impl Default for Retention {
    /// Everything is kept for ever, compressed ten minutes after its segment was closed.
    fn default() -> Self {
        Self {
            default: Policy::default(),
            resources: BTreeMap::new(),
            compress_after: Some(Duration::from_secs(600)),
            pace: 32 << 20,
        }
    }
}

impl Retention {
    /// The rule for the bodies of `class`.
    pub fn of(&self, class: &str) -> Policy {
        self.resources.get(class).copied().unwrap_or(self.default)
    }

    /// How often it is looked what is due: the shorter something is kept, the more often.
    pub(crate) fn look(&self) -> Duration {
        let ages =
            std::iter::once(&self.default).chain(self.resources.values()).filter_map(|policy| policy.age);
        let shortest = ages.min().map_or(Duration::MAX, |age| age / 10);
        shortest.clamp(Duration::from_secs(1), Duration::from_secs(30))
    }

    /// As it stands in the record.
    pub(crate) fn leaf(&self) -> leaf::Retention {
        let rule = |class: &str, policy: &Policy| leaf::Rule {
            class: class.to_owned(),
            age: policy.age.map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)),
            size: policy.size.unwrap_or(0),
        };
        let own = self.resources.iter().map(|(class, policy)| rule(class, policy));
        leaf::Retention { rules: std::iter::once(rule(DEFAULT_CLASS, &self.default)).chain(own).collect() }
    }

    /// Whether no body is ever dropped.
    pub(crate) fn keeps_all(&self) -> bool {
        self.default.keeps_all() && self.resources.values().all(Policy::keeps_all)
    }
}

impl leaf::Retention {
    /// The rule for `class`: its own, or the default class's.
    pub(crate) fn rule(&self, class: &str) -> Option<&leaf::Rule> {
        let named = |name: &str| self.rules.iter().find(|rule| rule.class == name);
        named(class).or_else(|| named(DEFAULT_CLASS))
    }
}

/// What decides what may be dropped, as the record says it at some place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Standing {
    /// The rules; none while there never were any.
    pub(crate) retention: Option<leaf::Retention>,
    /// What is held, in the order it was.
    pub(crate) holds: Vec<leaf::Hold>,
}

impl Standing {
    /// A leaf was written.
    pub(crate) fn take(&mut self, what: &What) {
        match what {
            What::Retention(retention) => self.retention = Some(retention.clone()),
            What::Hold(hold) if hold.released => self.holds.retain(|held| held.id != hold.id),
            What::Hold(hold) => self.holds.push(hold.clone()),
            _ => {}
        }
    }
}

impl Writer {
    /// What decides what may be dropped.
    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These leaves were written.
    pub(crate) fn stand(&self, said: &[What]) {
        if !said.is_empty() {
            let mut standing = self.standing();
            said.iter().for_each(|what| standing.take(what));
        }
    }

    /// The rules as they are to be recorded, if they are not the recorded ones.
    pub(crate) fn new_rules(&self) -> Option<leaf::Retention> {
        let retention = &self.settings.retention;
        let recorded = self.standing().retention.clone();
        let rules = retention.leaf();
        let none = recorded.is_none() && retention.keeps_all() && retention.resources.is_empty();
        (!none && recorded.as_ref() != Some(&rules)).then_some(rules)
    }

    /// Whether a leaf may be written now: no segment goes while an open exchange has frames in it.
    pub(crate) fn may_say(&self, what: &What) -> Result<(), LedgerError> {
        let What::Dropped(dropped) = what else { return Ok(()) };
        let (class, segment) = (dropped.class.clone(), dropped.segment);
        let shelf = self.bodies.find(Some(&class));
        let needs = |entry: &Entry| {
            self.bodies.find(entry.class.as_deref()) == shelf && entry.first.segment <= segment
        };
        let is_last = self.bodies.ends().nth(shelf).is_none_or(|end| end.segment <= segment);
        if is_last || self.table.values().any(needs) {
            return Err(LedgerError::InUse { class, segment });
        }
        Ok(())
    }

    /// Notes what the jobs bring to each retention class; says how many bytes they bring to the leaves.
    pub(crate) fn want<'a>(&mut self, jobs: impl Iterator<Item = &'a Job>) -> u64 {
        let mut leaves = 0u64;
        self.bodies.clear();
        for job in jobs {
            let (body, leaf) = job.work.size();
            leaves = leaves.saturating_add(u64::try_from(leaf).unwrap_or(u64::MAX));
            if body == 0 {
                continue;
            }
            let entry = match &job.work {
                Work::Open { entry, .. } => Some(&**entry),
                _ => job.exchange.and_then(|exchange| self.table.get(&exchange)),
            };
            let shelf = self.bodies.find(entry.and_then(|entry| entry.class.as_deref()));
            self.bodies.want(shelf, u64::try_from(body).unwrap_or(u64::MAX));
        }
        leaves
    }

    /// Ends segments that have lasted long enough, although nothing comes.
    pub(crate) fn turn(&mut self) {
        let now = nanoseconds(self.clock.now());
        if !self.bodies.is_due(now) {
            return;
        }
        let disk = self.disk.clone();
        self.bodies.clear();
        match self.bodies.make_room(&*disk, now) {
            Ok(_) => self.mark(),
            Err(error) => tracing::warn!(%error, "a segment of the ledger could not be ended; tried again"),
        }
    }
}
