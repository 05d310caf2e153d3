//! An approval as people and programs are shown it. Free text in it has nothing that a screen would obey.

use approve::{Approval, Signature, State, Wanted};
use jiff::Timestamp;
use model::{Facts, Identity, Operation, People};
use serde::Serialize;

use crate::asked::Prompted;
use crate::prompt::plain;

/// One approval.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// `waiting`, `approved`, `denied`, `released` or `expired`.
    pub state: &'static str,
    /// Its page, where there is one.
    pub url: Option<String>,
    /// Who asks.
    pub requester: PersonShown,
    /// Who answers for a program that asks, if somebody is known.
    pub owner: Option<String>,
    /// `request`, `act` or `membership`.
    pub wanted: &'static str,
    /// The resource, or `group/NAME`.
    pub resource: String,
    /// What a request would do.
    pub operations: Vec<OperationShown>,
    /// What is worth knowing of it.
    pub facts: Vec<Fact>,
    /// What is bound: SHA-256, in hex.
    pub digest: String,
    /// How many persons must consent,
    pub needed: u8,
    /// and how many have.
    pub given: u8,
    /// The policies that permit it then.
    pub policies: Vec<Given>,
    /// Who gave their word, in order.
    pub decisions: Vec<WordShown>,
    /// Since when it waits.
    pub asked_at: Timestamp,
    /// When it ends, whatever happens.
    pub expires_at: Timestamp,
    /// When it was used, if it was.
    pub released_at: Option<Timestamp>,
    /// The exchanges that asked for it, the latest last.
    pub exchanges: Vec<String>,
    /// What the looker may do.
    pub you: You,
}

/// One approval with what was asked.
#[derive(Clone, Debug, Serialize)]
pub struct Whole {
    /// The approval.
    #[serde(flatten)]
    pub shown: Shown,
    /// The request's method,
    pub method: Option<String>,
    /// and its path with its query.
    pub path: Option<String>,
    /// Whether a client waits for it now.
    pub held: bool,
    /// What was asked.
    pub prompt: Prompted,
}

/// Somebody.
#[derive(Clone, Debug, Serialize)]
pub struct PersonShown {
    /// Issuer, `#` and subject.
    pub id: String,
    /// The issuer's name in the configuration.
    pub issuer_name: String,
    /// The subject.
    pub subject: String,
    /// `human` or `workload`; of somebody who gave their word, `human`.
    pub kind: &'static str,
    /// The address the issuer vouches for.
    pub email: Option<String>,
    /// A name for people to read.
    pub display: Option<String>,
    /// The groups, as the token had them.
    pub groups: Vec<String>,
}

impl PersonShown {
    /// What to call them.
    pub fn name(&self) -> &str {
        self.display.as_ref().or(self.email.as_ref()).unwrap_or(&self.subject)
    }
}

/// One operation.
#[derive(Clone, Debug, Serialize)]
pub struct OperationShown {
    /// Its class.
    pub class: &'static str,
    /// The catalogue's name for it.
    pub name: String,
    /// The model, or nothing.
    pub model: String,
    /// Whether its class is a risky one.
    pub risky: bool,
}

/// Something worth knowing.
#[derive(Clone, Debug, Serialize)]
pub struct Fact {
    /// What.
    pub name: &'static str,
    /// How much, or which.
    pub value: String,
}

/// A policy.
#[derive(Clone, Debug, Serialize)]
pub struct Given {
    /// Its name.
    pub policy: String,
    /// The comment above it.
    pub sentence: Option<String>,
}

/// One person's word.
#[derive(Clone, Debug, Serialize)]
pub struct WordShown {
    /// `consented` or `denied`.
    pub decision: &'static str,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: PersonShown,
    /// From where.
    pub client: String,
    /// `page`, `cli` or `api`.
    pub via: &'static str,
    /// Why, if they said.
    pub reason: Option<String>,
}

/// What the looker may do.
#[derive(Clone, Debug, Serialize)]
pub struct You {
    /// Consent.
    pub may_approve: bool,
    /// Deny it, or take it back.
    pub may_deny: bool,
    /// It is their own.
    pub own: bool,
    /// Why not more.
    pub why: Option<String>,
}

impl Shown {
    pub(crate) fn of(approval: &Approval, people: &People, url: Option<String>, you: You) -> Self {
        let (wanted, operations, facts) = match &approval.wanted {
            Wanted::Request { operations, .. } => ("request", operations.as_slice(), self::facts(operations)),
            Wanted::Act { .. } => ("act", [].as_slice(), Vec::new()),
            Wanted::Membership { minutes, reason, .. } => {
                ("membership", [].as_slice(), membership(*minutes, reason))
            }
        };
        let act = match &approval.wanted {
            Wanted::Act { act, .. } => Some(OperationShown {
                class: act.as_str(),
                name: act.to_string(),
                model: String::new(),
                risky: true,
            }),
            _ => None,
        };
        let words = approval.consents.iter().map(|by| WordShown::of("consented", by));
        let (denial, released_at) = match &approval.state {
            State::Denied { by } => (Some(WordShown::of("denied", by)), None),
            State::Released { at, .. } => (None, Some(*at)),
            State::Waiting | State::Approved | State::Expired => (None, None),
        };
        Self {
            id: approval.id.to_string(),
            state: approval.state.as_str(),
            url,
            requester: requester(&approval.requester),
            owner: approval.owner.as_deref().map(plain),
            wanted,
            resource: approval.wanted.name(),
            operations: operations.iter().map(operation).chain(act).collect(),
            facts,
            digest: approval.digest.to_string(),
            needed: approval.needed,
            given: approval.given(people),
            policies: approval
                .policies
                .iter()
                .map(|reason| Given { policy: reason.policy.clone(), sentence: reason.sentence.clone() })
                .collect(),
            decisions: words.chain(denial).collect(),
            asked_at: approval.since,
            expires_at: approval.expires,
            released_at,
            exchanges: approval.exchanges.iter().map(ToString::to_string).collect(),
            you,
        }
    }
}

