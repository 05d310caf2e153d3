//! What a start finds: torn ends are put aside and cut off, and what was open is remembered so that it
//! can be sealed. Reads from the bookmark on, one frame at a time.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use model::ExchangeId;
use prost::Message;

use crate::body::Body;
use crate::bookmark::Bookmark;
use crate::checkpoints::last_checkpoint;
use crate::digest::sha256;
use crate::disk::Disk;
use crate::envelope::counted;
use crate::frame::{Damage, Fault};
use crate::leaf::{Leaf, Torn, What};
use crate::log::Log;
use crate::note::Checkpoint;
use crate::retention::Standing;
use crate::segment::{DEFAULT_CLASS, Family, HEADER, Header, Position, Series};
use crate::signing::PURPOSE;
use crate::table::{Entry, Mark, Table};
use crate::tree::{Tree, leaf_hash};
use crate::{Durability, LedgerError, Settings};

/// What a start found.
pub(crate) struct Found {
    pub(crate) leaves: Log,
    /// By retention class, the default one first.
    pub(crate) bodies: Vec<(String, Log)>,
    /// What decides what may be dropped.
    pub(crate) standing: Standing,
    pub(crate) tree: Tree,
    /// The public keys of checkpoints recorded so far, in order.
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) node: [u8; 16],
    /// Opened and not sealed.
    pub(crate) open: Table,
    /// What was unreadable.
    pub(crate) torn: Vec<Torn>,
}

/// Reads what is there, mends the ends, and gets ready to append.
pub(crate) fn recover(settings: &Settings, disk: &dyn Disk, created: i64) -> Result<Found, LedgerError> {
    let leaves = Series::leaves(&settings.dir);
    let bodies = |class: &str| Series::bodies(&settings.dir, class);
    let start = Bookmark::read(&settings.dir.join("bookmark"))
        .filter(|found| reaches(&leaves, found.leaves))
        .filter(|found| found.bodies.iter().all(|(class, end)| reaches(&bodies(class), *end)))
        .unwrap_or_default();
    let begins: Vec<_> =
        classes(settings).into_iter().map(|class| (start.end(&class), bodies(&class))).collect();
    let node = node(&leaves)?;
    let Bookmark { mut open, mut tree, mut keys, mut standing, .. } = start;
    let mut kept = Kept::of(&settings.dir, &tree)?;
    let leaf_end = scan(&leaves, start.leaves, |_, payload| {
        // One that cannot be read still counts. It is told apart by whoever verifies.
        tree.push(leaf_hash(payload.as_deref().unwrap_or_default()));
        kept.compare(&tree);
        if let Some(payload) = payload {
            follow(&mut open, &mut keys, &mut standing, payload);
        }
    })?;
    let mut body_ends = Vec::new();
    for (begin, series) in begins {
        let end = scan(&series, begin, |_, payload| {
            let Some(payload) = payload.filter(|_| !open.is_empty()) else { return };
            let digest = sha256(&payload);
            let Ok(body) = Body::decode(bytes::Bytes::from(payload)) else { return };
            let Some(entry) = exchange(&body.exchange).and_then(|id| open.get_mut(&id)) else { return };
            entry.take(&mark(&body, digest), None);
        })?;
        body_ends.push((series, end));
    }
    let mut torn: Vec<Torn> = kept.contradiction(&tree).into_iter().collect();
    let durable = settings.durability == Durability::Disk;
    let mut mend = |series: Series, end: End, first_leaf: u64| -> Result<Log, LedgerError> {
        let header = Header {
            family: series.family,
            number: 1,
            node,
            created,
            first_leaf,
            class: series.class.clone(),
        };
        end.mend(&Site { ledger: &settings.dir, disk, durable }, series, header, &mut torn)
    };
    let leaves = mend(leaves, leaf_end, tree.size())?;
    let mut bodies = Vec::new();
    for (series, end) in body_ends {
        bodies.push((series.class.clone(), mend(series, end, 0)?));
    }
    Ok(Found { leaves, bodies, tree, keys, node, open, torn, standing })
}

/// The checkpoint kept last, and whether the leaves that are read bear it out.
struct Kept {
    last: Option<Checkpoint>,
    contradicted: bool,
}

impl Kept {
    /// The one in the ledger at `dir`, as far as it can still be compared with a tree that begins as `tree`.
    fn of(dir: &Path, tree: &Tree) -> Result<Self, LedgerError> {
        let last = last_checkpoint(dir)?.map(|signed| signed.checkpoint().clone());
        let mut kept = Self { last: last.filter(|last| last.size >= tree.size()), contradicted: false };
        kept.compare(tree);
        Ok(kept)
    }

    fn compare(&mut self, tree: &Tree) {
        let same = self.last.as_ref().filter(|last| last.size == tree.size());
        self.contradicted |= same.is_some_and(|last| last.root != tree.root());
    }

