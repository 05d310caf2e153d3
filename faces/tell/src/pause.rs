//! How long to wait after a failure: longer each time, and never the same for two.

use std::time::Duration;

/// After the first failure about this long,
const FIRST: Duration = Duration::from_secs(1);
/// and in the end about this long.
const LONGEST: Duration = Duration::from_secs(300);

/// How long to wait after so many failures, at least one: between half and all of a time that doubles up
/// to five minutes. `random` is any number; receivers that came back are not all asked at once by it.
pub(crate) fn after(failures: u32, random: u64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST);
    let half = doubled / 2;
    let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(random % micros)
}

/// A number nobody can foresee; where there is no randomness, one that does as well here.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_grows_to_five_minutes_and_is_never_nothing(failures in 0u32..10_000, random in any::<u64>()) {
            let pause = after(failures, random);
            prop_assert!(pause >= FIRST / 2 && pause < LONGEST);
            // The least of each is about the most of the one before.
            prop_assert!(after(failures + 1, 0) + Duration::from_micros(1) >= pause.min(LONGEST / 2));
        }
    }

    #[test]
    fn two_receivers_wait_differently() {
        assert_ne!(after(5, 1), after(5, 7_000_000));
        assert_eq!(after(1, 0), Duration::from_millis(500));
        assert_eq!(after(100, 0), Duration::from_secs(150));
    }
}
