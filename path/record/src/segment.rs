//! Segments: the header of one file, the names of a series, and reading a whole series in order.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::frame::{Damage, Fault, Frame, FrameReader};
use crate::pack::Content;

/// Bytes before the first frame of a segment.
pub const HEADER: u64 = 128;

/// The retention class of bodies whose resource has no retention of its own.
pub const DEFAULT_CLASS: &str = "default";

const MAGIC: [u8; 8] = *b"\x89PCLEDG\n";
const VERSION: u16 = 1;
const CLASS_BYTES: usize = 63;

/// What a series of segments holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `leaves/`: [`crate::leaf::Leaf`].
    Leaves,
    /// `bodies/CLASS/`: [`crate::body::Body`].
    Bodies,
}

/// A place in a series of segments. Ordered as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The segment's number, from 1.
    pub segment: u64,
    /// The byte in its file.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}.seg:{}", self.segment, self.offset)
    }
}

/// A segment's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the series holds.
    pub family: Family,
    /// The segment's number, from 1.
    pub number: u64,
    /// Which node wrote it.
    pub node: [u8; 16],
    /// When it was begun, in nanoseconds since the Unix epoch.
    pub created: i64,
    /// How many leaves lie in the segments before it. 0 for bodies.
    pub first_leaf: u64,
    /// The retention class; empty for leaves. At most 63 bytes.
    pub class: String,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let class = self.class.as_bytes();
        let class = class.get(..class.len().min(CLASS_BYTES)).unwrap_or_default();
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.push(match self.family {
            Family::Leaves => 1,
            Family::Bodies => 2,
        });
        out.push(u8::try_from(class.len()).unwrap_or(0));
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.node);
        out.extend_from_slice(&self.created.to_le_bytes());
        out.extend_from_slice(&self.first_leaf.to_le_bytes());
        out.extend_from_slice(class);
        out.resize(124, 0);
        let sum = crc32c::crc32c(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads a header; `None` if it is damaged, of another version, or none.
    pub fn decode(bytes: &[u8; 128]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
            return None;
        }
        let (magic, rest) = body.split_first_chunk::<8>()?;
        let (version, rest) = rest.split_first_chunk::<2>()?;
        let ([family, length], rest) = rest.split_first_chunk::<2>()?;
        let (_, rest) = rest.split_first_chunk::<4>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (node, rest) = rest.split_first_chunk::<16>()?;
        let (created, rest) = rest.split_first_chunk::<8>()?;
        let (first_leaf, class) = rest.split_first_chunk::<8>()?;
        if *magic != MAGIC || u16::from_le_bytes(*version) != VERSION {
            return None;
        }
        Some(Self {
            family: match family {
                1 => Family::Leaves,
                2 => Family::Bodies,
                _ => return None,
            },
            number: u64::from_le_bytes(*number),
            node: *node,
            created: i64::from_le_bytes(*created),
            first_leaf: u64::from_le_bytes(*first_leaf),
            class: String::from_utf8(class.get(..usize::from(*length))?.to_vec()).ok()?,
        })
    }
}

/// One series of segments: its folder and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The folder.
    pub dir: PathBuf,
    /// What it holds.
    pub family: Family,
    /// The retention class; empty for leaves.
    pub class: String,
}

impl Series {
    /// The leaves of the ledger in `ledger`.
    pub fn leaves(ledger: &Path) -> Self {
        Self { dir: ledger.join("leaves"), family: Family::Leaves, class: String::new() }
    }

    /// The bodies of one retention class of the ledger in `ledger`.
    pub fn bodies(ledger: &Path, class: &str) -> Self {
        Self { dir: ledger.join("bodies").join(class), family: Family::Bodies, class: class.to_owned() }
    }

