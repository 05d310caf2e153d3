//! How many requests are held at once, and how many bytes of them: per caller and in all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Code, Refusal};

/// The most that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Requests in all,
    pub requests: usize,
    /// and of one caller.
    pub requests_per_caller: usize,
    /// Body bytes in all,
    pub bytes: usize,
    /// and of one caller.
    pub bytes_per_caller: usize,
}

#[derive(Clone, Copy, Default)]
struct Taken {
    requests: usize,
    bytes: usize,
}

#[derive(Default)]
struct All {
    whole: Taken,
    callers: HashMap<String, Taken>,
}

/// What is held now.
#[derive(Default)]
pub(crate) struct Seats(Mutex<All>);

impl Seats {
    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests are held.
    pub(crate) fn held(&self) -> usize {
        self.all().whole.requests
    }

    /// A place for one more.
    ///
    /// # Errors
    /// A refusal (429) when there is none.
    pub(crate) fn take(
        self: &Arc<Self>,
        bounds: Bounds,
        caller: &str,
        bytes: usize,
    ) -> Result<Seat, Refusal> {
        let mut all = self.all();
        let own = all.callers.get(caller).copied().unwrap_or_default();
        let fits = |taken: Taken, requests: usize, most: usize| {
            taken.requests < requests && taken.bytes.saturating_add(bytes) <= most
        };
        let full = if !fits(own, bounds.requests_per_caller, bounds.bytes_per_caller) {
            Some("yours")
        } else if !fits(all.whole, bounds.requests, bounds.bytes) {
            Some("all")
        } else {
            None
        };
        if let Some(whose) = full {
            metrics::counter!("portcullis_holds_refused_total", "whose" => whose).increment(1);
            let reason = match whose {
                "yours" => "As many requests of yours wait for approval as may.",
                _ => "As many requests wait for approval as may.",
            };
            return Err(Refusal::new(Code::TooManyRequests).because(reason).retry_after(30));
        }
        all.whole = more(all.whole, bytes);
        all.callers.insert(caller.to_owned(), more(own, bytes));
        gauge(&all);
        drop(all);
        Ok(Seat { seats: Arc::clone(self), caller: caller.to_owned(), bytes })
    }
}

fn more(taken: Taken, bytes: usize) -> Taken {
    Taken { requests: taken.requests.saturating_add(1), bytes: taken.bytes.saturating_add(bytes) }
}

fn less(taken: Taken, bytes: usize) -> Taken {
    Taken { requests: taken.requests.saturating_sub(1), bytes: taken.bytes.saturating_sub(bytes) }
}

fn gauge(all: &All) {
    let count = u32::try_from(all.whole.requests).unwrap_or(u32::MAX);
    metrics::gauge!("portcullis_held_requests").set(f64::from(count));
}

/// One held request's place, given back when it is dropped.
#[must_use = "a held request holds its place"]
pub struct Seat {
    seats: Arc<Seats>,
    caller: String,
    bytes: usize,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut all = self.seats.all();
        all.whole = less(all.whole, self.bytes);
        let own = less(all.callers.get(&self.caller).copied().unwrap_or_default(), self.bytes);
        if own.requests == 0 {
            all.callers.remove(&self.caller);
        } else {
            all.callers.insert(self.caller.clone(), own);
        }
        gauge(&all);
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { requests: 3, requests_per_caller: 2, bytes: 100, bytes_per_caller: 60 };

    #[test]
    fn each_caller_and_all_together_have_so_much_and_get_it_back() {
        let seats = Arc::new(Seats::default());
        let take = |who: &str, bytes: usize| seats.take(BOUNDS, who, bytes);
        let one = take("ada", 10).unwrap();
        let two = take("ada", 50).unwrap();
        assert_eq!(take("ada", 0).unwrap_err().code, Code::TooManyRequests, "two are hers");
        drop(two);
        assert!(take("ada", 51).is_err(), "60 bytes are hers");
        let three = take("bob", 60).unwrap();
        assert!(take("eve", 31).is_err(), "100 bytes in all");
        let four = take("eve", 30).unwrap();
        assert!(take("joe", 0).is_err(), "three in all");
        assert_eq!(seats.held(), 3);
        drop((one, three, four));
        assert_eq!(seats.held(), 0);
        assert!(seats.all().callers.is_empty(), "nobody is remembered");
    }
}
