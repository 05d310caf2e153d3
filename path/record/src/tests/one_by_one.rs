//! Every call that the write path makes of its disk fails once, in turn: nothing acknowledged is lost,
//! nothing is left open, and writing goes on by itself.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::disk::{Disk, RealDisk};
use crate::{Durability, Reader};

/// A disk whose call of one number fails: a write half-way, anything else before it did something.
struct Once {
    calls: AtomicUsize,
    fails: usize,
}

impl Once {
    fn is_now(&self) -> bool {
        self.calls.fetch_add(1, Ordering::SeqCst) == self.fails
    }
}

fn broken<T>() -> io::Result<T> {
    Err(io::Error::from_raw_os_error(5))
}

impl Disk for Once {
    fn create(&self, path: &Path) -> io::Result<File> {
        if self.is_now() { broken() } else { RealDisk.create(path) }
    }

    fn write(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.is_now() {
            RealDisk.write(file, offset, &bytes[..bytes.len() / 2])?;
            return broken();
        }
        RealDisk.write(file, offset, bytes)
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        if self.is_now() { broken() } else { RealDisk.truncate(file, length) }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self.is_now() { broken() } else { RealDisk.sync(file) }
    }
}

/// Exchanges whose frames were acknowledged, with how many, and whether the seal was.
type Acknowledged = Vec<(ExchangeId, u64, bool)>;

/// The same work for every number: some exchanges side by side, over the ends of segments.
async fn work(ledger: &Ledger, clock: &dyn Clock) -> Acknowledged {
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let mut open = Vec::new();
        for _ in 0..2 {
            open.extend(ledger.open_exchange(case(clock, "ada", "question").opening()).await);
        }
        for mut record in open {
            let mut frames = 0;
            for _ in 0..3 {
                match put(&mut record, data(vec![b'x'; 400])).await {
                    Ok(_) => frames += 1,
                    // What failed is not sent, and its exchange is cut, as the gateway does.
                    Err(_) => break,
                }
            }
            let exchange = record.exchange();
            let sealed = if round == 1 { false } else { complete(record).await.is_ok() };
            acknowledged.push((exchange, frames, sealed));
        }
    }
    acknowledged
}

async fn sound(place: &Place, acknowledged: &Acknowledged, number: usize) {
    let outcomes = outcomes(&place.ledger());
    assert!(outcomes.values().all(Option::is_some), "call {number}: {outcomes:?}");
    assert_eq!(crate::audit::tests::flaw(&place.ledger()), None, "call {number}");
    let reader = Reader::open(&place.ledger()).await.unwrap();
    for (exchange, frames, sealed) in acknowledged {
        assert!(!sealed || outcomes[exchange].as_deref() == Some("completed"), "call {number}");
        let shown = reader.show(*exchange).await.unwrap();
        reader.check(*exchange, &shown).unwrap();
        assert!(shown.sealed.unwrap().response.unwrap().frames >= *frames, "call {number}");
    }
}

/// One run in which call `fails` fails. Says how many calls there were, and what was acknowledged.
async fn run(place: &Place, fails: usize, durability: Durability) -> (usize, Acknowledged) {
    let disk = Arc::new(Once { calls: AtomicUsize::new(0), fails });
    let mut settings = place.settings();
    settings.durability = durability;
    settings.segment_bytes = 4096;
    settings.reserve_bytes = 64 << 10;
    let opened = Ledger::open_on(settings.clone(), place.clock.clone(), disk.clone());
    let acknowledged = match opened {
        Ok(ledger) => {
            let acknowledged = work(&ledger, &*place.clock).await;
            eventually(|| ledger.health().is_ready() && ledger.health().open_exchanges == 0).await;
            let closed = ledger.close().await;
            assert!(closed.is_ok() || disk.calls.load(Ordering::SeqCst) > fails, "{closed:?}");
            acknowledged
        }
        // A start that fails leaves nothing that the next one can't take up.
        Err(_) => Vec::new(),
    };
    let calls = disk.calls.load(Ordering::SeqCst);
    Ledger::open(settings, place.clock.clone()).unwrap().close().await.unwrap();
    (calls, acknowledged)
}

async fn one_by_one(durability: Durability) {
    let place = Place::new();
    let (calls, acknowledged) = run(&place, usize::MAX, durability).await;
    sound(&place, &acknowledged, usize::MAX).await;
    assert_eq!(acknowledged.len(), 6);
    assert!(calls > 20, "only {calls} calls");
    for number in 0..calls {
        let place = Place::new();
        let (_, acknowledged) = run(&place, number, durability).await;
        sound(&place, &acknowledged, number).await;
    }
}

#[tokio::test]
async fn each_call_of_the_write_path_may_fail() {
    one_by_one(Durability::Process).await;
}

#[tokio::test]
async fn each_call_may_fail_where_writes_are_flushed() {
    one_by_one(Durability::Disk).await;
}
