//! Retention: what is dropped is due, is held by nobody, and is told; what is kept reads back the same.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::sync::Mutex;

use model::FixedClock;

use super::recovery::copy;
use super::*;
use crate::audit::{Expected, Report, verify};
use crate::disk::{Disk, RealDisk};
use crate::keeper::Keeper;
use crate::leaf::Dropped;
use crate::{Filter, HoldFilter, Indexing, Policy, Reader, Retention};

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// A ledger whose clock stands, and whose keeper works only when it is told to.
pub(super) struct Kept {
    pub(super) place: Place,
    pub(super) clock: Arc<FixedClock>,
    settings: Settings,
    pub(super) ledger: Ledger,
    pub(super) keeper: Keeper,
    said: HashMap<ExchangeId, Vec<u8>>,
}

fn keeper(ledger: &Ledger, settings: &Settings, disk: Arc<dyn Disk>) -> Keeper {
    let inner = &ledger.0;
    Keeper {
        dir: settings.dir.clone(),
        retention: Retention { pace: u64::MAX, ..settings.retention.clone() },
        clock: inner.clock.clone(),
        disk,
        ledger: Arc::downgrade(inner),
        status: inner.status.clone(),
        written: inner.written.clone(),
        survey: None,
    }
}

impl Kept {
    pub(super) fn new(retention: Retention) -> Self {
        let clock = Arc::new(FixedClock::at("2026-03-01T00:00:00Z".parse().unwrap()));
        let place = Place { clock: clock.clone(), ..Place::new() };
        let mut settings = place.settings();
        settings.retention = Retention { pace: 0, ..retention };
        settings.segment_bytes = 2048;
        let ledger = Ledger::open(settings.clone(), clock.clone()).unwrap();
        let keeper = keeper(&ledger, &settings, Arc::new(RealDisk));
        Self { place, clock, settings, ledger, keeper, said: HashMap::new() }
    }

    pub(super) async fn restart(self) -> Self {
        self.ledger.close().await.unwrap();
        let ledger = Ledger::open(self.settings.clone(), self.clock.clone()).unwrap();
        let keeper = keeper(&ledger, &self.settings, Arc::new(RealDisk));
        Self { ledger, keeper, ..self }
    }

    /// One whole exchange of `subject` with `resource`, answered by so many bytes.
    pub(super) async fn exchange(&mut self, subject: &str, resource: &str, bytes: usize) -> ExchangeId {
        let mut case = case(&*self.clock, subject, "ask");
        case.resource = ResourceName::new(resource).unwrap();
        let mut record = self.ledger.open_exchange(case.opening()).await.unwrap();
        let answer: Vec<u8> = case.exchange.as_bytes().iter().cycle().take(bytes).copied().collect();
        put(&mut record, data(answer.clone())).await.unwrap();
        complete(record).await.unwrap();
        self.said.insert(case.exchange, answer);
        case.exchange
    }

    pub(super) fn verify(&self) -> Report {
        verify(&self.place.ledger(), &Expected::default(), &mut |_, _| ()).unwrap()
    }

    fn numbers(&self, class: &str) -> Vec<u64> {
        Series::bodies(&self.place.ledger(), class).numbers().unwrap()
    }

    /// Which exchanges are whole, which are gone in part at least; the ledger verifies.
    pub(super) async fn read_all(&self) -> (BTreeSet<ExchangeId>, BTreeSet<ExchangeId>) {
        let report = self.verify();
        assert_eq!(report.flaw, None);
        let reader = Reader::open(&self.place.ledger()).await.unwrap();
        let (mut kept, mut gone) = (BTreeSet::new(), BTreeSet::new());
        for (id, said) in &self.said {
            let shown = reader.show(*id).await.unwrap();
            let missing = reader.gone(&shown).await.unwrap();
            assert!(missing.iter().all(|gone| gone.dropped.is_some()), "{missing:?}");
            if missing.is_empty() {
                let frames = reader.frames(*id, &shown).map(Result::unwrap);
                let answer = frames.filter(|f| f.direction() == crate::body::Direction::Response);
                let read: Vec<u8> = answer.flat_map(|frame| frame.data.to_vec()).collect();
                assert_eq!(&read, said);
                reader.check(*id, &shown).unwrap();
                kept.insert(*id);
            } else {
                gone.insert(*id);
            }
        }
        (kept, gone)
    }
}

