//! The series of bodies, one a retention class: where each grows, and when its segments end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::Settings;
use crate::disk::Disk;
use crate::log::Log;
use crate::segment::{DEFAULT_CLASS, Position};

/// Where the bodies of one retention class go.
pub(crate) struct Shelf {
    /// The class; none for [`DEFAULT_CLASS`].
    class: Option<Arc<str>>,
    log: Log,
    /// A segment grows no larger.
    limit: u64,
    /// Bytes that the group under way may bring.
    wanted: u64,
}

/// All of them; the default class is the first.
pub(crate) struct Shelves(Vec<Shelf>);

impl Shelves {
    /// The shelves of `logs`, each with its class; the default class is the first of them.
    pub(crate) fn new(logs: Vec<(String, Log)>, settings: &Settings) -> Self {
        let shelf = |(class, mut log): (String, Log)| {
            let policy = settings.retention.of(&class);
            log.turn_after(policy.turn());
            let limit = policy.segment_bytes(settings.segment_bytes);
            let class = (class != DEFAULT_CLASS).then(|| Arc::from(class));
            Shelf { class, log, limit, wanted: 0 }
        };
        Self(logs.into_iter().map(shelf).collect())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The place of a class. One that was never heard of is the default.
    pub(crate) fn find(&self, class: Option<&str>) -> usize {
        let Some(class) = class else { return 0 };
        self.0.iter().position(|shelf| shelf.class.as_deref() == Some(class)).unwrap_or(0)
    }

    /// The class at `place`.
    pub(crate) fn name(&self, place: usize) -> &str {
        self.0.get(place).and_then(|shelf| shelf.class.as_deref()).unwrap_or(DEFAULT_CLASS)
    }

    /// Nothing is wanted yet.
    pub(crate) fn clear(&mut self) {
        self.0.iter_mut().for_each(|shelf| shelf.wanted = 0);
    }

    /// So many bytes are to go to the shelf at `place`.
    pub(crate) fn want(&mut self, place: usize, bytes: u64) {
        if let Some(shelf) = self.0.get_mut(place) {
            shelf.wanted = shelf.wanted.saturating_add(bytes);
        }
    }

    /// Makes room for what is wanted. Says whether a segment was begun.
    pub(crate) fn make_room(&mut self, disk: &dyn Disk, created: i64) -> io::Result<bool> {
        let mut begun = false;
        for shelf in &mut self.0 {
            begun |= shelf.log.make_room(disk, shelf.wanted, shelf.limit, created, 0)?;
        }
        Ok(begun)
    }

    /// Where the next frame of each will begin.
    pub(crate) fn ends(&self) -> impl Iterator<Item = Position> {
        self.0.iter().map(|shelf| shelf.log.end())
    }

    /// The same, with the classes.
    pub(crate) fn places(&self) -> Vec<(String, Position)> {
        self.ends().enumerate().map(|(at, end)| (self.name(at).to_owned(), end)).collect()
    }

    /// Appends to each what is given for it, to all or to none.
    pub(crate) fn append(&mut self, disk: &dyn Disk, staged: &[(Position, Vec<u8>)]) -> io::Result<()> {
        for (at, (shelf, (_, bytes))) in self.0.iter_mut().zip(staged).enumerate() {
            if let Err(error) = shelf.log.append(disk, bytes) {
                self.take_back(disk, staged.get(..at).unwrap_or_default());
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes back what was appended.
    pub(crate) fn take_back(&mut self, disk: &dyn Disk, staged: &[(Position, Vec<u8>)]) {
        for (shelf, (before, bytes)) in self.0.iter_mut().zip(staged) {
            if !bytes.is_empty() {
                shelf.log.cut_back(disk, before.offset);
            }
        }
    }

    /// Whether a segment has lasted so long that it ends although nothing comes.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        self.0.iter().any(|shelf| shelf.log.is_due(now))
    }
}

/// How long a segment may grow before it ends: a tenth of what its bodies are kept, at most a day. What is in
/// it can't be dropped before.
pub(crate) fn turn(age: Duration) -> Duration {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    (age / 10).clamp(Duration::from_secs(1), DAY)
}
