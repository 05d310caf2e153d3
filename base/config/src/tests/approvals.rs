//! What the file may say of approvals and people.

use std::time::Duration;

use model::{CallerKind, Identity, TokenFacts};

use super::Folder;
use crate::Approvals;
use crate::reference::{SMALL, WHOLE};

#[test]
fn every_key_arrives() {
    let config = Folder::new().parse(WHOLE).unwrap();
    let approvals = &config.approvals;
    assert_eq!(approvals.url.as_deref(), Some("https://portcullis.example.test:8443"));
    let told = approvals.tell.clone();
    assert_eq!(*approvals, Approvals { url: approvals.url.clone(), tell: told, ..Approvals::default() });
    assert_eq!(config.resources[0].hold, Duration::from_secs(240));
    let ci = &config.issuers[1];
    let who = |issuer: &str, subject: &str, kind: CallerKind, actor: &str| Identity {
        issuer: issuer.to_owned(),
        issuer_name: String::new(),
        subject: subject.to_owned(),
        kind,
        groups: Default::default(),
        email: None,
        display: None,
        token: TokenFacts {
            claims: [("actor".to_owned(), actor.to_owned())].into(),
            ..TokenFacts::ending(jiff::Timestamp::UNIX_EPOCH)
        },
    };
    let people = &config.people;
    let nightly = who(&ci.issuer, "repo:acme/train:ref:refs/heads/main", CallerKind::Workload, "");
    assert_eq!(people.owner(&nightly).as_deref(), Some("ada"));
    let job = who(&ci.issuer, "job", CallerKind::Workload, "ada-l");
    assert_eq!(people.owner(&job).as_deref(), Some("ada"));
    let ada = who(&config.issuers[0].issuer, "00u1ada", CallerKind::Human, "");
    assert!(!people.behind(&job).is_disjoint(&people.of_identity(&ada)));
}

#[test]
fn a_small_file_has_the_defaults() {
    let config = Folder::new().parse(SMALL).unwrap();
    assert_eq!(config.approvals, Approvals::default());
}

#[test]
fn what_leads_to_nobody_is_told() {
    for (text, words) in [
        ("people: {ada: {}}", "this person has no identity"),
        ("people: {ada: {identities: [ada]}}", "is no identity"),
        ("people: {ada: {identities: ['#ada']}}", "is no identity"),
        ("people: {ada: {identities: [a@b.test], owns: ['nobody#x']}}", "is no program"),
        ("approvals: {owners: {nobody: {claim: actor}}}", "no issuer is called `nobody`"),
        ("approvals: {owners: {corp: {claim: actor}}}", "carries no claim `actor`"),
        ("approvals: {url: 'http://gate.example.test'}", "plain HTTP"),
        ("approvals: {expires: 8d}", "expires"),
    ] {
        let faults = Folder::new().faults(&format!("{SMALL}{text}\n"));
        assert!(faults.contains(words), "{text}: {faults}");
    }
}
