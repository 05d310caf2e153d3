//! Made-up people for the tests.

use std::net::IpAddr;

use jiff::Timestamp;
use model::{CallerKind, Class, Facts, Identity, Operation, ResourceName, TokenFacts};

use crate::{Digest, Said, Via, Wanted};

pub(crate) fn noon() -> Timestamp {
    "2026-11-18T12:00:00Z".parse().unwrap()
}

pub(crate) fn identity(subject: &str, groups: &[&str]) -> Identity {
    Identity {
        issuer: "https://id.example".to_owned(),
        issuer_name: "corp".to_owned(),
        subject: subject.to_owned(),
        kind: CallerKind::Human,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        email: None,
        display: None,
        token: TokenFacts { digest: format!("digest of {subject}"), ..TokenFacts::ending(Timestamp::MAX) },
    }
}

pub(crate) fn wanted() -> Wanted {
    let facts = Facts::plain("POST", "/v1/train");
    let operations = vec![Operation { class: Class::Train, name: "train".to_owned(), facts }];
    Wanted::Request { resource: ResourceName::new("llama").unwrap(), kind: "model".to_owned(), operations }
}

/// A digest for each number.
pub(crate) fn digest(of: u32) -> Digest {
    Digest::of_membership(&identity("digest", &[]), "test", of)
}

pub(crate) fn said(reason: &str) -> Said<'_> {
    Said { client: IpAddr::from([10, 0, 0, 1]), via: Via::Api, reason, digest: None, act: None }
}
