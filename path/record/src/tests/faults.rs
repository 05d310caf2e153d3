//! Disks that fail: full, broken, hanging. Nothing is acknowledged that is not written, and writing goes
//! on by itself.

use std::fs::File;
use std::io;
use std::sync::{Condvar, Mutex};

use super::*;
use crate::disk::{Disk, RealDisk};
use crate::{Condition, Durability, Reader};

/// What the next writes meet.
#[derive(Clone, Copy, PartialEq)]
enum Weather {
    Fine,
    /// Nothing more fits in segments than so many bytes; the rest of a write is torn off.
    Room(usize),
    /// Every write stops half-way.
    Broken,
    /// Every write waits until the weather changes.
    Hanging,
    /// Writes work, flushes fail.
    Unflushed,
}

struct Faulty {
    weather: Mutex<Weather>,
    changed: Condvar,
    /// Whether files can be cut off.
    truncates: bool,
    used: Mutex<usize>,
}

impl Faulty {
    fn new(truncates: bool) -> Arc<Self> {
        Arc::new(Self {
            weather: Mutex::new(Weather::Fine),
            changed: Condvar::new(),
            truncates,
            used: Mutex::new(0),
        })
    }

    fn set(&self, weather: Weather) {
        *self.weather.lock().unwrap() = weather;
        self.changed.notify_all();
    }
}

impl Disk for Faulty {
    fn create(&self, path: &Path) -> io::Result<File> {
        match *self.weather.lock().unwrap() {
            Weather::Broken => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            _ => RealDisk.create(path),
        }
    }

    fn write(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut weather = self.weather.lock().unwrap();
        while *weather == Weather::Hanging {
            weather = self.changed.wait(weather).unwrap();
        }
        match *weather {
            Weather::Room(room) if bytes.len() > room => {
                RealDisk.write(file, offset, &bytes[..room])?;
                Err(io::ErrorKind::StorageFull.into())
            }
            Weather::Room(room) => {
                *weather = Weather::Room(room - bytes.len());
                RealDisk.write(file, offset, bytes)
            }
            Weather::Broken => {
                RealDisk.write(file, offset, &bytes[..bytes.len() / 2])?;
                Err(io::Error::from_raw_os_error(5))
            }
            _ => RealDisk.write(file, offset, bytes),
        }
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        let before = file.metadata()?.len();
        let mut weather = self.weather.lock().unwrap();
        if !self.truncates && *weather != Weather::Fine {
            return Err(io::Error::from_raw_os_error(5));
        }
        RealDisk.truncate(file, length)?;
        if let Weather::Room(room) = *weather {
            let freed = usize::try_from(before.saturating_sub(length)).unwrap();
            *weather = Weather::Room(room + freed);
            *self.used.lock().unwrap() += freed;
        }
        Ok(())
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        match *self.weather.lock().unwrap() {
            Weather::Unflushed => Err(io::Error::from_raw_os_error(5)),
            _ => RealDisk.sync(file),
        }
    }
}

fn open(place: &Place, disk: &Arc<Faulty>, durability: Durability) -> Ledger {
    let mut settings = place.settings();
    settings.durability = durability;
    Ledger::open_on(settings, place.clock.clone(), disk.clone()).unwrap()
}

/// After the fault every exchange is sealed once, its frames are the sealed ones, nothing acknowledged
/// is missing, and the outage is told.
async fn sound(place: &Place, acknowledged: &[(model::ExchangeId, u64)]) {
    let reader = Reader::open(&place.ledger()).await.unwrap();
    let mut leaves = reader.leaves(crate::Position::default());
    let (mut outages, mut open) = (0, BTreeSet::new());
    loop {
        let frame = match leaves.next() {
            Ok(None) => break,
            Ok(Some((_, frame))) => frame,
            // Where a file could not be cut off, its torn end stays, and a new segment follows.
            Err(damage) => {
                assert_eq!(damage.fault, crate::Fault::Short);
                continue;
            }
        };
        let leaf: Leaf = prost::Message::decode(frame.payload.as_slice()).unwrap();
        match leaf.what.unwrap() {
            What::Outage(_) => outages += 1,
            What::Opened(opened) => assert!(open.insert(opened.exchange)),
            What::Sealed(sealed) => assert!(open.remove(&sealed.exchange)),
            _ => {}
        }
    }
    assert!(open.is_empty());
    assert!(outages > 0);
    assert_eq!(crate::audit::tests::flaw(&place.ledger()), None);
    for (exchange, bytes) in acknowledged {
        let shown = reader.show(*exchange).await.unwrap();
        let frames = reader.frames(*exchange, &shown).filter_map(Result::ok);
        let answer = frames.filter(|f| f.direction() == crate::body::Direction::Response);
        let kept: usize = answer.map(|f| f.data.len()).sum();
        assert!(kept as u64 >= *bytes);
        assert_eq!(shown.sealed.unwrap().response.unwrap().bytes, kept as u64);
    }
}

