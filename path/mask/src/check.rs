//! Judges what has a rule's shape: check digits for personal data, variety for credentials.
//!
//! A credential's checksum is never asked for: published samples and revoked tokens often fail it, and
//! a token with one wrong digit is still nobody's business.

use std::ops::Range;

use self::digits::{Digits, luhn, mod_97};
use crate::rule::Check;

pub(crate) mod digits;
pub(crate) mod named;
pub(crate) mod nations;
pub(crate) mod people;
pub(crate) mod written;

pub(crate) use named::{
    BASIC, CURL_USER, NAMED_ALNUM, NAMED_HEX, NAMED_PASSWORD, NAMED_SECRET, NAMED_UUID, PREFIXED, SENTRY,
    SIGNED, TELEGRAM, URI_TOKEN,
};

/// Nothing but its shape.
pub(crate) const ANY: Check = Check::new("nothing", |_, text| whole(text, true));

/// What is not one character or one word again and again, as in `ghp_xxxxxxxx`: enough different
/// bytes among the last ones, and no word of a manual.
pub(crate) const VARIED: Check = Check::new("variety", |_, text| whole(text, varied(text)));

/// The same, and digits among them, which no placeholder in a manual has.
pub(crate) const WITH_DIGITS: Check = Check::new("variety, digits", |_, text| {
    whole(text, varied(text) && count(text, u8::is_ascii_digit) >= 3)
});

/// The same, and letters behind the digits.
pub(crate) const WITH_LETTERS: Check = Check::new("variety, letters", |_, text| {
    let last = text.get(text.len().saturating_sub(30)..).unwrap_or(&[]);
    whole(text, varied(text) && count(last, u8::is_ascii_alphabetic) >= 4)
});

/// Digits, capitals and small letters, as chance gives them to a short key.
pub(crate) const WITH_ALL_KINDS: Check = Check::new("variety, digits, both cases", |_, text| {
    let last = text.get(text.len().saturating_sub(24)..).unwrap_or(&[]);
    whole(
        text,
        varied(text)
            && count(last, u8::is_ascii_digit) >= 1
            && count(last, u8::is_ascii_uppercase) >= 1
            && count(last, u8::is_ascii_lowercase) >= 1,
    )
});

/// The same, without the byte behind it.
pub(crate) const AD_SECRET: Check = Check::new("variety", |_, text| {
    let end = text.iter().rposition(|b| b.is_ascii_alphanumeric() || b"_~.-".contains(b))? + 1;
    varied(text).then_some(0..end)
});

/// The same as [`VARIED`], and no part of a path or a host's name.
pub(crate) const NO_PATH: Check = Check::new("variety, no part of a path", |left, text| {
    whole(text, varied(text) && !matches!(left.last(), Some(b'.' | b'/' | b':' | b'_' | b'-')))
});

/// The same as [`VARIED`], and not the alphabet.
pub(crate) const NO_SEQUENCE: Check = Check::new("variety, no alphabet", |_, text| {
    let next = |pair: &&[u8]| matches!(pair, [a, b] if *b == a.wrapping_add(1));
    whole(text, varied(text) && text.windows(2).filter(next).count() * 2 < text.len())
});

/// Luhn's check digit at the end.
pub(crate) const LUHN: Check = Check::digits("Luhn", |digits| digits.luhn() && !digits.same());

/// Verhoeff's check digit at the end.
pub(crate) const VERHOEFF: Check = Check::digits("Verhoeff", |digits| digits::verhoeff(digits.all()));

/// ISO 7064 mod 97-10, the country and the check digits in front.
pub(crate) const MOD_97: Check = Check::new("ISO 7064 mod 97-10", |_, text| {
    let compact = || text.iter().copied().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_uppercase());
    whole(text, mod_97(compact().skip(4).chain(compact().take(4)))? == 1)
});

/// What looks drawn by chance.
pub(crate) const RANDOM: Check =
    Check::new("looks drawn by chance", |_, text| whole(text, named::random(text)));

/// The digits that `text` ends with.
pub(crate) const LAST_DIGITS: Check = Check::new("digits behind the words", |_, text| {
    let tail = text.iter().rev().take_while(|b| b.is_ascii_digit() || b"/-".contains(b)).count();
    let start = text.len() - tail;
    let start = start + text.iter().skip(start).take_while(|b| !b.is_ascii_digit()).count();
    Some(start..text.len())
});

/// A payment card by any issuer, where a word says card.
pub(crate) const LUHN_12_19: Check = Check::digits("Luhn, 12 to 19 digits", |digits| {
    (12..=19).contains(&digits.len()) && digits.luhn() && !digits.same()
});

