//! The text that the inside of a JSON string spells.

use std::borrow::Cow;

use super::Flaw;

/// Resolves the escapes of `raw`, which lies at the quotes' inside and has any only if `escaped`. Lone surrogates become U+FFFD
/// unless `strict`.
///
/// # Errors
/// The flaw and its place in `raw`.
pub(super) fn decode(raw: &[u8], escaped: bool, strict: bool) -> Result<Cow<'_, str>, (usize, Flaw)> {
    let first = if escaped { memchr::memchr(b'\\', raw) } else { None };
    let Some(first) = first else {
        return Ok(match std::str::from_utf8(raw) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(raw),
        });
    };
    let mut text = Vec::with_capacity(raw.len());
    let mut at = first;
    text.extend_from_slice(raw.get(..first).unwrap_or_default());
    while let Some(&byte) = raw.get(at) {
        if byte != b'\\' {
            let rest = raw.get(at..).unwrap_or_default();
            let run = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
            text.extend_from_slice(rest.get(..run).unwrap_or_default());
            at += run;
            continue;
        }
        let (character, length) =
            escape(raw.get(at..).unwrap_or_default(), strict).map_err(|flaw| (at, flaw))?;
        let mut utf8 = [0; 4];
        text.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
        at += length;
    }
    Ok(Cow::Owned(match String::from_utf8(text) {
        Ok(text) => text,
        Err(broken) => String::from_utf8_lossy(broken.as_bytes()).into_owned(),
    }))
}

/// The character that the escape at the start of `raw` spells, and its length in bytes.
fn escape(raw: &[u8], strict: bool) -> Result<(char, usize), Flaw> {
    let plain = match raw.get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(raw, strict),
        _ => return Err(Flaw::BadEscape),
    };
    Ok((plain, 2))
}

fn unicode(raw: &[u8], strict: bool) -> Result<(char, usize), Flaw> {
    let unit = hex4(raw.get(2..6)).ok_or(Flaw::BadEscape)?;
    if let Some(character) = char::from_u32(unit) {
        return Ok((character, 6));
    }
    let low = match (unit < 0xdc00, raw.get(6..8)) {
        (true, Some(b"\\u")) => hex4(raw.get(8..12)).filter(|low| (0xdc00..0xe000).contains(low)),
        _ => None,
    };
    match low.and_then(|low| char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))) {
        Some(character) => Ok((character, 12)),
        None if strict => Err(Flaw::LoneSurrogate),
        None => Ok((char::REPLACEMENT_CHARACTER, 6)),
    }
}

fn hex4(digits: Option<&[u8]>) -> Option<u32> {
    digits?.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
}