pub(super) fn by_age(days: u32) -> Policy {
    Policy { age: Some(DAY * days), size: None }
}

pub(super) fn own(default: Policy, resource: &str, policy: Policy) -> Retention {
    let resources = BTreeMap::from([(resource.to_owned(), policy)]);
    Retention { default, resources, ..Retention::default() }
}

#[tokio::test]
async fn what_is_old_goes_resource_by_resource() {
    let mut kept = Kept::new(own(by_age(30), "short", by_age(3)));
    let short = kept.exchange("ada", "short", 500).await;
    let long = kept.exchange("ada", "llama", 500).await;
    assert_eq!(kept.numbers("short"), [1]);
    kept.clock.advance(DAY);
    // Ends the segments that have lasted long enough.
    let last = kept.exchange("ada", "short", 10).await;
    kept.keeper.round().await;
    assert_eq!(kept.read_all().await.1, BTreeSet::new());
    kept.clock.advance(DAY * 3);
    kept.keeper.round().await;
    assert_eq!(kept.read_all().await, (BTreeSet::from([long, last]), BTreeSet::from([short])));
    let report = kept.verify();
    let drops = report.drops.segments;
    assert_eq!((drops.len(), drops[0].class.as_str(), drops[0].rule.as_str()), (1, "short", "age"));
    assert_eq!((drops[0].exchanges, drops[0].segment), (1, 1));
    let reader = Reader::open(&kept.place.ledger()).await.unwrap();
    let gone = reader.gone(&reader.show(short).await.unwrap()).await.unwrap();
    assert!(gone[0].to_string().contains("dropped on 2026-03-05"), "{}", gone[0]);
    // All this is in the leaves: an index that is made anew knows it too.
    crate::rebuild_index(&kept.place.ledger(), |_, _| ()).await.unwrap();
    let kept = kept.restart().await;
    assert_eq!(kept.read_all().await.1, BTreeSet::from([short]));
}

#[tokio::test]
async fn a_segment_ends_with_time_although_nothing_comes() {
    let mut kept = Kept::new(Retention { default: by_age(10), ..Retention::default() });
    let only = kept.exchange("ada", "llama", 100).await;
    kept.clock.advance(DAY);
    // The writer's thread sees it by itself.
    eventually(|| kept.numbers("default") == [1, 2]).await;
    kept.clock.advance(DAY * 10);
    kept.keeper.round().await;
    assert_eq!(kept.numbers("default"), [2]);
    assert_eq!(kept.read_all().await.1, BTreeSet::from([only]));
}

#[tokio::test]
async fn what_is_too_much_goes_oldest_first_and_frees_the_disk() {
    let policy = Policy { age: None, size: Some(1 << 20) };
    let retention = Retention { default: policy, compress_after: None, ..Retention::default() };
    let mut kept = Kept::new(retention);
    kept.settings.segment_bytes = 256 << 20;
    let mut kept = kept.restart().await;
    let mut all = Vec::new();
    for _ in 0..30 {
        all.push(kept.exchange("ada", "llama", 100 << 10).await);
        kept.clock.advance(Duration::from_secs(1));
    }
    kept.keeper.round().await;
    let taken: u64 = kept
        .numbers("default")
        .iter()
        .map(|n| Series::bodies(&kept.place.ledger(), "default").stored(*n))
        .sum();
    assert!(taken <= 1 << 20 && taken > 700 << 10, "{taken}");
    let (whole, gone) = kept.read_all().await;
    assert!(gone.len() > 15 && whole.len() > 5);
    assert!(whole.contains(all.last().unwrap()) && gone.contains(&all[0]));
    assert_eq!(kept.verify().drops.sums.keys().next().unwrap().1, "size");
    let stock = kept.ledger.health().stock;
    let class = stock.iter().find(|class| class.class == "default").unwrap();
    assert_eq!(class.bytes, taken);
    assert!(class.last_drop.is_some() && class.oldest.is_some());
}

