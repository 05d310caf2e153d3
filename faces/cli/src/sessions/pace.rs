//! How long to wait between two pieces of an answer, as whoever watches wants it.

use std::time::Duration;

use super::keys::{Key, Keys};

/// No pause is longer than this: a model that thought for minutes need not be waited for again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often the speed is looked at while waiting.
const STEP: Duration = Duration::from_millis(20);
/// The slowest and the fastest.
const SPEEDS: (f64, f64) = (1.0 / 16.0, 64.0);

/// The pace of a replay.
pub(crate) struct Pace {
    speed: f64,
    paused: bool,
    keys: Option<Keys>,
}

/// What comes after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next piece.
    On,
    /// Nothing.
    End,
}

impl Pace {
    /// So many times the pace it came in, with keys if somebody sits there.
    pub(crate) fn new(speed: f64, keys: Option<Keys>) -> Self {
        Self { speed: clamped(speed), paused: false, keys }
    }

    /// Waits as long as `pause` was, and listens to keys meanwhile.
    pub(crate) async fn wait(&mut self, pause: Duration) -> Then {
        let mut left = pause.min(LONGEST_PAUSE).as_secs_f64();
        while left > 0.0 || self.paused {
            let Some(keys) = &mut self.keys else {
                tokio::time::sleep(self.real(left)).await;
                return Then::On;
            };
            let step = if self.paused { STEP } else { STEP.min(Duration::from_secs_f64(left / self.speed)) };
            tokio::select! {
                biased;
                key = keys.next() => match key {
                    Key::Next => return Then::On,
                    Key::Quit => return Then::End,
                    key => self.press(key),
                },
                () = tokio::time::sleep(step) => {
                    if !self.paused {
                        // What is left for less than a moment is over.
                        left = if step < STEP { 0.0 } else { left - step.as_secs_f64() * self.speed };
                    }
                }
            }
        }
        Then::On
    }

    /// How long so many recorded seconds take.
    fn real(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds / self.speed)
    }

    fn press(&mut self, key: Key) {
        match key {
            Key::Pause => self.paused = !self.paused,
            Key::Faster => self.speed = clamped(self.speed * 2.0),
            Key::Slower => self.speed = clamped(self.speed / 2.0),
            Key::Next | Key::Quit => {}
        }
    }
}

fn clamped(speed: f64) -> f64 {
    if speed.is_finite() { speed.clamp(SPEEDS.0, SPEEDS.1) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_by_as_fast_as_asked() {
        for (speed, waited) in [(1.0, 4.0), (8.0, 0.5), (0.5, 8.0), (f64::NAN, 4.0), (0.0, 64.0)] {
            let took = Pace::new(speed, None).real(4.0).as_secs_f64();
            assert!((took - waited).abs() < 1e-9, "{speed}: {took}");
        }
    }

    #[test]
    fn keys_change_the_speed_within_bounds() {
        let mut pace = Pace::new(1.0, None);
        (0..20).for_each(|_| pace.press(Key::Faster));
        assert!((pace.speed - SPEEDS.1).abs() < 1e-9);
        (0..40).for_each(|_| pace.press(Key::Slower));
        assert!((pace.speed - SPEEDS.0).abs() < 1e-9);
        pace.press(Key::Pause);
        assert!(pace.paused);
    }
}
