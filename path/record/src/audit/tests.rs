//! Whatever is done to a ledger behind its back is found, and named; what is whole is said to be.

use std::fs;
use std::path::{Path, PathBuf};

use crate::audit::{Expected, Flaw, Proof, Proven, Report, prove_consistency, prove_exchange, verify};
use crate::checkpoints::{ask_for_checkpoint, is_asked, last_checkpoint};
use crate::frame::put_with;
use crate::leaf::{Dropped, What};
use crate::note::{Checkpoint, Notes, Signed, VerifierKey};
use crate::tests::recovery::copy;
use crate::tests::{Place, complete, data, eventually, head, opened, put};
use crate::{Ledger, LedgerError, Position, Series, Settings};

fn verified(dir: &Path, expected: &Expected) -> Report {
    verify(dir, expected, &mut |_, _| ()).unwrap()
}

pub(crate) fn flaw(dir: &Path) -> Option<Flaw> {
    verified(dir, &Expected::default()).flaw
}

fn against(dir: &Path, signed: &Signed) -> Option<Flaw> {
    verified(dir, &Expected { checkpoints: vec![signed.clone()], key: None }).flaw
}

async fn exchange(ledger: &Ledger, place: &Place, body: &str) -> String {
    let mut record = opened(ledger, &*place.clock, "question").await;
    let id = record.exchange().to_string();
    put(&mut record, head()).await.unwrap();
    put(&mut record, data(body.to_owned())).await.unwrap();
    complete(record).await.unwrap();
    id
}

/// Writes `count` exchanges, and closes the ledger.
async fn round(place: &Place, settings: Settings, count: usize) -> Vec<String> {
    let ledger = Ledger::open(settings, place.clock.clone()).unwrap();
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(exchange(&ledger, place, &format!("answer {number}")).await);
    }
    ledger.close().await.unwrap();
    ids
}

fn last(dir: &Path) -> Signed {
    last_checkpoint(dir).unwrap().unwrap()
}

/// Every file that is a ledger's record, or tells of it.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.join("checkpoints"), dir.join("bookmark")];
    for folder in ["leaves", "bodies/default", "aside"] {
        let entries = fs::read_dir(dir.join(folder)).into_iter().flatten();
        found.extend(entries.map(|entry| entry.unwrap().path()));
    }
    found
}

#[tokio::test]
async fn a_whole_ledger_is_verified() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.segment_bytes = 4096;
    round(&place, settings.clone(), 8).await;
    round(&place, settings, 4).await;
    let kept = last(&place.ledger());
    let expected = Expected { checkpoints: vec![kept.clone()], key: None };
    let mut told = Vec::new();
    let report = verify(&place.ledger(), &expected, &mut |done, of| told.push((done, of))).unwrap();
    assert_eq!(report.flaw, None);
    assert_eq!((report.exchanges, report.open, report.refused), (12, 0, 0));
    assert_eq!((report.leaves, report.covered), (25, 25), "a key, and two leaves an exchange");
    assert_eq!(report.root, kept.checkpoint().root);
    assert_eq!(report.against, [25]);
    assert_eq!(report.frames, 12 * 3);
    assert!(report.checkpoints >= 2, "one at each close");
    assert_eq!(report.notes, Vec::<String>::new());
    assert!(told.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    assert!(told.last().is_some_and(|(done, of)| done == of));
    assert!(matches!(
        verify(place.root(), &Expected::default(), &mut |_, _| ()),
        Err(LedgerError::Format { .. })
    ));
}

#[tokio::test]
async fn every_flipped_byte_is_found() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.segment_bytes = 2048;
    round(&place, settings.clone(), 2).await;
    // A torn end, so that something is put aside too.
    let torn = place.ledger().join("bodies/default");
    let newest = fs::read_dir(&torn).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    bytes.extend_from_slice(b"torn");
    fs::write(&newest, bytes).unwrap();
    round(&place, settings, 1).await;
    assert_eq!(flaw(&place.ledger()), None);
    let files = files(&place.ledger());
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let whole = fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&file, &bytes).unwrap();
            let found = flaw(&place.ledger());
            assert!(found.is_some(), "{} at byte {at}", file.display());
        }
        fs::write(&file, whole).unwrap();
    }
    assert_eq!(flaw(&place.ledger()), None);
}

