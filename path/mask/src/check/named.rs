//! Values that only their name gives away: whether they look drawn by chance.
//!
//! Every one of these gets the whole value up to 64 bytes, and one byte behind it where there is one.

use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;

use super::{count, distinct};
use crate::context;
use crate::near::search;
use crate::rule::Check;

/// A value that looks drawn by chance.
pub(crate) const NAMED_SECRET: Check = Check::new("looks drawn by chance", |left, text| {
    let value = value_of(text);
    // The name is read last: it takes longest.
    let name = || context::naming(left);
    let good = if uuid(value) {
        // Ids are written so too: only a name that says secret makes one a secret.
        let name = name();
        (name.direct || left.ends_with(b"-")) && !name.client
    } else if random(value) {
        (value.len() >= 20 || !name().plain)
            && !(says_it_is_none(value) || names_a_hash(left) || on_another_line(left))
    } else {
        long_number(value) && name().direct && !names_a_hash(left)
    };
    good.then(|| trimmed(value))
});

/// Names of what is a hash or an id, however secret the words before them sound.
const NO_SECRETS: [&[u8]; 17] = [
    b"id",
    b"kid",
    b"uid",
    b"index",
    b"sha1",
    b"sha256",
    b"sha512",
    b"md5",
    b"digest",
    b"commit",
    b"revision",
    b"etag",
    b"fingerprint",
    b"thumbprint",
    b"checksum",
    b"integrity",
    b"ami",
];

/// Whether the last word before a value names it as one of these, and nothing in that name says secret.
fn names_a_hash(left: &[u8]) -> bool {
    let end = left.iter().rposition(u8::is_ascii_alphanumeric).map_or(0, |at| at + 1);
    let all = left.get(..end).unwrap_or(&[]);
    let start =
        all.iter().rposition(|b| !(b.is_ascii_alphanumeric() || b"_-".contains(b))).map_or(0, |at| at + 1);
    let name = all.get(start..).unwrap_or(&[]);
    let says = |word: &[u8]| name.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word));
    let word = name.rsplit(|b| !b.is_ascii_alphanumeric()).next().unwrap_or(&[]);
    // A client's id belongs to its secret.
    let secret = [&b"secret"[..], b"token", b"key", b"pass", b"client"];
    NO_SECRETS.iter().any(|no| word.eq_ignore_ascii_case(no)) && !secret.iter().any(|w| says(w))
}

/// Whether it is a hash or an id by its own prefix: `sha512-…` as in lock files, `ami-…` as clouds name things.
fn says_it_is_none(value: &[u8]) -> bool {
    let mut parts = value.splitn(2, |b| b"-:".contains(b));
    let (Some(prefix), Some(rest)) = (parts.next(), parts.next()) else { return false };
    let hash = [&b"sha1"[..], b"sha256", b"sha384", b"sha512", b"md5"].contains(&prefix);
    let id = (1..=8).contains(&prefix.len())
        && prefix.iter().all(u8::is_ascii_lowercase)
        && matches!(rest.len(), 8 | 17)
        && rest.iter().all(u8::is_ascii_hexdigit);
    hash || id
}

/// Whether what says secret stands on an earlier line, which ends by itself.
fn on_another_line(left: &[u8]) -> bool {
    let Some(at) = left.iter().rposition(|b| *b == b'\n') else { return false };
    let (before, line) = (left.get(..at).unwrap_or(&[]), left.get(at..).unwrap_or(&[]));
    if !line.iter().any(u8::is_ascii_alphanumeric) {
        // A heading, and the value alone below it.
        return false;
    }
    let goes_on =
        before.iter().rev().find(|b| !b.is_ascii_whitespace()).is_none_or(|b| b"=:>|\\\"'`,({[".contains(b));
    !goes_on && !context::naming(line).found
}

