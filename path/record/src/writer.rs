//! The writing end of a ledger: writes work in groups and tells who waits.
//!
//! Whoever is at the [`crate::desk::Desk`] has it, one at a time. When a write fails it says no to everyone in the group and tries again by itself;
//! exchanges whose task has vanished, or whose seal failed, it seals as soon as it can.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::Clock;
use tokio::sync::watch;

use crate::bookmark::Bookmark;
use crate::checkpoints::{Cadence, Shown};
use crate::describe::nanoseconds;
use crate::desk::{GROUP_JOBS, Outcome};
use crate::disk::Disk;
use crate::group::Stage;
use crate::health::Condition;
use crate::leaf::{Leaf, Outage, What};
use crate::log::Log;
use crate::reserve::Reserve;
use crate::retention::Standing;
use crate::segment::Position;
use crate::shelves::Shelves;
use crate::strangers::Strangers;
use crate::table::Table;
use crate::tree::Tree;
use crate::work::{Job, Shared, Work};
use crate::{Durability, LedgerError, Settings};

/// The writing end of a ledger.
pub(crate) struct Writer {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) leaves: Log,
    pub(crate) bodies: Shelves,
    /// What decides what may be dropped.
    pub(crate) standing: Arc<Mutex<Standing>>,
    pub(crate) table: Table,
    /// The tree over all leaves ever written.
    pub(crate) tree: Tree,
    /// The public keys of checkpoints recorded so far, in order.
    pub(crate) keys: Vec<Vec<u8>>,
    /// When the tree is shown to be signed,
    pub(crate) cadence: Cadence,
    /// and to whom.
    pub(crate) shown: watch::Sender<Option<Shown>>,
    /// Bytes since the last bookmark.
    pub(crate) unmarked: u64,
    /// What the last group needed, emptied, for the next.
    pub(crate) stage: Stage,
    pub(crate) status: Shared,
    pub(crate) reserve: Reserve,
    pub(crate) strangers: Strangers,
    pub(crate) trouble: Option<Trouble>,
    /// Tells the index how far the leaves go.
    pub(crate) written: watch::Sender<Position>,
    /// Held as long as this lives: one process writes.
    #[expect(dead_code, reason = "held, not read")]
    pub(crate) lock: File,
}

/// Why nothing ordinary is written at the moment.
pub(crate) struct Trouble {
    since: i64,
    cause: Arc<io::Error>,
    full: bool,
    failed: u64,
}

impl Drop for Writer {
    /// Also after a panic: nothing is written any more, and everyone may know.
    fn drop(&mut self) {
        self.status.set(Condition::Closed);
    }
}

impl Writer {
    /// Does what is due beside the work that comes: `ticked` is when it last did everything.
    pub(crate) fn look_around(&mut self, ticked: &mut Duration, every: Duration) {
        if self.status.noted.swap(false, Ordering::SeqCst) {
            self.sweep();
        }
        let now = self.clock.elapsed();
        if self.strangers.is_due(now) {
            self.summarise();
        }
        let asked = self.status.asked.swap(false, Ordering::SeqCst);
        if asked || self.cadence.is_due(self.tree.size(), now) {
            self.show(asked);
        }
        if now.saturating_sub(*ticked) >= every || now < *ticked {
            *ticked = now;
            self.tick();
        }
    }

    /// Puts a job where it belongs.
    pub(crate) fn gather(&mut self, job: Job, jobs: &mut Vec<Job>, bytes: &mut usize, end: &mut Option<Job>) {
        let now = self.clock.elapsed();
        match &job.work {
            Work::Close => *end = Some(job),
            // The note was for waking up; the flag says there is something to do.
            Work::Vanished => {}
            Work::Refuse { listener, refused } if !self.strangers.admit(*listener, now) => {
                let (listener, refused) = (*listener, refused.clone());
                let time = nanoseconds(self.clock.now());
                self.strangers.count(listener, &refused, time, now, job);
            }
            work => {
                let (body, leaf) = work.size();
                *bytes = bytes.saturating_add(body).saturating_add(leaf);
                jobs.push(job);
            }
        }
    }