#[tokio::test]
async fn the_first_bad_place_is_named() {
    let place = Place::new();
    round(&place, place.settings(), 3).await;
    let leaves = Series::leaves(&place.ledger());
    let mut reader = leaves.read(Position::default());
    let (mut places, mut end) = (Vec::new(), 0);
    while let Some((at, frame)) = reader.next().unwrap() {
        places.push(at);
        end = frame.end();
    }
    for (index, at) in places.iter().enumerate().skip(1) {
        let file = leaves.path(at.segment);
        let whole = fs::read(&file).unwrap();
        let mut bytes = whole.clone();
        let byte = usize::try_from(at.offset).unwrap() + 12;
        bytes[byte] ^= 1;
        fs::write(&file, bytes).unwrap();
        let report = verified(&place.ledger(), &Expected::default());
        let found = report.flaw.unwrap();
        assert_eq!((found.segment, found.offset), (Some(1), at.offset));
        assert_eq!(report.leaves, index as u64);
        assert_eq!(found.file, Path::new("leaves/00000001.seg"));
        fs::write(&file, whole).unwrap();
    }
    assert!(end > places.last().unwrap().offset);
}

#[tokio::test]
async fn every_truncation_is_found() {
    let place = Place::new();
    round(&place, place.settings(), 2).await;
    for file in ["leaves/00000001.seg", "bodies/default/00000001.seg"] {
        let file = place.ledger().join(file);
        let whole = fs::read(&file).unwrap();
        for length in (0..whole.len()).step_by(3) {
            fs::write(&file, &whole[..length]).unwrap();
            assert!(flaw(&place.ledger()).is_some(), "{} cut to {length}", file.display());
        }
        fs::write(&file, whole).unwrap();
    }
}

/// Changes the payload of the frame at `at` and gives it a good checksum again.
fn rewrite(file: &Path, at: u64, change: impl FnOnce(&mut Vec<u8>)) {
    let bytes = fs::read(file).unwrap();
    let start = usize::try_from(at).unwrap();
    let length = u32::from_le_bytes(bytes[start..start + 4].try_into().unwrap()) as usize;
    let mut payload = bytes[start + 8..start + 8 + length].to_vec();
    change(&mut payload);
    let mut out = bytes[..start].to_vec();
    put_with(&mut out, |out| out.extend_from_slice(&payload));
    out.extend_from_slice(&bytes[start + 8 + length..]);
    fs::write(file, out).unwrap();
}

fn replace(payload: &mut [u8], from: &[u8], to: &[u8]) {
    let at = payload.windows(from.len()).position(|window| window == from).unwrap();
    payload[at..at + to.len()].copy_from_slice(to);
}

#[tokio::test]
async fn a_skilled_edit_is_found() {
    let place = Place::new();
    round(&place, place.settings(), 2).await;
    let edited = Place::new();
    copy(place.root(), edited.root());
    let bodies = Series::bodies(&edited.ledger(), "default");
    let mut reader = bodies.read(Position::default());
    let at = loop {
        let (at, frame) = reader.next().unwrap().unwrap();
        if frame.payload.windows(8).any(|window| window == b"answer 0") {
            break at;
        }
    };
    rewrite(&bodies.path(1), at.offset, |payload| replace(payload, b"answer 0", b"answer 9"));
    let found = flaw(&edited.ledger()).unwrap();
    assert!(found.problem.contains("not those that the leaf was written over"), "{found}");
    assert!(found.file.starts_with("bodies/default"), "{found}");

    let edited = Place::new();
    copy(place.root(), edited.root());
    let leaves = Series::leaves(&edited.ledger());
    let at = leaves.read(Position { segment: 1, offset: 128 }).next().unwrap().unwrap().1.end();
    rewrite(&leaves.path(1), at, |payload| replace(payload, b"ada@example.test", b"eve@example.test"));
    let found = flaw(&edited.ledger()).unwrap();
    assert!(found.problem.contains("another root"), "{found}");
    // Without what tells of the tree, only a checkpoint from outside can tell.
    fs::remove_file(edited.ledger().join("checkpoints")).unwrap();
    assert!(flaw(&edited.ledger()).unwrap().file.ends_with("bookmark"));
    fs::remove_file(edited.ledger().join("bookmark")).unwrap();
    assert_eq!(flaw(&edited.ledger()), None);
    let found = against(&edited.ledger(), &last(&place.ledger())).unwrap();
    assert!(found.problem.contains("another root"), "{found}");
}

