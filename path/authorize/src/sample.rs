//! Made-up callers, operations and policies for the tests.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use model::{CallerKind, Class, Facts, FixedClock, Identity, Operation, ResourceName, TokenFacts};

use crate::{Authorizer, PolicySet, Surroundings, Target};

/// A Wednesday, 12:30 UTC.
pub(crate) const NOON: &str = "2026-11-18T12:30:00Z";

pub(crate) fn noon() -> Timestamp {
    NOON.parse().unwrap()
}

pub(crate) fn identity(subject: &str, groups: &[&str]) -> Identity {
    Identity {
        issuer: "https://id.example".into(),
        issuer_name: "corp".into(),
        subject: subject.into(),
        kind: CallerKind::Human,
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        email: Some(format!("{subject}@example.com")),
        display: None,
        token: TokenFacts {
            digest: format!("digest of {subject}"),
            issued_at: Some("2026-11-18T12:25:00Z".parse().unwrap()),
            expires_at: "2026-11-18T13:00:00Z".parse().unwrap(),
            authenticated_at: None,
            audiences: vec!["portcullis".into()],
            client: Some("cli".into()),
            methods: ["pwd".to_owned()].into(),
            context_class: None,
            scopes: ["models".to_owned()].into(),
            mfa: false,
            claims: [("department".to_owned(), "physics".to_owned())].into(),
        },
    }
}

pub(crate) fn operation(class: Class, model: &str) -> Operation {
    let facts =
        Facts { model: model.into(), max_tokens: 256, ..Facts::plain("POST", "/v1/chat/completions") };
    Operation { class, name: "openai.chat".into(), facts }
}

pub(crate) fn llama() -> ResourceName {
    ResourceName::new("llama").unwrap()
}

pub(crate) fn target() -> Target<'static> {
    Target { name: llama(), kind: "model" }
}

pub(crate) fn surroundings() -> Surroundings {
    Surroundings { client: IpAddr::from([10, 1, 2, 3]) }
}

pub(crate) fn set(text: &str) -> PolicySet {
    PolicySet::parse(vec![("test.cedar".into(), text.into())]).unwrap_or_else(|e| panic!("{e}"))
}

pub(crate) fn authorizer(text: &str) -> (Arc<Authorizer>, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::at(noon()));
    (Authorizer::new(set(text), "UTC", clock.clone()).unwrap(), clock)
}
