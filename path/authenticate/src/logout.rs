//! Logout tokens (OpenID Connect Back-Channel Logout 1.0): the issuer says that a session, or all of
//! somebody's, has ended.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::authenticator::{Authenticator, admitted, signed};
use crate::error::quote;
use crate::inspect::Reading;
use crate::issuer::{Issuer, media_type};
use crate::standing::StandingError;
use crate::{AuthenticateError, claims, compact};

/// What makes a token a logout token (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How old a logout token may be: its issuer sends it at once, and may try again for a while.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);
/// The longest `sid` and `jti`, in bytes.
const MAX_ID_BYTES: usize = 255;

/// Why a logout token ended nothing.
#[derive(Debug, thiserror::Error)]
pub enum LogoutError {
    /// No issuer by this name, or none whose logout tokens are heard.
    #[error("no issuer `{0}` has `backchannel_logout` in the configuration")]
    Unheard(String),
    /// The token fails a check that every token meets.
    #[error(transparent)]
    Token(#[from] AuthenticateError),
    /// It is no logout token, or not a good one.
    #[error("{0}")]
    Unfit(String),
    /// It was used before.
    #[error("this logout token was used already")]
    Replayed,
    /// What it ends cannot be written down: the issuer should try again.
    #[error(transparent)]
    State(#[from] StandingError),
}

/// What a logout token ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// Whose sessions, if it names somebody.
    pub subject: Option<String>,
    /// Which session; none for all of the subject's.
    pub session: Option<String>,
}

impl Authenticator {
    /// Ends what the logout token `token`, sent to the issuer configured as `name`, says: from the next
    /// request on, and what runs within a second.
    ///
    /// # Errors
    /// [`LogoutError`]; then nothing has ended.
    pub async fn log_out(&self, name: &str, token: &str) -> Result<LoggedOut, LogoutError> {
        let found = self.configured().iter().find(|issuer| issuer.name == name);
        let (issuer, settings) = found
            .and_then(|issuer| Some((issuer, issuer.logout.as_ref()?)))
            .ok_or_else(|| LogoutError::Unheard(name.to_owned()))?;
        let result = self.heard(issuer, settings, token).await;
        let word = match &result {
            Ok(_) => "ok",
            Err(LogoutError::State(_)) => "failed",
            Err(_) => "refused",
        };
        metrics::counter!("portcullis_logouts_total", "issuer" => issuer.name.clone(), "result" => word)
            .increment(1);
        result
    }

    async fn heard(
        &self,
        issuer: &Issuer,
        settings: &config::BackchannelLogout,
        token: &str,
    ) -> Result<LoggedOut, LogoutError> {
        let mut reading = Reading::default();
        let compact = compact::read(token, &mut reading)?;
        let said = claims::issuer(&compact.claims)?;
        if said != issuer.url {
            let why = format!("the logout token is of {}, not of `{}`", quote(said), issuer.url);
            return Err(AuthenticateError::Issuer(why).into());
        }
        let audiences = claims::audiences(&compact.claims)?;
        if !audiences.iter().any(|said| settings.audiences.iter().any(|known| known == said)) {
            let why = "the logout token is for none of `backchannel_logout.audiences`".to_owned();
            return Err(AuthenticateError::Audience(why).into());
        }
        let kind = compact.header.kind.as_deref().unwrap_or("JWT");
        if !settings.token_types.iter().any(|known| media_type(known) == media_type(kind)) {
            let why =
                format!("a token of type {} is not listed in `backchannel_logout.token_types`", quote(kind));
            return Err(AuthenticateError::Type(why).into());
        }
        let algorithm = admitted(issuer, &compact, &mut reading)?;
        signed(issuer, &compact, algorithm, &mut reading).await?;
        let Value::Object(members) = &compact.claims else {
            return Err(LogoutError::Unfit("it holds no claims".to_owned()));
        };
        let logout = Logout::read(members, issuer.skew, self.clock().now())?;

        let standing = self.standing();
        if standing.was_used(&issuer.url, &logout.id).await? {
            return Err(LogoutError::Replayed);
        }
        let LoggedOut { subject, session } = &logout.ends;
        standing.logged_out(&issuer.url, subject.as_deref(), session.as_deref(), logout.issued_at).await?;
        // Noted once it is done: an issuer that hears of a failure may send the same token again.
        let until = later(logout.issued_at, MAX_AGE.saturating_add(issuer.skew.saturating_mul(2)));
        if !standing.first_use(&issuer.url, &logout.id, until).await? {
            return Err(LogoutError::Replayed);
        }
        tracing::info!(issuer = issuer.name, subject, session, "logged out at the issuer");
        Ok(logout.ends)
    }
}

/// What a logout token says, checked by itself.
#[derive(Debug)]
struct Logout {
    id: String,
    issued_at: Timestamp,
    ends: LoggedOut,
}

impl Logout {
    /// Section 2.6, beyond what every token meets.
    fn read(members: &Map<String, Value>, skew: Duration, now: Timestamp) -> Result<Self, LogoutError> {
        let unfit = |why: &str| LogoutError::Unfit(why.to_owned());
        match members.get("events") {
            Some(Value::Object(events)) if events.get(EVENT).is_some_and(Value::is_object) => {}
            _ => return Err(unfit("its `events` do not say that it is a logout token")),
        }
        if members.contains_key("nonce") {
            return Err(unfit("it has a `nonce`: it is an ID token, or would pass for one"));
        }
        let issued_at = claims::instant(members, "iat")
            .map_err(LogoutError::Unfit)?
            .ok_or_else(|| unfit("it has no `iat`"))?;
        if now < earlier(issued_at, skew) {
            return Err(LogoutError::Unfit(format!("it was issued at {issued_at}, which is still to come")));
        }
        if now >= later(issued_at, MAX_AGE.saturating_add(skew)) {
            return Err(LogoutError::Unfit(format!("it was issued at {issued_at}, over {MAX_AGE:?} ago")));
        }
        match claims::instant(members, "exp").map_err(LogoutError::Unfit)? {
            Some(end) if now >= later(end, skew) => {
                return Err(LogoutError::Unfit(format!("it ended at {end}")));
            }
            _ => {}
        }
        let id = text(members, "jti")?.ok_or_else(|| unfit("it has no `jti`"))?;
        let subject = match members.get("sub") {
            None => None,
            Some(_) => Some(claims::subject(members)?.to_owned()),
        };
        let session = text(members, "sid")?;
        if subject.is_none() && session.is_none() {
            return Err(unfit("it names neither a `sub` nor a `sid`"));
        }
        Ok(Self { id, issued_at, ends: LoggedOut { subject, session } })
    }
}

fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, LogoutError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if (1..=MAX_ID_BYTES).contains(&text.len()) => Ok(Some(text.clone())),
        Some(_) => Err(LogoutError::Unfit(format!("its `{name}` is no text of 1 to {MAX_ID_BYTES} bytes"))),
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(claims: &Value) -> Result<LoggedOut, String> {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let Value::Object(members) = claims else { panic!("an object") };
        Logout::read(members, Duration::from_secs(30), now)
            .map(|logout| logout.ends)
            .map_err(|error| error.to_string())
    }