#[tokio::test]
async fn segments_that_are_swapped_or_gone_are_found() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.segment_bytes = 2048;
    round(&place, settings, 6).await;
    for series in [Series::leaves(&place.ledger()), Series::bodies(&place.ledger(), "default")] {
        let numbers = series.numbers().unwrap();
        for number in &numbers {
            let hidden = place.root().join("hidden");
            fs::rename(series.path(*number), &hidden).unwrap();
            let found = flaw(&place.ledger());
            assert!(found.is_some(), "{} is gone", series.path(*number).display());
            fs::rename(&hidden, series.path(*number)).unwrap();
        }
        for pair in numbers.windows(2) {
            let (one, two) = (series.path(pair[0]), series.path(pair[1]));
            let (first, second) = (fs::read(&one).unwrap(), fs::read(&two).unwrap());
            fs::write(&one, &second).unwrap();
            fs::write(&two, &first).unwrap();
            assert!(flaw(&place.ledger()).is_some(), "{} and the next are swapped", one.display());
            fs::write(&one, &first).unwrap();
            fs::write(&two, &second).unwrap();
        }
    }
    assert_eq!(flaw(&place.ledger()), None);
}

#[tokio::test]
async fn a_segment_that_no_rule_dropped_is_a_flaw_although_a_leaf_says_it() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.segment_bytes = 1024;
    round(&place, settings.clone(), 6).await;
    let bodies = Series::bodies(&place.ledger(), "default");
    fs::remove_file(bodies.path(1)).unwrap();
    let found = flaw(&place.ledger()).unwrap();
    assert_eq!((found.problem.contains("missing"), found.segment), (true, Some(1)), "{found}");
    let ledger = Ledger::open(settings, place.clock.clone()).unwrap();
    let dropped =
        Dropped { class: "default".into(), segment: 1, reason: "30 days".into(), ..Dropped::default() };
    ledger.leaf(What::Dropped(dropped)).await.unwrap();
    ledger.close().await.unwrap();
    let report = verified(&place.ledger(), &Expected::default());
    assert!(report.flaw.unwrap().problem.contains("no rule was recorded"));
    assert_eq!(report.drops.segments[0].reason, "30 days");
}

#[tokio::test]
async fn a_rollback_is_found_against_a_kept_checkpoint() {
    let place = Place::new();
    round(&place, place.settings(), 2).await;
    let older = Place::new();
    copy(place.root(), older.root());
    let kept = last(&place.ledger());
    round(&place, place.settings(), 1).await;
    let newer = last(&place.ledger());
    assert_eq!(against(&place.ledger(), &kept), None);
    assert_eq!(against(&place.ledger(), &newer), None);
    assert_eq!(flaw(&older.ledger()), None, "by itself the older one is whole");
    let found = against(&older.ledger(), &newer).unwrap();
    assert!(found.problem.contains("rolled back"), "{found}");
    // It goes on from there, and is still not the one that was checkpointed.
    round(&older, older.settings(), 4).await;
    assert_eq!(against(&older.ledger(), &kept), None);
    assert!(against(&older.ledger(), &newer).unwrap().problem.contains("another root"));
}

#[tokio::test]
async fn leaves_that_vanish_while_nobody_looks_are_noted_at_the_start() {
    let place = Place::new();
    round(&place, place.settings(), 2).await;
    let leaves = place.ledger().join("leaves/00000001.seg");
    let before = fs::read(&leaves).unwrap();
    round(&place, place.settings(), 1).await;
    fs::write(&leaves, before).unwrap();
    fs::remove_file(place.ledger().join("bookmark")).unwrap();
    round(&place, place.settings(), 1).await;
    let torn = crate::tests::leaves(&place.ledger()).into_iter().find_map(|leaf| match leaf.what {
        Some(What::Torn(torn)) => Some(torn.problem),
        _ => None,
    });
    assert!(torn.unwrap().contains("a checkpoint of 7 leaves was signed, and there are 5"));
    assert!(flaw(&place.ledger()).is_some());
}