#[tokio::test]
async fn closed_segments_are_compressed_and_read_the_same() {
    let mut kept = Kept::new(Retention::default());
    for _ in 0..12 {
        kept.exchange("ada", "llama", 900).await;
    }
    let reader = Reader::open(&kept.place.ledger()).await.unwrap();
    let first = *kept.said.keys().min().unwrap();
    let shown = reader.show(first).await.unwrap();
    let mut frames = reader.frames(first, &shown);
    let mut begun = vec![frames.next().unwrap().unwrap()];
    kept.clock.advance(Duration::from_secs(3600));
    kept.keeper.round().await;
    // One who read meanwhile reads on.
    begun.extend(frames.map(Result::unwrap));
    assert_eq!(begun, reader.frames(first, &shown).map(Result::unwrap).collect::<Vec<_>>());
    for series in [Series::leaves(&kept.place.ledger()), Series::bodies(&kept.place.ledger(), "default")] {
        let numbers = series.numbers().unwrap();
        let (last, closed) = numbers.split_last().unwrap();
        assert!(closed.len() > 2 && series.path(*last).exists() && !series.packed_path(*last).exists());
        assert!(closed.iter().all(|n| series.packed_path(*n).exists() && !series.path(*n).exists()));
    }
    assert_eq!(kept.read_all().await.0.len(), 12);
    // Neither a bookmark nor an index is needed for it.
    let mut kept = kept.restart().await;
    fs::remove_file(kept.place.ledger().join("bookmark")).unwrap();
    kept = kept.restart().await;
    kept.exchange("ada", "llama", 10).await;
    crate::rebuild_index(&kept.place.ledger(), |_, _| ()).await.unwrap();
    assert_eq!(kept.read_all().await.0.len(), 13);
    let report = kept.verify();
    assert_eq!(report.exchanges, 13);
}

#[tokio::test]
async fn what_is_changed_in_a_compressed_segment_is_found() {
    let mut kept = Kept::new(Retention::default());
    for _ in 0..6 {
        kept.exchange("ada", "llama", 900).await;
    }
    kept.clock.advance(Duration::from_secs(3600));
    kept.keeper.round().await;
    for series in [Series::leaves(&kept.place.ledger()), Series::bodies(&kept.place.ledger(), "default")] {
        let path = series.packed_path(1);
        let whole = fs::read(&path).unwrap();
        for at in [whole.len() / 3, whole.len() - 3] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            let flaw = kept.verify().flaw.unwrap();
            assert_eq!((flaw.segment, flaw.file.to_str().unwrap().ends_with(".seg.zst")), (Some(1), true));
        }
        fs::write(&path, &whole).unwrap();
        fs::rename(&path, path.with_extension("away")).unwrap();
        assert!(kept.verify().flaw.unwrap().problem.contains("missing"));
        fs::rename(path.with_extension("away"), &path).unwrap();
    }
    assert_eq!(kept.verify().flaw, None);
}