/// See [`key_body`].
pub(crate) const KEY_BODY: Check = Check::new("a body in base64", key_body);
/// See [`userinfo`].
pub(crate) const USERINFO: Check = Check::new("a scheme before, no template", userinfo);
/// See [`email`].
pub(crate) const EMAIL: Check = Check::new("the shape of a host name", email);
/// See [`card`].
pub(crate) const CARD: Check = Check::new("issuer's range and length, Luhn, grouping", card);
/// See [`ssn`].
pub(crate) const SSN: Check = Check::new("areas, groups and serials that were issued", ssn);
/// See [`iban`].
pub(crate) const IBAN: Check = Check::new("length by country, ISO 7064 mod 97-10", iban);

fn whole(text: &[u8], holds: bool) -> Option<Range<usize>> {
    holds.then_some(0..text.len())
}

/// How many bytes of `text` are of a kind.
pub(crate) fn count(text: &[u8], kind: fn(&u8) -> bool) -> usize {
    text.iter().filter(|b| kind(b)).count()
}

fn varied(text: &[u8]) -> bool {
    // The prefix, which is always the same, does not count.
    let window = (text.len() * 3 / 4).clamp(16, 32);
    let body = text.get(text.len().saturating_sub(window)..).unwrap_or(&[]);
    let hex = body.iter().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    let least = if hex || window < 28 { 6 } else { 7 };
    distinct(body) >= least && named::no_template(body)
}

pub(crate) fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [0u64; 4];
    for byte in bytes {
        if let Some(slot) = seen.get_mut(usize::from(byte >> 6)) {
            *slot |= 1 << (byte & 63);
        }
    }
    seen.iter().map(|seen| seen.count_ones() as usize).sum()
}

