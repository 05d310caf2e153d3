//! The credential must not come back: an upstream's debug page or error may show the request it got.
//!
//! What the gateway injected is looked for in the answer's bytes, byte for byte, and overwritten with
//! asterisks. It has the same length then, so nothing around it moves. What could still become it is held
//! until the next piece tells.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

/// Shorter ones would be found in text that has nothing to do with them.
const SHORTEST: usize = 8;

/// Looks for one credential in one answer.
pub(crate) struct Echo {
    secret: Zeroizing<Vec<u8>>,
    /// The end of what came so far, while it is the credential's beginning.
    held: BytesMut,
}

impl std::fmt::Debug for Echo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Echo")
    }
}

impl Echo {
    /// Looks for the credential of a header's value: its last word. None where there is nothing to look
    /// for.
    pub(crate) fn of(value: &HeaderValue) -> Option<Self> {
        let secret = value.as_bytes().rsplit(|byte| *byte == b' ').next()?;
        (secret.len() >= SHORTEST)
            .then(|| Self { secret: Zeroizing::new(secret.to_vec()), held: BytesMut::new() })
    }

    /// Takes the next bytes, gives those that are certain.
    pub(crate) fn push(&mut self, bytes: Bytes) -> Bytes {
        if self.held.is_empty() && memchr::memmem::find(&bytes, &self.secret).is_none() {
            let keep = self.beginning(&bytes);
            if keep == 0 {
                return bytes;
            }
        }
        self.held.extend_from_slice(&bytes);
        self.overwrite();
        let keep = self.beginning(&self.held);
        self.held.split_to(self.held.len() - keep).freeze()
    }

    /// Nothing more comes: gives what was held, if anything.
    pub(crate) fn finish(&mut self) -> Option<Bytes> {
        (!self.held.is_empty()).then(|| self.held.split().freeze())
    }

    /// Overwrites it in headers.
    pub(crate) fn headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            if memchr::memmem::find(value.as_bytes(), &self.secret).is_some() {
                let mut bytes = BytesMut::from(value.as_bytes());
                overwrite(&mut bytes, &self.secret);
                // Asterisks fit any header.
                *value = HeaderValue::from_maybe_shared(bytes.freeze())
                    .unwrap_or_else(|_| HeaderValue::from_static("*"));
            }
        }
    }

    fn overwrite(&mut self) {
        overwrite(&mut self.held, &self.secret);
    }

    /// How many of the last bytes are a beginning of the credential.
    fn beginning(&self, bytes: &[u8]) -> usize {
        let longest = bytes.len().min(self.secret.len() - 1);
        (1..=longest)
            .rev()
            .find(|length| self.secret.get(..*length).is_some_and(|start| bytes.ends_with(start)))
            .unwrap_or(0)
    }
}

fn overwrite(bytes: &mut BytesMut, secret: &[u8]) {
    let mut from = 0;
    while let Some(at) = bytes.get(from..).and_then(|rest| memchr::memmem::find(rest, secret)) {
        let start = from + at;
        from = start + secret.len();
        if let Some(found) = bytes.get_mut(start..from) {
            found.fill(b'*');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "aab-aac-0123";

    fn echo() -> Echo {
        Echo::of(&HeaderValue::from_str(&format!("Bearer {SECRET}")).unwrap()).unwrap()
    }

    fn through(text: &str, size: usize) -> String {
        let mut echo = echo();
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            out.extend_from_slice(&echo.push(Bytes::copy_from_slice(piece)));
        }
        out.extend_from_slice(&echo.finish().unwrap_or_default());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_is_overwritten_however_it_is_cut() {
        let text = format!("aaab-a{SECRET}aab-{SECRET}{SECRET} and aab-aac-012");
        let stars = "*".repeat(SECRET.len());
        let expected = format!("aaab-a{stars}aab-{stars}{stars} and aab-aac-012");
        for size in 1..=text.len() {
            assert_eq!(through(&text, size), expected, "pieces of {size}");
        }
    }

    #[test]
    fn other_text_passes_at_once() {
        let mut echo = echo();
        assert_eq!(echo.push(Bytes::from_static(b"hello aab")), "hello ");
        assert_eq!(echo.push(Bytes::from_static(b"!")), "aab!");
        assert_eq!(echo.finish(), None);
    }

    #[test]
    fn headers_lose_it_too() {
        let mut headers = HeaderMap::new();
        headers.insert("x-note", HeaderValue::from_str(&format!("<{SECRET}>")).unwrap());
        echo().headers(&mut headers);
        assert_eq!(headers.get("x-note").unwrap(), "<************>");
    }

    #[test]
    fn what_is_too_short_is_not_looked_for() {
        assert!(Echo::of(&HeaderValue::from_static("Bearer short")).is_none());
    }
}
