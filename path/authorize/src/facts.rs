//! The facts a policy weighs, defined once and rendered twice: for Cedar, and as the JSON the record
//! keeps.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use cedar_policy::{EntityUid, RestrictedExpression};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lru::LruCache;
use model::{Facts, Identity, TokenFacts};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::recent::Recent;

/// A value in Cedar's data model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Long(i64),
    Text(String),
    Texts(BTreeSet<String>),
    Record(Vec<(&'static str, Self)>),
    Address(IpAddr),
    Moment(Timestamp),
    Entity(EntityUid),
}

impl Value {
    /// A count, within 0 and [`Facts::BOUND`] whatever it was.
    fn count(count: impl Into<i128>) -> Self {
        Self::Long(Facts::clamp(count.into()))
    }

    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// The same for Cedar. What can't be expressed is an error, which denies.
    pub(crate) fn expression(self) -> Result<RestrictedExpression, String> {
        Ok(match self {
            Self::Bool(b) => RestrictedExpression::new_bool(b),
            Self::Long(n) => RestrictedExpression::new_long(n),
            Self::Text(text) => RestrictedExpression::new_string(text),
            Self::Texts(texts) => {
                RestrictedExpression::new_set(texts.into_iter().map(RestrictedExpression::new_string))
            }
            Self::Record(fields) => {
                let fields: Result<Vec<_>, String> =
                    fields.into_iter().map(|(k, v)| Ok((k.to_owned(), v.expression()?))).collect();
                RestrictedExpression::new_record(fields?).map_err(|e| e.to_string())?
            }
            Self::Address(address) => extension(Extension::Address(address)),
            Self::Moment(at) => extension(Extension::Moment(at.as_second())),
            Self::Entity(uid) => RestrictedExpression::new_entity_uid(uid),
        })
    }
}

/// Cedar's spelling of an instant, to the second.
fn datetime(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A call of one of Cedar's extension functions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Extension {
    Address(IpAddr),
    /// Seconds since the epoch.
    Moment(i64),
}

/// The expression of such a call. Those of late are kept: Cedar parses the function's name each time one
/// is made, which costs more than the rest of a context together.
fn extension(call: Extension) -> RestrictedExpression {
    const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1024 - 1);
    static MADE: LazyLock<Mutex<LruCache<Extension, RestrictedExpression>>> =
        LazyLock::new(|| Mutex::new(LruCache::new(KEPT)));
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.get_or_insert(call, || match call {
        Extension::Address(address) => RestrictedExpression::new_ip(address.to_string()),
        Extension::Moment(second) => {
            let at = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
            RestrictedExpression::new_datetime(datetime(at))
        }
    })
    .clone()
}

/// An entity's id in Cedar's JSON.
#[derive(Serialize)]
pub(crate) struct UidJson<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
}

impl<'a> UidJson<'a> {
    pub(crate) fn of(uid: &'a EntityUid) -> Self {
        Self { kind: uid.type_name().basename(), id: uid.id().unescaped() }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let call = |serializer: S, function: &str, argument: String| {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry("__extn", &Call { function, argument })?;
            map.end()
        };
        match self {
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Long(n) => serializer.serialize_i64(*n),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Texts(texts) => serializer.collect_seq(texts),
            Self::Record(fields) => serializer.collect_map(fields.iter().map(|(k, v)| (k, v))),
            Self::Address(address) => call(serializer, "ip", address.to_string()),
            Self::Moment(at) => call(serializer, "datetime", datetime(*at)),
            Self::Entity(uid) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("__entity", &UidJson::of(uid))?;
                map.end()
            }
        }
    }
}

/// A call of an extension function in Cedar's JSON.
#[derive(Serialize)]
struct Call<'a> {
    #[serde(rename = "fn")]
    function: &'a str,
    #[serde(rename = "arg")]
    argument: String,
}

/// When a request is judged, in wall-clock time and in the operator's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    at: Timestamp,
    weekday: &'static str,
    minute: i64,
}

impl Moment {
    pub(crate) fn new(at: Timestamp, zone: &TimeZone) -> Self {
        let local = zone.to_datetime(at);
        let weekday = match local.weekday() {
            jiff::civil::Weekday::Monday => "mon",
            jiff::civil::Weekday::Tuesday => "tue",
            jiff::civil::Weekday::Wednesday => "wed",
            jiff::civil::Weekday::Thursday => "thu",
            jiff::civil::Weekday::Friday => "fri",
            jiff::civil::Weekday::Saturday => "sat",
            jiff::civil::Weekday::Sunday => "sun",
        };
        Self { at, weekday, minute: i64::from(local.hour()) * 60 + i64::from(local.minute()) }
    }

    fn value(self) -> Value {
        Value::Record(vec![
            ("at", Value::Moment(self.at)),
            ("weekday", Value::text(self.weekday)),
            ("minute", Value::Long(self.minute)),
        ])
    }
}