#[tokio::test]
async fn a_forged_checkpoint_is_found() {
    let place = Place::new();
    round(&place, place.settings(), 1).await;
    let stranger = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
    let Checkpoint { origin, size, root } = last(&place.ledger()).checkpoint().clone();
    let forged = Checkpoint { origin: origin.clone(), size, root }.sign([&stranger]).unwrap();
    assert!(against(&place.ledger(), &forged).unwrap().problem.contains("forged"));
    let file = place.ledger().join("checkpoints");
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, forged.to_string()).unwrap();
    assert!(flaw(&place.ledger()).unwrap().problem.contains("signature"));
    fs::write(&file, format!("{whole}{whole}")).unwrap();
    assert!(flaw(&place.ledger()).unwrap().problem.contains("no more leaves"));
    fs::write(&file, &whole).unwrap();
    // Another ledger's checkpoint, though good, is not one of this.
    let other = Place::new();
    round(&other, other.settings(), 1).await;
    assert!(against(&place.ledger(), &last(&other.ledger())).unwrap().problem.contains("of the tree"));
}

#[tokio::test]
async fn a_kill_between_leaf_and_checkpoint_loses_nothing() {
    let place = Place::new();
    let mut settings = place.settings();
    // None but the first is due.
    settings.checkpoint_every = std::time::Duration::from_secs(3600);
    let ledger = Ledger::open(settings.clone(), place.clock.clone()).unwrap();
    exchange(&ledger, &place, "one").await;
    let open = opened(&ledger, &*place.clock, "left open").await;
    let killed = Place::new();
    copy(place.root(), killed.root());
    drop(open);
    ledger.close().await.unwrap();
    let before = verified(&killed.ledger(), &Expected::default());
    assert_eq!((before.flaw, before.open), (None, 1));
    assert!(before.covered < before.leaves);
    round(&killed, killed.settings(), 0).await;
    let after = verified(&killed.ledger(), &Expected::default());
    assert_eq!((after.flaw, after.open, after.covered), (None, 0, after.leaves));
    assert!(after.leaves > before.leaves);
}

#[tokio::test]
async fn a_checkpoint_is_made_for_the_asking() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.checkpoint_every = std::time::Duration::from_secs(3600);
    let ledger = Ledger::open(settings, place.clock.clone()).unwrap();
    eventually(|| last_checkpoint(&place.ledger()).unwrap().is_some()).await;
    exchange(&ledger, &place, "one").await;
    let told = ledger.checkpoints();
    for _ in 0..2 {
        ask_for_checkpoint(&place.ledger()).unwrap();
        eventually(|| !is_asked(&place.ledger())).await;
        assert_eq!(last(&place.ledger()).checkpoint().size, 3);
    }
    assert_eq!(told.borrow().as_ref().unwrap().checkpoint().size, 3);
    ledger.close().await.unwrap();
}

