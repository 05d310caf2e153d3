//! Unpacks compressed answers piece by piece, never more ahead than one piece, never beyond a ratio.

use std::io::{self, BufRead, ErrorKind, Read};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::Bytes;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, Operation};

use crate::ForwardError;

/// The largest piece unpacked at once.
const PIECE: usize = 32 << 10;
/// An answer may unpack to so many times its size,
const RATIO: u64 = 200;
/// counted from here on: small answers pack well.
const RATIO_FROM: u64 = 1 << 20;
/// The largest zstd window, as a power of two: 8 MiB, which is what RFC 9659 allows on the web.
const ZSTD_WINDOW: u32 = 23;

/// Unpacks one answer.
pub(crate) struct Decoder {
    coding: Coding,
    input: u64,
    output: u64,
    buffer: Box<[u8]>,
    ended: bool,
}

enum Coding {
    Gzip(Box<GzDecoder<Feed>>),
    Deflate(Box<ZlibDecoder<Feed>>),
    Brotli(Box<Brotli>, Feed),
    Zstd(Box<Zstd>, Feed),
}

type Brotli = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

/// A zstd stream: frames one after another (RFC 8878, section 3).
struct Zstd {
    decoder: ZstdDecoder<'static>,
    /// Whether it stands between frames.
    whole: bool,
    /// Whether the last step filled its output, so that more may be waiting inside.
    full: bool,
}

/// What has arrived and is not yet unpacked. Says "not yet" instead of "the end" until the end is known.
#[derive(Debug, Default)]
struct Feed {
    bytes: Bytes,
    ended: bool,
}

impl Read for Feed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(out)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_empty() && !self.ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(&self.bytes)
    }

    fn consume(&mut self, n: usize) {
        let _ = self.bytes.split_to(n.min(self.bytes.len()));
    }
}

/// What one step gave.
enum Step {
    /// So many bytes.
    Some(usize),
    /// Nothing until more arrives.
    Hungry,
    /// The packed stream is whole.
    Done,
}

fn unreadable(cause: impl std::fmt::Display) -> ForwardError {
    ForwardError::Unreadable(cause.to_string())
}

impl Decoder {
    /// The decoder an answer's headers ask for, if any. Takes the headers that no longer hold.
    pub(crate) fn for_answer(headers: &mut HeaderMap) -> Result<Option<Self>, ForwardError> {
        let mut coding = None;
        for value in headers.get_all(CONTENT_ENCODING) {
            let value = value.to_str().map_err(|_| unreadable("its content-encoding is not text"))?;
            for name in value.split(',').map(|name| name.trim().to_ascii_lowercase()) {
                if name.is_empty() || name == "identity" {
                    continue;
                }
                if coding.is_some() {
                    return Err(unreadable("it is packed more than once"));
                }
                coding = Some(Coding::named(&name)?);
            }
        }
        headers.remove(CONTENT_ENCODING);
        let Some(coding) = coding else { return Ok(None) };
        headers.remove(CONTENT_LENGTH);
        let buffer = vec![0; PIECE].into_boxed_slice();
        Ok(Some(Self { coding, input: 0, output: 0, buffer, ended: false }))
    }

    /// Takes what arrived. Call when the last [`Decoder::next`] gave nothing.
    pub(crate) fn feed(&mut self, bytes: Bytes) {
        self.input = self.input.saturating_add(bytes.len() as u64);
        self.coding.feed().bytes = bytes;
    }

    /// The answer ended: what is not whole by now never will be.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.coding.feed().ended = true;
    }

    /// The next piece, or nothing until more arrives.
    ///
    /// # Errors
    /// When the bytes are not what they claim to be, end too early or too late, or unpack to too much.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, ForwardError> {
        match self.coding.step(&mut self.buffer)? {
            Step::Some(n) => {
                self.output = self.output.saturating_add(n as u64);
                if self.output > RATIO_FROM && self.output > self.input.saturating_mul(RATIO) {
                    return Err(ForwardError::Bomb(RATIO));
                }
                Ok(self.buffer.get(..n).map(Bytes::copy_from_slice))
            }
            Step::Done if !self.coding.feed().bytes.is_empty() => {
                Err(unreadable("something follows its packed body"))
            }
            Step::Hungry if self.ended => Err(ForwardError::Lost("its packed body is cut off".to_owned())),
            Step::Hungry | Step::Done => Ok(None),
        }
    }
}