    /// Writes a group and tells everyone in it. Says whether all of it was written.
    pub(crate) fn group(&mut self, jobs: Vec<Job>) -> bool {
        if jobs.is_empty() {
            return true;
        }
        let verdicts = self.decide(&jobs);
        let mut all = true;
        for (job, outcome) in jobs.into_iter().zip(verdicts) {
            all &= outcome.is_ok();
            job.done(outcome);
        }
        all
    }

    /// Writes a group. What became of each job, in their order.
    pub(crate) fn decide(&mut self, jobs: &[Job]) -> impl Iterator<Item = Outcome> + use<> {
        let full = self.trouble.as_ref().is_some_and(|trouble| trouble.full);
        let mut verdicts: Vec<Option<Outcome>> = jobs
            .iter()
            .map(|job| match () {
                () if job.is_stale() => {
                    Some(Err(LedgerError::TimedOut { after: self.settings.write_timeout }))
                }
                () if full && !job.work.is_urgent() => Some(Err(LedgerError::Full)),
                () => None,
            })
            .collect();
        if full {
            self.refused(verdicts.iter().flatten().count());
            self.squeeze(jobs, &mut verdicts);
        } else if let Err(error) = self.attempt(jobs, &mut verdicts) {
            let error = Arc::new(error);
            self.failed(&error, verdicts.iter().filter(|v| v.is_none()).count());
            for (job, verdict) in jobs.iter().zip(&mut verdicts) {
                if verdict.is_none() && !job.work.is_urgent() {
                    *verdict = Some(Err(LedgerError::write(&error)));
                }
            }
            self.squeeze(jobs, &mut verdicts);
        } else if self.trouble.is_some() {
            self.mended();
        }
        verdicts.into_iter().map(|verdict| verdict.unwrap_or(Ok(())))
    }

    /// Writes what is urgent, giving up the reserve piece by piece while the disk is full.
    fn squeeze(&mut self, jobs: &[Job], verdicts: &mut [Option<Result<(), LedgerError>>]) {
        while verdicts.iter().any(Option::is_none) {
            let Err(error) = self.attempt(jobs, verdicts) else { return };
            let error = Arc::new(error);
            let full = matches!(LedgerError::write(&error), LedgerError::Full);
            let disk = self.disk.clone();
            if !(full && self.reserve.release(&*disk, 0)) {
                for verdict in verdicts.iter_mut().filter(|verdict| verdict.is_none()) {
                    *verdict = Some(Err(LedgerError::write(&error)));
                }
            }
        }
    }

    /// Seals every exchange whose task is gone.
    fn sweep(&mut self) {
        let gone = |live: &Arc<crate::table::Live>| live.is_gone();
        let gone = self.table.iter().filter(|(_, entry)| entry.live.as_ref().is_some_and(gone));
        let jobs: Vec<Job> = gone.map(|(exchange, _)| Job::own(Some(*exchange), Work::Seal)).collect();
        self.group_in_pieces(jobs);
    }

    fn group_in_pieces(&mut self, jobs: Vec<Job>) -> bool {
        let mut jobs = jobs.into_iter().peekable();
        let mut all = true;
        while jobs.peek().is_some() {
            all &= self.group(jobs.by_ref().take(GROUP_JOBS).collect());
        }
        all
    }

    /// Writes the counts of refused strangers, and tells who waits for them.
    fn summarise(&mut self) {
        let (leaves, waiting) = self.strangers.take(nanoseconds(self.clock.now()));
        let jobs = leaves.into_iter().map(|leaf| Job::own(None, Work::Leaf(Box::new(leaf)))).collect();
        let written = self.group(jobs);
        for job in waiting {
            job.done(if written { Ok(()) } else { Err(self.why()) });
        }
    }

    fn why(&self) -> LedgerError {
        self.trouble.as_ref().map_or(LedgerError::Closed, |trouble| LedgerError::write(&trouble.cause))
    }

    /// What is done every so often, whether work comes or not.
    fn tick(&mut self) {
        self.sweep();
        let Some(trouble) = &self.trouble else { return self.turn() };
        if trouble.full {
            let disk = self.disk.clone();
            if self.reserve.fill(&*disk).is_ok() {
                self.mended();
            }
        } else {
            self.mended();
        }
    }