#[tokio::test]
async fn what_is_held_stays_over_restarts_until_it_is_released() {
    let mut kept = Kept::new(Retention { default: by_age(1), ..Retention::default() });
    let before = kept.exchange("eve", "llama", 900).await;
    let other = kept.exchange("ada", "llama", 1900).await;
    let filter = HoldFilter { caller: Some("eve@example.test".into()), ..HoldFilter::default() };
    assert!(kept.ledger.hold(&filter, " ", "carol").await.is_err(), "a reason is needed");
    assert!(kept.ledger.hold(&HoldFilter::default(), "all", "carol").await.is_err());
    let hold = kept.ledger.hold(&filter, "case 12", "carol").await.unwrap();
    let after = kept.exchange("eve", "llama", 900).await;
    kept.exchange("ada", "llama", 900).await;
    let mut kept = kept.restart().await;
    let held = std::slice::from_ref(&hold);
    assert_eq!(kept.ledger.holds(), held);
    assert_eq!(crate::holds(&kept.place.ledger()).unwrap(), held);
    kept.exchange("ada", "llama", 900).await;
    kept.clock.advance(DAY * 5);
    kept.keeper.round().await;
    let (whole, gone) = kept.read_all().await;
    assert!(whole.contains(&before) && whole.contains(&after) && gone.contains(&other), "{whole:?} {gone:?}");
    kept.ledger.release(hold.id, "case 12 is closed", "carol").await.unwrap();
    assert!(matches!(
        kept.ledger.release(hold.id, "again", "carol").await,
        Err(LedgerError::NotFound { .. })
    ));
    let mut kept = kept.restart().await;
    assert_eq!(kept.ledger.holds(), []);
    kept.keeper.round().await;
    let (whole, _) = kept.read_all().await;
    assert!(!whole.contains(&before) && !whole.contains(&after));
    let said =
        leaves(&kept.place.ledger()).into_iter().filter(|leaf| matches!(leaf.what, Some(What::Hold(_))));
    assert_eq!(said.count(), 2, "placed and released, both recorded");
}

pub(super) fn dropped(class: &str, segment: u64, rule: &str) -> What {
    What::Dropped(Dropped { class: class.into(), segment, rule: rule.into(), ..Dropped::default() })
}

#[tokio::test]
async fn what_no_rule_allowed_is_found_although_a_leaf_says_it() {
    for (rule, days, told) in
        [("age", 0, "it was kept"), ("size", 9, "size drops nothing"), ("", 9, "there is no rule")]
    {
        let mut kept = Kept::new(Retention { default: by_age(2), ..Retention::default() });
        for _ in 0..4 {
            kept.exchange("eve", "llama", 900).await;
        }
        kept.clock.advance(DAY * days);
        kept.ledger.leaf(dropped("default", 1, rule)).await.unwrap();
        fs::remove_file(Series::bodies(&kept.place.ledger(), "default").path(1)).unwrap();
        let flaw = kept.verify().flaw.unwrap();
        assert!(flaw.problem.contains(told) && flaw.leaf.is_some(), "{flaw}");
    }
    let mut kept = Kept::new(Retention { default: by_age(2), ..Retention::default() });
    for _ in 0..4 {
        kept.exchange("eve", "llama", 900).await;
    }
    let filter = HoldFilter { resource: Some("llama".into()), ..HoldFilter::default() };
    kept.ledger.hold(&filter, "case 12", "carol").await.unwrap();
    kept.clock.advance(DAY * 9);
    kept.ledger.leaf(dropped("default", 1, "age")).await.unwrap();
    assert!(kept.verify().flaw.unwrap().problem.contains("a hold was on it: case 12"));
}

#[tokio::test]
async fn a_kill_between_the_leaf_and_the_file_is_made_up_for() {
    let mut kept = Kept::new(Retention { default: by_age(2), ..Retention::default() });
    for _ in 0..8 {
        kept.exchange("eve", "llama", 900).await;
    }
    let series = Series::bodies(&kept.place.ledger(), "default");
    kept.clock.advance(DAY * 9);
    // Killed after the leaf; and before another one.
    for number in [1, 2] {
        fs::write(series.dir.join(format!("{number:08}.drop")), "").unwrap();
    }
    kept.ledger.leaf(dropped("default", 1, "age")).await.unwrap();
    assert_eq!(kept.verify().flaw, None, "the file is still there");
    let killed = Place::new();
    copy(kept.place.root(), killed.root());
    kept.ledger.close().await.unwrap();
    let mut settings = kept.settings.clone();
    settings.dir = killed.ledger();
    let ledger = Ledger::open(settings.clone(), kept.clock.clone()).unwrap();
    let mut again = keeper(&ledger, &settings, Arc::new(RealDisk));
    again.retention.default = Policy::default();
    again.round().await;
    let series = Series::bodies(&killed.ledger(), "default");
    assert_eq!(series.numbers().unwrap()[0], 2);
    assert!(!series.dir.join("00000001.drop").exists() && !series.dir.join("00000002.drop").exists());
    assert_eq!(verify(&killed.ledger(), &Expected::default(), &mut |_, _| ()).unwrap().flaw, None);
}