impl Coding {
    fn named(name: &str) -> Result<Self, ForwardError> {
        let feed = Feed::default();
        match name {
            "gzip" | "x-gzip" => Ok(Self::Gzip(Box::new(GzDecoder::new(feed)))),
            "deflate" => Ok(Self::Deflate(Box::new(ZlibDecoder::new(feed)))),
            "br" => {
                let alloc = StandardAlloc::default;
                Ok(Self::Brotli(Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())), feed))
            }
            "zstd" => {
                let mut decoder = ZstdDecoder::new().map_err(unreadable)?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW)).map_err(unreadable)?;
                Ok(Self::Zstd(Box::new(Zstd { decoder, whole: false, full: false }), feed))
            }
            _ => Err(unreadable("its content-encoding is none of gzip, deflate, br and zstd")),
        }
    }

    fn feed(&mut self) -> &mut Feed {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Brotli(_, feed) | Self::Zstd(_, feed) => feed,
        }
    }

    fn step(&mut self, out: &mut [u8]) -> Result<Step, ForwardError> {
        match self {
            Self::Gzip(decoder) => read(&mut **decoder, out),
            Self::Deflate(decoder) => read(&mut **decoder, out),
            Self::Brotli(state, feed) => brotli(state, feed, out),
            Self::Zstd(zstd, feed) => zstd.step(feed, out),
        }
    }
}

fn read(decoder: &mut dyn Read, out: &mut [u8]) -> Result<Step, ForwardError> {
    match decoder.read(out) {
        Ok(0) => Ok(Step::Done),
        Ok(n) => Ok(Step::Some(n)),
        Err(cause) if cause.kind() == ErrorKind::WouldBlock => Ok(Step::Hungry),
        // Both decoders say so when the stream ends inside.
        Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => Ok(Step::Hungry),
        Err(cause) => Err(unreadable(cause)),
    }
}

fn brotli(state: &mut Brotli, feed: &mut Feed, out: &mut [u8]) -> Result<Step, ForwardError> {
    let (mut left, mut taken) = (feed.bytes.len(), 0);
    let (mut room, mut given, mut total) = (out.len(), 0, 0);
    let result = BrotliDecompressStream(
        &mut left,
        &mut taken,
        &feed.bytes,
        &mut room,
        &mut given,
        out,
        &mut total,
        state,
    );
    feed.consume(taken);
    match result {
        BrotliResult::ResultFailure => Err(unreadable("it is not brotli")),
        _ if given > 0 => Ok(Step::Some(given)),
        BrotliResult::ResultSuccess => Ok(Step::Done),
        BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok(Step::Hungry),
    }
}

