//! Which upstreams can be reached, learnt from the requests themselves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// So many failures in a row put an upstream out.
const OUT_AFTER: u32 = 3;
/// For this long at first, doubled by each further failure.
const FIRST_REST: Duration = Duration::from_secs(1);
/// But never longer than this.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// How one upstream does, for readiness, metrics and operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpstreamHealth {
    /// Its URL, as configured.
    pub url: String,
    /// Whether requests go to it. One that is out is tried again after a rest.
    pub usable: bool,
    /// Requests it is answering.
    pub in_flight: usize,
    /// Connections that failed since the last that did not.
    pub failures: u32,
    /// Why the last one failed. For operators: names hosts.
    pub last_failure: Option<String>,
    /// What the last look of the gateway's own saw, if one was made.
    pub probed: Option<Probed>,
}

/// What a look at an upstream saw, made without being asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probed {
    /// When.
    pub at: Timestamp,
    /// How long the answer took. Written as `seconds`.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub took: Duration,
    /// What is wrong, in a sentence for operators; nothing when it answers and takes the credential.
    pub fault: Option<String>,
}

fn seconds<S: Serializer>(took: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(took.as_secs_f64())
}

/// What is known of one upstream.
#[derive(Debug, Default)]
pub(crate) struct Health {
    in_flight: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    probed: Option<Probed>,
    failures: u32,
    out_until: Option<Duration>,
    trying: bool,
    last_failure: Option<String>,
}

/// Whether an upstream may be chosen, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// Yes, and it answers so many requests now.
    In(usize),
    /// Only when there is no other: it rests until then, or is being tried.
    Out(Duration),
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests under way.
    pub(crate) fn in_flight(&self) -> &AtomicUsize {
        &self.in_flight
    }

    /// How it stands at `now`, in elapsed time.
    pub(crate) fn standing(&self, now: Duration) -> Standing {
        let state = self.state();
        match state.out_until {
            Some(until) if now < until || state.trying => Standing::Out(until),
            _ => Standing::In(self.in_flight.load(Ordering::Relaxed)),
        }
    }

    /// It was chosen. After a rest only one request tries it; says whether this is the one.
    pub(crate) fn chosen(&self) -> bool {
        let mut state = self.state();
        let tries = state.out_until.is_some() && !state.trying;
        state.trying |= tries;
        tries
    }

    /// The one request that tried it is done, one way or another.
    pub(crate) fn tried(&self) {
        self.state().trying = false;
    }

    /// It took a request.
    pub(crate) fn reached(&self) {
        let mut state = self.state();
        if state.failures > 0 {
            *state = State { trying: state.trying, probed: state.probed.take(), ..State::default() };
        }
    }

    /// It could not be reached. Says whether that put it out.
    pub(crate) fn failed(&self, now: Duration, why: &str) -> bool {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        state.last_failure = Some(why.to_owned());
        let Some(further) = state.failures.checked_sub(OUT_AFTER) else { return false };
        let rest = FIRST_REST.saturating_mul(1 << further.min(10)).min(LONGEST_REST);
        state.out_until.replace(now.saturating_add(rest)).is_none()
    }

    /// It was looked at.
    pub(crate) fn probed(&self, probed: Probed) {
        self.state().probed = Some(probed);
    }

    /// For people and metrics.
    pub(crate) fn report(&self, url: String, now: Duration) -> UpstreamHealth {
        let usable = matches!(self.standing(now), Standing::In(_));
        let State { failures, last_failure, probed, .. } = self.state().clone();
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        UpstreamHealth { url, usable, in_flight, failures, last_failure, probed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn goes_out_after_failures_in_a_row_and_rests_longer_each_time() {
        let health = Health::default();
        assert!(!health.failed(S, "no") && !health.failed(S, "no"));
        assert_eq!(health.standing(S), Standing::In(0));
        assert!(health.failed(S, "no"));
        assert_eq!(health.standing(S), Standing::Out(2 * S));
        assert_eq!(health.standing(2 * S), Standing::In(0));
        assert!(!health.failed(2 * S, "no"));
        assert_eq!(health.standing(3 * S), Standing::Out(4 * S));
        for _ in 0..100 {
            health.failed(4 * S, "no");
        }
        assert_eq!(health.standing(4 * S), Standing::Out(34 * S));
    }

    #[test]
    fn one_request_tries_it_and_success_brings_it_back() {
        let health = Health::default();
        for _ in 0..3 {
            health.failed(S, "no");
        }
        assert!(health.chosen());
        assert!(!health.chosen());
        assert_eq!(health.standing(9 * S), Standing::Out(2 * S));
        health.reached();
        health.tried();
        assert_eq!(health.standing(S), Standing::In(0));
        assert_eq!(health.report("u".to_owned(), S).failures, 0);
        assert!(!health.chosen());
    }
}
