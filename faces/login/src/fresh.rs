//! How long a token is good, and when to get another: before its end, whatever this machine's clock does.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// The most that is taken off a token's life, so that it outlives the request it is sent with.
const MARGIN: Duration = Duration::from_secs(60);
/// The least: an issuer's times are whole seconds, cut off, so a token may end a second early.
const LEAST_MARGIN: Duration = Duration::from_secs(2);
/// How far this machine's clock may have stepped back before a token no longer counts as fresh.
const STEP_BACK: Duration = Duration::from_secs(60);

/// Whether a token that came at `received` and lives until `ends` is good for a while: a minute, or a
/// quarter of a short life, and two seconds at least. All by this machine's clock.
pub fn is_fresh(received: Timestamp, ends: Timestamp, now: Timestamp) -> bool {
    let margin = (span(received, ends) / 4).clamp(LEAST_MARGIN, MARGIN);
    let stepped_back = span(now, received) > STEP_BACK;
    !stepped_back && span(now, ends) > margin
}

/// How long a token lives from its making, when it says so itself: `exp` less `iat`, so that a wrong clock
/// here does not matter. Nothing is verified.
pub(crate) fn life(token: &SecretString) -> Option<Duration> {
    let claims = claims(token)?;
    let second = |name: &str| claims.get(name).and_then(Value::as_f64);
    Duration::try_from_secs_f64(second("exp")? - second("iat")?).ok()
}

/// How long a token still lives, when it says so itself: until its `exp` by this machine's clock, and never
/// longer than it ever lived. For tokens that may have lain somewhere before they came here.
pub fn left(token: &SecretString, now: Timestamp) -> Option<Duration> {
    let ends = claims(token)?.get("exp").and_then(Value::as_f64)?;
    let left = Duration::try_from_secs_f64(ends - now.as_millisecond() as f64 / 1000.0).unwrap_or_default();
    life(token).map(|life| life.min(left))
}

/// What a token says, unverified.
pub(crate) fn claims(token: &SecretString) -> Option<Value> {
    let payload = token.expose_secret().split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// From one to the other; nothing when the other is earlier.
fn span(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_what_the_token_says() {
        let token = |claims: &str| SecretString::from(format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims)));
        let says = |claims: &str| life(&token(claims));
        assert_eq!(says(r#"{"iat":1000,"exp":1300}"#), Some(Duration::from_secs(300)));
        for odd in ["{}", r#"{"iat":1300,"exp":1000}"#, r#"{"iat":0,"exp":1e300}"#, "[]", "not JSON"] {
            assert_eq!(says(odd), None, "{odd}");
        }
        assert_eq!(life(&"opaque".into()), None);
    }

    #[test]
    fn what_lay_somewhere_has_less_left() {
        let token =
            SecretString::from(format!("h.{}.s", URL_SAFE_NO_PAD.encode(r#"{"iat":1000,"exp":1300}"#)));
        let left = |now| left(&token, Timestamp::from_second(now).unwrap()).map(|left| left.as_secs());
        assert_eq!(
            (left(1000), left(1200), left(1300), left(5000)),
            (Some(300), Some(100), Some(0), Some(0))
        );
        // A clock that is behind makes nothing live longer.
        assert_eq!(left(0), Some(300));
    }
}
