//! The book over a real store.

use std::sync::Arc;
use std::time::Duration;

use model::{Clock, Code, ExchangeId, FixedClock, Identity};
use store::{SqliteStore, Store};

use crate::book::{Approvals, Asked, Petition, Which};
use crate::sample::{digest, identity, noon, said, wanted};
use crate::told::Witness;
use crate::{ApproveError, Refused, Settings, State, Watch};

pub(super) struct Desk {
    _folder: tempfile::TempDir,
    pub(super) clock: Arc<FixedClock>,
    pub(super) store: Arc<dyn Store>,
    pub(super) book: Arc<Approvals>,
}

pub(super) async fn book(store: &Arc<dyn Store>, settings: Settings) -> Arc<Approvals> {
    Approvals::with(Arc::clone(store), Witness::Nobody, settings).await.unwrap()
}

pub(super) async fn desk(settings: Settings) -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FixedClock::at(noon()));
    let store = SqliteStore::open(folder.path(), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let book = book(&store, settings).await;
    Desk { _folder: folder, clock, store, book }
}

pub(super) fn petition(who: &str, exchange: u8, of: u32) -> Petition {
    Petition {
        exchange: Some(ExchangeId::from_bytes([exchange; 16])),
        requester: Arc::new(identity(who, &["ml"])),
        wanted: wanted(),
        digest: digest(of),
        needed: 1,
        policies: Vec::new(),
    }
}

async fn open(book: &Approvals, petition: &Petition) -> Watch {
    match book.ask(petition).await.unwrap() {
        Asked::Open(watch) => watch,
        Asked::Denied(approval) => panic!("{approval:?}"),
    }
}

fn bob() -> Identity {
    identity("bob", &["leads"])
}

#[tokio::test]
async fn the_same_request_finds_its_approval_again() {
    let Desk { book, _folder, .. } = desk(Settings::default()).await;
    let one = open(&book, &petition("ada", 1, 7)).await.now();
    let mut again = open(&book, &petition("ada", 2, 7)).await;
    assert_eq!(again.now().id, one.id);
    assert_eq!(again.now().exchanges.len(), 2);
    let other = open(&book, &petition("ada", 3, 8)).await.now();
    assert_ne!(other.id, one.id);
    let listed = book.list(Which::Open, None, 10).await.unwrap();
    assert_eq!(listed.approvals.iter().map(|found| found.id).collect::<Vec<_>>(), [one.id, other.id]);
    let first = book.list(Which::Open, None, 1).await.unwrap();
    let rest = book.list(Which::Open, first.next.as_deref(), 10).await.unwrap();
    assert_eq!(rest.approvals[0].id, other.id);
}

#[tokio::test]
async fn who_waits_is_woken_and_a_used_one_is_used() {
    let Desk { book, _folder, .. } = desk(Settings::default()).await;
    let asked = petition("ada", 1, 7);
    let mut watch = open(&book, &asked).await;
    let id = watch.now().id;
    let waiting = tokio::spawn(async move {
        watch.changed().await;
        watch.now()
    });
    book.consent(id, &bob(), said("fine")).await.unwrap();
    let approved = waiting.await.unwrap();
    assert_eq!(approved.state, State::Approved);
    assert_eq!(approved.consents[0].reason, "fine");
    assert!(book.begin(id, 2, &digest(7)).await.is_err(), "not what policy was asked with");
    assert!(matches!(book.begin(id, 1, &digest(8)).await, Err(ApproveError::Mismatch)));
    book.begin(id, 1, &digest(7)).await.unwrap();
    let twice = book.begin(id, 1, &digest(7)).await.unwrap_err();
    assert!(matches!(twice, ApproveError::Refused(Refused::Closed, _)), "{twice}");
    // The next needs its own.
    assert_ne!(open(&book, &asked).await.now().id, id);
    assert!(matches!(book.get(id).await.unwrap().unwrap().state, State::Released { .. }));
}

