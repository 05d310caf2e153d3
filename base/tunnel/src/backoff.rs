//! How long an agent waits before it dials again.

use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_millis(100);
/// Never longer: an agent is back within so long of a gateway that came back.
const LONGEST: Duration = Duration::from_secs(3);
/// A connection that lived so long was no failure.
pub(crate) const LIVED: Duration = Duration::from_secs(10);

/// Waits that double with each failure in a row, each between half and whole by chance, so that a thousand
/// agents that lost one gateway do not come back at one moment.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure. `chance` is any number, evenly spread.
    pub fn failed(&mut self, chance: u64) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = whole / 2;
        let span = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        half.saturating_add(Duration::from_nanos(chance % span))
    }

    /// It went well: the next failure is a first one.
    pub fn went_well(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_grow_and_end_at_the_longest(chances in proptest::collection::vec(any::<u64>(), 1..40)) {
            let mut backoff = Backoff::default();
            for (failures, chance) in chances.into_iter().enumerate() {
                let wait = backoff.failed(chance);
                let whole = FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST);
                prop_assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
            }
            backoff.went_well();
            prop_assert!(backoff.failed(u64::MAX) <= FIRST);
        }
    }

    #[test]
    fn chance_spreads_them() {
        let waits: std::collections::BTreeSet<Duration> =
            (0..100u64).map(|n| Backoff::default().failed(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        assert!(waits.len() > 90);
    }
}
