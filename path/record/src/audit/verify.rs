//! The whole ledger in one pass: every frame, every chain, the tree, every checkpoint.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use model::ExchangeId;
use prost::Message;

use crate::LedgerError;
use crate::audit::bodies::{Bodies, Heard};
use crate::audit::kept::Kept;
use crate::audit::seen::Seen;
use crate::audit::walk::{Step, Walk};
use crate::audit::{Expected, Flaw, Notes, Report};
use crate::bookmark::Bookmark;
use crate::digest::Sha256;
use crate::leaf::{Digest, Leaf, Part, Sealed, Span, Torn, What};
use crate::recover::exchange;
use crate::segment::{HEADER, Position, Series};
use crate::tree::{Tree, leaf_hash};
use model::hex;

/// Told how many bytes of how many were read.
pub(super) type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Reads the whole ledger in `dir`, which may be a copy or one that is being written, and checks frames,
/// the bodies' digests against the leaves, the tree against checkpoints, and that every exchange is sealed
/// or under way at the tail. Ends at the first flaw, which the report then names.
///
/// # Errors
/// [`LedgerError`] when `dir` holds no ledger. What is wrong inside of one is no error but a finding.
pub fn verify(dir: &Path, expected: &Expected, progress: Progress<'_>) -> Result<Report, LedgerError> {
    if !dir.join("leaves").is_dir() {
        let problem = "there is no folder `leaves` in it".to_owned();
        return Err(LedgerError::Format { path: dir.to_owned(), problem });
    }
    let mut audit = Audit::new(dir);
    let flaw = audit.run(expected, progress).err();
    progress(audit.report.bytes, audit.report.bytes);
    let mut report = audit.report;
    report.drops = audit.kept.drops;
    report.notes = audit.notes.finish();
    report.flaw = flaw;
    Ok(report)
}

struct Audit {
    dir: PathBuf,
    node: [u8; 16],
    tree: Tree,
    /// Exchanges with frames, or opened, and not sealed.
    open: HashMap<ExchangeId, Heard>,
    /// How many of them were opened.
    opened: usize,
    bodies: HashMap<String, Bodies>,
    bookmark: Option<Bookmark>,
    notes: Notes,
    kept: Kept,
    report: Report,
}

