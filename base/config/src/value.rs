//! Single values: text in, the typed value or what is wrong with it out.

mod field;
mod net;
mod route;

use std::time::Duration;

pub(crate) use field::{field, returned_always};
pub(crate) use net::{domain, header, host, is_loopback, link, may_hold_secret, url};
pub(crate) use route::route;

use crate::fault::shown;

/// What is wrong with a value. Says nothing of a value that might be secret.
pub(crate) type Wrong = String;

/// Longest text, in bytes.
const MOST_TEXT: usize = 4096;

/// Any text: not empty, of bounded length, without control characters.
pub(crate) fn text(text: &str) -> Result<String, Wrong> {
    if text.is_empty() {
        Err("the text is empty".to_owned())
    } else if text.len() > MOST_TEXT {
        Err(format!("the text is longer than {MOST_TEXT} bytes"))
    } else if text.chars().any(char::is_control) {
        Err("the text holds a line break or another control character".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// A name of the operator's choosing.
pub(crate) fn name(text: &str) -> Result<String, Wrong> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if (1..=63).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is no name", shown(text)))
    }
}

/// Whether this is a secret key of age.
pub(crate) fn is_secret_key(text: &str) -> bool {
    const START: &str = "AGE-SECRET-KEY-";
    text.get(..START.len()).is_some_and(|start| start.eq_ignore_ascii_case(START))
}

/// A data class.
pub(crate) fn class(text: &str) -> Result<model::DataClass, Wrong> {
    model::DataClass::new(text).map_err(|fault| fault.to_string())
}

/// A length of time: a whole number and `ms`, `s`, `m`, `h` or `d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_number(text)?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        "d" => number.checked_mul(24 * 3600).map(Duration::from_secs),
        _ => None,
    }
}

/// A number of bytes: a whole number, alone or with `B`, `KiB`, `MiB`, `GiB` or `TiB`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// A whole number; `_` may stand between digits.
pub(crate) fn count(text: &str) -> Option<u64> {
    let digits = |b: u8| b.is_ascii_digit() || b == b'_';
    if !text.starts_with(|c: char| c.is_ascii_digit()) || text.ends_with('_') || !text.bytes().all(digits) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.strip_prefix(' ').unwrap_or(unit)))
}

/// A JSON pointer (RFC 6901), not to the whole document.
pub(crate) fn pointer(written: &str) -> Result<String, Wrong> {
    let pointer = text(written)?;
    let escapes_are_good = written.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if pointer.starts_with('/') && escapes_are_good {
        Ok(pointer)
    } else if escapes_are_good {
        Err(format!("{} is no JSON pointer; did you mean {}?", shown(written), shown(&format!("/{written}"))))
    } else {
        Err(format!("{} is no JSON pointer: `~` is written `~0`", shown(written)))
    }
}

const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// A signature algorithm that proves who signed (RFC 7518, section 3.1, and RFC 8037).
pub(crate) fn algorithm(text: &str) -> Result<String, Wrong> {
    if ALGORITHMS.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(if text.eq_ignore_ascii_case("none") {
        "`none` means unsigned: anybody could write such a token".to_owned()
    } else if text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("HS")) {
        format!("{} signs with a shared secret: whoever can verify a token could also make one", shown(text))
    } else {
        format!("{} is no algorithm that is accepted here{}", shown(text), suggestion(text, ALGORITHMS))
    })
}

/// A time zone that this system knows.
pub(crate) fn timezone(text: &str) -> Result<String, Wrong> {
    let plausible = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains("..");
    match plausible && jiff::tz::db().get(text).is_ok() {
        true => Ok(text.to_owned()),
        false => Err(format!("{} is not in the system's time zone database", shown(text))),
    }
}

/// Longest regular expression, in bytes.
const MOST_PATTERN: usize = 1000;
/// Most memory one compiled expression may take, in bytes.
const MOST_COMPILED: usize = 1 << 20;

/// A regular expression that compiles within bounds and matches no empty text.
pub(crate) fn pattern(written: &str) -> Result<String, Wrong> {
    let pattern = text(written)?;
    if pattern.len() > MOST_PATTERN {
        return Err(format!("the expression is longer than {MOST_PATTERN} bytes"));
    }
    let config = regex_automata::meta::Config::new().nfa_size_limit(Some(MOST_COMPILED));
    match regex_automata::meta::Builder::new().configure(config).build(&pattern) {
        Ok(regex) if regex.is_match("") => {
            Err("the expression matches empty text, so it would match every request".to_owned())
        }
        Ok(_) => Ok(pattern),
        Err(error) => Err(match error.size_limit() {
            Some(_) => format!("the expression compiles to more than {MOST_COMPILED} bytes"),
            None => format!("the expression does not compile: {}", why(&error)),
        }),
    }
}

/// The innermost cause, on one line.
fn why(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let said = innermost.to_string();
    said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// `; did you mean …?` with the nearest of `known`, when one is near enough.
pub(crate) fn suggestion(text: &str, known: impl IntoIterator<Item = &'static str>) -> String {
    if text.len() > 64 {
        return String::new();
    }
    let written: Vec<char> = normal(text);
    let near = known.into_iter().map(|word| (distance(&written, &normal(word)), word));
    let near = near.filter(|(distance, word)| *distance <= 1 + word.len() / 4);
    near.min_by_key(|(distance, _)| *distance)
        .map_or(String::new(), |(_, word)| format!("; did you mean `{word}`?"))
}

/// As if case and the choice of `-`, `_`, `.` did not matter.
fn normal(text: &str) -> Vec<char> {
    text.chars().filter(|c| !matches!(c, '-' | '_' | '.')).flat_map(char::to_lowercase).collect()
}

/// How many characters must be put in, taken out, replaced, to turn one text into the other (Levenshtein).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut left = i + 1;
        next.push(left);
        for (pair, b) in row.windows(2).zip(to) {
            let &[diagonal, above] = pair else { continue };
            left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
