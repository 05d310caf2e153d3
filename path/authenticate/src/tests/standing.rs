//! Who is shut out: from the next request on, while an exchange lives, after a restart, and when nobody
//! can say.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use model::Code;
use proptest::prelude::*;
use store::{Answer, Changes, Commit, Cursor, Entry, Lease, Page, SqliteStore, Store, StoreError, Write};

use super::sampled::{KeyPair, Site};
use super::*;
use crate::Standing;
use crate::standing::{CallerId, LOST_AFTER};

/// A store that can be made to fail.
struct Fickle {
    store: SqliteStore,
    fails: AtomicBool,
}

impl Fickle {
    fn ask<'a, T>(&self, answer: Answer<'a, T>) -> Answer<'a, T> {
        if self.fails.load(Ordering::SeqCst) {
            let fault = || StoreError::Backend { action: "read", why: "the test says so".to_owned() };
            return Box::pin(async move { Err(fault()) });
        }
        answer
    }
}

impl Store for Fickle {
    fn now(&self) -> Answer<'_, Timestamp> {
        self.ask(self.store.now())
    }
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Entry>> {
        self.ask(self.store.get(key))
    }
    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> Answer<'a, Page> {
        self.ask(self.store.list(prefix, after, limit))
    }
    fn count<'a>(&'a self, prefix: &'a str) -> Answer<'a, u64> {
        self.ask(self.store.count(prefix))
    }
    fn commit(&self, writes: Vec<Write>) -> Answer<'_, Commit> {
        self.ask(self.store.commit(writes))
    }
    fn cursor(&self) -> Answer<'_, Cursor> {
        self.ask(self.store.cursor())
    }
    fn changes<'a>(&'a self, prefix: &'a str, since: Cursor, limit: usize) -> Answer<'a, Changes> {
        self.ask(self.store.changes(prefix, since, limit))
    }
    fn lease<'a>(&'a self, name: &'a str, holder: &'a str, lasts: Duration) -> Answer<'a, Option<Lease>> {
        self.ask(self.store.lease(name, holder, lasts))
    }
    fn release<'a>(&'a self, lease: &'a Lease) -> Answer<'a, bool> {
        self.ask(self.store.release(lease))
    }
}

/// A world whose state lies in a folder.
struct Kept {
    world: World,
    standing: Arc<Standing>,
    store: Arc<Fickle>,
    key: KeyPair,
    folder: tempfile::TempDir,
}

async fn open(folder: &Path, clock: &Arc<FixedClock>) -> (Arc<Fickle>, Arc<Standing>) {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let store = SqliteStore::open(folder, Arc::clone(&clock)).await.unwrap();
    let store = Arc::new(Fickle { store, fails: AtomicBool::new(false) });
    let standing = Standing::open(Arc::clone(&store) as Arc<dyn Store>, clock).await.unwrap();
    (store, standing)
}

impl Kept {
    async fn start() -> Self {
        let key = KeyPair::ed();
        let site = Site::start().await;
        site.publish(&[("k", &key)]);
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(now()));
        let (store, standing) = open(folder.path(), &clock).await;
        let world = World::judged(Arc::clone(&site), &[settings(&site)], clock, Arc::clone(&standing));
        Self { world, standing, store, key, folder }
    }

    fn token(&self, subject: &str) -> String {
        self.world.draft().claim("sub", subject).sign("k", &self.key)
    }

    fn id(&self, subject: &str) -> CallerId {
        CallerId::parse(&format!("{}#{subject}", self.world.site.url)).unwrap()
    }

    async fn code(&self, token: &str) -> Option<Code> {
        self.world.caller(token).await.err().map(|error| error.refusal().code)
    }

    /// As another process sees and changes it.
    async fn elsewhere(&self) -> Arc<Standing> {
        open(self.folder.path(), &self.world.clock).await.1
    }
}

fn settings(site: &Site) -> config::Issuer {
    let mut settings = config::Issuer::new("site", &site.url, "gateway");
    settings.allow_http = true;
    settings
}

#[tokio::test]
async fn a_block_holds_from_the_next_request_on_and_survives() {
    let kept = Kept::start().await;
    let (alice, bob) = (kept.token("alice"), kept.token("bob"));
    for token in [&alice, &bob] {
        assert_eq!(kept.code(token).await, None);
    }
    let id = kept.id("alice");
    let block = kept.standing.block(&id, Some(" left the company "), "ops").await.unwrap();
    assert_eq!(block.reason.as_deref(), Some("left the company"));
    // The remembered token, and one that was never seen.
    for token in [&alice, &kept.world.draft().claim("jti", "new").sign("k", &kept.key)] {
        let error = kept.world.caller(token).await.unwrap_err();
        let refusal = error.refusal();
        assert_eq!((refusal.code, error.check().unwrap().name()), (Code::CallerBlocked, "standing"));
        assert!(!refusal.reason.contains("company"));
        assert!(error.to_string().contains("by ops: left the company"), "{error}");
    }
    assert_eq!(kept.code(&bob).await, None);
    let inspection = kept.world.authenticator.inspect(&alice).await;
    assert_eq!(inspection.code, Some(Code::CallerBlocked));
    let checks = kept.world.authenticator.inspect(&bob).await.checks;
    assert!(
        checks.iter().any(|checked| checked.check == "standing" && checked.verdict == crate::Verdict::Passed)
    );

    // As after a restart.
    let again = kept.elsewhere().await;
    let world = World::judged(
        Arc::clone(&kept.world.site),
        &[settings(&kept.world.site)],
        Arc::clone(&kept.world.clock),
        Arc::clone(&again),
    );
    assert_eq!(world.check(&alice).await, "standing");
    assert_eq!(world.check(&bob).await, "accepted");

    assert!(kept.standing.unblock(&id, "ops").await.unwrap());
    assert!(!kept.standing.unblock(&id, "ops").await.unwrap());
    assert_eq!(kept.code(&alice).await, None);
}

