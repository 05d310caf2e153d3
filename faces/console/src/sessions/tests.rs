//! Sessions in a real store, by a clock that moves when told.

use std::collections::BTreeSet;

use model::{CallerKind, FixedClock, TokenFacts};
use store::SqliteStore;

use super::*;

struct World {
    sessions: Sessions,
    store: Arc<dyn Store>,
    clock: Arc<FixedClock>,
    dir: tempfile::TempDir,
    ends: Ends,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at("2026-11-22T12:00:00Z".parse().unwrap()));
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(dir.path(), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap());
        let sessions = Sessions::new(Arc::clone(&store), Arc::clone(&clock) as Arc<dyn Clock>);
        let ends = Ends { most: 3, ..Ends::default() };
        Self { sessions, store, clock, dir, ends }
    }

    fn signed_in(&self, subject: &str) -> SignedIn {
        let now = self.clock.now();
        let identity = Identity {
            issuer: "https://id.test".to_owned(),
            issuer_name: "corp".to_owned(),
            subject: subject.to_owned(),
            kind: CallerKind::Human,
            groups: BTreeSet::new(),
            email: None,
            display: None,
            token: TokenFacts {
                issued_at: Some(now),
                ..TokenFacts::ending(later(now, Duration::from_secs(3600)))
            },
        };
        SignedIn {
            identity: Arc::new(identity),
            groups_from: BTreeSet::new(),
            from_userinfo: false,
            issuer_session: None,
            believed_until: later(now, Duration::from_secs(900)),
        }
    }

    async fn begin(&self, subject: &str, before: Option<&Live>) -> Live {
        self.sessions.begin(self.signed_in(subject), before, &self.ends).await.unwrap()
    }

    async fn find(&self, live: &Live) -> Option<Live> {
        self.sessions.find(&live.name.text(), &self.ends).await.unwrap()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn it_is_found_by_its_name_alone_and_kept_under_a_hash() {
    let world = World::new().await;
    let live = world.begin("alice", None).await;
    assert_eq!(world.find(&live).await.unwrap().kept, live.kept);
    for wrong in ["", "x", &Secret::new().unwrap().text(), &live.name.hashed(), &live.form_token()] {
        assert!(world.sessions.find(wrong, &world.ends).await.unwrap().is_none(), "{wrong}");
    }
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(world.dir.path()).unwrap() {
        bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&live.name.hashed()), "control: this is where it is kept");
    assert!(!holds(&live.name.text()) && !holds(&live.form_token()));
}

#[tokio::test]
async fn left_alone_it_ends_and_used_it_goes_on_to_its_age() {
    let world = World::new().await;
    let live = world.begin("alice", None).await;
    world.pass(30 * 60 - 1);
    let found = world.find(&live).await.unwrap();
    world.sessions.used(&found, &world.ends).await.unwrap();
    world.pass(30 * 60 - 1);
    assert!(world.find(&live).await.is_some(), "its use was noted");
    world.pass(1);
    assert!(world.find(&live).await.is_none());

    let live = world.begin("alice", None).await;
    for _ in 0..47 {
        world.pass(15 * 60);
        let found = world.find(&live).await.unwrap();
        world.sessions.used(&found, &world.ends).await.unwrap();
    }
    world.pass(15 * 60);
    assert!(world.find(&live).await.is_none(), "twelve hours are its age");
}

#[tokio::test]
async fn an_earlier_end_in_the_configuration_counts_at_once() {
    let world = World::new().await;
    let live = world.begin("alice", None).await;
    world.pass(120);
    let shorter = Ends { idle: Duration::from_secs(60), ..world.ends };
    assert!(world.sessions.find(&live.name.text(), &shorter).await.unwrap().is_none());
    assert!(world.find(&live).await.is_some());
}

#[tokio::test]
async fn a_new_sign_in_has_a_new_name_and_the_same_persons_age() {
    let world = World::new().await;
    let first = world.begin("alice", None).await;
    world.pass(600);
    let second = world.begin("alice", Some(&first)).await;
    assert_ne!(second.name, first.name);
    assert_ne!(second.form_token(), first.form_token());
    assert_eq!(second.kept.began, first.kept.began);
    assert!(world.find(&first).await.is_none(), "the old name is worth nothing");
    world.pass(600);
    let other = world.begin("bob", Some(&second)).await;
    assert!(other.kept.began > second.kept.began);
    assert!(world.find(&second).await.is_none());
}

#[tokio::test]
async fn one_too_many_ends_the_one_unused_for_longest() {
    let world = World::new().await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(world.begin("alice", None).await);
        world.pass(90);
    }
    let bob = world.begin("bob", None).await;
    world.sessions.used(&world.find(&all[0]).await.unwrap(), &world.ends).await.unwrap();
    let fourth = world.begin("alice", None).await;
    assert!(world.find(&all[1]).await.is_none(), "the second was unused for longest");
    for live in [&all[0], &all[2], &fourth, &bob] {
        assert!(world.find(live).await.is_some());
    }
    // Replacing one's own ends nobody else's.
    let fifth = world.begin("alice", Some(&fourth)).await;
    for live in [&all[0], &all[2], &fifth] {
        assert!(world.find(live).await.is_some());
    }
}

#[tokio::test]
async fn what_was_ended_meanwhile_stays_ended() {
    let world = World::new().await;
    let live = world.begin("alice", None).await;
    world.pass(120);
    let found = world.find(&live).await.unwrap();
    world.sessions.end(&live).await.unwrap();
    world.sessions.used(&found, &world.ends).await.unwrap();
    assert!(world.find(&live).await.is_none());
    assert_eq!(world.store.count("console/").await.unwrap(), 0);
}
