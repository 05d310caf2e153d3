//! Who writes: the ledger's thread, or, while it has nothing to do, whoever has something to write.
//!
//! Handing a few hundred bytes to another thread and being woken again costs several times what writing
//! them does. So a task that finds the desk free writes by itself, where a write is a copy into the
//! kernel's memory ([`crate::Durability::Process`]). Whoever finds it taken for longer than that queues for the
//! thread, with a limit to its patience: a hanging disk holds up one task, never the others.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use model::ExchangeId;

use crate::later::Later;
use crate::watch::Crew;
use crate::work::{Job, Work};
use crate::writer::Writer;
use crate::{Durability, LedgerError};

/// How often the thread looks around when nothing comes.
pub(crate) const TICK: Duration = Duration::from_millis(250);
/// A group is closed at this many bytes,
const GROUP_BYTES: usize = 4 << 20;
/// or jobs.
pub(crate) const GROUP_JOBS: usize = 1024;
/// More than this goes by way of the thread: copying it takes long enough to matter to other tasks.
const LITTLE: usize = 256 << 10;

/// How often a task looks whether the desk is free before it queues: about ten microseconds, what two or three
/// groups take. A hanging disk costs it no more.
const LOOKS: usize = 200;

/// Where the writer is, until the ledger is closed.
pub(crate) struct Desk {
    writer: Mutex<Option<Writer>>,
    /// Whether tasks may write by themselves,
    shared: bool,
    /// and the runtime they run on.
    pub(crate) crew: Arc<Crew>,
    /// Seals that go with what is written next.
    later: Later,
}

/// Lets the writer go, with its files and its lock, when the thread ends; also by a panic.
struct Leaving<'a>(&'a Desk);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Desk {
    pub(crate) fn new(writer: Writer) -> Self {
        let shared = writer.settings.durability == Durability::Process;
        Self { writer: Mutex::new(Some(writer)), shared, crew: Arc::default(), later: Later::default() }
    }

    /// Writes now, if nobody else does and nothing is wrong; else gives the work back.
    pub(crate) fn now(&self, exchange: Option<ExchangeId>, work: Work) -> Result<Outcome, Work> {
        let (bodies, leaves) = work.size();
        let fits = matches!(work, Work::Open { .. } | Work::Append { .. } | Work::Seal);
        if !self.shared || !fits || bodies.saturating_add(leaves) > LITTLE {
            return Err(work);
        }
        let Some(mut desk) = self.seat() else { return Err(work) };
        let Some(writer) = desk.as_mut().filter(|writer| writer.trouble.is_none()) else { return Err(work) };
        self.crew.note();
        let mut jobs = vec![Job::own(exchange, work)];
        self.later.join(&mut jobs);
        let mut outcomes = writer.decide(&jobs);
        Ok(outcomes.next().unwrap_or(Err(LedgerError::Closed)))
    }

    /// The desk, if it is free or will be in a moment. Waiting that moment is a fraction of what it costs to
    /// hand the work over and to be woken again.
    fn seat(&self) -> Option<MutexGuard<'_, Option<Writer>>> {
        for _ in 0..LOOKS {
            match self.writer.try_lock() {
                Ok(desk) => return Some(desk),
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
                Err(TryLockError::Poisoned(_)) => return None,
            }
        }
        None
    }

    /// Leaves a seal to what is written next, if that comes soon enough.
    pub(crate) fn leave(&self, exchange: ExchangeId) -> bool {
        self.shared && self.later.leave(exchange)
    }

    /// The thread: ends when it is told to, or when nobody can give it work any more. The one who told
    /// it learns so once the files and the lock are let go.
    pub(crate) fn run(&self, queue: &Receiver<Job>) {
        let leaving = Leaving(self);
        let last = self.serve(queue);
        drop(leaving);
        if let Some((last, outcome)) = last {
            last.done(outcome);
        }
    }

    fn serve(&self, queue: &Receiver<Job>) -> Option<(Job, Outcome)> {
        let (mut ticked, mut sleep) = (Duration::ZERO, TICK);
        loop {
            let first = queue.recv_timeout(sleep);
            // A task that panicked at the desk left it in disorder: nothing more is written.
            let mut desk = self.writer.lock().ok()?;
            let writer = desk.as_mut()?;
            let (mut jobs, mut bytes, mut end) = (Vec::new(), 0usize, None);
            match first {
                Ok(job) => writer.gather(job, &mut jobs, &mut bytes, &mut end),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let _ = writer.end();
                    return None;
                }
            }
            while end.is_none() && bytes < GROUP_BYTES && jobs.len() < GROUP_JOBS {
                let Ok(job) = queue.try_recv() else { break };
                writer.gather(job, &mut jobs, &mut bytes, &mut end);
            }
            self.later.join(&mut jobs);
            writer.group(jobs);
            if let Some(last) = end {
                return Some((last, writer.end()));
            }
            writer.look_around(&mut ticked, TICK);
            sleep = self.later.pace(writer.clock.elapsed());
        }
    }
}

/// Whether something was written.
pub(crate) type Outcome = Result<(), LedgerError>;
