//! What every backend must do. A backend's own tests call [`conforms`] with a store that is empty and a
//! way to move its clock.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::{
    Commit, Entry, Expect, MAX_BATCH, MAX_PAGE, MAX_VALUE_BYTES, Store, StoreError, Until, Version, Write,
    every,
};

/// Runs the whole suite on one store, under a prefix for each part. `pass` lets time go by for the
/// store's clock.
pub(crate) async fn conforms(store: Arc<dyn Store>, pass: &(dyn Fn(Duration) + Send + Sync)) {
    entries_come_back_as_they_were_written(&*store).await;
    writes_happen_only_on_their_condition(&*store).await;
    a_commit_is_done_whole_or_not_at_all(&*store).await;
    pages_show_every_entry_once(&*store).await;
    every_entry_is_given_once_over_several_pages(&*store).await;
    entries_end_by_the_stores_clock(&*store, pass).await;
    changes_are_followed_from_a_cursor(&*store).await;
    removals_are_forgotten_only_loudly(&*store, pass).await;
    leases_have_one_holder(&*store, pass).await;
    what_is_unfit_is_refused(&*store).await;
    racing_writers_lose_no_update(store).await;
}

async fn put(store: &dyn Store, key: &str, value: &str) -> Version {
    done(store.commit(vec![Write::put(key, value).unwrap()]).await.unwrap())[0]
}

fn done(commit: Commit) -> Vec<Version> {
    match commit {
        Commit::Done(versions) => versions,
        Commit::Conflict { key, found } => panic!("{key} is {found:?}"),
    }
}

async fn keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    let page = store.list(prefix, None, 1000).await.unwrap();
    page.entries.into_iter().map(|entry| entry.key).collect()
}

async fn entries_come_back_as_they_were_written(store: &dyn Store) {
    assert_eq!(store.get("a/none").await.unwrap(), None);
    let value = serde_json::json!({ "text": "ünïcode \u{0} \"", "list": [1, -2, 3.5, null, true] });
    let versions = done(store.commit(vec![Write::put("a/one", &value).unwrap()]).await.unwrap());
    let entry: Entry = store.get("a/one").await.unwrap().unwrap();
    assert_eq!((entry.key.as_str(), entry.version, entry.expires), ("a/one", versions[0], None));
    assert_eq!(entry.read::<serde_json::Value>().unwrap(), value);
    assert!(matches!(entry.read::<u64>(), Err(StoreError::Value { key, .. }) if key == "a/one"));
    let second = put(store, "a/one", "again").await;
    assert!(second > versions[0]);
    done(store.commit(vec![Write::remove("a/one")]).await.unwrap());
    assert_eq!(store.get("a/one").await.unwrap(), None);
    assert!(put(store, "a/one", "back").await > second, "a version never comes back");
}

async fn writes_happen_only_on_their_condition(store: &dyn Store) {
    let write = |value: &str, expect| Write::put("b/x", value).unwrap().expecting(expect);
    let absent = store.commit(vec![write("first", Expect::Nothing)]).await.unwrap();
    let first = done(absent)[0];
    let Commit::Conflict { key, found } = store.commit(vec![write("other", Expect::Nothing)]).await.unwrap()
    else {
        panic!("it was there already");
    };
    assert_eq!((key.as_str(), found.unwrap().version), ("b/x", first));
    let second = done(store.commit(vec![write("second", Expect::Version(first))]).await.unwrap())[0];
    assert!(!store.commit(vec![write("late", Expect::Version(first))]).await.unwrap().is_done());
    let remove = |version| Write::remove("b/x").expecting(Expect::Version(version));
    assert!(!store.commit(vec![remove(first)]).await.unwrap().is_done());
    assert!(store.commit(vec![remove(second)]).await.unwrap().is_done());
    assert!(!store.commit(vec![write("gone", Expect::Version(second))]).await.unwrap().is_done());
    // Nothing to remove is no fault, and no change.
    let before = store.cursor().await.unwrap();
    assert!(store.commit(vec![Write::remove("b/x")]).await.unwrap().is_done());
    assert_eq!(store.cursor().await.unwrap(), before);
}

async fn a_commit_is_done_whole_or_not_at_all(store: &dyn Store) {
    put(store, "c/there", "old").await;
    let all = vec![
        Write::put("c/new", "new").unwrap(),
        Write::put("c/there", "new").unwrap(),
        Write::put("c/there", "never").unwrap().expecting(Expect::Nothing),
    ];
    let before = store.cursor().await.unwrap();
    assert!(!store.commit(all.clone()).await.unwrap().is_done());
    assert_eq!(store.get("c/new").await.unwrap(), None);
    assert_eq!(store.get("c/there").await.unwrap().unwrap().read::<String>().unwrap(), "old");
    assert_eq!(store.cursor().await.unwrap(), before);
    let versions = done(store.commit(all[..2].to_vec()).await.unwrap());
    assert!(versions[0] < versions[1]);
    assert!(store.commit(Vec::new()).await.unwrap().is_done());
}

