//! One frame: its length, its CRC32C and a protobuf message; written, and read back without trust.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use prost::Message;

/// Bytes before the payload: length and checksum, four each, little-endian.
pub(crate) const HEAD: usize = 8;

/// The largest payload. A longer length is damage.
pub const MAX_PAYLOAD: usize = 32 << 20;

/// CRC32C over the length's four bytes and the payload, so that zeroed blocks are no frames.
fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length), payload)
}

/// Appends one frame around the bytes that `fill` appends; gives the payload's range in `out`.
pub(crate) fn put_with(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) -> std::ops::Range<usize> {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    fill(out);
    let from = start.saturating_add(HEAD);
    let payload = out.get(from..).unwrap_or_default();
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let sum = checksum(length, payload).to_le_bytes();
    for (slot, byte) in out.iter_mut().skip(start).zip(length.into_iter().chain(sum)) {
        *slot = byte;
    }
    from..out.len()
}

/// Appends one frame around `message`.
pub(crate) fn put(out: &mut Vec<u8>, message: &impl Message) -> std::ops::Range<usize> {
    out.reserve(message.encoded_len().saturating_add(HEAD));
    put_with(out, |out| message.encode_raw(out))
}

/// A frame as stored.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where it begins in its file.
    pub offset: u64,
    /// Its payload: the bytes that are hashed.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Where the next frame begins.
    pub fn end(&self) -> u64 {
        let length = u64::try_from(self.payload.len()).unwrap_or(u64::MAX);
        self.offset.saturating_add(length).saturating_add(HEAD as u64)
    }
}

/// What is wrong with bytes that should be a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file ends inside the frame.
    #[error("the file ends inside a frame")]
    Short,
    /// Nothing but zeros follows.
    #[error("nothing but zeros follows")]
    Zeros,
    /// The length is zero or beyond [`MAX_PAYLOAD`].
    #[error("a frame states an impossible length of {0} bytes")]
    Length(u32),
    /// The checksum is not that of the bytes.
    #[error("a frame's checksum is wrong")]
    Checksum,
    /// The payload is not the message it should be.
    #[error("a frame does not hold the message it should")]
    Message,
    /// An encrypted frame does not open with its exchange's key.
    #[error("an encrypted frame is not the one that was written here: it does not open")]
    Box,
    /// The segment's header is not one.
    #[error("the segment's header is damaged")]
    Header,
    /// A segment of the series is absent.
    #[error("the segment is missing")]
    Missing,
    /// The compressed segment cannot be unpacked.
    #[error("the compressed segment is damaged")]
    Packed,
    /// The system could not read.
    #[error("the file cannot be read ({0})")]
    Unreadable(io::ErrorKind),
}

/// Damage, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} at byte {offset}: {fault}", file.display())]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where the damaged frame begins.
    pub offset: u64,
    /// What is wrong there.
    pub fault: Fault,
}

/// Reads frames one after another, in memory bounded by the largest frame.
pub(crate) struct FrameReader<R> {
    file: PathBuf,
    from: BufReader<R>,
    offset: u64,
    ended: bool,
}

impl<R: Read> FrameReader<R> {
    /// Reads frames from `from`, whose first byte lies at `offset` of `file`.
    pub(crate) fn new(from: R, file: &Path, offset: u64) -> Self {
        Self { file: file.to_owned(), from: BufReader::with_capacity(64 << 10, from), offset, ended: false }
    }