    /// The file of one segment.
    pub fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:08}.seg"))
    }

    /// The file of one segment once it is compressed.
    pub fn packed_path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:08}.seg.zst"))
    }

    /// The file that is read for one segment: as it was written, as long as that is there.
    pub fn stored_path(&self, number: u64) -> PathBuf {
        let (plain, packed) = (self.path(number), self.packed_path(number));
        if !plain.exists() && packed.exists() { packed } else { plain }
    }

    /// Bytes of one segment, as it was written; `None` if it is not there or cannot be read.
    pub(crate) fn length(&self, number: u64) -> Option<u64> {
        self.content(number).and_then(|content| content.length()).ok()
    }

    /// Bytes that one segment takes on the disk.
    pub(crate) fn stored(&self, number: u64) -> u64 {
        let size = |path| fs::metadata(path).map_or(0, |file| file.len());
        size(self.path(number)).saturating_add(size(self.packed_path(number)))
    }

    pub(crate) fn content(&self, number: u64) -> io::Result<Content> {
        Content::open(&self.path(number), &self.packed_path(number))
    }

    /// The numbers of the segments that exist, rising. Empty if the folder is absent.
    pub fn numbers(&self) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let name = name.to_str().map(|name| name.strip_suffix(".zst").unwrap_or(name));
            let Some(stem) = name.and_then(|name| name.strip_suffix(".seg")) else { continue };
            if stem.len() >= 8 && stem.bytes().all(|b| b.is_ascii_digit()) {
                numbers.extend(stem.parse::<u64>().ok().filter(|n| *n > 0));
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// The header of one segment.
    pub fn header(&self, number: u64) -> Result<Header, Damage> {
        self.open(number, HEADER).map(|(header, _)| header)
    }

    fn damage(&self, number: u64, offset: u64, fault: Fault) -> Damage {
        Damage { file: self.stored_path(number), offset, fault }
    }

    pub(crate) fn open(&self, number: u64, offset: u64) -> Result<(Header, FrameReader<Content>), Damage> {
        let io = |error: io::Error| {
            let fault = match error.kind() {
                io::ErrorKind::NotFound => Fault::Missing,
                io::ErrorKind::UnexpectedEof => Fault::Short,
                io::ErrorKind::InvalidData => Fault::Packed,
                kind => Fault::Unreadable(kind),
            };
            self.damage(number, 0, fault)
        };
        let mut file = self.content(number).map_err(io)?;
        let path = if file.is_packed() { self.packed_path(number) } else { self.path(number) };
        let mut bytes = [0; 128];
        file.read_exact(&mut bytes).map_err(io)?;
        let header = Header::decode(&bytes)
            .filter(|h| h.family == self.family && h.number == number && h.class == self.class)
            .ok_or_else(|| self.damage(number, 0, Fault::Header))?;
        let offset = offset.max(HEADER);
        if file.length().map_err(io)? < offset {
            return Err(self.damage(number, offset, Fault::Short));
        }
        file.go_to(offset).map_err(io)?;
        Ok((header, FrameReader::new(file, &path, offset)))
    }

    /// Reads from `from` on, over all segments.
    pub fn read(&self, from: Position) -> SeriesReader {
        SeriesReader { series: self.clone(), next: from, current: None, tail: None, ended: false }
    }

    /// Reads the one frame at `at`.
    pub fn frame(&self, at: Position) -> Result<Frame, Damage> {
        let (_, mut frames) = self.open(at.segment, at.offset)?;
        frames.next()?.ok_or_else(|| self.damage(at.segment, at.offset, Fault::Missing))
    }
}

/// Reads a series frame by frame. Works while another process appends: it ends at the last whole frame.
pub struct SeriesReader {
    series: Series,
    /// Where the next frame is looked for when `current` is none.
    next: Position,
    current: Option<(u64, FrameReader<Content>)>,
    tail: Option<Damage>,
    ended: bool,
}

impl SeriesReader {
    /// Where the next frame begins: where to go on from later.
    pub fn position(&self) -> Position {
        match &self.current {
            Some((segment, frames)) => Position { segment: *segment, offset: frames.offset() },
            None => self.next,
        }
    }

    /// What stood behind the last whole frame of the last segment: a write under way, or a torn one.
    pub fn tail(&self) -> Option<&Damage> {
        self.tail.as_ref()
    }

    /// Looks again behind the end: a writer may have gone on.
    pub(crate) fn again(&mut self) {
        self.ended = false;
        self.tail = None;
    }