async fn pages_show_every_entry_once(store: &dyn Store) {
    let names: Vec<String> = (0..25).map(|at| format!("d/{at:02}")).collect();
    let writes = names.iter().map(|name| Write::put(name, name).unwrap()).collect();
    done(store.commit(writes).await.unwrap());
    for outside in ["d", "d.x", "d0", "D/03", "d/"] {
        put(store, &format!("{outside}~"), "outside").await;
    }
    for limit in [1, 7, 25, 1000] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.list("d/", after.as_deref(), limit).await.unwrap();
            assert!(page.entries.len() <= limit);
            seen.extend(page.entries.into_iter().map(|entry| entry.key));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen[..25], names, "{limit}");
        assert_eq!(seen[25..], ["d/~"]);
    }
    assert_eq!(store.count("d/").await.unwrap(), 26);
    assert_eq!(store.count("nothing/").await.unwrap(), 0);
}

async fn every_entry_is_given_once_over_several_pages(store: &dyn Store) {
    let names: Vec<String> = (0..MAX_PAGE + 7).map(|at| format!("every/{at:05}")).collect();
    for names in names.chunks(MAX_BATCH) {
        done(store.commit(names.iter().map(|name| Write::put(name, name).unwrap()).collect()).await.unwrap());
    }
    let mut seen = Vec::new();
    let take = |entry: Entry| {
        seen.push(entry.key);
        Ok::<_, StoreError>(())
    };
    every(store, "every/", take).await.unwrap();
    assert_eq!(seen, names);
    let mut given = 0;
    let ended = every(store, "every/", |_| {
        given += 1;
        Err(StoreError::CursorLost)
    });
    assert!(matches!(ended.await, Err(StoreError::CursorLost)));
    assert_eq!(given, 1, "what `take` says ends it");
}

async fn entries_end_by_the_stores_clock(store: &dyn Store, pass: &(dyn Fn(Duration) + Send + Sync)) {
    let now = store.now().await.unwrap();
    let at = now.checked_add(Duration::from_secs(60)).unwrap();
    let short = |key: &str, until| Write::put(key, "short").unwrap().lasting(until);
    let writes = vec![short("e/after", Until::After(Duration::from_secs(60))), short("e/at", Until::At(at))];
    done(store.commit(writes).await.unwrap());
    put(store, "e/stays", "long").await;
    let cursor = store.cursor().await.unwrap();
    pass(Duration::from_secs(59));
    assert_eq!(keys(store, "e/").await, ["e/after", "e/at", "e/stays"]);
    pass(Duration::from_secs(1));
    assert_eq!(keys(store, "e/").await, ["e/stays"]);
    assert_eq!(store.get("e/at").await.unwrap(), None);
    let version = store.get("e/stays").await.unwrap().unwrap().version;
    // What has ended is nothing to a condition, and its end is a change once something is committed.
    let again = short("e/at", Until::Removed).expecting(Expect::Nothing);
    assert!(done(store.commit(vec![again]).await.unwrap())[0] > version);
    let changed = store.changes("e/", cursor, 100).await.unwrap().changed;
    let told: Vec<_> = changed.iter().map(|change| (change.key.as_str(), change.entry.is_some())).collect();
    assert_eq!(told, [("e/after", false), ("e/at", true)]);
}

async fn changes_are_followed_from_a_cursor(store: &dyn Store) {
    let begin = store.cursor().await.unwrap();
    assert_eq!(store.changes("f/", begin, 10).await.unwrap().changed, []);
    for key in ["f/a", "f/b", "g/a", "f/c", "f/a"] {
        put(store, key, key).await;
    }
    done(store.commit(vec![Write::remove("f/b")]).await.unwrap());
    let expected = [("f/c", true), ("f/a", true), ("f/b", false)];
    for limit in [1, 2, 3, 100] {
        let (mut told, mut cursor) = (Vec::new(), begin);
        loop {
            let page = store.changes("f/", cursor, limit).await.unwrap();
            assert!(page.changed.len() <= limit);
            told.extend(page.changed.into_iter().map(|change| (change.key, change.entry.is_some())));
            cursor = page.next;
            if !page.more {
                break;
            }
        }
        let told: Vec<_> = told.iter().map(|(key, there)| (key.as_str(), *there)).collect();
        assert_eq!(told, expected, "{limit}");
        assert_eq!(store.changes("f/", cursor, limit).await.unwrap().changed, []);
    }
    assert_eq!(store.changes("", begin, 100).await.unwrap().changed.len(), 4);
    // A cursor survives being written down.
    let text = serde_json::to_string(&begin).unwrap();
    assert_eq!(serde_json::from_str::<crate::Cursor>(&text).unwrap(), begin);
    let foreign = crate::Cursor { store: begin.store.wrapping_add(1), ..begin };
    assert!(matches!(store.changes("f/", foreign, 1).await, Err(StoreError::CursorLost)));
    let ahead = crate::Cursor { at: u64::MAX >> 1, ..begin };
    assert!(matches!(store.changes("f/", ahead, 1).await, Err(StoreError::CursorLost)));
}