#[tokio::test]
async fn a_broken_disk_refuses_and_mends_itself() {
    for (truncates, durability) in
        [(true, Durability::Process), (false, Durability::Process), (true, Durability::Disk)]
    {
        let place = Place::new();
        let disk = Faulty::new(truncates);
        let ledger = open(&place, &disk, durability);
        let mut record = opened(&ledger, &*place.clock, "q").await;
        put(&mut record, data("before")).await.unwrap();
        disk.set(Weather::Broken);
        assert!(matches!(put(&mut record, data("x")).await, Err(LedgerError::Write { .. })));
        assert!(ledger.open_exchange(case(&*place.clock, "ada", "q").opening()).await.is_err());
        assert!(matches!(ledger.health().condition, Condition::Failing { .. }));
        // Its seal fails now, and is made up for later with the same words.
        let exchange = record.exchange();
        assert!(complete(record).await.is_err());
        disk.set(Weather::Fine);
        eventually(|| ledger.health().is_ready() && ledger.health().open_exchanges == 0).await;
        let next = opened(&ledger, &*place.clock, "q").await;
        complete(next).await.unwrap();
        ledger.close().await.unwrap();
        sound(&place, &[(exchange, 6)]).await;
        let reader = Reader::open(&place.ledger()).await.unwrap();
        assert_eq!(reader.show(exchange).await.unwrap().sealed.unwrap().outcome, "completed");
    }
}

#[tokio::test]
async fn a_failed_flush_is_a_failed_write() {
    let place = Place::new();
    let disk = Faulty::new(true);
    let ledger = open(&place, &disk, Durability::Disk);
    let mut record = opened(&ledger, &*place.clock, "q").await;
    disk.set(Weather::Unflushed);
    assert!(matches!(put(&mut record, data("x")).await, Err(LedgerError::Write { .. })));
    disk.set(Weather::Fine);
    eventually(|| ledger.health().is_ready()).await;
    put(&mut record, data("y")).await.unwrap();
    let exchange = record.exchange();
    complete(record).await.unwrap();
    ledger.close().await.unwrap();
    sound(&place, &[(exchange, 1)]).await;
}

#[tokio::test]
async fn on_a_full_disk_the_reserve_seals_what_is_open() {
    let place = Place::new();
    let disk = Faulty::new(true);
    let ledger = open(&place, &disk, Durability::Process);
    let mut records = Vec::new();
    for _ in 0..200 {
        records.push(opened(&ledger, &*place.clock, "q").await);
    }
    disk.set(Weather::Room(100));
    let mut acknowledged = Vec::new();
    let first = records[0].exchange();
    assert!(matches!(put(&mut records[0], data("x".repeat(500))).await, Err(LedgerError::Full)));
    assert_eq!(ledger.health().condition, Condition::Full);
    // Small ones would fit, but the space is for seals.
    assert!(matches!(put(&mut records[1], data("x")).await, Err(LedgerError::Full)));
    for record in records {
        acknowledged.push((record.exchange(), 0));
        complete(record).await.unwrap();
    }
    assert!(*disk.used.lock().unwrap() >= 64 << 10, "the reserve was not touched");
    disk.set(Weather::Fine);
    eventually(|| ledger.health().is_ready()).await;
    assert_eq!(std::fs::metadata(place.ledger().join("reserve")).unwrap().len(), 256 << 10);
    ledger.close().await.unwrap();
    sound(&place, &acknowledged).await;
    assert_eq!(outcomes(&place.ledger())[&first].as_deref(), Some("completed"));
}