    /// Records that a write failed.
    fn failed(&mut self, error: &Arc<io::Error>, jobs: usize) {
        let full = matches!(LedgerError::write(error), LedgerError::Full);
        if self.trouble.is_none() {
            tracing::error!(%error, "the ledger cannot be written: nothing passes until it can");
        }
        let since = nanoseconds(self.clock.now());
        let trouble = self.trouble.get_or_insert(Trouble { since, cause: error.clone(), full, failed: 0 });
        trouble.full |= full;
        trouble.cause = error.clone();
        let condition =
            if trouble.full { Condition::Full } else { Condition::Failing { cause: error.to_string() } };
        self.status.set(condition);
        self.refused(jobs);
    }

    fn refused(&mut self, jobs: usize) {
        metrics::counter!("portcullis_ledger_failed_total").increment(u64::try_from(jobs).unwrap_or(0));
        if let Some(trouble) = &mut self.trouble {
            trouble.failed = trouble.failed.saturating_add(u64::try_from(jobs).unwrap_or(0));
        }
    }

    /// Writing seems to work again: records the outage, and if that succeeds, goes on.
    fn mended(&mut self) {
        let Some(trouble) = self.trouble.take() else { return };
        let outage = Outage {
            since: trouble.since,
            until: nanoseconds(self.clock.now()),
            cause: trouble.cause.to_string(),
            failed: trouble.failed,
        };
        let leaf = Leaf { time: 0, bodies: None, what: Some(What::Outage(outage)) };
        let job = [Job::own(None, Work::Leaf(Box::new(leaf)))];
        if self.attempt(&job, &mut [None]).is_ok() {
            tracing::info!("the ledger can be written again");
            self.status.set(Condition::Writing);
        } else {
            self.trouble = Some(trouble);
        }
    }

    /// Fills the reserve at a start; a full disk is trouble that mends itself, as later.
    pub(crate) fn fill_reserve(&mut self) -> Result<(), LedgerError> {
        let disk = self.disk.clone();
        match self.reserve.fill(&*disk).map_err(Arc::new) {
            Ok(()) => Ok(()),
            Err(error) if matches!(LedgerError::write(&error), LedgerError::Full) => {
                self.failed(&error, 0);
                Ok(())
            }
            Err(error) => Err(LedgerError::write(&error)),
        }
    }

    /// Seals all that is open: at a start what was found so, at the end what is left.
    pub(crate) fn seal_all(&mut self) -> bool {
        let jobs = self.table.keys().map(|exchange| Job::own(Some(*exchange), Work::Seal)).collect();
        self.group_in_pieces(jobs)
    }

    pub(crate) fn end(&mut self) -> Result<(), LedgerError> {
        self.summarise();
        let sealed = self.seal_all();
        self.mark();
        self.show(false);
        if sealed { Ok(()) } else { Err(self.why()) }
    }

    /// Shows the tree, so that it is signed. Never waits.
    pub(crate) fn show(&mut self, asked: bool) {
        self.cadence.shown(self.tree.size(), self.clock.elapsed());
        let (leaves, bodies) = (self.leaves.end(), self.bodies.places());
        self.shown.send_replace(Some(Shown { tree: self.tree.clone(), leaves, bodies, asked }));
    }

    /// Writes the bookmark. One that fails only makes the next start read more.
    pub(crate) fn mark(&mut self) {
        self.unmarked = 0;
        let bookmark = Bookmark {
            leaves: self.leaves.end(),
            tree: self.tree.clone(),
            bodies: self.bodies.places(),
            standing: self.standing().clone(),
            open: self.table.clone(),
            keys: self.keys.clone(),
        };
        let path: PathBuf = self.settings.dir.join("bookmark");
        if let Err(error) = bookmark.write(&path, self.settings.durability == Durability::Disk) {
            tracing::warn!(%error, "the ledger's bookmark was not written; the next start reads more");
        }
    }

    /// Publishes how far the ledger goes.
    pub(crate) fn publish(&mut self, leaves: bool) {
        self.status.open.store(self.table.len(), Ordering::Relaxed);
        self.status.leaves.store(self.tree.size(), Ordering::Relaxed);
        if leaves {
            self.written.send_replace(self.leaves.end());
        }
    }
}