#[tokio::test]
async fn a_revocation_ends_older_tokens_and_no_newer_ones() {
    let kept = Kept::start().await;
    let old = kept.token("alice");
    let undated = kept.world.draft().without("iat").sign("k", &kept.key);
    let at = now().checked_add(secs(10)).unwrap();
    let id = kept.id("alice");
    kept.standing.revoke(&id, at, None, "ops").await.unwrap();
    kept.world.clock.advance(secs(20));
    let new = kept.token("alice");
    assert_eq!(kept.code(&old).await, Some(Code::TokenRevoked));
    assert_eq!(kept.code(&undated).await, Some(Code::TokenRevoked));
    assert_eq!(kept.code(&new).await, None);
    assert_eq!(kept.code(&kept.token("bob")).await, None);
    // One that reaches less far takes nothing back.
    let earlier = kept.standing.revoke(&id, now(), Some("again"), "ops").await.unwrap();
    assert_eq!(earlier.before, at);
    assert_eq!(kept.code(&old).await, Some(Code::TokenRevoked));
    let known = kept.standing.get(&id).await.unwrap().unwrap();
    assert_eq!(known.revoked.unwrap().before, at);
}

#[tokio::test]
async fn a_logout_ends_a_session_or_all_of_them() {
    let kept = Kept::start().await;
    let issuer = kept.world.site.url.clone();
    let of = |sid: &str| kept.world.draft().claim("sid", sid).sign("k", &kept.key);
    let (one, two, bare) = (of("one"), of("two"), kept.token("alice"));
    kept.standing.logged_out(&issuer, None, Some("one"), now()).await.unwrap();
    assert_eq!(kept.code(&one).await, Some(Code::TokenRevoked));
    assert_eq!((kept.code(&two).await, kept.code(&bare).await), (None, None));
    // A token that names no session may be of the one that was ended.
    kept.standing.logged_out(&issuer, Some("alice"), Some("three"), now()).await.unwrap();
    assert_eq!((kept.code(&two).await, kept.code(&bare).await), (None, Some(Code::TokenRevoked)));
    kept.standing.logged_out(&issuer, Some("alice"), None, now()).await.unwrap();
    assert_eq!(kept.code(&two).await, Some(Code::TokenRevoked));
    assert_eq!(kept.code(&kept.token("bob")).await, None);
    // Who logs in again is let in; the session that was ended stays ended.
    kept.world.clock.advance(secs(1));
    assert_eq!(kept.code(&of("two")).await, None);
    assert_eq!(kept.code(&kept.token("alice")).await, None);
    assert_eq!(kept.code(&of("one")).await, Some(Code::TokenRevoked));
}

#[tokio::test]
async fn a_live_exchange_ends_whoever_changes_the_rule() {
    let kept = Kept::start().await;
    let caller = kept.world.caller(&kept.token("alice")).await.unwrap();
    let other = kept.world.caller(&kept.token("bob")).await.unwrap();
    let (mut live, mut beside) = (kept.standing.live(&caller), kept.standing.live(&other));
    assert!(live.ended().is_none() && beside.ended().is_none());
    let following = tokio::spawn({
        let standing = Arc::clone(&kept.standing);
        async move { standing.follow().await }
    });
    let elsewhere = kept.elsewhere().await;
    let (ended, blocked) = tokio::join!(live.until_ended(), async {
        // The wait has begun.
        tokio::task::yield_now().await;
        elsewhere.block(&kept.id("alice"), None, "ops").await
    });
    blocked.unwrap();
    assert_eq!(ended.refusal().code, Code::CallerBlocked);
    assert!(beside.ended().is_none());
    // Whoever comes to wait later ends at once.
    assert_eq!(kept.standing.live(&caller).until_ended().await.check(), Some(crate::Check::Standing));
    following.abort();
}