#[tokio::test]
async fn checkpoints_come_by_leaves_and_cover_more_and_more() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.checkpoint_leaves = 4;
    let ledger = Ledger::open(settings, place.clock.clone()).unwrap();
    for _ in 0..4 {
        let size = || last_checkpoint(&place.ledger()).unwrap().map_or(0, |last| last.checkpoint().size);
        let before = size();
        while size() <= before {
            exchange(&ledger, &place, "x").await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    ledger.close().await.unwrap();
    let report = verified(&place.ledger(), &Expected::default());
    assert_eq!((&report.flaw, report.covered), (&None, report.leaves));
    assert!(report.checkpoints > 3, "{report:?}");
}

#[tokio::test]
async fn a_rotated_key_is_trusted_by_way_of_the_old_one() {
    let place = Place::new();
    round(&place, place.settings(), 1).await;
    let pinned = |key: &VerifierKey| Expected { checkpoints: vec![], key: Some(key.clone()) };
    let first = verified(&place.ledger(), &Expected::default()).keys[0].key.clone();
    crate::rotate(&place.settings().signing_key).unwrap();
    round(&place, place.settings(), 1).await;
    let report = verified(&place.ledger(), &pinned(&first));
    assert_eq!((report.flaw, report.keys.len()), (None, 2));
    assert!(report.keys[1].handed_over);
    assert_eq!(verified(&place.ledger(), &pinned(&report.keys[1].key)).flaw, None);
    // Whoever loses the key, or steals the folder, gets a new one that nobody vouches for.
    fs::remove_file(place.settings().signing_key).unwrap();
    round(&place, place.settings(), 1).await;
    let report = verified(&place.ledger(), &Expected::default());
    assert_eq!((report.flaw, report.keys.len()), (None, 3));
    assert!(!report.keys[2].handed_over && report.notes[0].contains("hand over"), "{:?}", report.notes);
    assert!(verified(&place.ledger(), &pinned(&first)).flaw.unwrap().problem.contains("hand over"));
    let stranger = VerifierKey::new(first.name(), [4; 32]);
    assert!(
        verified(&place.ledger(), &pinned(&stranger))
            .flaw
            .unwrap()
            .problem
            .contains("no checkpoint that is here")
    );
}

#[tokio::test]
async fn a_key_that_is_only_named_proves_nothing() {
    let place = Place::new();
    round(&place, place.settings(), 1).await;
    let key = verified(&place.ledger(), &Expected::default()).keys[0].key.clone();
    let kept = last(&place.ledger());
    fs::remove_file(place.ledger().join("checkpoints")).unwrap();
    let mut expected = Expected { checkpoints: vec![], key: Some(key) };
    assert!(
        verified(&place.ledger(), &expected).flaw.unwrap().problem.contains("no checkpoint that is here")
    );
    expected.checkpoints.push(kept);
    assert_eq!(verified(&place.ledger(), &expected).flaw, None);
}

#[tokio::test]
async fn an_exchange_is_proven_offline() {
    let place = Place::new();
    let ids = round(&place, place.settings(), 5).await;
    let key = verified(&place.ledger(), &Expected::default()).keys[0].key.clone();
    for id in &ids {
        let proof = Proof::Inclusion(prove_exchange(&place.ledger(), id, None).unwrap());
        let text = proof.to_string();
        let read: Proof = text.parse().unwrap();
        assert_eq!(read, proof);
        let Proven::Included(leaves, checkpoint) = read.check(&key).unwrap() else { panic!() };
        assert_eq!((leaves.len(), checkpoint.size), (2, 11));
        assert!(matches!(leaves[1].1.what, Some(What::Sealed(_))));
        assert!(read.check(&VerifierKey::new(key.name(), [4; 32])).is_err());
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << (at % 7);
            let changed = String::from_utf8(bytes).ok().and_then(|text| text.parse::<Proof>().ok());
            // What is written differently and means the same is no forgery.
            assert!(
                changed.is_none_or(|changed| changed == proof || changed.check(&key).is_err()),
                "byte {at}"
            );
        }
    }
    assert!(matches!(prove_exchange(&place.ledger(), "ffff", None), Err(LedgerError::NotFound { .. })));
    assert!(matches!(prove_exchange(&place.ledger(), "0", None), Err(LedgerError::Ambiguous { .. })));
}

#[tokio::test]
async fn growth_is_proven_offline() {
    let place = Place::new();
    for count in [1, 3, 2] {
        round(&place, place.settings(), count).await;
    }
    let file = fs::File::open(place.ledger().join("checkpoints")).unwrap();
    let kept: Vec<Signed> = Notes::new(std::io::BufReader::new(file)).map(|note| note.unwrap().1).collect();
    let key = verified(&place.ledger(), &Expected::default()).keys[0].key.clone();
    for (at, new) in kept.iter().enumerate() {
        for old in &kept[..=at] {
            let proof = prove_consistency(&place.ledger(), old.clone(), new.clone()).unwrap();
            let read: Proof = Proof::Consistency(Box::new(proof)).to_string().parse().unwrap();
            assert!(matches!(read.check(&key), Ok(Proven::Grown(..))));
        }
    }
    let (old, new) = (kept[0].clone(), kept[kept.len() - 1].clone());
    assert!(prove_consistency(&place.ledger(), new.clone(), old.clone()).is_err());
    let proof = prove_consistency(&place.ledger(), old, new).unwrap();
    let mut swapped = proof.clone();
    std::mem::swap(&mut swapped.old, &mut swapped.new);
    assert!(Proof::Consistency(Box::new(swapped)).check(&key).is_err());
}

proptest::proptest! {
    #[test]
    fn random_text_is_no_proof_and_never_panics(text in "(c2sp.org/tlog-proof@v1\n|portcullis/consistency-proof@v1\n)?[ -~\n\u{2014}]{0,300}") {
        let _ = text.parse::<Proof>();
    }
}