impl Audit {
    fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            node: [0; 16],
            tree: Tree::default(),
            open: HashMap::new(),
            opened: 0,
            bodies: HashMap::new(),
            bookmark: None,
            notes: Notes { ledger: dir.to_owned(), ..Notes::default() },
            kept: Kept::default(),
            report: Report::default(),
        }
    }

    fn run(&mut self, expected: &Expected, progress: Progress<'_>) -> Result<(), Flaw> {
        let total = size_of(&self.dir);
        // Both are written behind the leaves they tell of, so they are looked at before them.
        let mut seen = Seen::new(&self.dir, expected)?;
        self.bookmark()?;
        let mut walk = Walk::new(&self.dir, Series::leaves(&self.dir), 1)?;
        let done = self.leaves(&mut walk, &mut seen, &mut |bytes| progress(bytes, total));
        self.report.leaves = self.tree.size();
        self.report.root = self.tree.root();
        self.report.bytes = self.bytes(&walk);
        let done = done.and_then(|()| self.finish(&seen));
        self.report.frames = self.bodies.values().map(|bodies| bodies.frames).sum();
        self.report.bytes = self.bytes(&walk);
        self.report.open = u64::try_from(self.open.len()).unwrap_or(u64::MAX);
        (self.report.checkpoints, self.report.covered) = (seen.held, seen.covered);
        (self.report.against, self.report.keys) = (seen.against, seen.keys);
        let covered = self.report.covered;
        for used in self.report.keys.iter().filter(|used| !used.handed_over && used.leaf < covered) {
            self.notes.say(format!(
                "since leaf {} a key signs that the one before did not hand over to",
                used.leaf
            ));
        }
        done
    }

    fn bytes(&self, walk: &Walk) -> u64 {
        self.bodies.values().fold(walk.bytes(), |sum, bodies| sum.saturating_add(bodies.bytes()))
    }

    fn bookmark(&mut self) -> Result<(), Flaw> {
        let path = self.dir.join("bookmark");
        self.bookmark = Bookmark::read(&path);
        if self.bookmark.is_none() && path.exists() {
            return Err(Flaw::at(&self.dir, &path, 0, "the bookmark is damaged"));
        }
        Ok(())
    }

    fn leaves(
        &mut self,
        walk: &mut Walk,
        seen: &mut Seen,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Flaw> {
        // How many leaves there are before the next segment, as that one says.
        let mut until = None;
        loop {
            let index = self.tree.size();
            match walk.next()? {
                Step::Segment(header) => {
                    let at = walk.position();
                    if at.segment == 1 {
                        self.node = header.node;
                        self.report.origin = format!("portcullis/{}", hex(&header.node));
                    } else if header.node != self.node {
                        return Err(walk.flaw_at(at, "the segment is another node's").of(index));
                    }
                    if header.first_leaf != index {
                        let problem = format!(
                            "the segment begins with leaf {}, and {index} were read before it",
                            header.first_leaf
                        );
                        return Err(walk.flaw_at(Position { offset: 0, ..at }, problem).of(index));
                    }
                    until = walk.peek(at.segment.saturating_add(1)).map(|next| next.first_leaf);
                }
                Step::Frame(at, _) if until.is_some_and(|until| index >= until) => {
                    self.notes.say(format!(
                        "{at} of the leaves is left from a write that failed: the next segment does not count it"
                    ));
                }
                Step::Frame(at, frame) => {
                    self.leaf(index, &frame.payload, seen).map_err(|flaw| match flaw {
                        Found::At(flaw) => flaw.of(index),
                        Found::Here(problem) => walk.flaw_at(at, problem).of(index),
                    })?;
                    self.tree.push(leaf_hash(&frame.payload));
                    self.grown(seen)?;
                    progress(self.bytes(walk));
                }
                Step::Remains(damage) => self.notes.remains(&damage),
                Step::End => return Ok(()),
            }
        }
    }

    /// Holds the tree against whatever tells of it at this size.
    fn grown(&mut self, seen: &mut Seen) -> Result<(), Flaw> {
        seen.grown(&self.report.origin, &self.tree)?;
        let size = self.tree.size();
        let told = self.bookmark.as_ref().filter(|bookmark| bookmark.tree.size() == size);
        if told.is_some_and(|bookmark| bookmark.tree != self.tree) {
            let problem = "the bookmark tells of another tree than the leaves";
            return Err(
                Flaw::at(&self.dir, &self.dir.join("bookmark"), 0, problem).of(size.saturating_sub(1))
            );
        }
        Ok(())
    }

    fn leaf(&mut self, index: u64, payload: &[u8], seen: &mut Seen) -> Result<(), Found> {
        let leaf = Leaf::decode(payload).map_err(|_| "the frame holds no leaf")?;
        let span = leaf.bodies.unwrap_or_default();
        if !span.class.is_empty() {
            self.reach(index, &span)?;
        }
        if let Some(what) = &leaf.what {
            self.kept.take(index, leaf.time, &span, what);
        }
        match leaf.what {
            Some(What::Opened(opened)) => {
                let id = exchange(&opened.exchange).ok_or("the leaf names no exchange")?;
                let heard = self.open.entry(id).or_default();
                if heard.leaf.replace(index).is_some() {
                    return Err(format!("exchange {id} is opened twice").into());
                }
                self.opened = self.opened.saturating_add(1);
                self.report.exchanges = self.report.exchanges.saturating_add(1);
                self.compare(&id, &span, (opened.request_body.as_ref(), None))?;
            }
            Some(What::Part(part)) => self.part(&part, &span)?,
            Some(What::Sealed(sealed)) => self.sealed(&sealed, &span)?,
            Some(What::Refused(_)) => self.report.refused = self.report.refused.saturating_add(1),
            Some(What::PolicySet(set)) if set.loaded_by == "start" => {
                if let Some((id, heard)) = self.open.iter().find(|(_, heard)| heard.leaf.is_some()) {
                    let opened = heard.leaf.unwrap_or_default();
                    return Err(format!("exchange {id}, opened in leaf {opened}, was never sealed").into());
                }
            }
            Some(What::Key(key)) => seen.key(index, &self.report.origin, &key),
            Some(What::Dropped(dropped)) => {
                self.bodies(&dropped.class)?.dropped(dropped.segment);
            }
            Some(What::Torn(torn)) => self.torn(index, &torn)?,
            Some(
                What::Summary(_)
                | What::PolicySet(_)
                | What::Outage(_)
                | What::Retention(_)
                | What::Hold(_)
                | What::Approval(_),
            )
            | None => {}
        }
        if !span.class.is_empty() {
            self.forget_unclaimed();
        }
        Ok(())
    }

    /// Frames that no leaf claimed by the time a later leaf covers them are of a request that was cut short
    /// before it was opened; nothing was done with it.
    fn forget_unclaimed(&mut self) {
        let unclaimed = self.open.len().saturating_sub(self.opened);
        if unclaimed > 0 {
            self.open.retain(|_, heard| heard.leaf.is_some());
            self.notes.say(format!(
                "{unclaimed} requests have body frames and were never opened: a kill cut them short"
            ));
        }
    }

    fn part(&mut self, part: &Part, span: &Span) -> Result<(), Found> {
        let id = exchange(&part.exchange).ok_or("the leaf names no exchange")?;
        let heard = self.open.get_mut(&id).filter(|heard| heard.leaf.is_some());
        let heard = heard.ok_or_else(|| format!("a part of exchange {id}, which is not open"))?;
        if part.number <= heard.parts {
            return Err(
                format!("part {} of exchange {id} comes after part {}", part.number, heard.parts).into()
            );
        }
        heard.parts = part.number;
        self.compare(&id, span, (part.request.as_ref(), part.response.as_ref()))
    }

    fn sealed(&mut self, sealed: &Sealed, span: &Span) -> Result<(), Found> {
        let id = exchange(&sealed.exchange).ok_or("the leaf names no exchange")?;
        if self.open.get(&id).is_none_or(|heard| heard.leaf.is_none()) {
            return Err(format!("exchange {id} is sealed, and not open").into());
        }
        self.compare(&id, span, (sealed.request.as_ref(), sealed.response.as_ref()))?;
        self.open.remove(&id);
        self.opened = self.opened.saturating_sub(1);
        Ok(())
    }

    /// Whether the frames of `id` so far are those that a leaf states.
    fn compare(
        &mut self,
        id: &ExchangeId,
        span: &Span,
        (request, response): (Option<&Digest>, Option<&Digest>),
    ) -> Result<(), Found> {
        if span.class.is_empty() || self.bodies(&span.class)?.lacks(span) {
            return Ok(());
        }
        if self.open.get(id).is_some_and(|heard| heard.fits(request, response)) {
            return Ok(());
        }
        let problem =
            format!("the body frames of exchange {id} are not those that the leaf was written over");
        Err(Found::At(self.bodies(&span.class)?.flaw(span, problem)))
    }

    fn bodies(&mut self, class: &str) -> Result<&mut Bodies, Found> {
        if !self.bodies.contains_key(class) {
            if !is_plain(class) {
                return Err("the leaf names no retention class".into());
            }
            let walk = Walk::new(&self.dir, Series::bodies(&self.dir, class), 1).map_err(Found::At)?;
            self.bodies.insert(class.to_owned(), Bodies::new(walk, self.node));
        }
        self.bodies.get_mut(class).ok_or_else(|| "the bodies cannot be read".into())
    }

    fn reach(&mut self, index: u64, span: &Span) -> Result<(), Found> {
        if span.end_segment == 0 || span.end_offset < HEADER {
            return Err("the leaf says of no place where its bodies end".into());
        }
        self.bodies(&span.class)?;
        let Some(bodies) = self.bodies.get_mut(&span.class) else { return Ok(()) };
        bodies.reach(span, index, &mut self.open, &mut self.notes).map_err(Found::At)
    }

    fn torn(&mut self, index: u64, torn: &Torn) -> Result<(), Found> {
        self.notes.say(format!(
            "leaf {index}: a start found {} at byte {}: {}",
            torn.file, torn.offset, torn.problem
        ));
        if torn.kept_as.is_empty() {
            return Ok(());
        }
        let kept = Path::new(&torn.kept_as);
        if !kept.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err("the leaf says that something was put aside outside the ledger".into());
        }
        let path = self.dir.join(kept);
        match hash_of(&path) {
            Ok((length, hash)) if length == torn.length && hash.as_slice() == torn.sha256 => Ok(()),
            Ok(_) => Err(Found::At(Flaw::at(&self.dir, &path, 0, "what was put aside here was changed"))),
            Err(error) => {
                self.notes.say(format!("{}, put aside at a start, cannot be read: {error}", torn.kept_as));
                Ok(())
            }
        }
    }

    /// What no leaf covers, and checkpoints beyond the last leaf.
    fn finish(&mut self, seen: &Seen) -> Result<(), Flaw> {
        let leaves = self.tree.size();
        let beyond = self.bookmark.as_ref().filter(|bookmark| bookmark.tree.size() > leaves);
        seen.finish(&self.tree)?;
        if let Some(bookmark) = beyond {
            let problem =
                format!("the bookmark tells of {} leaves, and there are {leaves}", bookmark.tree.size());
            return Err(Flaw::at(&self.dir, &self.dir.join("bookmark"), 0, problem));
        }
        for class in classes(&self.dir) {
            if let Err(Found::At(flaw)) = self.bodies(&class) {
                return Err(flaw);
            }
        }
        for bodies in self.bodies.values_mut() {
            bodies.finish(leaves, &mut self.open, &mut self.notes)?;
        }
        self.forget_unclaimed();
        self.kept.finish(&self.dir);
        match self.kept.drops.disallowed.first() {
            Some((leaf, problem)) => Err(Flaw::at(&self.dir, &self.dir.join("leaves"), 0, problem).of(*leaf)),
            None => Ok(()),
        }
    }
}

