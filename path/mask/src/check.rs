//! Judges what has a rule's shape: check digits for personal data, variety for credentials.
//!
//! A credential's checksum is never asked for: published samples and revoked tokens often fail it, and
//! a token with one wrong digit is still nobody's business.

use std::ops::Range;

/// What is not one character again and again, as in `ghp_xxxxxxxx`: at least five different bytes among
/// the last twenty.
pub(crate) fn varied(_left: &[u8], text: &[u8]) -> Option<Range<usize>> {
    let last = text.get(text.len().saturating_sub(20)..)?;
    (distinct(last) >= 5).then_some(0..text.len())
}

/// What looks drawn by chance: at least ten different bytes in the last twenty, both letters and digits,
/// and at least four changes between lower case, upper case and digits.
pub(crate) fn random(_left: &[u8], text: &[u8]) -> Option<Range<usize>> {
    let last = text.get(text.len().saturating_sub(20)..)?;
    let kind = |b: &u8| match b {
        b'a'..=b'z' => Some(0u8),
        b'A'..=b'Z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let kinds: Vec<u8> = last.iter().filter_map(kind).collect();
    let changes = kinds.iter().zip(kinds.iter().skip(1)).filter(|(a, b)| a != b).count();
    let mixed = kinds.contains(&2) && (kinds.contains(&0) || kinds.contains(&1));
    (mixed && changes >= 4 && distinct(last) >= 10).then_some(0..text.len())
}

fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    for byte in bytes {
        if let Some(slot) = seen.get_mut(usize::from(*byte)) {
            *slot = true;
        }
    }
    seen.iter().filter(|s| **s).count()
}

/// A private key's head with the beginning of its body: the body must hold a word no prose has there.
pub(crate) fn key_body(_left: &[u8], text: &[u8]) -> Option<Range<usize>> {
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
pub(crate) fn userinfo(left: &[u8], text: &[u8]) -> Option<Range<usize>> {
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
pub(crate) fn email(_left: &[u8], text: &[u8]) -> Option<Range<usize>> {
    let end = text.strip_suffix(b"_").unwrap_or(text).len();
    (!text.starts_with(b"git@")).then_some(0..end)
}

/// A payment card: a known issuer's range and length (ISO/IEC 7812), the Luhn digit, digits in the groups
/// that cards are printed in, and not the fraction of a decimal number.
pub(crate) fn card(left: &[u8], text: &[u8]) -> Option<Range<usize>> {
    let (digits, count) = digits::<19>(text)?;
    let digits = digits.get(..count)?;
    let fraction = matches!(left, [.., b, b'.'] if b.is_ascii_digit()) || left.ends_with(b"0,");
    (!fraction && grouped(text) && issued(digits) && luhn(digits)).then_some(0..text.len())
}

/// The digits of `text` as numbers, and how many. `None` for more than `N`.
fn digits<const N: usize>(text: &[u8]) -> Option<([u8; N], usize)> {
    let mut out = [0u8; N];
    let mut count = 0;
    for byte in text.iter().filter(|b| b.is_ascii_digit()) {
        *out.get_mut(count)? = byte - b'0';
        count += 1;
    }
    Some((out, count))
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
        (4, ..) => matches!(len, 13 | 16 | 19),
        (_, 34 | 37, ..) => len == 15,
        (_, 51..=55, ..) | (_, _, _, 2221..=2720) => len == 16,
        (_, _, _, 2200..=2204) => (16..=19).contains(&len),
        (_, 36 | 38 | 39, ..) | (_, _, 300..=305, _) => (14..=19).contains(&len),
        (_, _, _, 3528..=3589) => (16..=19).contains(&len),
        (_, _, _, 1800 | 2131) => len == 15,
        (_, 62 | 64 | 65 | 81, ..) | (_, _, _, 6011) => (16..=19).contains(&len),
        (_, 50 | 56..=58 | 60 | 61 | 63 | 66..=69, ..) => (12..=19).contains(&len),
        _ => false,
    }
}

/// The check digit of ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let d = u32::from(*d);
            if i % 2 == 1 { d * 2 - if d > 4 { 9 } else { 0 } } else { d }
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|d| *d != 0)
}

/// A US social security number: areas 000, 666 and 900-999, group 00 and serial 0000 were never issued
/// (SSA, "Social Security Number Randomization"), and neither was the number on the sample card.
pub(crate) fn ssn(left: &[u8], text: &[u8]) -> Option<Range<usize>> {
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
pub(crate) fn iban(_left: &[u8], text: &[u8]) -> Option<Range<usize>> {
    let compact = || text.iter().copied().filter(|b| *b != b' ');
    let mut country = compact().take(2);
    let country = [country.next()?, country.next()?];
    let length = IBAN_LENGTHS.iter().find(|(codes, _)| codes.chunks(2).any(|c| c == country))?.1;
    if compact().count() != length {
        return None;
    }
    let rest = compact().skip(4).chain(compact().take(4)).try_fold(0u32, |rest, b| match b {
        b'0'..=b'9' => Some((rest * 10 + u32::from(b - b'0')) % 97),
        b'A'..=b'Z' => Some((rest * 100 + u32::from(b - b'A') + 10) % 97),
        _ => None,
    })?;
    (rest == 1).then_some(0..text.len())
}

/// Countries by the length of their IBANs.
const IBAN_LENGTHS: [(&[u8], usize); 18] = [
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
            "580252296786",
            "180060493951020",
            "2223003122003222",
            "4198778268199629735",
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
        assert!(varied(b"", b"ghp_xxxxxxxxxxxxxxxxxxxxxxxx").is_none());
        assert!(varied(b"", b"ghp_abcdefabcdefabcdef").is_some());
        assert!(random(b"", b"settings_value_name2").is_none());
        assert!(random(b"", b"Zf3D0LXCM3EIMbgJpUNn").is_some());
        assert_eq!(userinfo(b"https", b"://user:secret@"), Some(3..14));
        assert_eq!(userinfo(b"https", b"://user:${SECRET}@"), None);
    }
}