#[tokio::test]
async fn a_store_that_cannot_be_read_lets_nobody_in() {
    let kept = Kept::start().await;
    let alice = kept.token("alice");
    assert_eq!(kept.code(&alice).await, None);
    kept.store.fails.store(true, Ordering::SeqCst);
    let clock = Arc::clone(&kept.world.clock) as Arc<dyn Clock>;
    assert!(Standing::open(Arc::clone(&kept.store) as Arc<dyn Store>, clock).await.is_err());
    assert!(kept.standing.block(&kept.id("alice"), None, "ops").await.is_err());
    let lost = async {
        while kept.standing.is_current() {
            tokio::task::yield_now().await;
        }
    };
    kept.standing.catch_up().await.unwrap_err();
    assert!(kept.standing.is_current(), "a moment is tolerated");
    assert_eq!(kept.code(&alice).await, None);
    kept.world.clock.advance(LOST_AFTER);
    kept.standing.catch_up().await.unwrap_err();
    lost.await;
    assert_eq!(kept.code(&alice).await, Some(Code::StateUnavailable));
    kept.store.fails.store(false, Ordering::SeqCst);
    kept.standing.catch_up().await.unwrap();
    assert_eq!(kept.code(&alice).await, None);
    // A rule that cannot be read forbids what nobody knows.
    let odd = vec![Write::put("standing/block/odd", &1).unwrap()];
    kept.store.commit(odd).await.unwrap();
    assert!(kept.standing.catch_up().await.is_err());
    let clock = Arc::clone(&kept.world.clock) as Arc<dyn Clock>;
    assert!(Standing::open(Arc::clone(&kept.store) as Arc<dyn Store>, clock).await.is_err());
}

#[tokio::test]
async fn callers_are_remembered_as_they_were_last_seen() {
    let kept = Kept::start().await;
    let token = |groups: &str| {
        kept.world.draft().claim("groups", groups).claim("email", "Alice@example.test").sign("k", &kept.key)
    };
    kept.world.caller(&token("ml")).await.unwrap();
    kept.world.caller(&kept.token("bob")).await.unwrap();
    kept.standing.flush().await;
    kept.world.clock.advance(secs(100));
    kept.world.caller(&token("ml,ops")).await.unwrap();
    kept.standing.flush().await;
    // Unseen, and blocked all the same.
    kept.standing.block(&kept.id("mallory"), None, "ops").await.unwrap();

    let page = kept.standing.list(None, 2).await.unwrap();
    let rest = kept.standing.list(page.next.as_deref(), 2).await.unwrap();
    assert_eq!((page.callers.len(), rest.callers.len(), rest.next), (2, 1, None));
    let alice = kept.standing.get(&kept.id("alice")).await.unwrap().unwrap();
    let seen = alice.seen.unwrap();
    assert_eq!(seen.groups.iter().map(String::as_str).collect::<Vec<_>>(), ["ml", "ops"]);
    assert_eq!((seen.first, seen.last), (now(), now().checked_add(secs(100)).unwrap()));
    assert_eq!(seen.token_issued_at, Some(seen.last));
    let mallory = kept.standing.get(&kept.id("mallory")).await.unwrap().unwrap();
    assert!(mallory.seen.is_none() && mallory.blocked.is_some());
    assert_eq!(kept.standing.get(&kept.id("nobody")).await.unwrap(), None);
    for (name, count) in
        [("alice@EXAMPLE.test", 1), ("bob", 1), (kept.id("bob").to_string().as_str(), 1), ("eve", 0)]
    {
        assert_eq!(kept.standing.named(name).await.unwrap().len(), count, "{name}");
    }
    // A token that is only used again is seen again, without being verified again.
    kept.world.clock.advance(secs(5));
    kept.world.caller(&kept.token("bob")).await.unwrap();
    let bob = kept.token("bob");
    for _ in 0..2 {
        kept.world.caller(&bob).await.unwrap();
        kept.world.clock.advance(secs(7));
    }
    kept.standing.flush().await;
    let seen = kept.standing.get(&kept.id("bob")).await.unwrap().unwrap().seen.unwrap();
    assert_eq!((seen.first, seen.last), (now(), now().checked_add(secs(112)).unwrap()));
    // Who does not come back is forgotten, unless blocked.
    kept.world.clock.advance(secs(91 * 24 * 3600));
    let left: Vec<_> = kept.standing.list(None, 9).await.unwrap().callers;
    assert_eq!(left.iter().map(|known| known.id.subject()).collect::<Vec<_>>(), ["mallory"]);
}

#[test]
fn what_names_nobody_is_no_caller() {
    for text in
        ["", "alice", "#alice", "https://a.test#", "https://a.test#a\nb", &format!("i#{}", "x".repeat(256))]
    {
        assert!(CallerId::parse(text).is_err(), "{text:?}");
    }
    let id = CallerId::parse("https://a.test#x#y").unwrap();
    assert_eq!((id.issuer(), id.subject()), ("https://a.test", "x#y"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_id_comes_back_as_it_was_written(issuer in "[!-\"$-~]{1,40}", subject in "\\PC{1,60}") {
        let text = format!("{issuer}#{subject}");
        if let Ok(id) = CallerId::parse(&text) {
            prop_assert_eq!((id.issuer(), id.subject()), (issuer.as_str(), subject.as_str()));
            prop_assert_eq!(id.to_string(), text);
        }
    }
}