/// Something wrong while a leaf is looked at: with the leaf, or elsewhere.
enum Found {
    Here(String),
    At(Flaw),
}

impl From<&str> for Found {
    fn from(problem: &str) -> Self {
        Self::Here(problem.to_owned())
    }
}

impl From<String> for Found {
    fn from(problem: String) -> Self {
        Self::Here(problem)
    }
}

/// Whether a retention class can be the name of a folder.
fn is_plain(class: &str) -> bool {
    let mut parts = Path::new(class).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) && class.len() <= 63
}

pub(crate) fn classes(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("bodies")).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| is_plain(name)).collect()
}

fn size_of(dir: &Path) -> u64 {
    let mut series = vec![Series::leaves(dir)];
    series.extend(classes(dir).iter().map(|class| Series::bodies(dir, class)));
    let size = |series: &Series, number| series.length(number).unwrap_or(0);
    series
        .iter()
        .flat_map(|series| series.numbers().unwrap_or_default().into_iter().map(move |n| size(series, n)))
        .fold(0, u64::saturating_add)
}

fn hash_of(path: &Path) -> std::io::Result<(u64, [u8; 32])> {
    let mut file = fs::File::open(path)?;
    let (mut hash, mut length, mut block) = (Sha256::new(), 0u64, vec![0; 64 << 10]);
    loop {
        let count = file.read(&mut block)?;
        let Some(bytes) = block.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        hash.update(bytes);
        length = length.saturating_add(u64::try_from(count).unwrap_or(0));
    }
    Ok((length, hash.finish()))
}