/// A body that looks drawn by chance behind a prefix of letters, as many services give their keys: in both
/// cases and with digits, or at least not a hash, which has other prefixes.
pub(crate) const PREFIXED: Check =
    Check::new("a prefix, and a body that looks drawn by chance", |_, text| {
        let value = value_of(text);
        let split = value.iter().rposition(|b| !b.is_ascii_alphanumeric())?;
        let (prefix, body) = (value.get(..split)?, value.get(split + 1..)?);
        let word = |w: &[u8]| !w.is_empty() && w.len() <= 16 && count(w, u8::is_ascii_digit) <= 2;
        let words = prefix.split(|b| matches!(b, b'_' | b'-'));
        let named = prefix.first().is_some_and(u8::is_ascii_alphabetic)
            && words.clone().count() <= 4
            && words.clone().all(word);
        let hash = words.clone().any(|w| HASHES.iter().any(|h| w.eq_ignore_ascii_case(h)));
        let kinds = count(body, u8::is_ascii_digit) >= 2
            && count(body, u8::is_ascii_uppercase) >= 2
            && count(body, u8::is_ascii_lowercase) >= 2;
        let sign = matches!(value.get(split), Some(b'_' | b'-'));
        let good = named
            && !hash
            && sign
            && kinds
            && body.len() >= 20
            && changes(body) * 4 >= body.len()
            && distinct(body) >= 10;
        (good && no_template(value)).then_some(0..value.len())
    });

/// Prefixes of hashes and of what is named by one.
const HASHES: [&[u8]; 10] =
    [b"sha1", b"sha256", b"sha384", b"sha512", b"md5", b"chunk", b"bundle", b"integrity", b"hash", b"rev"];

/// The same, letters and digits.
pub(crate) const NAMED_ALNUM: Check = Check::new("looks drawn by chance", |_, text| {
    let value = value_of(text);
    (value.len() >= 16 && random(value)).then(|| trimmed(value))
});

/// 32 or 40 hexadecimal digits.
pub(crate) const NAMED_HEX: Check = Check::new("32 or 40 hexadecimal digits", |_, text| {
    let value = value_of(text);
    let hex = value.iter().all(u8::is_ascii_hexdigit);
    let one_case = count(value, u8::is_ascii_uppercase) == 0 || count(value, u8::is_ascii_lowercase) == 0;
    (hex && one_case && matches!(value.len(), 32 | 40) && distinct(value) >= 6).then_some(0..value.len())
});

/// A UUID.
pub(crate) const NAMED_UUID: Check = Check::new("a UUID", |_, text| {
    let value = value_of(text);
    uuid(value).then_some(0..value.len())
});

/// A password: no template, no name in a program, not the word password.
pub(crate) const NAMED_PASSWORD: Check = Check::new("no template and no name", |left, text| {
    let value = password_of(text);
    // What stands for a masked value is no value.
    let class = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(b);
    let placeholder = left.ends_with(b"[") && value.contains(&b'.') && value.iter().all(class);
    (!placeholder && password(value)).then_some(0..value.len())
});

/// A bot's token.
pub(crate) const TELEGRAM: Check = Check::new("variety", |_, text| {
    let end = text.iter().rposition(|b| b.is_ascii_alphanumeric() || b"_-".contains(b))? + 1;
    let end = end.min(text.len());
    super::varied(text.get(..end)?).then_some(0..end)
});

/// An organisation's token: a payload, a low line, and a signature of 43 characters.
pub(crate) const SENTRY: Check = Check::new("a signature's length", |_, text| {
    let end = text.iter().rposition(|b| b.is_ascii_alphanumeric() || b"+/=_".contains(b))? + 1;
    let value = text.get(..end)?;
    let signature = value.rsplit(|b| *b == b'_').next()?;
    (signature.len() == 43).then_some(0..end)
});

/// Behind `Authorization:`, what `Basic` is followed by.
pub(crate) const BASIC: Check = Check::new("behind an Authorization header's name", |left, text| {
    let named = left.to_ascii_lowercase().windows(13).any(|w| w == b"authorization");
    let at = text.iter().position(|b| *b == b' ')? + 1;
    let value = value_of(text.get(at..)?);
    let good = !text.ends_with(b".") && named && distinct(value) >= 7;
    good.then(|| at..at + value.len())
});