#[tokio::test]
async fn an_open_exchange_keeps_its_segments() {
    let mut kept = Kept::new(Retention { default: by_age(1), ..Retention::default() });
    let mut record = opened(&kept.ledger, &*kept.clock, "held for a long time").await;
    for _ in 0..6 {
        kept.exchange("eve", "llama", 900).await;
    }
    kept.clock.advance(DAY * 9);
    kept.keeper.round().await;
    assert!(kept.numbers("default").contains(&1));
    put(&mut record, data("late")).await.unwrap();
    complete(record).await.unwrap();
    assert_eq!(kept.verify().flaw, None);
    kept.keeper.round().await;
    assert!(!kept.numbers("default").contains(&1));
    assert_eq!(kept.verify().flaw, None);
}

#[tokio::test]
async fn words_go_with_the_bodies_they_stood_in() {
    let mut kept = Kept::new(Retention { default: by_age(2), ..Retention::default() });
    kept.settings.indexing = Indexing { full_text: true, ..Indexing::default() };
    let kept = kept.restart().await;
    let mut said = Vec::new();
    for words in ["the quetzal lives here", "a heron stands there"] {
        let case = case(&*kept.clock, "ada", words);
        let record = kept.ledger.open_exchange(case.opening()).await.unwrap();
        said.push(record.exchange());
        complete(record).await.unwrap();
        kept.clock.advance(DAY);
    }
    let mut kept = kept.restart().await;
    let dir = kept.place.ledger();
    let finds = |text: &'static str| {
        let dir = dir.clone();
        async move {
            let filter = Filter { text: Some(text.to_owned()), ..Filter::default() };
            let found = Reader::open(&dir).await.unwrap().list(&filter).await.unwrap().exchanges;
            found.iter().map(|line| line.exchange).collect::<Vec<_>>()
        }
    };
    crate::rebuild_index_as(&dir, Some(kept.settings.indexing), |_, _| ()).await.unwrap();
    assert_eq!(finds("quetzal").await, [said[0]]);
    kept.clock.advance(DAY + DAY / 2);
    kept.keeper.round().await;
    assert_eq!((finds("quetzal").await, finds("heron").await), (vec![], vec![said[1]]));
    // No trace of them is left in the file either.
    let kept = kept.restart().await;
    kept.ledger.close().await.unwrap();
    let stands = |name: &str, word: &str| {
        let file = fs::read(dir.join(name)).unwrap_or_default();
        file.windows(word.len()).any(|bytes| bytes == word.as_bytes())
    };
    assert!(!stands("index.sqlite", "quetzal") && stands("index.sqlite", "heron"));
}

