//! Numbers that reach or place a person: telephones, addresses of machines, devices, coordinates, wallets.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use sha2::Digest as _;

use super::count;
use super::digits::{Digits, calendar, luhn, value};
use crate::near::search;
use crate::rule::Check;

fn whole(text: &[u8], holds: bool) -> Option<Range<usize>> {
    holds.then_some(0..text.len())
}

/// A telephone number in an international form or a national plan's grouping.
pub(crate) const PHONE: Check =
    Check::new("E.164, or the grouping of a national plan", |_, text| phone(text, false)).behind(no_part);

/// Any number of a telephone's length, where a word says that it is called.
pub(crate) const CALLED_PHONE: Check = Check::new("a telephone number's length", |_, text| phone(text, true))
    .behind(|left, first| no_part(left, first) && !other(left));

/// Words that say a number is called.
pub(crate) const CALLED: &[&str] = &[
    "phone",
    "telephone",
    "tel",
    "mobile",
    "cell",
    "cellphone",
    "fax",
    "call",
    "dial",
    "contact",
    "sms",
    "whatsapp",
    "desk",
    "office",
    "direct",
    "hotline",
    "messages to",
    "message on",
    "reach",
    "registered",
    "text me",
    "telefon",
    "handy",
    "mobil",
    "telefono",
    "movil",
    "celular",
    "reached at",
    "answering at",
    "call me at",
    "extension",
    "phone number",
];

/// Words that say a number is another kind, directly before it.
const OTHER: [&[u8]; 22] = [
    b"card",
    b"account",
    b"iban",
    b"isbn",
    b"issn",
    b"order",
    b"invoice",
    b"version",
    b"id",
    b"zip",
    b"license",
    b"licence",
    b"ticket",
    b"serial",
    b"tracking",
    b"port",
    b"pid",
    b"routing",
    b"ssn",
    b"line",
    b"size",
    b"offset",
];

/// Whether what begins with `first` behind `left` is no part of something longer, or a price.
fn no_part(left: &[u8], first: u8) -> bool {
    let part = matches!(left, [.., b, b'.' | b'-' | b'/' | b':' | b'_'] if b.is_ascii_alphanumeric());
    !(part && first != b'\\' || left.ends_with(b"$"))
}

/// Whether a word directly before says that a number is another kind.
fn other(left: &[u8]) -> bool {
    static WORDS: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    let words = left.get(left.len().saturating_sub(14)..).unwrap_or(left);
    match WORDS.get_or_init(|| search(OTHER).ok()) {
        Some(search) => search.is_match(words),
        None => OTHER.iter().any(|word| words.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word))),
    }
}

/// `text` may begin with an escaped line's end, and may end with an extension.
fn phone(text: &[u8], called: bool) -> Option<Range<usize>> {
    let skip = if text.starts_with(b"\\") { 2 } else { 0 };
    let body = text.get(skip..)?;
    let main = body.get(..body.iter().position(|b| matches!(b, b'x' | b'e')).unwrap_or(body.len()))?;
    let count = count(main, u8::is_ascii_digit);
    // Most runs of digits end here.
    let fits = match main.first() {
        _ if called => (6..=15).contains(&count),
        Some(b'+') => (8..=15).contains(&count),
        // As behind a `+` too.
        Some(b'(') => (8..=15).contains(&count),
        _ => matches!(count, 10 | 11),
    };
    if !fits {
        return None;
    }
    let digits = Digits::of(main)?;
    let open = main.iter().fold(0i32, |open, b| open + i32::from(*b == b'(') - i32::from(*b == b')'));
    if digits.same() || open != 0 {
        return None;
    }
    let good = if called { called_so(main, &digits) } else { formed_so(main, &digits) };
    good.then_some(skip..text.len())
}

fn called_so(main: &[u8], digits: &Digits) -> bool {
    let separators = main.len() - digits.len();
    let decimal = separators == 1 && main.contains(&b'.');
    !decimal && !looks_like_day(digits) && (separators > 0 || digits.len() >= 7)
}

fn formed_so(main: &[u8], digits: &Digits) -> bool {
    if main.starts_with(b"+") || main.starts_with(b"(+") {
        // No country's code begins with zero, and none has numbers of fewer digits.
        return digits.len() >= 8 && digits.at(0) != 0;
    }
    if !main.starts_with(b"(") && !matches!(digits.len(), 10 | 11) {
        return false;
    }
    // Fifteen digits make no more.
    let mut list = [0usize; 16];
    let lengths = main.split(|b| !b.is_ascii_digit()).map(<[u8]>::len).filter(|len| *len > 0);
    let mut groups = 0;
    for (slot, length) in list.iter_mut().zip(lengths) {
        *slot = length;
        groups += 1;
    }
    let groups = list.get(..groups).unwrap_or(&[]);
    // North America: area and exchange begin with 2 to 9.
    let american = |from: usize| (2..=9).contains(&digits.at(from)) && (2..=9).contains(&digits.at(from + 3));
    let signs = count(main, |b| b"(.-".contains(b));
    match groups {
        [3, 3, 4] => american(0) && signs > 0,
        [1, 3, 3, 4] => digits.at(0) == 1 && american(1),
        // A trunk prefix in brackets, as in `(022) 717 48 64`; or with the country's, as in `0041 44 ...`.
        [first, ..] => main.starts_with(b"(") && (2..=5).contains(first) && (8..=12).contains(&digits.len()),
        [] => false,
    }
}