    fn good() -> Value {
        json!({ "iat": 1_795_348_800, "jti": "1", "sub": "alice", "sid": "s", "events": { EVENT: {} } })
    }

    #[test]
    fn each_defect_is_refused_beside_a_good_one() {
        let both = LoggedOut { subject: Some("alice".to_owned()), session: Some("s".to_owned()) };
        assert_eq!(read(&good()), Ok(both));
        let at = 1_795_348_800;
        for (name, value, why) in [
            ("events", json!(null), "events"),
            ("events", json!({ "http://schemas.openid.net/event/other": {} }), "events"),
            ("events", json!({ EVENT: true }), "events"),
            ("events", json!([EVENT]), "events"),
            ("nonce", json!("n"), "nonce"),
            ("iat", json!(at + 31), "still to come"),
            ("iat", json!(at - 330), "ago"),
            ("iat", json!("now"), "iat"),
            ("exp", json!(at - 30), "ended"),
            ("exp", json!("soon"), "exp"),
            ("jti", json!(""), "jti"),
            ("jti", json!(7), "jti"),
            ("sub", json!(""), "sub"),
            ("sub", json!(["alice"]), "sub"),
            ("sid", json!("s".repeat(256)), "sid"),
        ] {
            let mut claims = good();
            claims[name] = value;
            let refused = read(&claims).unwrap_err();
            assert!(refused.contains(why), "{claims}: {refused}");
        }
        for missing in [&["events"][..], &["iat"], &["jti"], &["sub", "sid"]] {
            let mut claims = good();
            claims.as_object_mut().unwrap().retain(|name, _| !missing.contains(&name.as_str()));
            assert!(read(&claims).is_err(), "{claims}");
        }
        for missing in ["sub", "sid"] {
            let mut claims = good();
            claims.as_object_mut().unwrap().remove(missing);
            assert!(read(&claims).is_ok(), "{claims}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever stands in one member, a token is read or refused, and what is read names somebody.
        #[test]
        fn any_member_is_read_or_refused(
            name in proptest::sample::select(vec!["events", "iat", "exp", "jti", "sub", "sid", "nonce", "other"]),
            text in "\\PC{0,12}", number in any::<f64>(), which in 0..5u8,
        ) {
            let mut claims = good();
            claims[name] = match which {
                0 => json!(text),
                1 => json!(number),
                2 => json!([text]),
                3 => json!({ text: number }),
                _ => Value::Null,
            };
            if let Ok(ends) = read(&claims) {
                prop_assert!(ends.subject.is_some() || ends.session.is_some());
                prop_assert!(name != "nonce" && (name != "events"));
            }
        }
    }
}
