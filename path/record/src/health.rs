//! Whether the ledger can be written, as `/readyz` and an operator see it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::stock::{ClassStock, Stock};

/// Whether the ledger can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It can.
    Writing,
    /// Only the reserve is left: exchanges are sealed, none is opened. Mends itself once there is space.
    Full,
    /// The last write failed. Tried again every so often.
    Failing {
        /// The system's answer.
        cause: String,
    },
    /// A write has not come back for longer than the write timeout.
    Hanging {
        /// For how long.
        since: Duration,
    },
    /// It was closed, or its thread ended.
    Closed,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writing => f.write_str("it can be written"),
            Self::Full => f.write_str("the disk is full; exchanges are sealed, none is opened"),
            Self::Failing { cause } => write!(f, "the last write failed ({cause}); it is tried again"),
            Self::Hanging { since } => {
                write!(f, "a write has not come back for {} s; the disk hangs", since.as_secs())
            }
            Self::Closed => f.write_str("it is closed; the gateway must be started again"),
        }
    }
}

/// The ledger's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerHealth {
    /// Whether it can be written.
    pub condition: Condition,
    /// Exchanges opened and not sealed.
    pub open_exchanges: usize,
    /// Leaves ever written.
    pub leaves: u64,
    /// Refusals that were told without a record, because the ledger could not be written.
    pub unrecorded: u64,
    /// What it takes on the disk, the leaves first; empty until it was looked.
    pub stock: Vec<ClassStock>,
}

impl LedgerHealth {
    /// Whether exchanges can be opened.
    pub fn is_ready(&self) -> bool {
        self.condition == Condition::Writing
    }
}

/// The state as the writer's thread keeps it.
#[derive(Debug)]
pub(crate) struct Status {
    condition: Mutex<Condition>,
    /// When the write under way began, in elapsed milliseconds plus one; 0 if none is.
    busy: AtomicU64,
    pub(crate) open: AtomicUsize,
    pub(crate) leaves: AtomicU64,
    pub(crate) unrecorded: AtomicU64,
    /// Whether a [`crate::work::Work::Vanished`] is in the queue already.
    pub(crate) noted: AtomicBool,
    /// Whether somebody asks for a checkpoint now.
    pub(crate) asked: AtomicBool,
    pub(crate) stock: Stock,
}

impl Status {
    pub(crate) fn new() -> Self {
        Self {
            condition: Mutex::new(Condition::Writing),
            busy: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            leaves: AtomicU64::new(0),
            unrecorded: AtomicU64::new(0),
            noted: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            stock: Stock::default(),
        }
    }

    pub(crate) fn condition(&self) -> Condition {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, condition: Condition) {
        *self.condition.lock().unwrap_or_else(PoisonError::into_inner) = condition;
        self.show(false);
    }

    /// Shows as a metric whether it can be written, which it can't while it `hangs`.
    pub(crate) fn show(&self, hangs: bool) {
        let writable = !hangs && self.condition() == Condition::Writing;
        metrics::gauge!("portcullis_ledger_writable").set(if writable { 1.0 } else { 0.0 });
    }

    /// How long the write under way has taken by now, if there is one.
    pub(crate) fn busy_for(&self, now: Duration) -> Option<Duration> {
        let began = self.busy.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_millis);
        began.map(|began| now.saturating_sub(began))
    }

    pub(crate) fn begin_write(&self, now: Duration) {
        let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.busy.store(millis.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn end_write(&self) {
        self.busy.store(0, Ordering::Relaxed);
    }

    pub(crate) fn health(&self, now: Duration, limit: Duration) -> LedgerHealth {
        let since = self.busy_for(now).filter(|since| *since > limit);
        let condition = match (self.condition(), since) {
            (Condition::Closed, _) | (_, None) => self.condition(),
            (_, Some(since)) => Condition::Hanging { since },
        };
        LedgerHealth {
            condition,
            open_exchanges: self.open.load(Ordering::Relaxed),
            leaves: self.leaves.load(Ordering::Relaxed),
            unrecorded: self.unrecorded.load(Ordering::Relaxed),
            stock: self.stock.get(),
        }
    }
}