    fn contradiction(self, tree: &Tree) -> Option<Torn> {
        let last = self.last?;
        let lost = last.size > tree.size();
        if !lost && !self.contradicted {
            return None;
        }
        let problem = if lost {
            format!("a checkpoint of {} leaves was signed, and there are {}", last.size, tree.size())
        } else {
            format!("the first {} leaves are not the ones a checkpoint was signed over", last.size)
        };
        tracing::error!(problem, "the ledger was changed or rolled back while the gateway was not running");
        Some(Torn { file: "checkpoints".to_owned(), problem, ..Torn::default() })
    }
}

pub(crate) fn exchange(bytes: &[u8]) -> Option<ExchangeId> {
    <[u8; 16]>::try_from(bytes).ok().map(ExchangeId::from_bytes)
}

/// What the chains must know of a frame that was read back.
pub(crate) fn mark(body: &Body, digest: [u8; 32]) -> Mark {
    let length = body.opaque.as_ref().map_or(0, |opaque| opaque.length);
    let data = u64::try_from(body.data.len()).unwrap_or(u64::MAX).saturating_add(counted(body));
    Mark {
        digest,
        direction: body.direction(),
        kind: body.kind(),
        bytes: data.saturating_add(length),
        status: body.status,
    }
}

/// Keeps the table of open exchanges, and the keys, as this leaf changes them.
fn follow(open: &mut Table, keys: &mut Vec<Vec<u8>>, standing: &mut Standing, payload: Vec<u8>) {
    let Ok(leaf) = Leaf::decode(bytes::Bytes::from(payload)) else { return };
    let first = leaf
        .bodies
        .as_ref()
        .map(|span| Position { segment: span.first_segment, offset: span.first_offset })
        .unwrap_or_default();
    let class = leaf.bodies.map(|span| span.class).filter(|class| class != DEFAULT_CLASS).map(Into::into);
    match leaf.what {
        Some(What::Opened(opened)) => {
            if let Some(id) = exchange(&opened.exchange) {
                open.insert(id, Entry { first, class, ..Entry::default() });
            }
        }
        Some(What::Part(part)) => {
            if let Some(entry) = exchange(&part.exchange).and_then(|id| open.get_mut(&id)) {
                entry.parts = part.number;
            }
        }
        Some(What::Sealed(sealed)) => {
            if let Some(id) = exchange(&sealed.exchange) {
                open.remove(&id);
            }
        }
        Some(What::Key(key)) if key.purpose == PURPOSE => keys.push(key.public_key),
        Some(what) => standing.take(&what),
        None => {}
    }
}

/// The retention classes: the default one, those with rules of their own, and those whose folders are there.
fn classes(settings: &Settings) -> Vec<String> {
    let there = crate::audit::classes(&settings.dir);
    let mut all: Vec<String> = settings.retention.resources.keys().cloned().chain(there).collect();
    all.sort_unstable();
    all.dedup();
    all.retain(|class| class != DEFAULT_CLASS);
    std::iter::once(DEFAULT_CLASS.to_owned()).chain(all).collect()
}

/// Whether the series goes at least to `place`.
fn reaches(series: &Series, place: Position) -> bool {
    place == Position::default() || series.length(place.segment).is_some_and(|length| length >= place.offset)
}

/// The node that wrote the newest readable segment, or a new one.
fn node(leaves: &Series) -> Result<[u8; 16], LedgerError> {
    let numbers = leaves.numbers().map_err(|error| LedgerError::file("list", &leaves.dir, error))?;
    if let Some(header) = numbers.iter().rev().find_map(|number| leaves.header(*number).ok()) {
        return Ok(header.node);
    }
    let mut node = [0; 16];
    aws_lc_rs::rand::fill(&mut node)
        .map_err(|_| LedgerError::file("name", &leaves.dir, io::Error::other("no randomness")))?;
    Ok(node)
}

/// Where a series ends, and how.
struct End {
    at: Position,
    tail: Option<Damage>,
    /// Damage inside the last segment, with whole frames behind it.
    inside: Option<Damage>,
}

/// Reads every frame from `from` on; a damaged one counts, without its payload.
fn scan(
    series: &Series,
    from: Position,
    mut each: impl FnMut(Position, Option<Vec<u8>>),
) -> Result<End, LedgerError> {
    let mut reader = series.read(from);
    let mut inside: Option<Damage> = None;
    loop {
        match reader.next() {
            Ok(Some((at, frame))) => each(at, Some(frame.payload)),
            Ok(None) => break,
            Err(damage) if matches!(damage.fault, Fault::Unreadable(_)) => {
                let Fault::Unreadable(kind) = damage.fault else { continue };
                return Err(LedgerError::file("read", &damage.file, kind.into()));
            }
            Err(damage) => {
                tracing::error!(%damage, "the ledger is damaged; the place is left as it is");
                if damage.fault == Fault::Checksum {
                    each(reader.position(), None);
                }
                inside = Some(damage);
            }
        }
    }
    let at = reader.position();
    let tail = reader.tail().cloned();
    let last = series.stored_path(at.segment);
    Ok(End { at, tail, inside: inside.filter(|damage| damage.file == last) })
}