impl WordShown {
    fn of(decision: &'static str, by: &Signature) -> Self {
        let reason = plain(by.reason.trim());
        Self {
            decision,
            at: by.at,
            by: PersonShown {
                id: format!("{}#{}", by.issuer, by.subject),
                issuer_name: by.issuer_name.clone(),
                subject: plain(&by.subject),
                kind: "human",
                email: by.email.as_deref().map(plain),
                display: by.display.as_deref().map(plain),
                groups: Vec::new(),
            },
            client: by.client.to_string(),
            via: by.via.as_str(),
            reason: (!reason.is_empty()).then_some(reason),
        }
    }
}

fn requester(identity: &Identity) -> PersonShown {
    PersonShown {
        id: plain(&identity.entity_id()),
        issuer_name: identity.issuer_name.clone(),
        subject: plain(&identity.subject),
        kind: identity.kind.as_str(),
        email: identity.email.as_deref().map(plain),
        display: identity.display.as_deref().map(plain),
        groups: identity.groups.iter().map(|group| plain(group)).collect(),
    }
}

fn operation(operation: &Operation) -> OperationShown {
    OperationShown {
        class: operation.class.as_str(),
        name: operation.name.clone(),
        model: plain(&operation.facts.model),
        risky: operation.class.is_high_risk(),
    }
}

fn membership(minutes: u32, reason: &str) -> Vec<Fact> {
    let span = match minutes {
        0..60 => format!("{minutes} minutes"),
        _ if minutes.is_multiple_of(60) => format!("{} hours", minutes / 60),
        _ => format!("{} hours {} minutes", minutes / 60, minutes % 60),
    };
    vec![Fact { name: "for", value: span }, Fact { name: "reason", value: plain(reason) }]
}

/// What a person who decides would ask first. What is as in every request is left out.
fn facts(operations: &[Operation]) -> Vec<Fact> {
    let mut all = Vec::new();
    let mut say = |name: &'static str, value: Option<String>| {
        all.extend(value.filter(|value| !value.is_empty()).map(|value| Fact { name, value }));
    };
    let Some(first) = operations.first().map(|operation| &operation.facts) else { return all };
    let sum =
        |of: fn(&Facts) -> i64| operations.iter().map(|one| of(&one.facts)).fold(0_i64, i64::saturating_add);
    let count = |name: &str, count: i64| (count > 0).then(|| format!("{count} {name}"));
    let longest = operations.iter().map(|one| one.facts.max_tokens).max().unwrap_or(0);
    say("answers or inputs", Some(first.batch).filter(|batch| *batch > 1).map(|batch| batch.to_string()));
    say(
        "tokens to write",
        match longest {
            0 => None,
            Facts::BOUND.. => Some("no limit stated".to_owned()),
            limit => Some(format!("at most {limit}")),
        },
    );
    say("request", Some(size(first.request_bytes)));
    say("holds", {
        let parts =
            [count("images", sum(|facts| facts.images)), count("audio parts", sum(|facts| facts.audio))];
        let tools = operations.iter().any(|one| one.facts.tools).then(|| "tools to call".to_owned());
        Some(parts.into_iter().flatten().chain(tools).collect::<Vec<_>>().join(", "))
    });
    say("deny-list patterns that match", {
        let matches = operations.iter().flat_map(|one| &one.facts.matches);
        Some(matches.map(String::as_str).collect::<Vec<_>>().join(", "))
    });
    all
}

/// Bytes, for people.
fn size(bytes: i64) -> String {
    match bytes {
        ..=0 => String::new(),
        1..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use model::Class;

    use super::*;

    fn one(facts: Facts) -> Operation {
        Operation { class: Class::Infer, name: "openai.chat".into(), facts }
    }

    fn told(operations: &[Operation]) -> Vec<(&'static str, String)> {
        facts(operations).into_iter().map(|fact| (fact.name, fact.value)).collect()
    }

    #[test]
    fn what_a_person_would_ask_is_told_and_what_is_usual_is_not() {
        assert!(told(&[]).is_empty());
        assert!(told(&[one(Facts::plain("POST", "/"))]).is_empty());
        let facts = Facts {
            batch: 8,
            max_tokens: Facts::BOUND,
            request_bytes: 123_456,
            tools: true,
            images: 2,
            matches: ["names".to_owned()].into(),
            ..Facts::plain("POST", "/")
        };
        let told = told(&[one(facts)]);
        let wanted = [
            ("answers or inputs", "8"),
            ("tokens to write", "no limit stated"),
            ("request", "123 kB"),
            ("holds", "2 images, tools to call"),
            ("deny-list patterns that match", "names"),
        ];
        assert_eq!(told, wanted.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn spans_of_memberships_are_said() {
        for (minutes, said) in [(5, "5 minutes"), (120, "2 hours"), (90, "1 hours 30 minutes")] {
            assert_eq!(membership(minutes, "why")[0].value, said);
        }
    }
}
