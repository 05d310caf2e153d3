//! `token inspect`: every check, in order, with its verdict.

use serde_json::json;

use super::World;
use super::sampled::KeyPair;
use crate::{Check, Verdict};

/// Every check but those of what only an issuer, or a gateway's state, can answer.
fn of_a_jwt() -> Vec<&'static str> {
    let asked = [Check::Introspection, Check::Userinfo, Check::Standing];
    Check::ALL.iter().filter(|check| !asked.contains(check)).map(|check| check.name()).collect()
}

#[tokio::test]
async fn a_good_token_passes_every_check() {
    let key = KeyPair::ed();
    let world = World::with(&[("k", &key)], |_| {}).await;
    let token = world.draft().claim("groups", "ml,ops").sign("k", &key);
    let inspection = world.authenticator.inspect(&format!(" {token}\n")).await;
    assert!(inspection.accepted && inspection.code.is_none());
    let names: Vec<_> = inspection.checks.iter().map(|checked| checked.check).collect();
    assert_eq!(names, of_a_jwt());
    assert!(inspection.checks.iter().all(|checked| checked.verdict == Verdict::Passed));
    assert_eq!(inspection.issuer.as_deref(), Some("site"));
    assert_eq!(inspection.groups.as_ref().map(|groups| groups.len()), Some(2));
    assert_eq!(inspection.identity.as_ref(), Some(&world.identity(&token).await));
    let written = serde_json::to_value(&inspection).unwrap();
    assert_eq!(
        written["checks"][0],
        json!({
            "check": "presented", "asks": Check::Presented.asks(), "verdict": "passed",
        })
    );
    assert_eq!(written["claims"]["sub"], "alice");
    assert_eq!(written["header"]["alg"], "EdDSA");
}

#[tokio::test]
async fn a_bad_token_stops_at_its_check_and_shows_what_was_read() {
    let key = KeyPair::ed();
    let world = World::with(&[("k", &key)], |_| {}).await;
    let late =
        world.draft().claim("exp", super::now().as_second() - 60).claim("groups", "ml").sign("k", &key);
    let inspection = world.authenticator.inspect(&late).await;
    assert!(!inspection.accepted && inspection.identity.is_none());
    assert_eq!(inspection.code.map(model::Code::name), Some("token_expired"));
    let at = of_a_jwt().iter().position(|check| *check == Check::Expired.name()).unwrap();
    let verdicts: Vec<_> = inspection.checks.iter().map(|checked| &checked.verdict).collect();
    assert!(verdicts[..at].iter().all(|verdict| **verdict == Verdict::Passed));
    assert!(matches!(verdicts[at], Verdict::Failed { why } if why.contains("2026-11-22T11:59:00Z")));
    assert!(verdicts[at + 1..].iter().all(|verdict| **verdict == Verdict::NotReached));
    // What it would map to, had it passed, for whoever sets up the mapping.
    assert_eq!(
        inspection.groups.map(|groups| groups.into_iter().collect::<Vec<_>>()),
        Some(vec!["ml".to_owned()])
    );
    let written = serde_json::to_value(&inspection.checks[at]).unwrap();
    assert_eq!(written["verdict"], "failed");
    assert!(written["why"].is_string());
}

#[tokio::test]
async fn nothing_and_nonsense_can_be_inspected_too() {
    let world = World::with(&[], |_| {}).await;
    let nothing = world.authenticator.inspect("").await;
    assert_eq!(nothing.code.map(model::Code::name), Some("token_missing"));
    assert!(matches!(nothing.checks[0].verdict, Verdict::Failed { .. }));
    let opaque = world.authenticator.inspect("2YotnFZFEjr1zCsicMWpAA").await;
    let failed = opaque.checks.iter().find(|checked| checked.verdict != Verdict::Passed).unwrap();
    assert!(failed.check == "structure");
    assert!(matches!(&failed.verdict, Verdict::Failed { why } if why.contains("opaque")));
    assert_eq!(world.site.fetches(), 0, "nonsense costs the provider nothing");
}

#[test]
fn checks_have_names_of_their_own() {
    let mut names: Vec<_> = Check::ALL.iter().map(|check| check.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Check::ALL.len());
}