/// The bits of entropy a byte of `text` has, in its first 64 bytes.
pub(crate) fn entropy(text: &[u8]) -> f32 {
    let text = text.get(..64).unwrap_or(text);
    let mut counts = [0u16; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let all = f32::from(u16::try_from(text.len()).unwrap_or(64));
    counts.iter().filter(|c| **c > 0).map(|c| f32::from(*c) / all).map(|p| -p * p.log2()).sum()
}

/// A private key's head with the beginning of its body: the body must hold a word no prose has there.
fn key_body(_left: &[u8], text: &[u8]) -> Option<Range<usize>> {
    let body = text.get(text.len().saturating_sub(24)..)?;
    let longest = body
        .split(|b| !(b.is_ascii_alphanumeric() || b"+/=".contains(b)))
        .map(<[u8]>::len)
        .max()
        .unwrap_or(0);
    (longest >= 12).then_some(0..text.len())
}

/// `://user:password@` behind a scheme: the user and the password. Templates such as `${PASSWORD}` are no
/// passwords.
fn userinfo(left: &[u8], text: &[u8]) -> Option<Range<usize>> {
    let userinfo = text.strip_prefix(b"://")?.strip_suffix(b"@")?;
    let colon = userinfo.iter().position(|b| *b == b':')?;
    let password = userinfo.get(colon + 1..)?;
    let template = [(&b"$"[..], &b""[..]), (b"{", b"}"), (b"[", b"]"), (b"%", b"%"), (b"*", b"*")]
        .iter()
        .any(|(open, close)| password.starts_with(open) && password.ends_with(close));
    let scheme = left.last().is_some_and(u8::is_ascii_alphanumeric);
    (scheme && !template && !password.is_empty()).then_some(3..3 + userinfo.len())
}

/// An e-mail address. Trims what Markdown leaves behind it; `git@` is how Git names a server, not a
/// person.
fn email(_left: &[u8], text: &[u8]) -> Option<Range<usize>> {
    let end = text.strip_suffix(b"_").unwrap_or(text).len();
    (!text.starts_with(b"git@")).then_some(0..end)
}

/// A payment card: a known issuer's range and length (ISO/IEC 7812), the Luhn digit, digits in the groups
/// that cards are printed in, and not the fraction of a decimal number.
fn card(left: &[u8], text: &[u8]) -> Option<Range<usize>> {
    let digits = Digits::of(text)?;
    let digits = digits.all();
    let fraction = matches!(left, [.., b, b'.'] if b.is_ascii_digit()) || left.ends_with(b"0,");
    (!fraction && issued(digits) && luhn(digits) && grouped(text)).then_some(0..text.len())
}

/// One run, or groups of one separator: all of four digits but the last, or 4-6-5 and 4-6-4.
fn grouped(text: &[u8]) -> bool {
    let mut separators = text.iter().filter(|b| !b.is_ascii_digit());
    let Some(first) = separators.next() else { return true };
    if separators.any(|b| b != first) {
        return false;
    }
    let groups: Vec<usize> = text.split(|b| b == first).map(<[u8]>::len).collect();
    match groups.as_slice() {
        [4, 6, 4 | 5] => true,
        [fours @ .., last] => fours.iter().all(|g| *g == 4) && (1..=4).contains(last),
        [] => false,
    }
}

/// Whether some card scheme issues numbers that begin and end so.
fn issued(digits: &[u8]) -> bool {
    let head = |n: usize| digits.iter().take(n).fold(0u32, |a, d| a * 10 + u32::from(*d));
    let len = digits.len();
    match (head(1), head(2), head(3), head(4)) {
        (4, ..) | (_, 51..=55, ..) | (_, _, _, 2221..=2720 | 2200..=2204 | 3528..=3589 | 6011) => len == 16,
        (_, 34 | 37, ..) | (_, _, _, 1800 | 2131) => len == 15,
        (_, 36 | 38 | 39, ..) | (_, _, 300..=305, _) => len == 14 || len == 16,
        (_, 62 | 64 | 65 | 81, ..) => len == 16,
        _ => false,
    }
}

/// A US social security number: areas 000, 666 and 900-999, group 00 and serial 0000 were never issued
/// (SSA, "Social Security Number Randomization"), and neither was the number on the sample card.
fn ssn(left: &[u8], text: &[u8]) -> Option<Range<usize>> {
    let mut groups = text.split(|b| !b.is_ascii_digit());
    let (area, group, serial) = (groups.next()?, groups.next()?, groups.next()?);
    let never =
        matches!(area, b"000" | b"666") || area.starts_with(b"9") || group == b"00" || serial == b"0000";
    let sample = area == b"078" && group == b"05" && serial == b"1120";
    let same = text.get(3) == text.get(6);
    let inside = matches!(left, [.., b, b'-' | b'.'] if b.is_ascii_alphanumeric());
    (!never && !sample && same && !inside).then_some(0..text.len())
}

/// An IBAN: its country's length (SWIFT IBAN registry) and ISO 7064 mod 97-10.
fn iban(_left: &[u8], text: &[u8]) -> Option<Range<usize>> {
    let compact = || text.iter().copied().filter(|b| *b != b' ');
    let mut country = compact().take(2);
    let country = [country.next()?, country.next()?];
    let length = IBAN_LENGTHS.iter().find(|(codes, _)| codes.chunks(2).any(|c| c == country))?.1;
    if compact().count() != length {
        return None;
    }
    let rest = mod_97(compact().skip(4).chain(compact().take(4)))?;
    (rest == 1).then_some(0..text.len())
}

/// Countries by the length of their IBANs.
pub(crate) const IBAN_LENGTHS: [(&[u8], usize); 18] = [
    (b"NO", 15),
    (b"BE", 16),
    (b"DKFIFKFOGLNLSD", 18),
    (b"MKSI", 19),
    (b"ATBAEEKZLTLUMNXK", 20),
    (b"CHCRHRLILV", 21),
    (b"BGBHDEGBGEIEMERSVA", 22),
    (b"AEGIILIQOMSOTL", 23),
    (b"ADCZESMDPKROSASESKTNVG", 24),
    (b"LYPTST", 25),
    (b"ISTR", 26),
    (b"BIDJFRGRITMCMRSM", 27),
    (b"ALAZBYCYDOGTHUHNLBNIPLSV", 28),
    (b"BREGPSQAUA", 29),
    (b"JOKWMU", 30),
    (b"MTSC", 31),
    (b"LC", 32),
    (b"RU", 33),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_judged_by_range_luhn_grouping_and_what_stands_before() {
        for good in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "378282246310005",
            "3782 822463 10005",
            "6011010506572687",
            "180060493951020",
            "2223003122003222",
        ] {
            assert!(card(b"card ", good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            "4111111111111112",
            "4111 1111-1111 1111",
            "41 11 1111 1111 1111",
            "0000000000000000",
            "9111111111111111",
        ] {
            assert!(card(b"", bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(card(b"0.", b"4111111111111111").is_none());
        assert!(card(b"no.", b"4111111111111111").is_some());
        assert!(card(b"1,", b"4111111111111111").is_some());
    }

    #[test]
    fn ibans_are_judged_by_country_and_check_digits() {
        for good in [
            "DE89370400440532013000",
            "GB29 NWBK 6016 1331 9268 19",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            assert!(iban(b"", good.as_bytes()).is_some(), "{good}");
        }
        for bad in ["DE89370400440532013001", "XX89370400440532013000", "DE8937040044053201300"] {
            assert!(iban(b"", bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn social_security_numbers_that_were_never_issued_are_none() {
        assert!(ssn(b"", b"536-90-4399").is_some());
        for bad in [
            "000-12-3456",
            "666-12-3456",
            "912-12-3456",
            "536-00-4399",
            "536-90-0000",
            "078-05-1120",
            "536-90 4399",
        ] {
            assert!(ssn(b"", bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn credentials_need_variety_only() {
        assert!(!varied(b"ghp_xxxxxxxxxxxxxxxxxxxxxxxx"));
        assert!(varied(b"ghp_abcdefabcdefabcdef0"));
        assert_eq!(userinfo(b"https", b"://user:secret@"), Some(3..14));
        assert_eq!(userinfo(b"https", b"://user:${SECRET}@"), None);
    }
}