fn looks_like_day(digits: &Digits) -> bool {
    if digits.len() == 6
        && matches!(digits.number(0..4), 1900..=2100)
        && matches!(digits.number(4..6), 1..=12)
    {
        return true;
    }
    matches!(digits.number(0..4), 1900..=2100) && calendar(digits.number(4..6), digits.number(6..8))
}

/// An IPv4 address that the Internet routes: others name no person.
pub(crate) const IPV4: Check = Check::new("a public address, no version number", |left, text| {
    if matches!(left, [.., b, b'.' | b'-'] if b.is_ascii_alphanumeric()) {
        return None;
    }
    let Ok(address) = std::str::from_utf8(text).unwrap_or("").parse::<Ipv4Addr>() else { return None };
    let [a, b, c, _] = address.octets();
    let special = address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a, b, c) == (192, 0, 0)
        || a == 198 && (b == 18 || b == 19);
    let private = address.is_private() || a == 100 && (64..128).contains(&b);
    let says = |word: &[u8]| {
        let first = word.first().copied().unwrap_or(0);
        memchr::memchr2_iter(first, first.to_ascii_uppercase(), left)
            .any(|at| left.get(at..at + word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word)))
    };
    let named = private && !(says(b"address") || says(b"client_ip") || says(b"clientip"));
    // Small numbers are as likely a version's or a section's: a word must say that it is an address.
    let words: [&[u8]; 7] = [b"ip", b"addr", b"host", b"dns", b"client", b"remote", b"server"];
    let version = || a < 20 && !words.iter().any(|word| says(word));
    let small = || says(b"version") || says(b"section");
    whole(text, !special && !named && !version() && !small())
});

/// An IPv6 address that the Internet routes.
pub(crate) const IPV6: Check = Check::new("a public address", |left, text| {
    // A text full of colons costs no more than other text.
    let colons = count(text, |b| *b == b':');
    if left.ends_with(b":") || left.ends_with(b".") || colons != 7 && !text.windows(2).any(|w| w == b"::") {
        return None;
    }
    let text_of = std::str::from_utf8(text).unwrap_or("");
    let Ok(address) = text_of.parse::<Ipv6Addr>() else { return None };
    let head = address.segments().first().copied().unwrap_or(0);
    let special =
        head < 0x100 || head & 0xffc0 == 0xfe80 || head & 0xff00 == 0xff00 || text_of.starts_with("2001:db8");
    let digits = count(text, u8::is_ascii_digit);
    let groups = text.split(|b| *b == b':').filter(|g| !g.is_empty()).count();
    whole(text, !special && digits >= 2 && groups >= 4)
});

/// A network card's address.
pub(crate) const MAC: Check = Check::new("one separator, not all zero, not broadcast", |left, text| {
    if matches!(left, [.., b':' | b'-']) {
        return None;
    }
    let mut separators = text.iter().filter(|b| !b.is_ascii_hexdigit());
    let first = separators.next();
    let one = separators.all(|b| Some(b) == first);
    let mut hex = text.iter().filter(|b| b.is_ascii_hexdigit());
    let zero = hex.clone().all(|b| *b == b'0') || hex.all(|b| b.eq_ignore_ascii_case(&b'f'));
    // Six pairs of digits are as likely a time.
    whole(text, one && !zero && count(text, u8::is_ascii_alphabetic) > 0)
});

/// A day, written in any order, that the calendar has.
pub(crate) const DAY: Check = Check::new("a day of the calendar", |_, text| {
    let parts: Vec<u64> = text
        .split(|b| !b.is_ascii_digit())
        .filter(|p| !p.is_empty())
        .map(|p| p.iter().fold(0, |n, b| n * 10 + u64::from(b - b'0')))
        .collect();
    let good = match parts.as_slice() {
        [year, month, day] if *year > 31 => calendar(*month, *day) && (1890..=2100).contains(year),
        [a, b, _] => calendar(*a, *b) || calendar(*b, *a),
        _ => true,
    };
    whole(text, good)
});