#[tokio::test]
async fn a_denial_stands_until_it_would_have_expired() {
    let Desk { book, clock, _folder, .. } = desk(Settings::default()).await;
    let asked = petition("ada", 1, 7);
    let id = open(&book, &asked).await.now().id;
    book.deny(id, &bob(), said("not\n with \u{7} this data")).await.unwrap();
    let Asked::Denied(denied) = book.ask(&asked).await.unwrap() else { panic!("it is denied") };
    let told = book.refusal(&denied);
    assert_eq!(told.code, Code::ApprovalDenied);
    assert!(told.reason.ends_with("not with this data"), "{told}");
    assert_ne!(open(&book, &petition("ada", 2, 8)).await.now().id, id, "another request is another");
    clock.advance(Duration::from_secs(3601));
    assert_ne!(open(&book, &asked).await.now().id, id);
}

#[tokio::test]
async fn only_people_who_do_not_ask_consent() {
    let Desk { book, _folder, .. } = desk(Settings::default()).await;
    let id = open(&book, &petition("ada", 1, 7)).await.now().id;
    let mut program = bob();
    program.kind = model::CallerKind::Workload;
    for who in [identity("ada", &["leads"]), program] {
        let refused = book.consent(id, &who, said("")).await.unwrap_err();
        assert_eq!(refused.refusal().code, Code::ApprovalConflict, "{refused}");
    }
    assert!(book.get(id).await.unwrap().unwrap().consents.is_empty());
}

#[tokio::test]
async fn what_nobody_used_in_time_is_closed() {
    let Desk { book, clock, _folder, .. } = desk(Settings::default()).await;
    let mut watch = open(&book, &petition("ada", 1, 7)).await;
    let id = watch.now().id;
    clock.advance(Duration::from_secs(3600));
    assert_eq!(book.get(id).await.unwrap().unwrap().state, State::Expired, "noted or not");
    assert!(book.consent(id, &bob(), said("")).await.is_err());
    book.expire_due().await.unwrap();
    assert_eq!(watch.now().state, State::Expired);
    assert!(book.list(Which::Open, None, 10).await.unwrap().approvals.is_empty());
    assert_eq!(book.list(Which::Closed, None, 10).await.unwrap().approvals[0].id, id);
}

#[tokio::test]
async fn as_many_wait_as_may() {
    let settings = Settings { open: 3, open_per_caller: 2, ..Settings::default() };
    let Desk { book, _folder, .. } = desk(settings).await;
    for of in [1, 2] {
        open(&book, &petition("ada", 1, of)).await;
    }
    let full = book.ask(&petition("ada", 1, 3)).await.unwrap_err();
    assert_eq!(full.refusal().code, Code::TooManyRequests, "hers");
    open(&book, &petition("ada", 2, 1)).await;
    open(&book, &petition("bob", 1, 1)).await;
    assert!(book.ask(&petition("eve", 1, 1)).await.is_err(), "all");
}

#[tokio::test]
async fn a_restart_forgets_nothing_and_replicas_see_each_other() {
    let Desk { book: one, store, clock, _folder } = desk(Settings::default()).await;
    let mut watch = open(&one, &petition("ada", 1, 7)).await;
    let id = watch.now().id;
    let other = book(&store, Settings::default()).await;
    other.consent(id, &bob(), said("from the other")).await.unwrap();
    one.catch_up().await.unwrap();
    assert_eq!(watch.now().state, State::Approved);
    let cursor = one.cursor().await.unwrap();
    clock.advance(Duration::from_secs(3600));
    // It learnt of it by reading the store, and closes it.
    other.expire_due().await.unwrap();
    let changes = one.changes(cursor, 10).await.unwrap();
    assert_eq!((changes.approvals.len(), &changes.approvals[0].state), (1, &State::Expired));
}

#[tokio::test]
async fn what_cannot_be_described_is_not_held() {
    let Desk { book, _folder, .. } = desk(Settings::default()).await;
    let mut asked = petition("ada", 1, 7);
    let crate::Wanted::Request { operations, .. } = &mut asked.wanted else { panic!("a request") };
    operations[0].facts.model = "m".repeat(store::MAX_VALUE_BYTES);
    assert_eq!(book.ask(&asked).await.unwrap_err().refusal().code, Code::RequestTooLarge);
}
