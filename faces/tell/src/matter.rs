//! What is told: one approval as it stands, and what happened between two looks at it.
//!
//! Nothing here comes from a request's body: no prompt, no header, no token. What people wrote is masked
//! before it gets here, and everything has a length.

use config::TellEvent;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest text of each field, in characters: what is longer ends in `…`.
const LONGEST: usize = 300;
/// The most operations that are named.
const MOST_OPERATIONS: usize = 16;

/// A person or program, as people know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The issuer's URL.
    pub issuer: String,
    /// The subject.
    pub subject: String,
    /// The e-mail address or a name, if there is one.
    pub name: Option<String>,
}

impl Who {
    /// Somebody, each text cut to its length.
    pub fn new(issuer: &str, subject: &str, name: Option<&str>) -> Self {
        Self { issuer: cut(issuer), subject: cut(subject), name: name.map(cut) }
    }

    /// What people are shown.
    pub(crate) fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.subject)
    }
}

/// What the approval is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum About {
    /// A request to a resource.
    Request {
        /// The resource's name.
        resource: String,
        /// The classes of what it would do, each once.
        operations: Vec<String>,
    },
    /// Membership of a group for a while.
    Grant {
        /// The group.
        group: String,
        /// For how many seconds, from the approval on.
        seconds: u64,
        /// When it ends, once it has begun.
        ends: Option<Timestamp>,
    },
}

impl About {
    /// A request, each text cut to its length.
    pub fn request<'a>(resource: &str, operations: impl IntoIterator<Item = &'a str>) -> Self {
        let mut named: Vec<String> = Vec::new();
        for operation in operations {
            if named.len() < MOST_OPERATIONS && !named.iter().any(|known| known == operation) {
                named.push(cut(operation));
            }
        }
        Self::Request { resource: cut(resource), operations: named }
    }
}

/// How an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It waits for people.
    Waiting,
    /// As many consented as it needs.
    Approved,
    /// Somebody said no.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// What was approved was done.
    Released,
    /// The grant came to its end.
    Ended,
    /// The grant was taken back.
    Revoked,
}

/// One approval as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matter {
    /// The approval's id. Printable ASCII without blanks, slashes and dots.
    pub approval: String,
    /// What it is for.
    pub about: About,
    /// Who asked.
    pub requester: Who,
    /// How many people must consent.
    pub needed: u8,
    /// How many did.
    pub given: u8,
    /// How it stands.
    pub stage: Stage,
    /// When it was asked for.
    pub asked: Timestamp,
    /// When it expires if nobody decides.
    pub expires: Timestamp,
    /// Who decided last, if anybody did.
    pub decided_by: Option<Who>,
    /// What they said, masked.
    pub reason: Option<String>,
}

/// `text` cut to the length that is told.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// What was told of an approval last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) stage: Stage,
    pub(crate) given: u8,
    /// How many notices it has had: the next one's place in their order.
    pub(crate) count: u32,
}

/// What happened to an approval since it was `told`, in order. Two looks may have missed what was between
/// them: what must have been is told all the same.
pub(crate) fn between(told: Option<&Told>, now: &Matter) -> Vec<TellEvent> {
    let mut events = all_between(told, now);
    if now.needed == 0 {
        // Policy asked for nobody's consent: nothing waited.
        events.retain(|event| !matches!(event, TellEvent::Requested | TellEvent::Approved));
    }
    events
}

fn all_between(told: Option<&Told>, now: &Matter) -> Vec<TellEvent> {
    let mut events = Vec::new();
    let (stage, given) = match told {
        Some(told) => (told.stage, told.given),
        None => {
            events.push(TellEvent::Requested);
            (Stage::Waiting, 0)
        }
    };
    if now.given > given && (now.stage == Stage::Waiting || now.given < now.needed) {
        events.push(TellEvent::Consented);
    }
    if now.stage == stage {
        return events;
    }
    let approved = stage >= Stage::Approved && stage != Stage::Denied && stage != Stage::Expired;
    let released = stage >= Stage::Released;
    match now.stage {
        Stage::Waiting => {}
        Stage::Approved => events.push(TellEvent::Approved),
        Stage::Denied => events.push(TellEvent::Denied),
        Stage::Expired => events.push(TellEvent::Expired),
        Stage::Released | Stage::Ended | Stage::Revoked => {
            if !approved {
                events.push(TellEvent::Approved);
            }
            if !released {
                events.push(TellEvent::Released);
            }
            match now.stage {
                Stage::Ended => events.push(TellEvent::Ended),
                Stage::Revoked => events.push(TellEvent::Revoked),
                _ => {}
            }
        }
    }
    events
}

#[cfg(test)]
pub(crate) mod tests {
    use TellEvent::{Approved, Consented, Denied, Ended, Expired, Released, Requested, Revoked};

    use super::*;

    pub(crate) fn matter(approval: &str, stage: Stage, given: u8) -> Matter {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        Matter {
            approval: approval.to_owned(),
            about: About::request("llama", ["export", "read", "export"]),
            requester: Who::new("https://login.example.test", "alice", Some("alice@example.test")),
            needed: 2,
            given,
            stage,
            asked: at("2026-01-02T03:04:05Z"),
            expires: at("2026-01-02T04:04:05Z"),
            decided_by: None,
            reason: None,
        }
    }

    #[test]
    fn what_two_looks_missed_is_told_in_order() {
        let told = |stage, given| Some(Told { stage, given, count: 1 });
        for (before, now, expected) in [
            (None, (Stage::Waiting, 0), vec![Requested]),
            (None, (Stage::Waiting, 1), vec![Requested, Consented]),
            (None, (Stage::Approved, 2), vec![Requested, Approved]),
            (None, (Stage::Denied, 1), vec![Requested, Consented, Denied]),
            (None, (Stage::Ended, 2), vec![Requested, Approved, Released, Ended]),
            (told(Stage::Waiting, 0), (Stage::Waiting, 0), vec![]),
            (told(Stage::Waiting, 0), (Stage::Waiting, 1), vec![Consented]),
            (told(Stage::Waiting, 1), (Stage::Approved, 2), vec![Approved]),
            (told(Stage::Waiting, 1), (Stage::Released, 2), vec![Approved, Released]),
            (told(Stage::Waiting, 0), (Stage::Denied, 0), vec![Denied]),
            (told(Stage::Waiting, 0), (Stage::Expired, 0), vec![Expired]),
            (told(Stage::Approved, 2), (Stage::Released, 2), vec![Released]),
            (told(Stage::Approved, 2), (Stage::Expired, 2), vec![Expired]),
            (told(Stage::Released, 2), (Stage::Revoked, 2), vec![Revoked]),
            (told(Stage::Released, 2), (Stage::Released, 2), vec![]),
        ] {
            let now = matter("a", now.0, now.1);
            assert_eq!(between(before.as_ref(), &now), expected, "{before:?} then {now:?}");
        }
    }

    #[test]
    fn every_text_has_a_length() {
        let long = "ä".repeat(5000);
        let who = Who::new(&long, &long, Some(&long));
        assert_eq!(who.subject.chars().count(), LONGEST + 1);
        assert!(who.shown().ends_with('…'));
        let names: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let About::Request { operations, .. } = About::request(&long, names.iter().map(String::as_str))
        else {
            panic!("a request")
        };
        assert_eq!(operations.len(), MOST_OPERATIONS);
    }
}