async fn removals_are_forgotten_only_loudly(store: &dyn Store, pass: &(dyn Fn(Duration) + Send + Sync)) {
    put(store, "h/x", "x").await;
    let before = store.cursor().await.unwrap();
    done(store.commit(vec![Write::remove("h/x")]).await.unwrap());
    pass(Duration::from_secs(3600));
    put(store, "h/other", "an hour later").await;
    let changed = store.changes("h/", before, 10).await.unwrap().changed;
    assert!(changed[0].key == "h/x" && changed[0].entry.is_none(), "{changed:?}");
    pass(Duration::from_secs(400 * 24 * 3600));
    put(store, "h/other", "a year later").await;
    // Either the removal is still told, or the cursor is refused; never neither.
    match store.changes("h/", before, 10).await {
        Ok(changes) => assert_eq!(changes.changed[0].key, "h/x"),
        Err(error) => assert!(matches!(error, StoreError::CursorLost), "{error}"),
    }
}

async fn leases_have_one_holder(store: &dyn Store, pass: &(dyn Fn(Duration) + Send + Sync)) {
    let minute = Duration::from_secs(60);
    let now: Timestamp = store.now().await.unwrap();
    let held = store.lease("sweep", "one", minute).await.unwrap().unwrap();
    assert_eq!((held.name.as_str(), held.holder.as_str()), ("sweep", "one"));
    assert_eq!(held.until, now.checked_add(minute).unwrap());
    assert_eq!(store.lease("sweep", "two", minute).await.unwrap(), None);
    assert!(store.lease("another", "two", minute).await.unwrap().is_some());
    pass(Duration::from_secs(59));
    let renewed = store.lease("sweep", "one", minute).await.unwrap().unwrap();
    assert!(renewed.fence == held.fence && renewed.until > held.until);
    pass(Duration::from_secs(59));
    assert_eq!(store.lease("sweep", "two", minute).await.unwrap(), None);
    pass(Duration::from_secs(1));
    let taken = store.lease("sweep", "two", minute).await.unwrap().unwrap();
    assert!(taken.fence > renewed.fence);
    assert!(!store.release(&renewed).await.unwrap(), "it is another's now");
    assert!(store.release(&taken).await.unwrap());
    assert!(!store.release(&taken).await.unwrap());
    let next = store.lease("sweep", "one", minute).await.unwrap().unwrap();
    assert!(next.fence > taken.fence);
    // Its own lease that had ended is a new one: somebody may have worked in between.
    pass(minute);
    assert!(store.lease("sweep", "one", minute).await.unwrap().unwrap().fence > next.fence);
}

async fn what_is_unfit_is_refused(store: &dyn Store) {
    let long = "k".repeat(513);
    for key in ["", " ", "a b", "a\nb", "ä", long.as_str()] {
        let refused = store.commit(vec![Write::put(key, "x").unwrap()]).await;
        assert!(matches!(refused, Err(StoreError::Unfit(_))), "{key:?}");
        assert!(matches!(store.get(key).await, Err(StoreError::Unfit(_))), "{key:?}");
    }
    let large = "x".repeat(MAX_VALUE_BYTES - 1);
    assert!(matches!(
        store.commit(vec![Write::put("i/x", &large).unwrap()]).await,
        Err(StoreError::Unfit(_))
    ));
    let fits = Write::put("i/x", &"x".repeat(MAX_VALUE_BYTES - 2)).unwrap();
    assert!(store.commit(vec![fits]).await.unwrap().is_done());
    let many = vec![Write::remove("i/y"); MAX_BATCH + 1];
    assert!(matches!(store.commit(many).await, Err(StoreError::Unfit(_))));
}

async fn racing_writers_lose_no_update(store: Arc<dyn Store>) {
    put(&*store, "j/count", "").await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for _ in 0..25 {
                loop {
                    let entry = store.get("j/count").await.unwrap().unwrap();
                    let next = entry.read::<String>().unwrap() + "x";
                    let write =
                        Write::put("j/count", &next).unwrap().expecting(Expect::Version(entry.version));
                    if store.commit(vec![write]).await.unwrap().is_done() {
                        break;
                    }
                }
            }
        });
    }
    writers.join_all().await;
    let count = store.get("j/count").await.unwrap().unwrap().read::<String>().unwrap();
    assert_eq!(count.len(), 100);
}
