//! What is handed to the writer's thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use model::ExchangeId;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::LedgerError;
use crate::body::{Body, Direction, Kind};
use crate::digest::sha256;
use crate::frame;
use crate::leaf::{Leaf, Refused};
use crate::table::{Entry, Mark};

/// Body frames, ready to be written.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    pub(crate) framed: Vec<u8>,
    pub(crate) marks: Vec<Mark>,
}

impl Frames {
    /// Adds a frame that stands for `bytes` body bytes.
    pub(crate) fn push(&mut self, body: &Body, bytes: u64) {
        let range = frame::put(&mut self.framed, body);
        let digest = sha256(self.framed.get(range).unwrap_or_default());
        self.marks.push(Mark {
            digest,
            direction: Direction::try_from(body.direction).unwrap_or_default(),
            kind: Kind::try_from(body.kind).unwrap_or_default(),
            bytes,
            status: body.status,
        });
    }
}

/// One thing to write.
pub(crate) enum Work {
    /// An *opened* leaf without its span, the request's frames, and the entry for the table.
    Open { leaf: Vec<u8>, bodies: Frames, entry: Box<Entry> },
    /// Frames of an open exchange, followed by a *part* leaf if `part`.
    Append { bodies: Frames, part: bool, at: Duration },
    /// The *sealed* leaf, with the words left in the entry's `Live`.
    Seal,
    /// A refusal before there was a caller.
    Refuse { listener: SocketAddr, refused: Box<Refused> },
    /// A leaf of no exchange.
    Leaf(Box<Leaf>),
    /// Some record was dropped without a seal: look which.
    Vanished,
    /// The last work: seal what is open, and end.
    Close,
}

impl Work {
    /// Whether it may use the reserve: seals, and what administration writes.
    pub(crate) fn is_urgent(&self) -> bool {
        matches!(self, Self::Seal | Self::Leaf(_) | Self::Close | Self::Vanished)
    }

    /// How many bytes it adds to the bodies, and about how many to the leaves.
    pub(crate) fn size(&self) -> (usize, usize) {
        match self {
            Self::Open { leaf, bodies, .. } => (bodies.framed.len(), leaf.len().saturating_add(256)),
            Self::Append { bodies, part, .. } => (bodies.framed.len(), if *part { 512 } else { 0 }),
            Self::Seal => (0, 2048),
            Self::Refuse { .. } => (0, 2048),
            Self::Leaf(leaf) => (0, prost::Message::encoded_len(&**leaf).saturating_add(16)),
            Self::Vanished | Self::Close => (0, 0),
        }
    }
}

/// Work with whom to tell when it is written.
pub(crate) struct Job {
    pub(crate) exchange: Option<ExchangeId>,
    pub(crate) work: Work,
    pub(crate) ack: Option<Ack>,
    /// Its place in the queue, given back when the job is done.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// Tells the one who waits for a job.
pub(crate) type Ack = oneshot::Sender<Result<(), LedgerError>>;

impl Job {
    /// Work nobody waits for.
    pub(crate) fn own(exchange: Option<ExchangeId>, work: Work) -> Self {
        Self { exchange, work, ack: None, room: None }
    }

    /// Whether the one who handed it over has left, and it should not be written any more.
    pub(crate) fn is_stale(&self) -> bool {
        let left = self.ack.as_ref().is_some_and(oneshot::Sender::is_closed);
        left && matches!(self.work, Work::Append { .. } | Work::Open { .. } | Work::Refuse { .. })
    }

    /// Tells the outcome.
    pub(crate) fn done(self, outcome: Result<(), LedgerError>) {
        if let Some(ack) = self.ack {
            let _ = ack.send(outcome);
        }
    }
}

/// What the writer's thread and the handles share.
pub(crate) type Shared = Arc<crate::health::Status>;
