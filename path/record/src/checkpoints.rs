//! Signs checkpoints behind the writer's back and keeps them in `checkpoints`, one after another.
//!
//! The writer shows now and then what its tree is; nobody on the request path waits for what follows. What
//! a checkpoint covers is flushed to the disk before it is signed: no power cut can contradict it.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::LedgerError;
use crate::health::Status;
use crate::ledger::spawn;
use crate::note::Signed;
use crate::segment::{Position, Series};
use crate::signing::Signer;
use crate::tree::Tree;

/// The file with all of them, below the ledger.
const KEPT: &str = "checkpoints";
/// Whoever wants one now makes this file; it is removed once the newest covers all there was.
const ASKED: &str = "checkpoint.asked";

/// What the writer's tree was at some moment, and where the series ended then.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) tree: Tree,
    pub(crate) leaves: Position,
    /// Of each retention class.
    pub(crate) bodies: Vec<(String, Position)>,
    /// Whether it is shown because somebody asked.
    pub(crate) asked: bool,
}

/// When the writer shows its tree.
#[derive(Clone, Debug)]
pub(crate) struct Cadence {
    every: Duration,
    leaves: u64,
    /// The size shown last, and when.
    last: (u64, Duration),
}

impl Cadence {
    pub(crate) fn new(every: Duration, leaves: u64) -> Self {
        Self { every, leaves: leaves.max(1), last: (0, Duration::ZERO) }
    }

    /// Whether a tree of `size` leaves is to be shown `now`.
    pub(crate) fn is_due(&self, size: u64, now: Duration) -> bool {
        let grown = size.saturating_sub(self.last.0);
        grown >= self.leaves || (grown > 0 && now.saturating_sub(self.last.1) >= self.every)
    }

    /// It was shown: the next one counts from here.
    pub(crate) fn shown(&mut self, size: u64, now: Duration) {
        self.last = (size, now);
    }
}

/// The last checkpoint in the ledger at `dir`; `None` if there is none yet, or it is not whole.
///
/// # Errors
/// [`LedgerError`] when the file is there and cannot be read.
pub fn last_checkpoint(dir: &Path) -> Result<Option<Signed>, LedgerError> {
    const TAIL: u64 = 64 << 10;
    let path = dir.join(KEPT);
    let unread = |error| LedgerError::file("read", &path, error);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unread(error)),
    };
    let length = file.metadata().map_err(unread)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).map_err(unread)?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, TAIL), &mut bytes).map_err(unread)?;
    let text = String::from_utf8_lossy(&bytes);
    // Wherever the tail begins, a whole note begins behind the last line of signatures but its own.
    let mut starts = vec![0usize];
    let (mut at, mut signed) = (0usize, false);
    for line in text.split_inclusive('\n') {
        let of_signature = line.starts_with('\u{2014}');
        if signed && !of_signature {
            starts.push(at);
        }
        signed = of_signature;
        at = at.saturating_add(line.len());
    }
    let found = starts.into_iter().rev().find_map(|start| text.get(start..)?.parse().ok());
    Ok(found)
}

/// Asks the gateway that writes the ledger at `dir` for a checkpoint of all there is now. It has been made
/// once [`is_asked`] is false again.
///
/// # Errors
/// [`LedgerError`] when the ledger's folder cannot be written.
pub fn ask_for_checkpoint(dir: &Path) -> Result<(), LedgerError> {
    let path = dir.join(ASKED);
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    made.map(drop).map_err(|error| LedgerError::file("write", &path, error))
}

/// Whether a checkpoint was asked for and is not made yet.
pub fn is_asked(dir: &Path) -> bool {
    dir.join(ASKED).exists()
}

/// Takes back what [`ask_for_checkpoint`] asked.
pub fn ask_no_more(dir: &Path) {
    let _ = fs::remove_file(dir.join(ASKED));
}

/// Signs, keeps, and shows to whoever delivers.
struct Keeper {
    dir: PathBuf,
    signer: Signer,
    status: Arc<Status>,
    out: watch::Sender<Option<Arc<Signed>>>,
    /// How far the files were flushed.
    flushed: (Position, HashMap<String, Position>),
    /// The size of the last one kept.
    size: u64,
    /// What could not be kept, and after how many looks it is tried again.
    missed: Option<(Shown, u32)>,
}

/// Starts the thread that signs what the writer shows, until the writer is gone; the last one was of `size`
/// leaves. The sender is dropped when it ends.
pub(crate) fn keep(
    dir: &Path,
    signer: Signer,
    size: u64,
    status: Arc<Status>,
    shown: watch::Receiver<Option<Shown>>,
    ended: oneshot::Sender<()>,
) -> Result<watch::Receiver<Option<Arc<Signed>>>, LedgerError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| LedgerError::file("start a thread for", dir, error))?;
    let (out, delivered) = watch::channel(None);
    let mut keeper =
        Keeper { dir: dir.to_owned(), signer, status, out, flushed: Default::default(), size, missed: None };
    spawn("ledger-sign", dir, move || {
        runtime.block_on(keeper.serve(shown));
        drop(runtime);
        drop(ended);
    })?;
    Ok(delivered)
}

