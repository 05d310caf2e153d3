//! Values that the sentence around them gives away: passwords in strings and commands, keys behind their
//! maker's name.

use std::ops::Range;
use std::sync::LazyLock;

use super::{count, distinct, named};
use crate::rule::Check;

/// Between the last two quotes.
pub(crate) const LAST_QUOTED: Check = Check::new("the last quoted text, no template", |_, text| {
    let end = text.iter().rposition(|b| b"\"'".contains(b))?;
    let quote = text.get(end)?;
    let start = text.get(..end)?.iter().rposition(|b| b == quote)? + 1;
    literal(text, start..end)
});

/// Behind the last space or colon.
pub(crate) const AFTER_SPACE: Check = Check::new("the last word, no template", |_, text| {
    let start = text.iter().rposition(|b| b.is_ascii_whitespace() || *b == b':')? + 1;
    let end = text.iter().rposition(|b| !b"\"',;)]}".contains(b))? + 1;
    literal(text, start..end)
});

/// Behind the last quote, as far as it goes.
pub(crate) const AFTER_QUOTE: Check = Check::new("behind a quote", |_, text| {
    let start = text.iter().rposition(|b| *b == b'"')? + 1;
    super::varied(text.get(start..)?).then_some(start..text.len())
});

/// In a connection string, behind its `=`.
pub(crate) const CONNECTION: Check = Check::new("a value of a connection string, no template", |_, text| {
    let start = text.iter().position(|b| *b == b'=')? + 1;
    let start = start + text.iter().skip(start).take_while(|b| b" \"'".contains(b)).count();
    let rest = text.get(start..)?;
    let ends = |b: &u8| b"\"'`;,<>&\\)".contains(b) || b.is_ascii_whitespace();
    let end = start + rest.iter().position(ends).unwrap_or(rest.len());
    let value = text.get(start..end)?;
    // What programs write to the right of a name.
    let code = value.iter().any(|b| b"({[".contains(b))
        || value.contains(&b'.') && count(value, u8::is_ascii_digit) == 0;
    if code { None } else { literal(text, start..end) }
});

/// Between two tags.
pub(crate) const TAGGED: Check = Check::new("between tags, no template", |_, text| {
    let end = text.iter().rposition(|b| *b == b'<')?;
    let start = text.get(..end)?.iter().rposition(|b| *b == b'>')? + 1;
    literal(text, start..end)
});

/// The words of a seed phrase: 12, 15, 18, 21 or 24.
pub(crate) const PHRASE: Check = Check::new("12 to 24 words", |_, text| {
    let words = |from: usize| text.get(from..).map_or(0, |t| t.split(|b| *b == b' ').count());
    let sign = text.iter().rposition(|b| b"\"':=".contains(b));
    let start = match sign {
        Some(at) => at + 1 + text.iter().skip(at + 1).take_while(|b| **b == b' ').count(),
        None => text.iter().position(|b| *b == b' ')? + 1,
    };
    (matches!(words(start), 12 | 15 | 18 | 21 | 24)).then_some(start..text.len())
});

/// A JSON Web Encryption's header: base64url of JSON that names an algorithm.
pub(crate) const JWE: Check = Check::new("a header that names an algorithm", |_, text| {
    let header = text.split(|b| *b == b'.').next()?;
    let mut json = Vec::with_capacity(header.len());
    let (mut bits, mut have) = (0u32, 0u32);
    for byte in header {
        let worth = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            _ => return None,
        };
        bits = bits << 6 | u32::from(worth);
        have += 6;
        if have >= 8 {
            have -= 8;
            json.push(u8::try_from(bits >> have & 0xff).unwrap_or(0));
        }
    }
    let names = |word: &[u8]| json.windows(word.len()).any(|w| w == word);
    (json.starts_with(b"{\"") && names(b"\"alg\"")).then_some(0..text.len())
});

/// What is no value but the name of one.
const NAMES: [&[u8]; 12] = [
    b"password",
    b"passwd",
    b"pwd",
    b"pw",
    b"pass",
    b"none",
    b"null",
    b"true",
    b"false",
    b"string",
    b"value",
    b"yourpassword",
];

/// The range, if what lies there may be a password as it is.
fn literal(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(range.clone())?;
    let name = NAMES.iter().any(|name| value.eq_ignore_ascii_case(name));
    (value.len() >= 3 && !name && distinct(value) >= 3 && named::no_template(value)).then_some(range)
}

/// A password behind its sign, perhaps quoted.
pub(crate) const GIVEN: Check = Check::new("no template and no name", |_, text| {
    let start = text.iter().position(|b| b"=:".contains(b))? + 1;
    let start = start + text.iter().skip(start).take_while(|b| b" \"'".contains(b)).count();
    let end = text.iter().rposition(|b| !b"\"'`<>,; \t\r\n".contains(b))? + 1;
    named::password(text.get(start..end)?).then_some(start..end)
});

/// A key that looks drawn by chance, directly behind its maker's name, with nothing but words such as `api` and
/// `key` between.
pub(crate) const MAKER: Check =
    Check::new("looks drawn by chance, directly behind its maker's name", |left, text| {
        let value = named::value_of(text);
        let from = left.len().saturating_sub(48);
        let phrase = left.get(from..)?.to_ascii_lowercase();
        let line = phrase.split(|b| *b == b'\n').next_back()?;
        let (at, maker) = makers()
            .iter()
            .filter_map(|maker| {
                Some((line.windows(maker.len()).rposition(|w| w == maker.as_bytes())?, maker))
            })
            .max_by_key(|(at, maker)| (at + maker.len(), maker.len()))?;
        let between = line.get(at + maker.len()..)?;
        let words = between.split(|b| !b.is_ascii_alphabetic()).filter(|word| !word.is_empty());
        let direct = words.clone().count() <= 4 && words.clone().all(between_words);
        (direct && !between.contains(&b';') && drawn(value)).then(|| named::trimmed(value))
    });

/// Whether `word` may stand between a maker's name and its key, alone or joined to others like it.
fn between_words(word: &[u8]) -> bool {
    let mut rest = word;
    while !rest.is_empty() {
        let Some(known) = BETWEEN.iter().find(|known| rest.starts_with(known)) else {
            return rest.len() <= 1;
        };
        rest = rest.get(known.len()..).unwrap_or(&[]);
    }
    true
}

/// See [`between_words`]; of two that begin alike the longer first.
const BETWEEN: [&[u8]; 36] = [
    b"authorization",
    b"authtoken",
    b"auth",
    b"access",
    b"account",
    b"apikey",
    b"api",
    b"app",
    b"bearer",
    b"client",
    b"developer",
    b"dev",
    b"env",
    b"header",
    b"hec",
    b"integration",
    b"is",
    b"keys",
    b"key",
    b"live",
    b"my",
    b"personal",
    b"pat",
    b"private",
    b"prod",
    b"rest",
    b"team",
    b"certificate",
    b"secret",
    b"server",
    b"service",
    b"test",
    b"token",
    b"user",
    b"com",
    b"x",
];

fn drawn(value: &[u8]) -> bool {
    let hex = value.iter().all(u8::is_ascii_hexdigit);
    let digits = count(value, u8::is_ascii_digit);
    if hex { value.len() >= 28 && digits >= 2 && distinct(value) >= 8 } else { named::random(value) }
}

/// Services whose keys have no form of their own, in lower case.
pub(crate) fn makers() -> &'static [&'static str] {
    static MAKERS: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| include_str!("../catalogue/makers.txt").lines().collect());
    &MAKERS
}
