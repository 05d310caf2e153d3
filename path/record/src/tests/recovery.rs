//! What a start makes of what it finds: torn ends, damage, open exchanges, other processes.

use std::fs;

use model::ExchangeId;

use super::*;
use crate::{Position, Reader};

/// A ledger with two sealed exchanges and one open, as a killed gateway would leave it.
async fn killed(place: &Place) -> (ExchangeId, ExchangeId) {
    let ledger = place.open();
    let mut sealed = opened(&ledger, &*place.clock, "first").await;
    put(&mut sealed, data("answer")).await.unwrap();
    let first = sealed.exchange();
    complete(sealed).await.unwrap();
    let mut open = opened(&ledger, &*place.clock, "second").await;
    put(&mut open, head()).await.unwrap();
    put(&mut open, data("half an answer")).await.unwrap();
    let second = open.exchange();
    // What is on the disk now is what `kill -9` leaves; closing writes more, so it is copied before.
    copy(&place.ledger(), &place.root.path().join("copy"));
    complete(open).await.unwrap();
    ledger.close().await.unwrap();
    fs::remove_dir_all(place.ledger()).unwrap();
    fs::rename(place.root.path().join("copy"), place.ledger()).unwrap();
    (first, second)
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if !entry.file_name().to_string_lossy().starts_with("index") {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn reopened(place: &Place) -> BTreeMap<ExchangeId, Option<String>> {
    place.open().close().await.unwrap();
    outcomes(&place.ledger())
}

async fn checked(place: &Place, exchange: ExchangeId) -> crate::Exchange {
    let reader = Reader::open(&place.ledger()).await.unwrap();
    let shown = reader.show(exchange).await.unwrap();
    reader.check(exchange, &shown).unwrap();
    shown
}

#[tokio::test]
async fn what_was_open_is_sealed_as_interrupted() {
    let place = Place::new();
    let (first, second) = killed(&place).await;
    let outcomes = reopened(&place).await;
    assert_eq!(outcomes[&first].as_deref(), Some("completed"));
    assert_eq!(outcomes[&second].as_deref(), Some("interrupted"));
    let sealed = checked(&place, second).await.sealed.unwrap();
    assert_eq!((sealed.status, sealed.response.unwrap().bytes), (200, 14));
    assert_eq!(sealed.request.unwrap().bytes, 6);
    let before = leaves(&place.ledger()).len();
    reopened(&place).await;
    assert_eq!(leaves(&place.ledger()).len(), before);
}

#[tokio::test]
async fn the_bookmark_is_only_a_shortcut() {
    let place = Place::new();
    let (_, second) = killed(&place).await;
    for content in [None, Some(&b"not a bookmark"[..])] {
        let copied = Place::new();
        copy(place.root.path(), copied.root.path());
        match content {
            None => fs::remove_file(copied.ledger().join("bookmark")).unwrap(),
            Some(bytes) => fs::write(copied.ledger().join("bookmark"), bytes).unwrap(),
        }
        assert_eq!(reopened(&copied).await[&second].as_deref(), Some("interrupted"));
        checked(&copied, second).await;
    }
}

#[tokio::test]
async fn an_exchange_open_across_a_bookmark_keeps_its_chains() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.segment_bytes = 1 << 20;
    let ledger = Ledger::open(settings, place.clock.clone()).unwrap();
    let mut record = opened(&ledger, &*place.clock, "question").await;
    for _ in 0..5 {
        // Each begins a segment, and so writes a bookmark.
        put(&mut record, data(vec![b'x'; 900 << 10])).await.unwrap();
    }
    let exchange = record.exchange();
    let killed = Place::new();
    copy(place.root.path(), killed.root.path());
    complete(record).await.unwrap();
    ledger.close().await.unwrap();
    assert_eq!(reopened(&killed).await[&exchange].as_deref(), Some("interrupted"));
    let sealed = checked(&killed, exchange).await.sealed.unwrap();
    assert_eq!(sealed.response.unwrap().bytes, 5 * (900 << 10));
}

/// Cuts the last frame of a series at every byte, and once pads the rest with zeros.
async fn torn_everywhere(bodies: bool) {
    let place = Place::new();
    killed(&place).await;
    let series = |place: &Place| match bodies {
        true => Series::bodies(&place.ledger(), "default"),
        false => Series::leaves(&place.ledger()),
    };
    let whole = fs::read(series(&place).path(1)).unwrap();
    let mut reader = series(&place).read(Position::default());
    let mut last = 0;
    while let Some((at, _)) = reader.next().unwrap() {
        last = usize::try_from(at.offset).unwrap();
    }
    for (cut, zeros) in (last + 1..whole.len()).map(|cut| (cut, 0)).chain([(last, 64), (last, 3)]) {
        let torn = Place::new();
        copy(place.root.path(), torn.root.path());
        fs::remove_file(torn.ledger().join("bookmark")).unwrap();
        let mut bytes = whole[..cut].to_vec();
        bytes.resize(cut + zeros, 0);
        fs::write(series(&torn).path(1), &bytes).unwrap();
        // The whole start now and then, what it does to the files each time.
        let whole_start = cut % 40 == 0 || zeros > 0;
        let (outcomes, notes) = if whole_start {
            let outcomes = reopened(&torn).await;
            assert!(outcomes.values().all(Option::is_some));
            let note = |leaf: Leaf| match leaf.what {
                Some(What::Torn(torn)) => Some(torn),
                _ => None,
            };
            (outcomes, leaves(&torn.ledger()).into_iter().filter_map(note).collect())
        } else {
            let found = crate::recover::recover(&torn.settings(), &crate::disk::RealDisk, 0).unwrap();
            assert_eq!(fs::read(series(&torn).path(1)).unwrap(), whole[..last]);
            let open = outcomes(&torn.ledger()).values().filter(|outcome| outcome.is_none()).count();
            assert_eq!(found.open.len(), open);
            (BTreeMap::new(), found.torn)
        };
        assert_eq!(notes.len(), 1, "cut at {cut}");
        assert_eq!(notes[0].offset, last as u64);
        let aside = fs::read(torn.ledger().join(&notes[0].kept_as)).unwrap();
        assert_eq!(aside, bytes[last..]);
        assert_eq!(notes[0].sha256, crate::digest::sha256(&aside));
        for exchange in outcomes.keys() {
            checked(&torn, *exchange).await;
        }
    }
}

#[tokio::test]
async fn torn_leaves_are_put_aside_wherever_they_are_cut() {
    torn_everywhere(false).await;
}

#[tokio::test]
async fn torn_bodies_are_put_aside_wherever_they_are_cut() {
    torn_everywhere(true).await;
}

#[tokio::test]
async fn a_torn_header_is_put_aside() {
    for length in [0, 1, 127] {
        let place = Place::new();
        let (_, second) = killed(&place).await;
        let series = Series::bodies(&place.ledger(), "default");
        fs::write(series.path(2), vec![7; length]).unwrap();
        assert_eq!(reopened(&place).await[&second].as_deref(), Some("interrupted"));
        checked(&place, second).await;
        series.header(2).unwrap();
    }
}

#[tokio::test]
async fn damage_inside_is_left_in_place_and_told() {
    let place = Place::new();
    let (first, second) = killed(&place).await;
    fs::remove_file(place.ledger().join("bookmark")).unwrap();
    let path = Series::bodies(&place.ledger(), "default").path(1);
    let mut bytes = fs::read(&path).unwrap();
    let at = 128 + 8 + 4;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(reopened(&place).await[&second].as_deref(), Some("interrupted"));
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert!(Series::bodies(&place.ledger(), "default").path(2).exists());
    let torn = leaves(&place.ledger()).into_iter().find_map(|leaf| match leaf.what {
        Some(What::Torn(torn)) => Some(torn),
        _ => None,
    });
    assert_eq!(torn.unwrap().offset, 128);
    let reader = Reader::open(&place.ledger()).await.unwrap();
    let shown = reader.show(first).await.unwrap();
    let Err(LedgerError::Damaged(damage)) = reader.check(first, &shown) else { panic!() };
    assert_eq!((damage.file, damage.offset), (path, 128));
    checked(&place, second).await;
}

#[tokio::test]
async fn bits_flipped_anywhere_never_break_a_start_or_a_reader() {
    let place = Place::new();
    let (first, second) = killed(&place).await;
    fs::remove_file(place.ledger().join("bookmark")).unwrap();
    for series in [Series::leaves(&place.ledger()), Series::bodies(&place.ledger(), "default")] {
        let whole = fs::read(series.path(1)).unwrap();
        for at in (0..whole.len()).step_by(37) {
            let copied = Place::new();
            copy(place.root.path(), copied.root.path());
            let path = copied.ledger().join(series.path(1).strip_prefix(place.ledger()).unwrap());
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, bytes).unwrap();
            copied.open().close().await.unwrap();
            let reader = Reader::open(&copied.ledger()).await.unwrap();
            let mut intact = 0;
            for exchange in [first, second] {
                let Ok(shown) = reader.show(exchange).await else { continue };
                let whole = shown.opened.is_some() && shown.sealed.is_some();
                intact += usize::from(whole && reader.check(exchange, &shown).is_ok());
            }
            assert!(intact < 2 || told(&copied), "a flip at {at} of {} went unseen", path.display());
        }
    }
}

fn told(place: &Place) -> bool {
    let mut reader = Series::leaves(&place.ledger()).read(Position::default());
    loop {
        match reader.next() {
            Ok(None) => return reader.tail().is_some(),
            Err(_) => return true,
            Ok(Some((_, frame))) => {
                let leaf: Leaf = prost::Message::decode(frame.payload.as_slice()).unwrap();
                if matches!(leaf.what, Some(What::Torn(_))) {
                    return true;
                }
            }
        }
    }
}

#[tokio::test]
async fn only_one_writes() {
    let place = Place::new();
    let ledger = place.open();
    let second = Ledger::open(place.settings(), place.clock.clone());
    assert!(matches!(second, Err(LedgerError::Locked { .. })));
    ledger.close().await.unwrap();
    place.open().close().await.unwrap();
}