impl Keeper {
    async fn serve(&mut self, mut shown: watch::Receiver<Option<Shown>>) {
        // How often it is looked whether somebody asks.
        const LOOK: Duration = Duration::from_millis(250);
        loop {
            match tokio::time::timeout(LOOK, shown.changed()).await {
                Err(_) => {
                    if is_asked(&self.dir) {
                        self.status.asked.store(true, Ordering::SeqCst);
                    }
                    self.try_again();
                }
                Ok(changed) => {
                    let newest = shown.borrow_and_update().clone();
                    if let Some(newest) = newest {
                        self.take(&newest);
                    }
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Tries what failed again, some time later.
    fn try_again(&mut self) {
        match self.missed.take() {
            Some((shown, 0)) => self.take(&shown),
            Some((shown, looks)) => self.missed = Some((shown, looks.saturating_sub(1))),
            None => {}
        }
    }

    /// Signs what was shown, unless it was before. One that fails is tried again, until there is a newer one.
    fn take(&mut self, shown: &Shown) {
        // A quarter of a second each.
        const LOOKS: u32 = 40;
        self.missed = None;
        if shown.tree.size() > self.size {
            match self.make(shown) {
                Ok(signed) => {
                    metrics::counter!("portcullis_ledger_checkpoints_total").increment(1);
                    self.out.send_replace(Some(Arc::new(signed)));
                }
                Err(error) => {
                    metrics::counter!("portcullis_ledger_checkpoints_failed_total").increment(1);
                    tracing::warn!(%error, "no checkpoint of the ledger could be kept; it is tried again");
                    self.missed = Some((shown.clone(), LOOKS));
                    return;
                }
            }
        }
        if shown.asked {
            ask_no_more(&self.dir);
        }
    }

    fn make(&mut self, shown: &Shown) -> io::Result<Signed> {
        // Bodies first: a leaf on the disk never stands without the frames it covers.
        for (class, end) in &shown.bodies {
            let from = self.flushed.1.get(class).copied().unwrap_or_default();
            flush(&Series::bodies(&self.dir, class), from, *end)?;
        }
        flush(&Series::leaves(&self.dir), self.flushed.0, shown.leaves)?;
        self.flushed = (shown.leaves, shown.bodies.iter().cloned().collect());
        let signed = self.signer.sign(shown.tree.size(), shown.tree.root())?;
        let path = self.dir.join(KEPT);
        append(&path, signed.to_string().as_bytes())?;
        self.size = shown.tree.size();
        self.signer.handed_over();
        Ok(signed)
    }
}

/// Flushes the segments of `series` that hold anything between `from` and `to`.
pub(crate) fn flush(series: &Series, from: Position, to: Position) -> io::Result<()> {
    if from == to {
        return Ok(());
    }
    for number in series.numbers()?.into_iter().filter(|n| (from.segment..=to.segment).contains(n)) {
        match File::open(series.path(number)) {
            // Compressed, and flushed then; or dropped.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            file => file?.sync_data()?,
        }
    }
    Ok(())
}

/// Adds `bytes` whole, or not at all.
fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let before = file.metadata()?.len();
    let written = file.write_all(bytes).and_then(|()| file.sync_data());
    if written.is_err() {
        let _ = file.set_len(before);
    }
    written
}

/// Cuts off what a power cut left of a checkpoint that was being kept.
pub(crate) fn mend(dir: &Path) -> Result<(), LedgerError> {
    let path = dir.join(KEPT);
    let failed = |error| LedgerError::file("mend", &path, error);
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let length = file.metadata().map_err(failed)?.len();
    let whole = whole(&file, length).map_err(failed)?;
    if whole < length {
        let cut = length.saturating_sub(whole);
        tracing::warn!(file = %path.display(), bytes = cut, "the last checkpoint was torn, and is cut off");
        file.set_len(whole).and_then(|()| file.sync_all()).map_err(failed)?;
    }
    Ok(())
}

/// How far `file` holds whole notes: up to the end of its last line of signatures. Only its end is looked at.
fn whole(mut file: &File, length: u64) -> io::Result<u64> {
    const TAIL: u64 = 64 << 10;
    let from = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, TAIL), &mut bytes)?;
    let (mut at, mut end) = (from, if from == 0 { 0 } else { length });
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        at = at.saturating_add(u64::try_from(line.len()).unwrap_or(0));
        if line.starts_with("\u{2014}".as_bytes()) && line.ends_with(b"\n") {
            end = at;
        }
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cadence_counts_time_and_leaves() {
        let second = Duration::from_secs(1);
        let mut cadence = Cadence::new(60 * second, 10);
        assert!(!cadence.is_due(0, 100 * second), "nothing is there");
        assert!(cadence.is_due(1, 100 * second));
        cadence.shown(1, 100 * second);
        assert!(!cadence.is_due(10, 159 * second));
        assert!(cadence.is_due(11, 101 * second), "ten more");
        assert!(cadence.is_due(2, 160 * second), "a minute later");
        assert!(!cadence.is_due(1, 999 * second), "nothing new");
    }
}