/// `://token@` behind a scheme.
pub(crate) const URI_TOKEN: Check = Check::new("looks drawn by chance, a scheme before", |left, text| {
    let value = text.strip_prefix(b"://")?.strip_suffix(b"@")?;
    let scheme = left.last().is_some_and(u8::is_ascii_alphanumeric);
    (scheme && random(value)).then(|| 3..3 + value.len())
});

/// A key with signs among its letters and digits, and the byte behind it.
pub(crate) const SIGNED: Check = Check::new("letters, digits and signs", |_, text| {
    let value = text.get(..32)?;
    let signs = value.iter().skip(3).filter(|b| b.is_ascii_punctuation()).count();
    (signs >= 1 && count(value, u8::is_ascii_digit) >= 1 && super::varied(value)).then_some(0..32)
});

/// In a `curl` command, what `--user` is followed by: a user, a colon and a password, each perhaps in quotes. Of
/// a user without a password, as keys are sent, only what looks drawn by chance.
pub(crate) const CURL_USER: Check = Check::new("in a curl command; no template", |left, text| {
    let start = text.iter().position(|b| b" =".contains(b)).map_or(2, |at| at + 1);
    let start = start + text.iter().skip(start).take_while(|b| b" =\"'".contains(b)).count();
    let rest = text.get(start..)?;
    let end = rest.iter().position(|b| b" \t\r\n".contains(b)).unwrap_or(rest.len());
    let end = rest.get(..end)?.iter().rposition(|b| !b"\"'".contains(b))? + 1;
    let mut parts = rest.get(..end)?.splitn(2, |b| *b == b':');
    let bare =
        |part: &'_ [u8]| -> Vec<u8> { part.iter().copied().filter(|b| !b"\"'{}".contains(b)).collect() };
    let (user, password) = (bare(parts.next()?), bare(parts.next()?));
    let manual = [&b"user"[..], b"username", b"pass", b"password", b"token", b"test"];
    let command = left.windows(4).any(|w| w == b"curl");
    let mixed = |value: &[u8]| {
        value.len() >= 10
            && distinct(value) >= 8
            && count(value, u8::is_ascii_uppercase) >= 2
            && count(value, u8::is_ascii_lowercase) >= 2
    };
    let good = match password.as_slice() {
        [] => command && mixed(&user) && count(&user, u8::is_ascii_digit) >= 1,
        secret => {
            // Far from the command's name, what looks drawn by chance.
            (command || random(secret) || mixed(secret))
                && no_template(secret)
                && !manual.contains(&secret)
                && distinct(secret) >= 3
        }
    };
    (good && no_template(&user)).then_some(start..start + end)
});

/// `text` without the byte behind the value.
pub(super) fn value_of(text: &[u8]) -> &[u8] {
    match text.split_last() {
        Some((last, value)) if !(last.is_ascii_alphanumeric() || b"_~+/.|-".contains(last)) => value,
        _ => text,
    }
}

fn password_of(text: &[u8]) -> &[u8] {
    match text.split_last() {
        Some((last, value)) if b"\"'`<>,;:=(){}[]\\".contains(last) || !last.is_ascii_graphic() => value,
        _ => text,
    }
}

/// The place of the value without the dot or dash that ends it.
pub(super) fn trimmed(value: &[u8]) -> Range<usize> {
    let end = value.iter().rposition(|b| b.is_ascii_alphanumeric() || *b == b'_').map_or(0, |at| at + 1);
    let start = value.iter().position(|b| b.is_ascii_alphanumeric()).unwrap_or(0);
    start..end
}

/// What stands in manuals and templates instead of a value, in lower case.
const INSTEAD: [&[u8]; 14] = [
    b"example",
    b"your_",
    b"xxxxx",
    b"placeholder",
    b"redacted",
    b"changeme",
    b"insert_",
    b"your-",
    b"****",
    b"....",
    b"${",
    b"{{",
    b"$(",
    b"env.",
];

