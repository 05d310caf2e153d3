//! The credential must not come back: an upstream's debug page or error may show the request it got.
//!
//! What the gateway injected is looked for in the answer's bytes, byte for byte, in every spelling the
//! keeper knows of it and of those before it, and overwritten with asterisks. It has the same length then, so
//! nothing around it moves. What could still become it is held until the next piece tells.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use credential::Needles;
use http::{HeaderMap, HeaderValue};
use memchr::{memchr_iter, memmem};
use zeroize::Zeroize;

/// Looks for credentials in one answer.
pub(crate) struct Echo {
    needles: Arc<Needles>,
    /// The end of what came so far, while it is the beginning of one. As it came: what is overwritten may
    /// overlap with another that is still to come.
    held: Vec<u8>,
    /// So many of the held bytes lie in one that was found.
    covered: usize,
}

impl std::fmt::Debug for Echo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Echo")
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.held.zeroize();
    }
}

impl Echo {
    /// Looks for these. None where there is nothing to look for.
    pub(crate) fn of(needles: Arc<Needles>) -> Option<Self> {
        (!needles.is_empty()).then(|| Self { needles, held: Vec::new(), covered: 0 })
    }

    /// Takes the next bytes, gives those that are certain.
    pub(crate) fn push(&mut self, bytes: Bytes) -> Bytes {
        if self.held.is_empty() && !self.any_in(&bytes) && self.beginning(&bytes) == 0 {
            return bytes;
        }
        self.held.extend_from_slice(&bytes);
        let keep = self.beginning(&self.held);
        self.give(self.held.len().saturating_sub(keep))
    }

    /// Whether something is held.
    pub(crate) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Nothing more comes: gives what was held, if anything.
    pub(crate) fn finish(&mut self) -> Option<Bytes> {
        self.holds().then(|| self.give(self.held.len()))
    }

    /// Overwrites them in headers.
    pub(crate) fn headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let found = self.found(value.as_bytes());
            if !found.is_empty() {
                let mut bytes = BytesMut::from(value.as_bytes());
                found.into_iter().for_each(|range| overwrite(&mut bytes, range));
                // Asterisks fit any header.
                *value = HeaderValue::from_maybe_shared(bytes.freeze())
                    .unwrap_or_else(|_| HeaderValue::from_static("*"));
            }
        }
    }

    /// Gives the first `count` of the held bytes, with what was found in them overwritten.
    fn give(&mut self, count: usize) -> Bytes {
        let found = self.found(&self.held);
        let mut out = BytesMut::from(self.held.get(..count).unwrap_or_default());
        overwrite(&mut out, 0..self.covered);
        let mut covered = self.covered;
        for range in found {
            covered = covered.max(range.end);
            overwrite(&mut out, range);
        }
        self.held.drain(..count);
        self.covered = covered.saturating_sub(count);
        out.freeze()
    }

    fn any_in(&self, bytes: &[u8]) -> bool {
        self.needles.iter().any(|needle| memmem::find(bytes, needle).is_some())
    }

    /// Where any of them stands, also where they overlap.
    fn found(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for needle in self.needles.iter() {
            let finder = memmem::Finder::new(needle);
            let mut from = 0;
            while let Some(at) = bytes.get(from..).and_then(|rest| finder.find(rest)) {
                let start = from.saturating_add(at);
                found.push(start..start.saturating_add(needle.len()));
                from = start.saturating_add(1);
            }
        }
        found
    }

    /// How many of the last bytes are a beginning of one of them.
    fn beginning(&self, bytes: &[u8]) -> usize {
        self.needles.iter().map(|needle| beginning(bytes, needle)).max().unwrap_or(0)
    }
}

fn beginning(bytes: &[u8], needle: &[u8]) -> usize {
    let Some(first) = needle.first() else { return 0 };
    let tail = bytes.get(bytes.len().saturating_sub(needle.len().saturating_sub(1))..).unwrap_or_default();
    memchr_iter(*first, tail)
        .filter_map(|at| tail.get(at..))
        .find(|end| needle.starts_with(end))
        .map_or(0, <[u8]>::len)
}

/// As much of the range as there is.
fn overwrite(bytes: &mut BytesMut, range: Range<usize>) {
    let end = range.end.min(bytes.len());
    if let Some(found) = bytes.get_mut(range.start.min(end)..end) {
        found.fill(b'*');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "aab-aac-0123";

    fn echo(needles: &[&str]) -> Echo {
        Echo::of(Arc::new(Needles::of(needles.iter().map(|needle| needle.as_bytes())))).unwrap()
    }

    fn through(mut echo: Echo, text: &str, size: usize) -> String {
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            out.extend_from_slice(&echo.push(Bytes::copy_from_slice(piece)));
        }
        out.extend_from_slice(&echo.finish().unwrap_or_default());
        String::from_utf8(out).unwrap()
    }

    /// By the definition: every byte of every place where one stands.
    fn plainly(text: &str, needles: &[&str]) -> String {
        let mut out = text.as_bytes().to_vec();
        for needle in needles {
            for start in 0..text.len() {
                if text.as_bytes()[start..].starts_with(needle.as_bytes()) {
                    out[start..start + needle.len()].fill(b'*');
                }
            }
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_is_overwritten_however_it_is_cut() {
        let text = format!("aaab-a{SECRET}aab-{SECRET}{SECRET} and aab-aac-012");
        let stars = "*".repeat(SECRET.len());
        let expected = format!("aaab-a{stars}aab-{stars}{stars} and aab-aac-012");
        for size in 1..=text.len() {
            assert_eq!(through(echo(&[SECRET]), &text, size), expected, "pieces of {size}");
        }
    }

    #[test]
    fn overlapping_ones_are_both_overwritten_whole() {
        let needles = ["abcdefgh", "efghijkl"];
        for size in 1..=20 {
            assert_eq!(
                through(echo(&needles), "-abcdefghijkl-abcdefgh-efghijkl-", size).replace('*', ""),
                "----"
            );
        }
    }

    #[test]
    fn other_text_passes_at_once() {
        let mut echo = echo(&[SECRET]);
        assert_eq!(echo.push(Bytes::from_static(b"hello aab")), "hello ");
        assert_eq!(echo.push(Bytes::from_static(b"!")), "aab!");
        assert_eq!(echo.finish(), None);
    }

    #[test]
    fn headers_lose_it_too() {
        let mut headers = HeaderMap::new();
        headers.insert("x-note", HeaderValue::from_str(&format!("<{SECRET}>")).unwrap());
        echo(&[SECRET]).headers(&mut headers);
        assert_eq!(headers.get("x-note").unwrap(), "<************>");
    }

    #[test]
    fn what_is_too_short_is_not_looked_for() {
        assert!(Echo::of(Arc::new(Needles::of([&b"short"[..]]))).is_none());
    }

    proptest! {
        #[test]
        fn it_does_as_it_is_defined(
            text in "[ab]{0,60}",
            needles in proptest::collection::vec("[ab]{8,12}", 1..4),
            size in 1_usize..20,
        ) {
            let needles: Vec<&str> = needles.iter().map(String::as_str).collect();
            prop_assert_eq!(through(echo(&needles), &text, size), plainly(&text, &needles));
        }
    }
}
