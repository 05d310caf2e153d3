//! One notice for one receiver, as it lies in the spool, and the message a webhook's receiver gets.

use bytes::Bytes;
use config::TellEvent;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::matter::{About, Matter, Stage, Who};

/// A notice that waits for its receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// The same however often it is sent: receivers tell repetitions by it.
    pub(crate) id: String,
    /// What happened.
    #[serde(serialize_with = "word", deserialize_with = "event")]
    pub(crate) event: TellEvent,
    /// To what, as it stood then.
    pub(crate) matter: Matter,
    /// When that was seen.
    pub(crate) at: Timestamp,
    /// How often it was sent in vain.
    pub(crate) tries: u32,
    /// It is not sent before.
    pub(crate) next: Timestamp,
}

impl Notice {
    /// A notice of what was just seen.
    pub(crate) fn new(event: TellEvent, matter: &Matter, now: Timestamp) -> Self {
        let id = format!("msg_{}", Uuid::now_v7().simple());
        Self { id, event, matter: as_of(event, matter), at: now, tries: 0, next: now }
    }

    /// What a webhook's receiver gets: the same bytes however often it is sent.
    pub(crate) fn body(&self, origin: Option<&str>) -> Bytes {
        let matter = &self.matter;
        let data = json!({
            "approval": matter.approval,
            "url": page(origin, &matter.approval),
            "about": about(&matter.about),
            "requester": who(&matter.requester),
            "needed": matter.needed,
            "given": matter.given,
            "asked": matter.asked,
            "expires": matter.expires,
            "decided_by": matter.decided_by.as_ref().map(who),
            "reason": matter.reason,
        });
        let type_ = format!("approval.{}", self.event.as_str());
        Bytes::from(json!({ "type": type_, "timestamp": self.at, "data": data }).to_string())
    }
}

/// The matter as it stood when `event` happened: a look may have come later, and seen more.
fn as_of(event: TellEvent, matter: &Matter) -> Matter {
    let mut then = matter.clone();
    then.stage = match event {
        TellEvent::Requested | TellEvent::Consented => Stage::Waiting,
        TellEvent::Approved => Stage::Approved,
        TellEvent::Denied => Stage::Denied,
        TellEvent::Expired => Stage::Expired,
        TellEvent::Released => Stage::Released,
        TellEvent::Ended => Stage::Ended,
        TellEvent::Revoked => Stage::Revoked,
    };
    if event == TellEvent::Requested {
        then.given = 0;
        then.decided_by = None;
        then.reason = None;
    }
    then
}

/// Where the approval's page is, if people can reach one.
pub(crate) fn page(origin: Option<&str>, approval: &str) -> Option<String> {
    origin.map(|origin| format!("{origin}/approvals/{approval}"))
}

fn who(who: &Who) -> Value {
    json!({ "issuer": who.issuer, "subject": who.subject, "name": who.name })
}

fn about(about: &About) -> Value {
    match about {
        About::Request { resource, operations } => {
            json!({ "kind": "request", "resource": resource, "operations": operations })
        }
        About::Grant { group, seconds, ends } => {
            json!({ "kind": "grant", "group": group, "seconds": seconds, "ends": ends })
        }
    }
}

fn word<S: Serializer>(event: &TellEvent, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(event.as_str())
}

fn event<'de, D: Deserializer<'de>>(from: D) -> Result<TellEvent, D::Error> {
    let word = String::deserialize(from)?;
    let known = TellEvent::ALL.into_iter().find(|event| event.as_str() == word);
    known.ok_or_else(|| de::Error::custom(format!("`{word}` is no event")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matter::tests::matter;

    #[test]
    fn it_comes_back_from_the_spool_with_the_same_message() {
        let now = "2026-01-02T03:04:06Z".parse().unwrap();
        for event in TellEvent::ALL {
            let notice = Notice::new(event, &matter("0198", Stage::Waiting, 0), now);
            assert!(!notice.id.contains('.'), "a dot would end the id in what is signed");
            let stored = serde_json::to_string(&notice).unwrap();
            let back: Notice = serde_json::from_str(&stored).unwrap();
            assert_eq!(back, notice);
            assert_eq!(back.body(Some("https://a.test")), notice.body(Some("https://a.test")));
        }
        assert!(serde_json::from_str::<Notice>(r#"{"event":"x"}"#).is_err());
    }

    #[test]
    fn a_message_says_who_asks_for_what_and_where_to_answer() {
        let now = "2026-01-02T03:04:06Z".parse().unwrap();
        let notice = Notice::new(TellEvent::Requested, &matter("0198", Stage::Waiting, 0), now);
        let message: Value = serde_json::from_slice(&notice.body(Some("https://a.test"))).unwrap();
        assert_eq!(message["type"], "approval.requested");
        assert_eq!(message["timestamp"], "2026-01-02T03:04:06Z");
        assert_eq!(message["data"]["url"], "https://a.test/approvals/0198");
        let about = json!({ "kind": "request", "resource": "llama", "operations": ["export", "read"] });
        assert_eq!(message["data"]["about"], about);
        assert_eq!(message["data"]["requester"]["name"], "alice@example.test");
        let nowhere: Value = serde_json::from_slice(&notice.body(None)).unwrap();
        assert_eq!(nowhere["data"]["url"], Value::Null);
    }
}