#[tokio::test]
async fn an_auditor_is_told_what_happened_in_a_stretch_of_time() {
    let mut kept = Kept::new(Retention { default: by_age(1), ..Retention::default() });
    let begin = kept.clock.now();
    for _ in 0..3 {
        kept.exchange("ada", "llama", 1500).await;
    }
    kept.exchange("eve", "other", 10).await;
    kept.clock.advance(DAY * 3);
    let middle = kept.clock.now();
    let filter = HoldFilter { caller: Some("eve".into()), ..HoldFilter::default() };
    kept.ledger.hold(&filter, "case 12", "carol").await.unwrap();
    kept.exchange("eve", "other", 10).await;
    kept.keeper.round().await;
    kept.clock.advance(DAY);
    let tally = |from, to| crate::audit::tally(&kept.place.ledger(), (from, to), &mut |_, _| ()).unwrap();
    let first = tally(begin, middle);
    let uses: Vec<_> =
        first.uses.iter().map(|row| (row.caller.as_str(), row.exchanges, row.completed)).collect();
    assert_eq!(uses, [("https://issuer.test#ada", 3, 3), ("https://issuer.test#eve", 1, 1)]);
    assert_eq!((first.uses[0].bytes, first.uses[0].tokens, first.uses[0].masked), (4500, (9, 15), 6));
    assert_eq!(first.classes[0].answers, (8, 0));
    assert_eq!((first.exchanges, first.dropped_in_all, first.holds.len()), (4, 0, 0));
    let second = tally(middle, kept.clock.now());
    assert_eq!((second.exchanges, second.holds.len()), (1, 1));
    assert!(second.dropped_in_all > 0 && second.dropped[0].class == "default");
    assert_eq!(second.leaves.unwrap().0, first.leaves.unwrap().1 + 1);
    assert_eq!(second.rules[0].age, Some(86400));
}

/// A disk on which nothing new fits in compressed files.
struct Full(Mutex<bool>);

impl Disk for Full {
    fn create(&self, path: &Path) -> io::Result<File> {
        RealDisk.create(path)
    }

    fn write(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if *self.0.lock().unwrap() {
            RealDisk.write(file, offset, &bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        RealDisk.write(file, offset, bytes)
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        RealDisk.truncate(file, length)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        RealDisk.sync(file)
    }
}

#[tokio::test]
async fn a_full_disk_leaves_segments_as_they_are() {
    let mut kept = Kept::new(Retention::default());
    for _ in 0..6 {
        kept.exchange("ada", "llama", 900).await;
    }
    kept.clock.advance(Duration::from_secs(3600));
    let disk = Arc::new(Full(Mutex::new(true)));
    kept.keeper.disk = disk.clone();
    kept.keeper.round().await;
    let dir = Series::bodies(&kept.place.ledger(), "default").dir;
    let names = || fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names().all(|name| name.ends_with(".seg")), "{:?}", names().collect::<Vec<_>>());
    assert_eq!(kept.read_all().await.0.len(), 6);
    *disk.0.lock().unwrap() = false;
    kept.keeper.round().await;
    assert!(names().filter(|name| name.ends_with(".seg.zst")).count() > 1);
    assert_eq!(kept.read_all().await.0.len(), 6);
    // Killed before the plain one was removed, and while another was being written.
    let series = Series::bodies(&kept.place.ledger(), "default");
    let plain = zstd::stream::decode_all(File::open(series.packed_path(1)).unwrap()).unwrap();
    fs::write(series.path(1), &plain).unwrap();
    fs::write(series.path(2), &plain).unwrap();
    kept.keeper.round().await;
    assert!(!series.path(1).exists() && series.packed_path(1).exists());
    assert!(series.path(2).exists() && series.packed_path(2).exists(), "what differs is not thrown away");
}

#[tokio::test]
async fn nothing_moves_while_a_copy_is_taken() {
    let mut kept = Kept::new(Retention { default: by_age(1), ..Retention::default() });
    // By the file's time, which is the machine's.
    let machine = SystemClock::default();
    kept.clock.set(machine.now());
    for _ in 0..6 {
        kept.exchange("ada", "llama", 900).await;
    }
    kept.keeper.retention.compress_after = Some(Duration::ZERO);
    kept.keeper.retention.default = Policy { age: Some(Duration::ZERO), size: None };
    let still = kept.place.ledger().join("still");
    fs::write(&still, "").unwrap();
    let before = kept.numbers("default");
    kept.keeper.round().await;
    assert_eq!(kept.numbers("default"), before);
    assert!(Series::leaves(&kept.place.ledger()).path(1).exists());
    // One that was forgotten does not stop it for ever.
    kept.clock.advance(DAY * 2);
    kept.keeper.round().await;
    assert!(!kept.numbers("default").contains(&1) && !Series::leaves(&kept.place.ledger()).path(1).exists());
}