impl Zstd {
    fn step(&mut self, feed: &mut Feed, out: &mut [u8]) -> Result<Step, ForwardError> {
        loop {
            if feed.bytes.is_empty() && !self.full {
                return Ok(if feed.ended && self.whole { Step::Done } else { Step::Hungry });
            }
            let status = self.decoder.run_on_buffers(&feed.bytes, out).map_err(unreadable)?;
            feed.consume(status.bytes_read);
            self.full = status.bytes_written == out.len() && status.remaining != 0;
            self.whole = status.remaining == 0;
            if status.bytes_written > 0 {
                return Ok(Step::Some(status.bytes_written));
            }
            if status.bytes_read == 0 {
                return Ok(Step::Hungry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn pack(coding: &str, plain: &[u8]) -> Vec<u8> {
        match coding {
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            "deflate" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            "zstd" => zstd::encode_all(plain, 3).unwrap(),
            _ => stored_brotli(plain),
        }
    }

    /// Brotli without an encoder: stored meta-blocks (RFC 7932, section 9.2), then the empty last one.
    fn stored_brotli(plain: &[u8]) -> Vec<u8> {
        let (mut packed, mut bits, mut count) = (Vec::new(), 0u64, 0);
        let mut put = |packed: &mut Vec<u8>, value: u64, n: u32, align: bool| {
            bits |= value << count;
            count += n;
            while count >= 8 || (align && count > 0) {
                packed.push(bits as u8);
                bits >>= 8;
                count = count.saturating_sub(8);
            }
        };
        // WBITS 16 is the single bit 0.
        put(&mut packed, 0, 1, false);
        for block in plain.chunks(1 << 16) {
            // Not last, 4 nibbles of length less one, uncompressed.
            put(&mut packed, 0, 3, false);
            put(&mut packed, block.len() as u64 - 1, 16, false);
            put(&mut packed, 1, 1, true);
            packed.extend_from_slice(block);
        }
        put(&mut packed, 0b11, 2, true);
        packed
    }

    fn unpack(coding: &str, packed: &[u8], cut: usize) -> Result<Vec<u8>, ForwardError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap());
        let mut decoder = Decoder::for_answer(&mut headers)?.unwrap();
        let mut plain = Vec::new();
        for chunk in packed.chunks(cut.max(1)) {
            decoder.feed(Bytes::copy_from_slice(chunk));
            while let Some(piece) = decoder.next()? {
                plain.extend_from_slice(&piece);
            }
        }
        decoder.end();
        while let Some(piece) = decoder.next()? {
            plain.extend_from_slice(&piece);
        }
        Ok(plain)
    }

    const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

    proptest! {
        #[test]
        fn any_chunking_unpacks_to_the_same(
            plain in proptest::collection::vec(0u8..4, 0..100_000),
            cut in 1usize..5000,
        ) {
            for coding in CODINGS {
                let packed = pack(coding, &plain);
                prop_assert_eq!(unpack(coding, &packed, cut).unwrap(), plain.clone(), "{}", coding);
            }
        }

        #[test]
        fn what_is_cut_off_or_goes_on_is_an_error(
            plain in proptest::collection::vec(any::<u8>(), 1..2000),
            at in 0.0f64..1.0,
            cut in 1usize..500,
        ) {
            for coding in CODINGS {
                let mut packed = pack(coding, &plain);
                let short = (packed.len() as f64 * at) as usize;
                prop_assert!(unpack(coding, &packed[..short], cut).is_err(), "{} {}", coding, short);
                packed.extend_from_slice(b"more");
                prop_assert!(unpack(coding, &packed, cut).is_err(), "{}", coding);
            }
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..500)) {
            for coding in CODINGS {
                let _ = unpack(coding, &noise, 7);
            }
        }
    }

    #[test]
    fn bombs_are_cut_before_they_go_off() {
        let plain = vec![0; 64 << 20];
        for coding in ["gzip", "deflate", "zstd"] {
            let packed = pack(coding, &plain);
            assert!(packed.len() < plain.len() / 500);
            let end = unpack(coding, &packed, packed.len()).unwrap_err();
            assert!(matches!(end, ForwardError::Bomb(_)), "{coding}: {end}");
        }
    }

    #[test]
    fn text_that_packs_well_passes() {
        let plain = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n".repeat(100_000);
        // Frames of one event each, as a stream is packed.
        let packed: Vec<u8> = plain.chunks(1000).flat_map(|event| pack("zstd", event)).collect();
        assert_eq!(unpack("zstd", &packed, 4096).unwrap(), plain);
    }

    #[test]
    fn unknown_and_stacked_codings_are_refused() {
        for coding in ["compress", "gzip, br", "aes128gcm"] {
            assert!(unpack(coding, b"", 1).is_err(), "{coding}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
        assert!(Decoder::for_answer(&mut headers).unwrap().is_none());
        assert!(headers.is_empty());
    }
}
