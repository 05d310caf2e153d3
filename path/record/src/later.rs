//! Seals that go with what is written next. Nobody waits for a seal: what it covers is in the ledger, and the
//! answer has left. While much is written, the next write is less than a moment away, and takes it along for
//! a fraction of what a write of its own costs. While little is, a seal is written at once.
//!
//! What waits here is lost by nobody: the words of each seal are with its exchange in the table of open ones,
//! and whoever looks there for records whose owner is gone seals them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::ExchangeId;

use crate::desk::{GROUP_JOBS, TICK};
use crate::work::{Job, Work};

/// A seal waits no longer than this: then the ledger's thread writes it.
const SOON: Duration = Duration::from_millis(5);
/// So many groups in a tick are much: one a millisecond.
const MANY: usize = 250;
/// More do not wait.
const MOST: usize = GROUP_JOBS / 2;

/// The seals that wait.
#[derive(Default)]
pub(crate) struct Later(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Whether much is written, and the thread looks here soon.
    brisk: bool,
    /// Groups since it was last judged so, and when that was.
    groups: usize,
    since: Duration,
    seals: Vec<ExchangeId>,
}

impl Later {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a seal to the next group. Not while little is written, or when enough of them wait.
    pub(crate) fn leave(&self, exchange: ExchangeId) -> bool {
        let mut waiting = self.lock();
        let may = waiting.brisk && waiting.seals.len() < MOST;
        if may {
            waiting.seals.push(exchange);
        }
        may
    }

    /// Adds what waits to the jobs of a group.
    pub(crate) fn join(&self, jobs: &mut Vec<Job>) {
        let mut waiting = self.lock();
        jobs.extend(waiting.seals.drain(..).map(|exchange| Job::own(Some(exchange), Work::Seal)));
        waiting.groups = waiting.groups.saturating_add(usize::from(!jobs.is_empty()));
    }

    /// Judges whether much is written. Says how long the thread may sleep.
    pub(crate) fn pace(&self, now: Duration) -> Duration {
        let mut waiting = self.lock();
        if now.saturating_sub(waiting.since) >= TICK || now < waiting.since {
            waiting.brisk = waiting.groups >= MANY;
            (waiting.groups, waiting.since) = (0, now);
        }
        if waiting.brisk || !waiting.seals.is_empty() { SOON } else { TICK }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange() -> ExchangeId {
        ExchangeId::from_bytes([7; 16])
    }

    /// A tick in which so many groups were written.
    fn tick(later: &Later, groups: usize, now: &mut Duration) -> Duration {
        for _ in 0..groups {
            later.join(&mut vec![Job::own(None, Work::Vanished)]);
        }
        *now += TICK;
        later.pace(*now)
    }

    #[test]
    fn a_seal_waits_only_while_much_is_written() {
        let (later, mut now) = (Later::default(), Duration::ZERO);
        assert!(!later.leave(exchange()));
        assert_eq!(tick(&later, MANY - 1, &mut now), TICK);
        assert!(!later.leave(exchange()));
        assert_eq!(tick(&later, MANY, &mut now), SOON);
        assert!(later.leave(exchange()));
        let mut jobs = Vec::new();
        later.join(&mut jobs);
        assert!(matches!(jobs.as_slice(), [Job { exchange: Some(_), work: Work::Seal, .. }]));
        later.join(&mut jobs);
        assert_eq!(jobs.len(), 1);
        assert_eq!(tick(&later, 0, &mut now), TICK);
        assert!(!later.leave(exchange()));
    }

    #[test]
    fn what_waits_is_looked_for_soon_and_is_bounded() {
        let (later, mut now) = (Later::default(), Duration::ZERO);
        tick(&later, MANY, &mut now);
        for _ in 0..MOST {
            assert!(later.leave(exchange()));
        }
        assert!(!later.leave(exchange()));
        // Little is written from now on, but what waits does not wait for a whole tick.
        assert_eq!(tick(&later, 0, &mut now).min(tick(&later, 0, &mut now)), SOON);
        let mut jobs = Vec::new();
        later.join(&mut jobs);
        assert_eq!((jobs.len(), tick(&later, 0, &mut now)), (MOST, TICK));
    }
}
