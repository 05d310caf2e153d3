//! What the parts of one connection know of each other: its wire, its requests and its watch.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::head::Ambiguity;

/// What the wire saw of the HTTP/1 head that hyper hands out next.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// What is wrong with it.
    pub(crate) ambiguity: Option<Ambiguity>,
    /// Whether the connection must end with it, because the next head's place is not known.
    pub(crate) last: bool,
}

/// One connection's state.
#[derive(Debug, Default)]
pub(crate) struct Life {
    in_flight: AtomicUsize,
    begun: AtomicU64,
    seen: Mutex<Seen>,
    flushed: Arc<Notify>,
}

impl Life {
    /// Requests whose answer has not ended.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests so far.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// A request begins; it ends when what is returned is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// The wire handed out a whole head.
    pub(crate) fn saw(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// What was seen of the head that is being served. hyper reads no second head before it hands the
    /// first one out, so there is never more than one.
    pub(crate) fn take_seen(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Told each time all that hyper had written is with the system.
    pub(crate) fn flushed(&self) -> &Arc<Notify> {
        &self.flushed
    }
}

/// A request whose answer has not ended.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Life>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
