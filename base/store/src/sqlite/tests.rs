//! The embedded store against the suite, and what is its own: the file.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use model::{FixedClock, SystemClock};
use proptest::prelude::*;

use super::*;
use crate::conformance::conforms;
use crate::{Expect, Until};

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FixedClock::at("2026-11-22T12:00:00.123456789Z".parse().unwrap()));
    clock.set("2026-11-22T12:00:00.5Z".parse().unwrap());
    let store = SqliteStore::open(folder.path(), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
    conforms(Arc::new(store), &|by| clock.advance(by)).await;
}

#[tokio::test]
async fn the_file_is_private_and_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("deep/state");
    let store = SqliteStore::open(&dir, clock()).await.unwrap();
    store.commit(vec![Write::put("a", "kept").unwrap()]).await.unwrap();
    let cursor = store.cursor().await.unwrap();
    for name in [FILE_NAME, "state.db-wal", "state.db-shm"] {
        let mode = std::fs::metadata(dir.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    // Not closed: as after `kill -9`.
    std::mem::forget(store);
    std::fs::set_permissions(dir.join(FILE_NAME), Permissions::from_mode(0o644)).unwrap();
    let store = SqliteStore::open(&dir, clock()).await.unwrap();
    assert_eq!(store.get("a").await.unwrap().unwrap().read::<String>().unwrap(), "kept");
    assert_eq!(store.changes("", cursor, 1).await.unwrap().changed, []);
    let mode = std::fs::metadata(store.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_reader_changes_nothing_and_two_writers_share() {
    let folder = tempfile::tempdir().unwrap();
    assert!(SqliteStore::open_to_read(folder.path(), clock()).await.is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let one = SqliteStore::open(folder.path(), clock()).await.unwrap();
    let two = SqliteStore::open(folder.path(), clock()).await.unwrap();
    let reader = SqliteStore::open_to_read(folder.path(), clock()).await.unwrap();
    let cursor = one.cursor().await.unwrap();
    two.commit(vec![Write::put("a", "by two").unwrap()]).await.unwrap();
    assert_eq!(one.changes("", cursor, 9).await.unwrap().changed.len(), 1);
    assert_eq!(reader.get("a").await.unwrap().unwrap().read::<String>().unwrap(), "by two");
    assert!(reader.commit(vec![Write::put("a", "by the reader").unwrap()]).await.is_err());
    assert!(one.commit(vec![Write::put("b", "by one").unwrap().expecting(Expect::Nothing)]).await.is_ok());
    assert_eq!(reader.count("").await.unwrap(), 2);
    for store in [reader, one, two] {
        store.close().await;
    }
    // Alone and closed, as on a medium that cannot be written.
    let reader = SqliteStore::open_to_read(folder.path(), clock()).await.unwrap();
    assert_eq!(reader.count("").await.unwrap(), 2);
}

#[tokio::test]
async fn what_is_no_store_of_this_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE_NAME), "this is no database, and long enough to say so".repeat(9))
        .unwrap();
    assert!(matches!(SqliteStore::open(folder.path(), clock()).await, Err(StoreError::File { .. })));
    std::fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
    let store = SqliteStore::open(folder.path(), clock()).await.unwrap();
    sqlx::query("PRAGMA user_version = 2").execute(&store.writer).await.unwrap();
    store.close().await;
    let Err(error) = SqliteStore::open(folder.path(), clock()).await else { panic!("another version") };
    assert!(error.to_string().contains("version 2"), "{error}");
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    assert!(matches!(SqliteStore::open(&blocked, clock()).await, Err(StoreError::File { .. })));
}

#[tokio::test]
async fn a_file_that_was_replaced_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), clock()).await.unwrap();
    let cursor = store.cursor().await.unwrap();
    assert!(store.changes("", cursor, 1).await.is_ok());
    let file = store.file().to_owned();
    std::fs::rename(&file, file.with_extension("old")).unwrap();
    assert!(store.changes("", cursor, 1).await.is_err());
    std::fs::copy(file.with_extension("old"), &file).unwrap();
    assert!(store.changes("", cursor, 1).await.is_err());
    assert!(store.commit(vec![Write::put("a", "lost").unwrap()]).await.is_err());
    std::fs::rename(file.with_extension("old"), &file).unwrap();
    assert!(store.changes("", cursor, 1).await.is_ok());
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_room_lets_them_in_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), clock()).await.unwrap();
    let large = "x".repeat(60_000);
    let write = |at: usize| vec![Write::put(format!("k{at}"), &large).unwrap()];
    sqlx::query("PRAGMA max_page_count = 64").execute(&store.writer).await.unwrap();
    let mut kept = 0;
    while store.commit(write(kept)).await.is_ok() {
        kept += 1;
        assert!(kept < 20, "256 KiB took {kept} times 60 KB");
    }
    assert!(kept > 0);
    assert_eq!(store.count("k").await.unwrap(), u64::try_from(kept).unwrap(), "what was kept can be read");
    // The next connection has its usual bound: as after the disk was given room.
    assert!(store.commit(write(kept)).await.unwrap().is_done());
    assert!(store.commit(write(kept + 1)).await.unwrap().is_done());
}

#[test]
fn times_never_end_early() {
    let at: Timestamp = "2026-11-22T12:00:00.000000001Z".parse().unwrap();
    assert!(time(millis(at)) >= at);
    assert_eq!(time(millis(time(5))), time(5));
    assert_eq!(time(i64::MAX), Timestamp::MAX);
}

/// What one writer may do.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, Option<u8>),
    Remove(u8),
    Pass(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4u8, proptest::option::of(1..20u8)).prop_map(|(key, lasts)| Step::Put(key, lasts)),
        (0..4u8).prop_map(Step::Remove),
        (1..10u8).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever follows the changes, and drops what expires, knows what the store knows.
    #[test]
    fn a_follower_knows_what_the_store_knows(steps in proptest::collection::vec(step(), 1..30), page in 1..4usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let clock = Arc::new(FixedClock::at("2026-11-22T12:00:00Z".parse().unwrap()));
            let store = SqliteStore::open(folder.path(), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
            let mut cursor = store.cursor().await.unwrap();
            let mut known = std::collections::BTreeMap::new();
            for (at, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Put(key, lasts) => {
                        let until = lasts.map_or(Until::Removed, |secs| Until::After(Duration::from_secs(secs.into())));
                        let write = Write::put(format!("k{key}"), &at).unwrap().lasting(until);
                        store.commit(vec![write]).await.unwrap();
                    }
                    Step::Remove(key) => {
                        store.commit(vec![Write::remove(format!("k{key}"))]).await.unwrap();
                    }
                    Step::Pass(secs) => clock.advance(Duration::from_secs(secs.into())),
                }
                loop {
                    let changes = store.changes("k", cursor, page).await.unwrap();
                    for change in changes.changed {
                        match change.entry {
                            Some(entry) => known.insert(change.key, entry),
                            None => known.remove(&change.key),
                        };
                    }
                    cursor = changes.next;
                    if !changes.more {
                        break;
                    }
                }
                let now = clock.now();
                let living: Vec<_> = known
                    .values()
                    .filter(|entry| entry.expires.is_none_or(|end| end > now))
                    .cloned()
                    .collect();
                assert_eq!(living, store.list("k", None, 100).await.unwrap().entries);
            }
        });
    }
}
