//! The end of one series, where it grows: groups of frames go on whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::time::Duration;

use crate::disk::{Disk, sync_dir};
use crate::segment::{Family, HEADER, Header, Position, Series};

/// The end of one series.
pub(crate) struct Log {
    series: Series,
    node: [u8; 16],
    file: File,
    number: u64,
    length: u64,
    /// The file could not be put back as it was: nothing more goes into it.
    abandoned: bool,
    durable: bool,
    /// When this segment was begun, by the wall clock,
    begun: i64,
    /// and how long after that it ends, in nanoseconds.
    turn: Option<i64>,
}

impl Log {
    /// Goes on after `end` of an existing segment whose frames before it were all read.
    pub(crate) fn resume(series: Series, node: [u8; 16], end: Position, durable: bool) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(series.path(end.segment))?;
        let begun = series.header(end.segment).map_or(0, |header| header.created);
        let (number, length) = (end.segment, end.offset);
        Ok(Self { series, node, file, number, length, abandoned: false, durable, begun, turn: None })
    }

    /// Begins segment `number`.
    pub(crate) fn begin(disk: &dyn Disk, series: Series, header: Header, durable: bool) -> io::Result<Self> {
        fs::create_dir_all(&series.dir)?;
        let file = create(disk, &series, &header, durable)?;
        let (node, number, begun) = (header.node, header.number, header.created);
        Ok(Self { series, node, file, number, length: HEADER, abandoned: false, durable, begun, turn: None })
    }

    /// A segment with frames ends so long after it was begun.
    pub(crate) fn turn_after(&mut self, turn: Option<Duration>) {
        self.turn = turn.map(|turn| i64::try_from(turn.as_nanos()).unwrap_or(i64::MAX));
    }

    /// Whether this segment has lasted that long.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        self.length > HEADER && self.turn.is_some_and(|turn| now.saturating_sub(self.begun) >= turn)
    }

    /// Where the next frame will begin.
    pub(crate) fn end(&self) -> Position {
        Position { segment: self.number, offset: self.length }
    }

    /// Makes room for `bytes` more: begins a new segment if this one would outgrow `limit` or is no
    /// longer usable. Says whether it did.
    pub(crate) fn make_room(
        &mut self,
        disk: &dyn Disk,
        bytes: u64,
        limit: u64,
        created: i64,
        first_leaf: u64,
    ) -> io::Result<bool> {
        let full = self.length > HEADER && self.length.saturating_add(bytes) > limit;
        if !full && !self.abandoned && !self.is_due(created) {
            return Ok(false);
        }
        if self.abandoned {
            // What could not be taken back then perhaps can now; if not, no reader counts it.
            let _ = disk.truncate(&self.file, self.length);
        }
        let number = self.number.saturating_add(1);
        let header = Header {
            family: self.series.family,
            number,
            node: self.node,
            created,
            first_leaf: if self.series.family == Family::Leaves { first_leaf } else { 0 },
            class: self.series.class.clone(),
        };
        self.file = create(disk, &self.series, &header, self.durable)?;
        self.number = number;
        self.begun = created;
        self.length = HEADER;
        self.abandoned = false;
        Ok(true)
    }

    /// Appends `bytes`. After an error the file is as it was before, or is given up.
    pub(crate) fn append(&mut self, disk: &dyn Disk, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let written = disk.write(&self.file, self.length, bytes);
        let synced = written.and_then(|()| if self.durable { disk.sync(&self.file) } else { Ok(()) });
        match synced {
            Ok(()) => {
                self.length = self.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                Ok(())
            }
            Err(error) => {
                self.cut_back(disk, self.length);
                Err(error)
            }
        }
    }

    /// Takes back what was appended after `end`, which must lie in the current segment.
    pub(crate) fn cut_back(&mut self, disk: &dyn Disk, end: u64) {
        // After a failed flush the kernel may have dropped the pages: a new segment begins on new ones.
        self.abandoned = disk.truncate(&self.file, end).is_err() || self.durable;
        self.length = end;
    }
}

fn create(disk: &dyn Disk, series: &Series, header: &Header, durable: bool) -> io::Result<File> {
    let path = series.path(header.number);
    let made = match disk.create(&path) {
        // Left over from a try that failed after making the file: nothing is in it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::metadata(&path)?.len() > HEADER {
                return Err(error);
            }
            fs::remove_file(&path)?;
            disk.create(&path)?
        }
        made => made?,
    };
    let written = disk.write(&made, 0, &header.encode()).and_then(|()| {
        if durable {
            disk.sync(&made)?;
            sync_dir(&series.dir)?;
        }
        Ok(())
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    Ok(made)
}