    /// Where the next frame begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    fn damage(&self, offset: u64, fault: Fault) -> Damage {
        Damage { file: self.file.clone(), offset, fault }
    }

    /// The next frame; `None` at a clean end. After [`Fault::Checksum`] the reader stands behind the
    /// damaged frame and goes on; after any other fault it has ended.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Damage> {
        if self.ended {
            return Ok(None);
        }
        let offset = self.offset;
        match self.read() {
            Ok(Some(payload)) => {
                let frame = Frame { offset, payload };
                self.offset = frame.end();
                Ok(Some(frame))
            }
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err((fault, skip)) => {
                match skip {
                    Some(length) => self.offset = offset.saturating_add(length),
                    None => self.ended = true,
                }
                Err(self.damage(offset, fault))
            }
        }
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>, (Fault, Option<u64>)> {
        let io = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData => (Fault::Packed, None),
            kind => (Fault::Unreadable(kind), None),
        };
        let mut head = [0; HEAD];
        let read = self.fill(&mut head).map_err(io)?;
        if read == 0 {
            return Ok(None);
        }
        let Some((length, sum)) = split_head(&head).filter(|_| read == HEAD) else {
            return Err((if head.iter().all(|b| *b == 0) { Fault::Zeros } else { Fault::Short }, None));
        };
        let stated = u32::from_le_bytes(length);
        let size = usize::try_from(stated).unwrap_or(usize::MAX);
        if size == 0 || size > MAX_PAYLOAD {
            let zeros = size == 0 && sum == 0 && self.only_zeros().map_err(io)?;
            return Err((if zeros { Fault::Zeros } else { Fault::Length(stated) }, None));
        }
        let mut payload = Vec::with_capacity(size.min(64 << 10));
        self.from.by_ref().take(u64::from(stated)).read_to_end(&mut payload).map_err(io)?;
        if payload.len() < size {
            return Err((Fault::Short, None));
        }
        if checksum(length, &payload) != sum {
            return Err((Fault::Checksum, Some(u64::from(stated).saturating_add(HEAD as u64))));
        }
        Ok(Some(payload))
    }

    /// Reads into all of `into`, or up to the end. How much that was.
    fn fill(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut read = 0usize;
        loop {
            let rest = into.get_mut(read..).unwrap_or_default();
            match self.from.read(rest) {
                Ok(0) => return Ok(read),
                Ok(count) => read = read.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn only_zeros(&mut self) -> io::Result<bool> {
        let mut block = [0; 4096];
        loop {
            let count = self.from.read(&mut block)?;
            if count == 0 {
                return Ok(true);
            }
            if block.iter().take(count).any(|b| *b != 0) {
                return Ok(false);
            }
        }
    }
}

fn split_head(head: &[u8]) -> Option<([u8; 4], u32)> {
    let (length, rest) = head.split_first_chunk::<4>()?;
    let (sum, _) = rest.split_first_chunk::<4>()?;
    Some((*length, u32::from_le_bytes(*sum)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<Damage>) {
        let mut reader = FrameReader::new(bytes, Path::new("test"), 0);
        let (mut frames, mut damages) = (Vec::new(), Vec::new());
        loop {
            match reader.next() {
                Ok(Some(frame)) => frames.push(frame.payload),
                Ok(None) => return (frames, damages),
                Err(damage) => damages.push(damage),
            }
        }
    }

    fn written(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for payload in payloads {
            put_with(&mut out, |out| out.extend_from_slice(payload));
        }
        out
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..20)) {
            prop_assert_eq!(all(&written(&payloads)), (payloads, vec![]));
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let (frames, damages) = all(&bytes);
            prop_assert!(bytes.is_empty() || !frames.is_empty() || !damages.is_empty());
        }

        #[test]
        fn a_truncation_loses_only_the_last(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..60), 1..8), cut in any::<proptest::sample::Index>()) {
            let bytes = written(&payloads);
            let cut = cut.index(bytes.len());
            let (frames, damages) = all(&bytes[..cut]);
            prop_assert!(payloads.starts_with(&frames));
            let whole = written(&frames).len();
            prop_assert_eq!(damages.len(), usize::from(whole != cut));
            prop_assert!(damages.iter().all(|d| d.offset == whole as u64 && matches!(d.fault, Fault::Short | Fault::Zeros)));
        }

        #[test]
        fn a_flipped_bit_is_found(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..60), 1..8), at in any::<proptest::sample::Index>(), bit in 0..8u8) {
            let mut bytes = written(&payloads);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let (frames, damages) = all(&bytes);
            prop_assert_ne!(frames, payloads);
            prop_assert!(!damages.is_empty());
            prop_assert!(damages[0].offset <= at as u64);
        }
    }

    #[test]
    fn zeros_are_no_frame() {
        assert_eq!(all(&[0; 64]).1[0].fault, Fault::Zeros);
        assert_eq!(all(&[0; 5]).1[0].fault, Fault::Zeros);
        let mut bytes = vec![0; 64];
        bytes[60] = 1;
        assert_eq!(all(&bytes).1[0].fault, Fault::Length(0));
    }
}
