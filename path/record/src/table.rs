//! The exchanges that are open: what the writer must know of each to seal it without its task.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{ExchangeId, Outcome};

use crate::body::{Direction, Kind};
use crate::digest::Chain;
use crate::leaf;
use crate::segment::{DEFAULT_CLASS, Position};

/// What a record and the writer share: whether the record's owner is gone, and its last words.
#[derive(Debug, Default)]
pub(crate) struct Live {
    gone: AtomicBool,
    words: Mutex<Option<Box<leaf::Sealed>>>,
}

impl Live {
    /// The owner seals with these words. A seal that fails now is tried again with them.
    pub(crate) fn leave(&self, words: leaf::Sealed) {
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(words));
        self.gone.store(true, Ordering::SeqCst);
    }

    /// The owner is gone without a word. Says whether that is news.
    pub(crate) fn vanish(&self) -> bool {
        !self.gone.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    fn words(&self) -> Option<leaf::Sealed> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).as_deref().cloned()
    }
}

/// What the chains must know of a frame that was made elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// SHA-256 of the payload as stored.
    pub(crate) digest: [u8; 32],
    pub(crate) direction: Direction,
    pub(crate) kind: Kind,
    /// Body bytes it stands for.
    pub(crate) bytes: u64,
    /// The status, for heads.
    pub(crate) status: u32,
}

/// An open exchange.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// None for one found at the start.
    pub(crate) live: Option<Arc<Live>>,
    pub(crate) request: Chain,
    pub(crate) response: Chain,
    /// The retention class of its frames; none for the default one.
    pub(crate) class: Option<Arc<str>>,
    /// Where its first body frame lies.
    pub(crate) first: Position,
    /// When it was opened, by the clock that never steps back.
    pub(crate) opened: Duration,
    /// From arrival to then, in nanoseconds.
    pub(crate) opened_after: Option<i64>,
    pub(crate) head_after: Option<i64>,
    pub(crate) first_byte_after: Option<i64>,
    pub(crate) status: u32,
    pub(crate) parts: u64,
}

impl Entry {
    /// Nanoseconds from arrival to `at`.
    fn after(&self, at: Duration) -> Option<i64> {
        let since = i64::try_from(at.saturating_sub(self.opened).as_nanos()).unwrap_or(i64::MAX);
        self.opened_after.map(|opened| opened.saturating_add(since))
    }

    /// Takes one frame, handed over `at`, into the chains.
    pub(crate) fn take(&mut self, mark: &Mark, at: Option<Duration>) {
        if mark.direction == Direction::Request {
            return self.request.push(&mark.digest, mark.bytes);
        }
        self.response.push(&mark.digest, mark.bytes);
        let after = at.and_then(|at| self.after(at));
        match mark.kind {
            Kind::Head | Kind::SpokenHead => {
                self.head_after = self.head_after.or(after);
                self.status = mark.status;
            }
            _ if mark.bytes > 0 => self.first_byte_after = self.first_byte_after.or(after),
            _ => {}
        }
    }

    /// Where its frames lie, up to `end`.
    pub(crate) fn span(&self, end: Position) -> leaf::Span {
        leaf::Span {
            class: self.class.as_deref().unwrap_or(DEFAULT_CLASS).to_owned(),
            first_segment: self.first.segment,
            first_offset: self.first.offset,
            end_segment: end.segment,
            end_offset: end.offset,
        }
    }

    pub(crate) fn part(&self, exchange: ExchangeId) -> leaf::Part {
        leaf::Part {
            exchange: exchange.as_bytes().to_vec(),
            number: self.parts,
            request: Some(self.request.message()),
            response: Some(self.response.message()),
        }
    }

    /// Its last leaf: with its owner's words, or else with what is known without it.
    pub(crate) fn seal(&self, exchange: ExchangeId, at: Option<Duration>) -> leaf::Sealed {
        let gone = self.live.as_ref().is_some_and(|live| live.is_gone());
        let words = self.live.as_ref().and_then(|live| live.words());
        let mut sealed = words.unwrap_or_else(|| leaf::Sealed {
            outcome: if gone { Outcome::Cut } else { Outcome::Interrupted }.as_str().to_owned(),
            note: if gone {
                "the exchange's task ended without sealing it".to_owned()
            } else {
                "the gateway stopped while the exchange was open".to_owned()
            },
            ..leaf::Sealed::default()
        });
        sealed.exchange = exchange.as_bytes().to_vec();
        sealed.request = Some(self.request.message());
        sealed.response = Some(self.response.message());
        sealed.status = self.status;
        sealed.times = Some(leaf::Times {
            opened_after: self.opened_after,
            head_after: self.head_after,
            first_byte_after: self.first_byte_after,
            total: at.and_then(|at| self.after(at)),
        });
        sealed
    }
}

/// All open exchanges.
pub(crate) type Table = HashMap<ExchangeId, Entry>;