/// Everything around an operation that is not the operation.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) client: IpAddr,
    pub(crate) moment: Moment,
    pub(crate) recent: Recent,
    /// Who answers for the program that asks.
    pub(crate) owner: Option<Arc<str>>,
}

/// The context of an operation, with no consent yet.
pub(crate) fn operation(identity: &Identity, facts: &Facts, scene: &Scene) -> Value {
    let mut fields = request(facts);
    fields.extend([
        ("approvals", Value::Long(0)),
        ("client", Value::Address(scene.client.to_canonical())),
        ("time", scene.moment.value()),
        ("token", token(&identity.token, scene.moment.at)),
        ("recent", recent(scene.recent)),
    ]);
    fields.extend(scene.owner.as_deref().map(|owner| ("owner", Value::text(owner))));
    Value::Record(fields)
}

/// The context of being in a group for a while, with no consent yet.
pub(crate) fn join(identity: &Identity, minutes: u32, scene: &Scene) -> Value {
    let mut fields = vec![
        ("minutes", Value::Long(minutes.into())),
        ("approvals", Value::Long(0)),
        ("client", Value::Address(scene.client.to_canonical())),
        ("time", scene.moment.value()),
        ("token", token(&identity.token, scene.moment.at)),
    ];
    fields.extend(scene.owner.as_deref().map(|owner| ("owner", Value::text(owner))));
    Value::Record(fields)
}

/// The same of what is called `operation`.
pub(crate) fn consent_to(
    identity: &Identity,
    (operation, facts): (&str, &Facts),
    (requester, owner): (EntityUid, Option<&str>),
    scene: &Scene,
) -> Value {
    let mut fields = vec![
        ("requester", Value::Entity(requester)),
        ("operation", Value::text(operation)),
        ("request", Value::Record(request(facts))),
        ("client", Value::Address(scene.client.to_canonical())),
        ("time", scene.moment.value()),
        ("token", token(&identity.token, scene.moment.at)),
    ];
    fields.extend(owner.map(|owner| ("owner", Value::text(owner))));
    Value::Record(fields)
}

/// What an operation is judged by of itself.
fn request(facts: &Facts) -> Vec<(&'static str, Value)> {
    vec![
        ("model", Value::text(&facts.model)),
        ("method", Value::text(&facts.method)),
        ("path", Value::text(&facts.path)),
        ("stream", Value::Bool(facts.stream)),
        ("batch", Value::Long(Facts::clamp(facts.batch.into()).max(1))),
        ("max_tokens", Value::count(facts.max_tokens)),
        ("request_bytes", Value::count(facts.request_bytes)),
        ("tools", Value::Bool(facts.tools)),
        ("images", Value::count(facts.images)),
        ("audio", Value::count(facts.audio)),
        ("matches", Value::Texts(facts.matches.clone())),
    ]
}

/// The context of seeing a data class: nothing of the single request.
pub(crate) fn reveal(identity: &Identity, resource: EntityUid) -> Value {
    Value::Record(vec![
        ("resource", Value::Entity(resource)),
        ("token", Value::Record(standing(&identity.token))),
    ])
}

/// What every policy may read of the caller itself.
pub(crate) fn caller(identity: &Identity) -> Vec<(&'static str, Value)> {
    vec![
        ("kind", Value::text(identity.kind.as_str())),
        ("issuer", Value::text(&identity.issuer)),
        ("issuer_name", Value::text(&identity.issuer_name)),
        ("subject", Value::text(&identity.subject)),
        ("email", Value::text(identity.email.as_deref().unwrap_or(""))),
        ("client", Value::text(identity.token.client.as_deref().unwrap_or(""))),
    ]
}

fn token(token: &TokenFacts, now: Timestamp) -> Value {
    let since = |then: Option<Timestamp>| match then {
        Some(then) => Value::count(now.as_second() - then.as_second()),
        None => Value::Long(Facts::BOUND),
    };
    let mut fields = vec![
        ("age_seconds", since(token.issued_at)),
        ("seconds_since_login", since(token.authenticated_at)),
        ("seconds_left", Value::count(token.expires_at.as_second() - now.as_second())),
    ];
    fields.extend(standing(token));
    Value::Record(fields)
}

/// The facts of a token that do not change while it lives.
fn standing(token: &TokenFacts) -> Vec<(&'static str, Value)> {
    vec![
        ("mfa", Value::Bool(token.mfa)),
        ("methods", Value::Texts(token.methods.clone())),
        ("context_class", Value::text(token.context_class.as_deref().unwrap_or(""))),
        ("scopes", Value::Texts(token.scopes.clone())),
        ("audiences", Value::Texts(token.audiences.iter().cloned().collect())),
        ("client", Value::text(token.client.as_deref().unwrap_or(""))),
    ]
}

fn recent(recent: Recent) -> Value {
    Value::Record(vec![
        ("requests_hour", Value::count(recent.requests_hour)),
        ("requests_day", Value::count(recent.requests_day)),
        ("tokens_hour", Value::count(recent.tokens_hour)),
        ("tokens_day", Value::count(recent.tokens_day)),
    ])
}