/// Where, and how, ends are mended.
struct Site<'a> {
    ledger: &'a Path,
    disk: &'a dyn Disk,
    durable: bool,
}

impl End {
    /// Gets the series ready to append to, and notes in `torn` what had to be done.
    fn mend(
        self,
        site: &Site<'_>,
        series: Series,
        mut header: Header,
        torn: &mut Vec<Torn>,
    ) -> Result<Log, LedgerError> {
        let Site { ledger, disk, durable } = *site;
        let numbers = series.numbers().map_err(|error| LedgerError::file("list", &series.dir, error))?;
        let Some(last) = numbers.last().copied() else {
            return Log::begin(disk, series.clone(), header, durable)
                .map_err(|error| LedgerError::file("write", &series.dir, error));
        };
        let path = series.stored_path(last);
        if path != series.path(last) {
            // The one behind it is lost. What is compressed does not grow.
            header.number = last.saturating_add(1);
            return Log::begin(disk, series.clone(), header, durable)
                .map_err(|error| LedgerError::file("write", &series.dir, error));
        }
        let file = |error| LedgerError::file("mend", &path, error);
        if let Some(Damage { fault: Fault::Unreadable(kind), .. }) = self.tail {
            return Err(file(kind.into()));
        }
        let length = fs::metadata(&path).map_err(file)?.len();
        let headless = length < HEADER;
        let from = if headless { 0 } else { self.at.offset };
        header.number = last.saturating_add(1);
        match &self.tail {
            Some(tail) if headless || matches!(tail.fault, Fault::Short | Fault::Zeros) => {
                torn.push(put_aside(ledger, &series, last, from, tail.fault).map_err(file)?);
                if headless {
                    fs::remove_file(&path).map_err(file)?;
                    header.number = last;
                }
            }
            Some(tail) => torn.push(left(ledger, &path, from, length, tail.fault)),
            None => {}
        }
        if let Some(inside) = &self.inside {
            torn.push(left(ledger, &path, inside.offset, 0, inside.fault));
        }
        let in_place = self.tail.as_ref().is_some_and(|t| !matches!(t.fault, Fault::Short | Fault::Zeros));
        if headless || in_place || self.inside.is_some() {
            return Log::begin(disk, series, header, durable).map_err(file);
        }
        Log::resume(series, header.node, self.at, durable).map_err(file)
    }
}

fn relative(ledger: &Path, path: &Path) -> String {
    path.strip_prefix(ledger).unwrap_or(path).display().to_string()
}

/// Says that damage was left where it is.
fn left(ledger: &Path, path: &Path, offset: u64, end: u64, fault: Fault) -> Torn {
    Torn {
        file: relative(ledger, path),
        offset,
        length: end.saturating_sub(offset),
        problem: fault.to_string(),
        ..Torn::default()
    }
}

/// Copies what stands at the end of a segment from `offset` on to `aside/`, and cuts it off.
fn put_aside(ledger: &Path, series: &Series, number: u64, offset: u64, fault: Fault) -> io::Result<Torn> {
    let path = series.path(number);
    let mut from = fs::OpenOptions::new().read(true).write(true).open(&path)?;
    from.seek(SeekFrom::Start(offset))?;
    let aside = ledger.join("aside");
    fs::create_dir_all(&aside)?;
    let family = match series.family {
        Family::Leaves => "leaves".to_owned(),
        Family::Bodies => format!("bodies-{}", series.class),
    };
    let (kept, mut to) = fresh(&aside, &format!("{family}-{number:08}-{offset}"))?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut block = vec![0; 64 << 10];
    let mut length = 0u64;
    loop {
        let count = from.read(&mut block)?;
        let Some(bytes) = block.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        hash.update(bytes);
        to.write_all(bytes)?;
        length = length.saturating_add(u64::try_from(count).unwrap_or(0));
    }
    to.sync_all()?;
    from.set_len(offset)?;
    from.sync_all()?;
    tracing::warn!(file = %path.display(), offset, length, "the ledger's last write was torn; put aside");
    Ok(Torn {
        file: relative(ledger, &path),
        offset,
        length,
        sha256: hash.finish().as_ref().to_vec(),
        kept_as: relative(ledger, &kept),
        problem: fault.to_string(),
    })
}

/// A new file in `dir` whose name begins with `stem`.
fn fresh(dir: &Path, stem: &str) -> io::Result<(PathBuf, File)> {
    for attempt in 0..10_000u32 {
        let path = dir.join(format!("{stem}-{attempt}.torn"));
        match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many torn ends of this place were put aside"))
}