    /// The next frame. `None` at the end of the last segment. After damage, goes on behind it: with the
    /// next frame if the checksum is wrong, else with the next segment.
    #[expect(clippy::should_implement_trait, reason = "the iterator adds positions to the damage")]
    pub fn next(&mut self) -> Result<Option<(Position, Frame)>, Damage> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let (segment, outcome) = match &mut self.current {
                Some((segment, frames)) => (*segment, frames.next()),
                None => match self.begin() {
                    Ok(true) => continue,
                    Ok(false) => return Ok(None),
                    Err(damage) => return Err(damage),
                },
            };
            match outcome {
                Ok(Some(frame)) => return Ok(Some((Position { segment, offset: frame.offset }, frame))),
                Ok(None) if self.advance(segment, None)? => {}
                Ok(None) => return Ok(None),
                Err(damage) if damage.fault == Fault::Checksum => return Err(damage),
                Err(damage) => {
                    self.advance(segment, Some(damage))?;
                }
            }
        }
    }

    /// Opens the segment at `next`, or the first one behind it. Says whether there is one.
    fn begin(&mut self) -> Result<bool, Damage> {
        let wanted = self.next.segment.max(1);
        let unreadable = |e: io::Error| Damage {
            file: self.series.dir.clone(),
            offset: 0,
            fault: Fault::Unreadable(e.kind()),
        };
        let numbers = match self.series.numbers().map_err(unreadable) {
            Ok(numbers) => numbers,
            Err(damage) => {
                self.ended = true;
                return Err(damage);
            }
        };
        let Some(found) = numbers.iter().copied().find(|n| *n >= wanted) else {
            self.ended = true;
            return Ok(false);
        };
        let offset = if found == self.next.segment { self.next.offset.max(HEADER) } else { HEADER };
        let missing = found > wanted && self.series.family == Family::Leaves;
        self.next = Position { segment: found, offset };
        if missing {
            return Err(self.series.damage(wanted, 0, Fault::Missing));
        }
        match self.series.open(found, offset) {
            Ok((_, frames)) => self.current = Some((found, frames)),
            Err(damage) if numbers.last() == Some(&found) => {
                self.ended = true;
                self.tail = Some(damage);
                return Ok(false);
            }
            Err(damage) => {
                self.next = Position { segment: found.saturating_add(1), offset: HEADER };
                return Err(damage);
            }
        }
        Ok(true)
    }

    /// The current segment gave its last frame, cleanly or with `damage`. Goes on to a later one if
    /// there is one; says whether.
    fn advance(&mut self, segment: u64, damage: Option<Damage>) -> Result<bool, Damage> {
        let at = self.position();
        let later = self.series.numbers().unwrap_or_default().into_iter().any(|n| n > segment);
        if !later {
            self.next = at;
            self.current = None;
            self.ended = true;
            self.tail = damage;
            return Ok(false);
        }
        // The writer may have finished this segment between our last look and its next segment.
        let again = self.series.open(segment, at.offset).and_then(|(_, mut frames)| frames.next());
        if let Ok(Some(_)) = again {
            self.next = at;
            self.current = None;
            return Ok(true);
        }
        self.next = Position { segment: segment.saturating_add(1), offset: HEADER };
        self.current = None;
        match damage {
            Some(damage) => Err(damage),
            None => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(family: Family, number: u64, class: &str) -> Header {
        Header { family, number, node: [7; 16], created: -5, first_leaf: 9, class: class.to_owned() }
    }

    #[test]
    fn header_round_trips_and_every_flip_is_found() {
        for header in [header(Family::Leaves, 1, ""), header(Family::Bodies, u64::MAX, &"c".repeat(63))] {
            let bytes = <[u8; 128]>::try_from(header.encode()).unwrap();
            assert_eq!(Header::decode(&bytes), Some(header));
            for at in 0..128 {
                let mut bytes = bytes;
                bytes[at] ^= 4;
                assert_eq!(Header::decode(&bytes), None);
            }
        }
    }

    #[test]
    fn series_goes_over_segments_and_says_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let series = Series::leaves(dir.path());
        fs::create_dir(&series.dir).unwrap();
        for number in [1, 2, 4] {
            let mut bytes = header(Family::Leaves, number, "").encode();
            crate::frame::put_with(&mut bytes, |out| out.push(u8::try_from(number).unwrap()));
            if number == 2 {
                bytes.extend_from_slice(b"torn");
            }
            fs::write(series.path(number), bytes).unwrap();
        }
        let mut reader = series.read(Position::default());
        let mut seen = Vec::new();
        let mut faults = Vec::new();
        loop {
            match reader.next() {
                Ok(Some((at, frame))) => seen.push((at.segment, frame.payload[0])),
                Ok(None) => break,
                Err(damage) => faults.push(damage.fault),
            }
        }
        assert_eq!(seen, [(1, 1), (2, 2), (4, 4)]);
        assert_eq!(faults, [Fault::Short, Fault::Missing]);
        assert_eq!(reader.tail(), None);
        assert_eq!(reader.position(), Position { segment: 4, offset: HEADER + 9 });
    }
}