pub(super) fn no_template(value: &[u8]) -> bool {
    static WORDS: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    let says = match WORDS.get_or_init(|| search(INSTEAD).ok()) {
        Some(words) => words.is_match(value),
        None => INSTEAD.iter().any(|word| value.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word))),
    };
    !says && !matches!(value.first(), Some(b'$' | b'%' | b'{' | b'<' | b'*' | b'[' | b'#'))
}

/// Whether `value` is a whole of its own that nobody would write by hand.
pub(super) fn random(value: &[u8]) -> bool {
    if !no_template(value) {
        return false;
    }
    if uuid(value) {
        return true;
    }
    let digits = count(value, u8::is_ascii_digit);
    let letters = count(value, u8::is_ascii_alphabetic);
    if value.iter().all(u8::is_ascii_hexdigit) {
        return value.len() >= 16 && digits >= 2 && letters >= 2 && distinct(value) >= 6;
    }
    if value.starts_with(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        || value.starts_with(b"0123456789abcdefghijklmnopqrstuvwxyz")
    {
        // What base64 and base36 are written in.
        return false;
    }
    if long_part(value) || grouped(value) || signed(value) {
        return true;
    }
    if value.len() >= 14
        && digits >= 1
        && value.iter().all(u8::is_ascii_alphanumeric)
        && consonants(value) >= 6
    {
        return true;
    }
    if digits < 2 || letters < 2 || distinct(value) < 8 {
        return false;
    }
    // Names are words with signs between them; a value of chance has a long part that mixes its kinds. Paths
    // have parts that mix them too, so theirs must be longer.
    if value.starts_with(b"/") {
        return false;
    }
    let path = value.iter().any(|b| b"/.".contains(b));
    let least = if path { 16 } else { 10 };
    value.split(|b| !b.is_ascii_alphanumeric()).any(|part| part.len() >= least && mixes(part)) || dense(value)
}

/// The longest run of small letters that no word has: consonants only.
fn consonants(part: &[u8]) -> usize {
    part.split(|b| !b.is_ascii_lowercase() || b"aeiou".contains(b)).map(<[u8]>::len).max().unwrap_or(0)
}

/// Whether the value is written as licence keys are: three groups at least, of equal length, in one case.
fn grouped(value: &[u8]) -> bool {
    let mut groups = value.split(|b| *b == b'-');
    let Some(first) = groups.next().map(<[u8]>::len) else { return false };
    let equal = groups.clone().count() >= 2 && groups.all(|group| group.len() == first);
    let small = count(value, u8::is_ascii_lowercase);
    (4..=12).contains(&first)
        && equal
        && count(value, u8::is_ascii_digit) >= 4
        && (small == 0 || small == count(value, u8::is_ascii_alphabetic))
        && distinct(value) >= 10
}

/// Whether base64's signs of both alphabets stand among letters of both cases and digits, as in no name.
fn signed(value: &[u8]) -> bool {
    value.len() >= 16
        && value.contains(&b'+')
        && value.iter().any(|b| b"_-".contains(b))
        && !value.contains(&b'/')
        && count(value, u8::is_ascii_digit) >= 2
        && count(value, u8::is_ascii_uppercase) >= 2
        && count(value, u8::is_ascii_lowercase) >= 2
}

/// Whether the value has a part longer than words are, with digits among its letters or in one case.
fn long_part(value: &[u8]) -> bool {
    value.split(|b| !b.is_ascii_alphanumeric()).any(|part| {
        let (digits, upper) = (count(part, u8::is_ascii_digit), count(part, u8::is_ascii_uppercase));
        let letters = part.len() - digits;
        let one_case = digits == 0 && (upper == 0 || upper == letters);
        let mixed = (digits >= 2 || digits >= 1 && part.len() >= 28) && letters >= 2;
        let camel = part.windows(3).filter(|w| matches!(w, [a, b, c] if a.is_ascii_lowercase() && b.is_ascii_uppercase() && c.is_ascii_lowercase())).count();
        let spoken = consonants(&part.to_ascii_lowercase()) < 9;
        let name = camel >= 2 && camel * 4 <= part.len() && changes(part) <= 2 && spoken;
        part.len() >= 20 && !name && distinct(part) >= 12 && (mixed || one_case || consonants(&part.to_ascii_lowercase()) >= 7)
    })
}

/// Whether a run of letters and digits is no word and no number.
fn mixes(part: &[u8]) -> bool {
    let digits = count(part, u8::is_ascii_digit);
    let letters = part.len() - digits;
    let least = if part.len() >= 12 && digits >= 4 { 2 } else { 3 };
    part.len() >= 10 && digits >= 2 && letters >= 2 && changes(part) >= least
}

/// Whether digits and letters change so often that no words are between.
fn dense(value: &[u8]) -> bool {
    value.len() >= 20 && changes(value) * 4 >= value.len() && count(value, u8::is_ascii_digit) >= 4
}

/// How often small letters, capitals and digits follow another kind. The humps of `camelCase` do not count,
/// nor does what stands beside signs.
fn changes(part: &[u8]) -> usize {
    let kind = |b: Option<&u8>| match b {
        Some(b'a'..=b'z') => 0u8,
        Some(b'A'..=b'Z') => 1,
        Some(b'0'..=b'9') => 2,
        _ => 3,
    };
    (1..part.len())
        .filter(|at| match (kind(part.get(at - 1)), kind(part.get(*at)), kind(part.get(at + 1))) {
            (3, ..) | (_, 3, _) | (1, 0, _) | (0, 1, 0) => false,
            (a, b, _) => a != b,
        })
        .count()
}

fn long_number(value: &[u8]) -> bool {
    value.len() >= 16 && value.iter().all(u8::is_ascii_digit) && distinct(value) >= 6
}

fn uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_alphanumeric(),
        })
        && distinct(value) >= 6
}

