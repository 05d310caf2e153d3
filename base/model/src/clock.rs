//! Time as a parameter, so that expiry, skew and backward steps can be tested.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Tells the time. Every step takes one; nothing reads the machine's clock by itself.
pub trait Clock: Send + Sync {
    /// Wall-clock time. May step backward.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary start. Never steps backward.
    fn elapsed(&self) -> Duration;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug)]
pub struct FixedClock {
    state: Mutex<(Timestamp, Duration)>,
}

impl FixedClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { state: Mutex::new((now, Duration::ZERO)) }
    }

    /// Moves wall time and elapsed time forward by `by`.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.0 = state.0.checked_add(by).unwrap_or(Timestamp::MAX);
        state.1 += by;
    }

    /// Sets wall time alone, as an operator or NTP may.
    pub fn set(&self, now: Timestamp) {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0 = now;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0
    }

    fn elapsed(&self) -> Duration {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).1
    }
}
