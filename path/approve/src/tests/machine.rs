//! The machine by itself, step by step.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use model::{Alias, ExchangeId, Marks, People, PersonAliases};

use crate::sample::{digest, identity, noon, said, wanted};
use crate::{Approval, ApprovalId, MAX_EXCHANGES, MAX_REASON, Refused, Signature, State, Step};

fn people() -> People {
    let subject = |name: &str| Alias::Subject("https://id.example".to_owned(), name.to_owned());
    let bob = PersonAliases { aliases: [subject("bob"), subject("robert")].into(), owns: [].into() };
    People::new([("bob".to_owned(), bob)].into(), BTreeMap::new(), [])
}

fn approval(needed: u8) -> Approval {
    let requester = identity("ada", &["ml"]);
    let marks = people().behind(&requester);
    Approval {
        id: ApprovalId::at(noon()),
        state: State::Waiting,
        wanted: wanted(),
        digest: digest(1),
        requester,
        owner: None,
        marks,
        needed,
        policies: Vec::new(),
        consents: Vec::new(),
        since: noon(),
        expires: after(3600),
        exchanges: Vec::new(),
    }
}

fn after(seconds: u64) -> Timestamp {
    noon().checked_add(Duration::from_secs(seconds)).unwrap()
}

fn by(name: &str, reason: &str) -> Signature {
    said(reason).signed(&identity(name, &[]), digest(1), &people(), noon())
}

fn exchange(n: u8) -> ExchangeId {
    ExchangeId::from_bytes([n; 16])
}

#[test]
fn so_many_persons_open_it_once() {
    let (mut approval, people) = (approval(2), people());
    assert_eq!(approval.consent(by("bob", ""), &people, noon()), Ok(Step::Taken));
    assert_eq!(approval.consent(by("bob", "again"), &people, noon()), Ok(Step::Already));
    assert_eq!(approval.consent(by("robert", ""), &people, noon()), Ok(Step::Already), "he is Bob");
    assert_eq!((approval.given(&people), &approval.state), (1, &State::Waiting));
    assert_eq!(approval.release(Some(exchange(1)), 1, &people, noon()), Err(Refused::TooFew));
    assert_eq!(approval.consent(by("eve", ""), &people, noon()), Ok(Step::Taken));
    assert_eq!(approval.state, State::Approved);
    assert_eq!(
        approval.release(Some(exchange(1)), 1, &people, noon()),
        Err(Refused::TooFew),
        "asked with one"
    );
    assert_eq!(approval.release(Some(exchange(1)), 2, &people, noon()), Ok(Step::Taken));
    assert_eq!(approval.release(Some(exchange(2)), 2, &people, noon()), Err(Refused::Closed));
    assert_eq!(approval.consent(by("joe", ""), &people, noon()), Err(Refused::Closed));
    assert_eq!(approval.deny(by("joe", "late"), noon()), Err(Refused::Closed));
}

#[test]
fn nobody_consents_to_their_own_but_may_withdraw_it() {
    let (mut approval, people) = (approval(1), people());
    assert_eq!(approval.consent(by("ada", ""), &people, noon()), Err(Refused::Own));
    // Also one that comes to be known as the same person later.
    let mut other = approval.clone();
    assert_eq!(other.consent(by("ada2", ""), &people, noon()), Ok(Step::Taken));
    let subject = |name: &str| Alias::Subject("https://id.example".to_owned(), name.to_owned());
    let ada = PersonAliases { aliases: [subject("ada"), subject("ada2")].into(), owns: [].into() };
    let now_known = People::new([("ada".to_owned(), ada)].into(), BTreeMap::new(), []);
    assert_eq!((other.given(&people), other.given(&now_known)), (1, 0));
    assert_eq!(other.release(Some(exchange(1)), 1, &now_known, noon()), Err(Refused::TooFew));
    // One that was known as the same person then stays so.
    approval.marks.extend(people.of_identity(&identity("joe", &[])));
    assert_eq!(approval.consent(by("joe", ""), &people, noon()), Err(Refused::Own));
    assert_eq!(approval.deny(by("ada", "a mistake"), noon()), Ok(Step::Taken));
}

#[test]
fn a_denial_wins_and_says_why() {
    let (mut approval, people) = (approval(1), people());
    assert_eq!(approval.deny(by("bob", " "), noon()), Err(Refused::Reason));
    assert_eq!(approval.deny(by("bob", &"x".repeat(MAX_REASON + 1)), noon()), Err(Refused::Reason));
    assert_eq!(approval.consent(by("eve", ""), &people, noon()), Ok(Step::Taken));
    assert_eq!(approval.deny(by("bob", "not today"), noon()), Ok(Step::Taken), "also when approved");
    assert!(matches!(&approval.state, State::Denied { by } if by.reason == "not today"));
    assert_eq!(approval.release(Some(exchange(1)), 1, &people, noon()), Err(Refused::Closed));
    assert_eq!(approval.expire(after(4000)), Err(Refused::Closed));
}

#[test]
fn time_ends_it_noted_or_not() {
    let (mut approval, people) = (approval(1), people());
    assert_eq!(approval.expire(after(3599)), Ok(Step::Already));
    approval.consent(by("bob", ""), &people, after(3599)).unwrap();
    for late in [3600, 3601] {
        assert_eq!(approval.release(Some(exchange(1)), 1, &people, after(late)), Err(Refused::Closed));
        assert_eq!(approval.consent(by("eve", ""), &people, after(late)), Err(Refused::Closed));
        assert_eq!(approval.join(exchange(3), after(late)), Err(Refused::Closed));
    }
    assert_eq!(approval.expire(after(3600)), Ok(Step::Taken));
    assert_eq!(approval.state, State::Expired);
    // Time that steps back opens nothing again.
    assert_eq!(approval.release(Some(exchange(1)), 1, &people, noon()), Err(Refused::Closed));
}

#[test]
fn what_policy_asks_more_is_needed_more() {
    let (mut approval, people) = (approval(1), people());
    approval.consent(by("bob", ""), &people, noon()).unwrap();
    assert_eq!(approval.need(1, &people, noon()), Ok(Step::Already));
    assert_eq!(approval.need(2, &people, noon()), Ok(Step::Taken));
    assert_eq!(approval.state, State::Waiting);
    assert_eq!(approval.need(1, &people, noon()), Ok(Step::Already), "never fewer");
    approval.consent(by("eve", ""), &people, noon()).unwrap();
    assert_eq!(approval.state, State::Approved);
}

#[test]
fn what_was_signed_is_what_is_bound_and_exchanges_are_few() {
    let (mut approval, people) = (approval(1), people());
    let other = Signature { digest: digest(2), ..by("bob", "") };
    assert_eq!(approval.consent(other.clone(), &people, noon()), Err(Refused::OtherDigest));
    assert_eq!(approval.deny(Signature { reason: "no".into(), ..other }, noon()), Err(Refused::OtherDigest));
    for n in 0..40 {
        assert_eq!(approval.join(exchange(n), noon()), Ok(Step::Taken));
    }
    assert_eq!(approval.join(exchange(39), noon()), Ok(Step::Already));
    assert_eq!(
        (approval.exchanges.len(), approval.exchanges[MAX_EXCHANGES - 1]),
        (MAX_EXCHANGES, exchange(39))
    );
    let json = serde_json::to_string(&approval).unwrap();
    assert_eq!(serde_json::from_str::<Approval>(&json).unwrap(), approval);
    assert_ne!(approval.marks, Marks::new());
}
