//! What each caller was permitted lately, so that many small requests count as one large one.
//!
//! The counts live in this process alone: a restart begins at nothing, and replicas do not share.
//! They are told by the clock that never steps backward, so moving wall time resets no quota.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use model::Identity;

/// How many callers are remembered; beyond that the one not seen for longest is forgotten.
pub(crate) const CALLERS: NonZeroUsize = match NonZeroUsize::new(10_000) {
    Some(n) => n,
    None => NonZeroUsize::MIN,
};

/// The counts a policy sees. An hour is the current minute and the 59 before it, a day the current
/// hour and the 23 before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recent {
    pub(crate) requests_hour: u64,
    pub(crate) requests_day: u64,
    pub(crate) tokens_hour: u64,
    pub(crate) tokens_day: u64,
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    /// Which minute or hour since the start it counts.
    slot: u64,
    requests: u64,
    tokens: u64,
}

/// A window of `N` buckets.
struct Window<const N: usize>([Bucket; N]);

impl<const N: usize> Window<N> {
    fn new() -> Self {
        Self([Bucket::default(); N])
    }

    /// The bucket of `slot`, emptied if it last counted an older one.
    fn at(&mut self, slot: u64) -> Option<&mut Bucket> {
        let place = usize::try_from(slot % N as u64).ok()?;
        let bucket = self.0.get_mut(place)?;
        if bucket.slot < slot {
            *bucket = Bucket { slot, ..Bucket::default() };
        }
        (bucket.slot == slot).then_some(bucket)
    }

    fn sum(&self, slot: u64, of: impl Fn(&Bucket) -> u64) -> u64 {
        let live = |b: &&Bucket| b.slot <= slot && slot - b.slot < N as u64;
        self.0.iter().filter(live).map(of).fold(0, u64::saturating_add)
    }
}

struct Tally {
    minutes: Window<60>,
    hours: Window<24>,
}

impl Tally {
    fn new() -> Self {
        Self { minutes: Window::new(), hours: Window::new() }
    }

    fn read(&self, now: Slots) -> Recent {
        Recent {
            requests_hour: self.minutes.sum(now.minute, |b| b.requests),
            requests_day: self.hours.sum(now.hour, |b| b.requests),
            tokens_hour: self.minutes.sum(now.minute, |b| b.tokens),
            tokens_day: self.hours.sum(now.hour, |b| b.tokens),
        }
    }

    fn change(&mut self, now: Slots, change: impl Fn(&mut Bucket)) {
        self.minutes.at(now.minute).into_iter().chain(self.hours.at(now.hour)).for_each(change);
    }
}

/// The minute and hour since the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots {
    minute: u64,
    hour: u64,
}

impl Slots {
    pub(crate) fn of(elapsed: Duration) -> Self {
        Self { minute: elapsed.as_secs() / 60, hour: elapsed.as_secs() / 3600 }
    }
}

/// Every caller's tally.
pub(crate) struct Tallies(Mutex<LruCache<String, Box<Tally>>>);

impl Tallies {
    pub(crate) fn new(callers: NonZeroUsize) -> Self {
        Self(Mutex::new(LruCache::new(callers)))
    }

    /// What the caller was permitted before now, and counts one more request: two requests at once
    /// never see the same count. [`Tallies::give_back`] takes it off again if it is not permitted.
    pub(crate) fn take(&self, identity: &Identity, now: Slots) -> Recent {
        self.with(identity, |tally| {
            let before = tally.read(now);
            tally.change(now, |b| b.requests = b.requests.saturating_add(1));
            before
        })
    }

    /// The request counted at `then` was not permitted.
    pub(crate) fn give_back(&self, identity: &Identity, then: Slots) {
        self.with(identity, |tally| tally.change(then, |b| b.requests = b.requests.saturating_sub(1)));
    }

    /// What the caller was permitted, counting nothing.
    pub(crate) fn read(&self, identity: &Identity, now: Slots) -> Recent {
        let tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.peek(&identity.canonical()).map(|tally| tally.read(now)).unwrap_or_default()
    }

    /// Counts tokens.
    pub(crate) fn spend(&self, identity: &Identity, tokens: u64, now: Slots) {
        self.with(identity, |tally| tally.change(now, |b| b.tokens = b.tokens.saturating_add(tokens)));
    }

    fn with<T>(&self, identity: &Identity, act: impl FnOnce(&mut Tally) -> T) -> T {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(tallies.get_or_insert_mut(identity.canonical(), || Box::new(Tally::new())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn at(minutes: u64) -> Slots {
        Slots::of(Duration::from_secs(minutes * 60))
    }

    #[test]
    fn each_request_sees_those_before_it_and_old_ones_leave() {
        let tallies = Tallies::new(CALLERS);
        let ana = sample::identity("ana", &[]);
        assert_eq!(tallies.take(&ana, at(0)), Recent::default());
        assert_eq!(tallies.take(&ana, at(59)).requests_hour, 1);
        let later = tallies.take(&ana, at(60));
        assert_eq!((later.requests_hour, later.requests_day), (1, 2));
        assert_eq!(tallies.read(&ana, at(23 * 60)).requests_day, 3);
        assert_eq!(tallies.read(&ana, at(24 * 60)).requests_day, 1);
        assert_eq!(tallies.read(&ana, at(10_000)), Recent::default());
    }

    #[test]
    fn a_refused_request_leaves_no_trace() {
        let tallies = Tallies::new(CALLERS);
        let ana = sample::identity("ana", &[]);
        tallies.take(&ana, at(5));
        tallies.give_back(&ana, at(5));
        assert_eq!(tallies.read(&ana, at(5)), Recent::default());
        tallies.give_back(&ana, at(5));
        assert_eq!(tallies.read(&ana, at(5)), Recent::default());
    }

    #[test]
    fn giving_back_after_the_bucket_moved_on_takes_nothing_from_the_new_one() {
        let tallies = Tallies::new(CALLERS);
        let ana = sample::identity("ana", &[]);
        tallies.take(&ana, at(0));
        tallies.take(&ana, at(60));
        tallies.give_back(&ana, at(0));
        assert_eq!(tallies.read(&ana, at(60)).requests_hour, 1);
    }

    #[test]
    fn tokens_saturate_and_callers_are_told_apart() {
        let tallies = Tallies::new(CALLERS);
        let (ana, ben) = (sample::identity("ana", &[]), sample::identity("ben", &[]));
        tallies.spend(&ana, u64::MAX, at(1));
        tallies.spend(&ana, u64::MAX, at(2));
        assert_eq!(tallies.read(&ana, at(2)).tokens_day, u64::MAX);
        assert_eq!(tallies.read(&ben, at(2)), Recent::default());
    }

    #[test]
    fn memory_is_bounded_by_callers() {
        let tallies = Tallies::new(NonZeroUsize::MIN);
        let (ana, ben) = (sample::identity("ana", &[]), sample::identity("ben", &[]));
        tallies.take(&ana, at(1));
        tallies.take(&ben, at(1));
        assert_eq!(tallies.read(&ana, at(1)), Recent::default());
        assert_eq!(tallies.read(&ben, at(1)).requests_hour, 1);
    }
}
