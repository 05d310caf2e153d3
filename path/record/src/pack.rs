//! Closed segments, compressed: the bytes of the segment as they were, in pieces of zstd that can be read
//! from any of them on. `docs/record-format.md` says how a file lies.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::digest::Sha256;
use crate::disk::Disk;

/// Bytes of the segment in one piece.
const PIECE: usize = 1 << 20;
/// The largest piece that is read: what a file states is not believed beyond it.
const LIMIT: u32 = 8 << 20;
/// How hard it is compressed: zstd's own default.
const LEVEL: i32 = 3;
/// What a frame that decoders pass over begins with (RFC 8878, section 3.1.2; this one holds a seek table).
const SKIPPED: u32 = 0x184D_2A5E;
/// What a seek table ends with.
const SEEKABLE: u32 = 0x8F92_EAB1;
/// Bytes of the table's end: how many pieces, what each entry holds, and the number above.
const FOOT: u64 = 9;

fn damaged(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// What was packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Bytes of the segment.
    pub(crate) length: u64,
    /// SHA-256 of them.
    pub(crate) sha256: [u8; 32],
}

/// Reads `from` to its end and writes it, packed, as the new file `to`, flushed to the disk. `pace` is told of
/// each so many bytes that were read, and may stop it with an error. Memory does not grow with the file.
pub(crate) fn pack(
    disk: &dyn Disk,
    from: &mut impl Read,
    to: &Path,
    pace: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<Packed> {
    let file = disk.create(to)?;
    let (mut hash, mut at, mut length) = (Sha256::new(), 0u64, 0u64);
    let mut entries = Vec::new();
    let mut piece = Vec::with_capacity(PIECE);
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
    loop {
        piece.clear();
        from.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        if piece.is_empty() {
            break;
        }
        hash.update(&piece);
        let small = compressor.compress(&piece)?;
        disk.write(&file, at, &small)?;
        at = at.saturating_add(as_u64(small.len()));
        length = length.saturating_add(as_u64(piece.len()));
        entries.extend_from_slice(&as_u32(small.len())?.to_le_bytes());
        entries.extend_from_slice(&as_u32(piece.len())?.to_le_bytes());
        pace(as_u64(piece.len()))?;
    }
    let count = as_u32(entries.len() / 8)?;
    let mut table = Vec::with_capacity(entries.len().saturating_add(17));
    table.extend_from_slice(&SKIPPED.to_le_bytes());
    table.extend_from_slice(&as_u32(entries.len().saturating_add(9))?.to_le_bytes());
    table.append(&mut entries);
    table.extend_from_slice(&count.to_le_bytes());
    table.push(0);
    table.extend_from_slice(&SEEKABLE.to_le_bytes());
    disk.write(&file, at, &table)?;
    disk.sync(&file)?;
    Ok(Packed { length, sha256: hash.finish() })
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn as_u32(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| io::Error::other("a segment is too large to be compressed"))
}

/// One piece: where it begins in the file and in the segment, and how long it is in each.
#[derive(Clone, Copy, Debug)]
struct Piece {
    at: u64,
    small: u32,
    begins: u64,
    length: u32,
}

/// Reads a packed segment as if it were not packed. Holds one piece at a time.
#[derive(Debug)]
pub(crate) struct Unpacked {
    file: File,
    pieces: Vec<Piece>,
    next: usize,
    piece: Vec<u8>,
    /// How much of `piece` was read.
    read: usize,
    length: u64,
}

impl Unpacked {
    /// Reads the table of `file`. An error of kind `InvalidData` says that it is damaged.
    pub(crate) fn open(mut file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let foot_at = size.checked_sub(FOOT).ok_or_else(|| damaged("it is too short"))?;
        let mut foot = [0; 9];
        file.seek(SeekFrom::Start(foot_at))?;
        file.read_exact(&mut foot)?;
        let (count, rest) = foot.split_first_chunk::<4>().ok_or_else(|| damaged("no table"))?;
        if rest.first() != Some(&0) || rest.get(1..) != Some(SEEKABLE.to_le_bytes().as_slice()) {
            return Err(damaged("it does not end with a seek table"));
        }
        let count = u64::from(u32::from_le_bytes(*count));
        let entries = count.saturating_mul(8);
        let begins = foot_at.checked_sub(entries).and_then(|at| at.checked_sub(8));
        let begins = begins.ok_or_else(|| damaged("its seek table is longer than it"))?;
        file.seek(SeekFrom::Start(begins))?;
        let mut table = Vec::new();
        Read::by_ref(&mut file).take(entries.saturating_add(8)).read_to_end(&mut table)?;
        let stated = u32::try_from(entries.saturating_add(FOOT)).unwrap_or(0);
        let (head, table) = table.split_first_chunk::<8>().ok_or_else(|| damaged("no table"))?;
        if head.get(..4) != Some(SKIPPED.to_le_bytes().as_slice())
            || head.get(4..) != Some(stated.to_le_bytes().as_slice())
        {
            return Err(damaged("its seek table is damaged"));
        }
        let (pieces, length) = pieces(table, begins)?;
        Ok(Self { file, pieces, next: 0, piece: Vec::new(), read: 0, length })
    }

    /// Bytes of the segment.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Goes on at byte `offset` of the segment, which lies in it or at its end.
    pub(crate) fn go_to(&mut self, offset: u64) -> io::Result<()> {
        self.next = self.pieces.partition_point(|p| p.begins.saturating_add(u64::from(p.length)) <= offset);
        self.piece.clear();
        self.read = 0;
        if let Some(piece) = self.pieces.get(self.next).copied() {
            self.fill()?;
            self.read = usize::try_from(offset.saturating_sub(piece.begins)).unwrap_or(usize::MAX);
        }
        Ok(())
    }

    /// Unpacks the next piece; an empty one is the end.
    fn fill(&mut self) -> io::Result<()> {
        self.read = 0;
        self.piece.clear();
        let Some(piece) = self.pieces.get(self.next).copied() else { return Ok(()) };
        self.file.seek(SeekFrom::Start(piece.at))?;
        let mut small = vec![0; usize::try_from(piece.small).unwrap_or(0)];
        self.file.read_exact(&mut small)?;
        let length = usize::try_from(piece.length).unwrap_or(0);
        self.piece = zstd::bulk::decompress(&small, length).map_err(|_| damaged("a piece is damaged"))?;
        if self.piece.len() != length {
            return Err(damaged("a piece has another length than its table says"));
        }
        self.next = self.next.saturating_add(1);
        Ok(())
    }
}

fn pieces(table: &[u8], end: u64) -> io::Result<(Vec<Piece>, u64)> {
    let (mut pieces, mut at, mut begins) = (Vec::with_capacity(table.len() / 8), 0u64, 0u64);
    for entry in table.chunks_exact(8) {
        let (small, length) = entry.split_at_checked(4).unwrap_or_default();
        let number = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).map(u32::from_le_bytes).unwrap_or(0);
        let (small, length) = (number(small), number(length));
        if small == 0 || length == 0 || small > LIMIT || length > LIMIT {
            return Err(damaged("its seek table states an impossible length"));
        }
        pieces.push(Piece { at, small, begins, length });
        at = at.saturating_add(u64::from(small));
        begins = begins.saturating_add(u64::from(length));
    }
    if at != end {
        return Err(damaged("its seek table does not fit it"));
    }
    Ok((pieces, begins))
}

