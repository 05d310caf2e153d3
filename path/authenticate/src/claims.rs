//! The registered claims (RFC 7519, section 4.1): who issued the token, for whom, about whom, and when
//! it holds.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use crate::error::quote;
use crate::inspect::Reading;
use crate::issuer::Issuer;
use crate::{AuthenticateError, Check};

/// The longest `sub`, in bytes (OpenID Connect Core 1.0, section 2).
const MAX_SUBJECT_BYTES: usize = 255;

/// The first second after every time a claim may name: 9999-12-30T22:00:00Z.
const END_OF_TIME: i64 = 253_402_207_200;

/// When a token holds, the issuer's skew already counted in. The same window judges a token that was
/// just verified and one that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    from: Timestamp,
    until: Timestamp,
}

impl Window {
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

/// What the registered claims say of a token that passed them all.
#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) window: Window,
    pub(crate) issued_at: Option<Timestamp>,
    pub(crate) expires_at: Timestamp,
    pub(crate) authenticated_at: Option<Timestamp>,
}

/// `iss`, which must be text. Arrays of issuers are refused: which of them would be meant?
pub(crate) fn issuer(claims: &Value) -> Result<&str, AuthenticateError> {
    match claims.get("iss") {
        Some(Value::String(issuer)) => Ok(issuer),
        Some(_) => Err(AuthenticateError::Issuer("`iss` is no text".to_owned())),
        None => Err(AuthenticateError::Issuer("the token has no `iss`".to_owned())),
    }
}

/// `aud`: one text, or an array of texts. One text that holds a list, joined by spaces, is one audience.
pub(crate) fn audiences(claims: &Value) -> Result<Vec<&str>, AuthenticateError> {
    let wrong = |why: &str| Err(AuthenticateError::Audience(why.to_owned()));
    match claims.get("aud") {
        None => wrong("the token has no `aud`"),
        Some(Value::String(audience)) => Ok(vec![audience]),
        Some(Value::Array(items)) if !items.is_empty() => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            texts.map_or_else(|| wrong("`aud` is an array that holds more than texts"), Ok)
        }
        Some(_) => wrong("`aud` is neither a text nor an array of texts"),
    }
}

/// `sub`: it names the caller in policies and in the record, so it must be text that can.
pub(crate) fn subject(claims: &Map<String, Value>) -> Result<&str, AuthenticateError> {
    let wrong = |why: String| Err(AuthenticateError::Subject(why));
    match claims.get("sub") {
        None => wrong("the token has no `sub`".to_owned()),
        Some(Value::String(subject)) if subject.is_empty() => wrong("`sub` is empty".to_owned()),
        Some(Value::String(subject)) if subject.len() > MAX_SUBJECT_BYTES => {
            wrong(format!("`sub` is {} bytes long, at most {MAX_SUBJECT_BYTES} are accepted", subject.len()))
        }
        Some(Value::String(subject)) if subject.chars().any(char::is_control) => {
            wrong(format!("`sub` {} holds control characters", quote(subject)))
        }
        Some(Value::String(subject)) => Ok(subject),
        Some(_) => wrong("`sub` is no text".to_owned()),
    }
}

/// `exp`, `nbf`, `iat` against the clock, and what they say.
pub(crate) fn times(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    now: Timestamp,
    reading: &mut Reading,
) -> Result<Times, AuthenticateError> {
    let skew = issuer.skew;
    let expires_at = match claims.get("exp") {
        None => return Err(AuthenticateError::Expiry("the token has no `exp`".to_owned())),
        Some(Value::Number(number)) if !number.is_f64() => time(number),
        Some(_) => None,
    };
    let expires_at = expires_at.ok_or_else(|| {
        AuthenticateError::Expiry("`exp` is no whole number of seconds before the year 10000".to_owned())
    })?;
    reading.pass(Check::Expiry);

    let mut window = Window { from: Timestamp::MIN, until: later(expires_at, skew) };
    if now >= window.until {
        return Err(AuthenticateError::Expired(expires_at));
    }
    reading.pass(Check::Expired);

    let not_before = instant(claims, "nbf").map_err(AuthenticateError::NotBefore)?;
    window.from = window.from.max(not_before.map_or(Timestamp::MIN, |at| earlier(at, skew)));
    if let Some(at) = not_before.filter(|_| now < window.from) {
        return Err(AuthenticateError::NotBefore(format!(
            "the token holds from {at}, which is still to come"
        )));
    }
    reading.pass(Check::NotBefore);

    let issued_at = instant(claims, "iat").map_err(AuthenticateError::IssuedAt)?;
    window.from = window.from.max(issued_at.map_or(Timestamp::MIN, |at| earlier(at, skew)));
    if let Some(at) = issued_at.filter(|_| now < window.from) {
        let why = format!("the token was issued at {at}, which is still to come: a clock is wrong");
        return Err(AuthenticateError::IssuedAt(why));
    }
    reading.pass(Check::IssuedAt);

    if let Some(age) = issuer.max_token_age {
        let Some(at) = issued_at else {
            return Err(AuthenticateError::Age(
                "the token has no `iat`, which `max_token_age` needs".to_owned(),
            ));
        };
        window.until = window.until.min(later(later(at, age), skew));
        if now >= window.until {
            return Err(AuthenticateError::Age(format!("the token was issued at {at}, over {age:?} ago")));
        }
    }
    reading.pass(Check::Age);
    // A time of login that cannot be read proves no recent login, and decides nothing else.
    let authenticated_at = instant(claims, "auth_time").unwrap_or(None);
    Ok(Times { window, issued_at, expires_at, authenticated_at })
}

/// The time at `name`, if it is there.
///
/// # Errors
/// Says what is wrong when it is no time.
pub(crate) fn instant(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, String> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => time(number)
            .map(Some)
            .ok_or_else(|| format!("`{name}` is no time between 1970 and the year 10000")),
        Some(_) => Err(format!("`{name}` is no number")),
    }
}

/// A NumericDate (RFC 7519, section 2), its fraction dropped.
#[expect(clippy::cast_possible_truncation, reason = "within bounds that fit")]
fn time(number: &Number) -> Option<Timestamp> {
    let seconds = match (number.as_i64(), number.as_f64()) {
        (Some(seconds), _) => seconds,
        (None, Some(seconds)) if (0.0..END_OF_TIME as f64).contains(&seconds) => seconds as i64,
        _ => return None,
    };
    Timestamp::from_second(seconds).ok().filter(|_| (0..END_OF_TIME).contains(&seconds))
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}