/// One task is held up in the write itself; whoever comes after it is told so in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_disk_times_out() {
    let place = Place::new();
    let disk = Faulty::new(true);
    let mut settings = place.settings();
    settings.write_timeout = Duration::from_millis(200);
    let ledger = Ledger::open_on(settings, place.clock.clone(), disk.clone()).unwrap();
    let mut first = opened(&ledger, &*place.clock, "q").await;
    let mut second = opened(&ledger, &*place.clock, "q").await;
    let (held_up, exchange) = (first.exchange(), second.exchange());
    disk.set(Weather::Hanging);
    let held = tokio::spawn(async move {
        let outcome = put(&mut first, data("x")).await;
        (first, outcome)
    });
    eventually(|| matches!(ledger.health().condition, Condition::Hanging { .. })).await;
    assert!(matches!(ledger.hung().await, LedgerError::TimedOut { .. }));
    assert!(matches!(put(&mut second, data("x")).await, Err(LedgerError::TimedOut { .. })));
    // This one never left the queue: whoever waited is gone, so it is not written later.
    let late = case(&*place.clock, "ada", "q");
    assert!(matches!(ledger.open_exchange(late.opening()).await, Err(LedgerError::TimedOut { .. })));
    drop(second);
    disk.set(Weather::Fine);
    let (first, outcome) = held.await.unwrap();
    outcome.expect("what was held up is written once the disk comes back");
    drop(first);
    eventually(|| ledger.health().is_ready() && ledger.health().open_exchanges == 0).await;
    ledger.close().await.unwrap();
    let outcomes = outcomes(&place.ledger());
    assert_eq!(outcomes.get(&exchange), Some(&Some("cut".to_owned())));
    assert_eq!(outcomes.get(&held_up), Some(&Some("cut".to_owned())));
    assert!(!outcomes.contains_key(&late.exchange));
}

/// A real disk of one MiB. Needs the right to mount; says so where it is missing.
#[tokio::test]
async fn a_tiny_real_disk_fills_and_is_freed() {
    let place = Place::new();
    let mount = place.root.path().join("mount");
    std::fs::create_dir(&mount).unwrap();
    let run = |words: &[&str]| std::process::Command::new(words[0]).args(&words[1..]).arg(&mount).status();
    let mounted = run(&["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs"]);
    if !mounted.is_ok_and(|status| status.success()) {
        println!("skipped: mounting a tmpfs is not allowed here");
        return;
    }
    let mut settings = place.settings();
    settings.dir = mount.join("ledger");
    let ballast = mount.join("ballast");
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let ledger = Ledger::open(settings.clone(), place.clock.clone()).unwrap();
    let mut record = opened(&ledger, &*place.clock, "q").await;
    let other = opened(&ledger, &*place.clock, "q").await;
    let mut written = 0u64;
    let error = loop {
        match put(&mut record, data(vec![b'x'; 100_000])).await {
            Ok(_) => written += 100_000,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LedgerError::Full), "{error}");
    let exchange = record.exchange();
    complete(record).await.unwrap();
    complete(other).await.unwrap();
    // Small ones may fit where a large one did not: it is not asked whether it is full by now.
    std::fs::remove_file(&ballast).unwrap();
    eventually(|| ledger.health().is_ready()).await;
    complete(opened(&ledger, &*place.clock, "q").await).await.unwrap();
    ledger.close().await.unwrap();
    let reader = Reader::open(&settings.dir).await.unwrap();
    let shown = reader.show(exchange).await.unwrap();
    reader.check(exchange, &shown).unwrap();
    assert_eq!(shown.sealed.unwrap().response.unwrap().bytes, written);
    assert_eq!(outcomes(&settings.dir).values().filter(|o| o.as_deref() == Some("completed")).count(), 3);
    drop(reader);
    assert!(
        leaves(&settings.dir).iter().any(|leaf| matches!(leaf.what, Some(What::Outage(_)))),
        "it was full"
    );
    // Lazily: the index's thread may still hold its file for a moment.
    assert!(run(&["umount", "-l"]).unwrap().success());
}