impl Read for Unpacked {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.read >= self.piece.len() {
            self.fill()?;
        }
        let rest = self.piece.get(self.read..).unwrap_or_default();
        let count = rest.len().min(out.len());
        for (slot, chunk) in out.iter_mut().zip(rest.get(..count).unwrap_or_default()) {
            *slot = *chunk;
        }
        self.read = self.read.saturating_add(count);
        Ok(count)
    }
}

/// What a segment is read from.
#[derive(Debug)]
pub(crate) enum Content {
    /// Its file.
    Plain(File),
    /// Its file, packed.
    Packed(Box<Unpacked>),
}

impl Content {
    /// Opens the segment at `plain`, or packed at `packed`. While one becomes the other, both are there.
    pub(crate) fn open(plain: &Path, packed: &Path) -> io::Result<Self> {
        match File::open(plain) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Unpacked::open(File::open(packed)?).map(|file| Self::Packed(Box::new(file)))
            }
            opened => opened.map(Self::Plain),
        }
    }

    /// Bytes of the segment.
    pub(crate) fn length(&self) -> io::Result<u64> {
        match self {
            Self::Plain(file) => Ok(file.metadata()?.len()),
            Self::Packed(file) => Ok(file.length()),
        }
    }

    /// Goes on at byte `offset` of the segment.
    pub(crate) fn go_to(&mut self, offset: u64) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.seek(SeekFrom::Start(offset)).map(drop),
            Self::Packed(file) => file.go_to(offset),
        }
    }

    pub(crate) fn is_packed(&self) -> bool {
        matches!(self, Self::Packed(_))
    }
}

impl Read for Content {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(out),
            Self::Packed(file) => file.read(out),
        }
    }
}

/// What a whole segment holds, read once: the same for the file as it was written and as it was packed.
pub(crate) fn hash(from: &mut Content, pace: &mut dyn FnMut(u64) -> io::Result<()>) -> io::Result<Packed> {
    from.go_to(0)?;
    let (mut hash, mut length, mut block) = (Sha256::new(), 0u64, vec![0; 256 << 10]);
    loop {
        let count = from.read(&mut block)?;
        let Some(bytes) = block.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        hash.update(bytes);
        length = length.saturating_add(as_u64(count));
        pace(as_u64(count))?;
    }
    Ok(Packed { length, sha256: hash.finish() })
}

/// Makes an empty file that only its owner reads, if it is not there.
pub(crate) fn touch(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(b"")?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