/// A vehicle's number: ISO 3779, and the check digit of 49 CFR 565.15.
pub(crate) const VIN: Check = Check::new("transliterated, mod 11 at position 9", |_, text| {
    let weights = [8u32, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let sum: u32 = text
        .iter()
        .zip(weights)
        .map(|(byte, weight)| {
            let number = match byte {
                b'0'..=b'9' => u32::from(byte - b'0'),
                b'A'..=b'H' => u32::from(byte - b'A') + 1,
                b'J'..=b'N' => u32::from(byte - b'J') + 1,
                b'P' => 7,
                b'R' => 9,
                b'S'..=b'Z' => u32::from(byte - b'S') + 2,
                _ => 0,
            };
            number * weight
        })
        .sum();
    let check = match sum % 11 {
        10 => Some(b'X'),
        rest => u8::try_from(rest).ok().map(|r| r + b'0'),
    };
    let mixed = count(text, u8::is_ascii_digit) >= 4 && count(text, u8::is_ascii_uppercase) >= 3;
    whole(text, text.get(8).copied() == check && mixed)
});

/// A pair of coordinates.
pub(crate) const PLACE: Check = Check::new("latitude and longitude in range", |_, text| {
    let text_of = std::str::from_utf8(text).unwrap_or("");
    let mut numbers = text_of.split(',').map(|n| n.trim().parse::<f64>());
    let (Some(Ok(latitude)), Some(Ok(longitude))) = (numbers.next(), numbers.next()) else { return None };
    whole(text, latitude.abs() <= 90.0 && longitude.abs() <= 180.0)
});

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// A Bitcoin address of the first kind: Base58Check.
pub(crate) const BASE58_CHECK: Check =
    Check::new("Base58Check: the first bytes of a double SHA-256", |_, text| {
        let mut number = [0u8; 25];
        for byte in text {
            let mut carry = BASE58.iter().position(|b| b == byte).and_then(|p| u32::try_from(p).ok())?;
            for slot in number.iter_mut().rev() {
                carry += u32::from(*slot) * 58;
                *slot = u8::try_from(carry & 0xff).unwrap_or(0);
                carry >>= 8;
            }
            if carry > 0 {
                return None;
            }
        }
        let (payload, sum) = number.split_at(21);
        let hash = sha2::Sha256::digest(sha2::Sha256::digest(payload));
        whole(text, hash.starts_with(sum))
    });

/// A Bitcoin address of the second kind: bech32 or bech32m (BIP 173, BIP 350).
pub(crate) const BECH32: Check = Check::new("bech32 or bech32m", |_, text| {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let lower = text.to_ascii_lowercase();
    let split = lower.iter().rposition(|b| *b == b'1')?;
    let (prefix, data) = (lower.get(..split)?, lower.get(split + 1..)?);
    let spread =
        prefix.iter().map(|b| u32::from(b >> 5)).chain([0]).chain(prefix.iter().map(|b| u32::from(b & 31)));
    let mut sum = 1u32;
    let mut step = |value: u32| {
        let top = sum >> 25;
        sum = (sum & 0x01ff_ffff) << 5 ^ value;
        for (i, generator) in
            [0x3b6a_57b2u32, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3].iter().enumerate()
        {
            if top >> i & 1 == 1 {
                sum ^= generator;
            }
        }
    };
    spread.for_each(&mut step);
    for byte in data {
        step(u32::try_from(ALPHABET.iter().position(|b| b == byte)?).ok()?);
    }
    whole(text, sum == 1 || sum == 0x2bc8_30a3)
});

/// An Ethereum address: in one case, or in the cases that EIP-55 gives its letters.
pub(crate) const EIP_55: Check = Check::new("EIP-55, or one case", |_, text| {
    let address = text.get(2..)?;
    let lower = address.to_ascii_lowercase();
    let one_case = address == lower.as_slice() || address.to_ascii_uppercase() == address;
    let hash = sha3::Keccak256::digest(&lower);
    let nibbles = hash.iter().flat_map(|b| [b >> 4, b & 15]);
    let checked = address
        .iter()
        .zip(nibbles)
        .all(|(byte, nibble)| !byte.is_ascii_alphabetic() || byte.is_ascii_uppercase() == (nibble >= 8));
    whole(text, (one_case || checked) && super::distinct(address) >= 7)
});

/// A card's magnetic track: its sentinels, and a number that Luhn's digit fits (ISO/IEC 7813).
pub(crate) const TRACK: Check = Check::new("sentinels, Luhn", |_, text| {
    let start = text.iter().position(u8::is_ascii_digit)?;
    let digits: Vec<u8> =
        text.iter().skip(start).take_while(|b| b.is_ascii_digit()).map(|b| b - b'0').collect();
    whole(text, luhn(&digits))
});

/// A passport's second line: four check digits of its own (ICAO Doc 9303-4).
pub(crate) const MRZ: Check = Check::new("ICAO 7-3-1 check digits", |_, text| {
    let fits = |from: usize, to: usize| {
        text.get(from..to)
            .is_some_and(|part| text.get(to).is_some_and(|c| value(*c) == super::digits::icao(part)))
    };
    whole(text, fits(0, 9) && fits(13, 19) && fits(21, 27))
});