pub(super) fn password(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let says = |word: &[u8]| lower.windows(word.len()).any(|w| w == word);
    let digits = count(value, u8::is_ascii_digit);
    let letters = count(value, u8::is_ascii_alphabetic);
    let signs = value.iter().filter(|b| b"!@#$%^&*+?~|".contains(b)).count();
    // A path, a call, a member: what programs write to the right of a name.
    let code =
        value.contains(&b'.') && signs == 0 && digits < 2 || says(b"://") || says(b"->") || says(b"&&");
    (6..=64).contains(&value.len())
        && no_template(value)
        && !says(b"password")
        && !says(b"passwd")
        && letters >= 1
        && (digits >= 1 || signs >= 1)
        && letters + digits + signs >= 5
        && distinct(value) >= 4
        && !code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_told_from_names() {
        for good in [
            "Zf3D0LXCM3EIMbgJpUNn",
            "0fff5f614cbcafefb9c1ba319b9905d2",
            "7b1f46a3-3d92-52b1-a81e-6d7f227fcd3c",
            "twqj8zfuc_ea-aozgq9f0jv67qqd60lwhx",
        ] {
            assert!(random(good.as_bytes()), "{good}");
        }
        for bad in [
            "settings_value_name2",
            "jetbrains.mps.v8_elimination",
            "SalesResults-1.2",
            "getAuthorizationTokenFromRequest2",
            "your_api_key_goes_here_1234",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        ] {
            assert!(!random(bad.as_bytes()), "{bad}");
        }
        for good in ["hunter2!", "S5ec4rePassW0rd".trim_end_matches("0rd"), "pa$$w0rd"] {
            assert!(password(good.as_bytes()), "{good}");
        }
        for bad in ["password1", "${PASSWORD}", "os.environ", "request.password", "getpass"] {
            assert!(!password(bad.as_bytes()), "{bad}");
        }
    }
}
