//! Whatever happens to a ledger, in whatever order: it verifies, and what is kept reads back the same.

use proptest::prelude::*;

use super::keeping::{DAY, Kept, by_age, dropped, own};
use super::*;
use crate::{HoldFilter, Policy, Retention, audit};

#[derive(Clone, Debug)]
enum Step {
    Exchange(bool, usize),
    Wait(u32),
    Round,
    Restart,
    Hold,
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), 0..3000usize).prop_map(|(short, bytes)| Step::Exchange(short, bytes)),
        2 => (1..9u32).prop_map(Step::Wait),
        3 => Just(Step::Round),
        1 => Just(Step::Restart),
        1 => Just(Step::Hold),
        1 => Just(Step::Release),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_happens_it_verifies_and_what_is_kept_reads_the_same(
        steps in proptest::collection::vec(step(), 1..40),
        size in prop_oneof![Just(None), Just(Some(200_000u64))],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut retention = own(Policy { age: Some(DAY * 9), size }, "short", by_age(2));
            retention.compress_after = Some(DAY);
            let mut kept = Kept::new(retention);
            let mut holds = Vec::new();
            for step in steps {
                match step {
                    Step::Exchange(short, bytes) => {
                        kept.exchange("ada", if short { "short" } else { "llama" }, bytes).await;
                    }
                    Step::Wait(days) => kept.clock.advance(DAY * days),
                    Step::Round => kept.keeper.round().await,
                    Step::Restart => kept = kept.restart().await,
                    Step::Hold => {
                        let since = Some(kept.clock.now());
                        let filter = HoldFilter { since, ..HoldFilter::default() };
                        holds.push(kept.ledger.hold(&filter, "why", "carol").await.unwrap());
                    }
                    Step::Release => {
                        if let Some(hold) = holds.pop() {
                            kept.ledger.release(hold.id, "over", "carol").await.unwrap();
                        }
                    }
                }
            }
            let (_, gone) = kept.read_all().await;
            let held = |id: &ExchangeId| holds.iter().any(|hold| {
                let arrived = leaves(&kept.place.ledger()).into_iter().find_map(|leaf| match leaf.what {
                    Some(What::Opened(opened)) if opened.exchange == id.as_bytes() => Some(opened.arrived),
                    _ => None,
                });
                arrived >= hold.filter.since.map(crate::describe::nanoseconds)
            });
            assert!(!gone.iter().any(held));
            kept.ledger.close().await.unwrap();
        });
    }
}

/// A power cut may take the mark of a drop and leave its leaf and the file: then it is dropped once more.
#[tokio::test]
async fn a_segment_that_was_dropped_twice_is_counted_once() {
    let mut kept = Kept::new(Retention { default: by_age(2), ..Retention::default() });
    for _ in 0..8 {
        kept.exchange("eve", "llama", 900).await;
    }
    kept.clock.advance(DAY * 9);
    kept.ledger.leaf(dropped("default", 1, "age")).await.unwrap();
    kept.keeper.round().await;
    let said = leaves(&kept.place.ledger()).into_iter().filter_map(|leaf| match leaf.what {
        Some(What::Dropped(dropped)) => Some(dropped.segment),
        _ => None,
    });
    let said: Vec<u64> = said.collect();
    assert_eq!(said.iter().filter(|segment| **segment == 1).count(), 2);
    let report = kept.verify();
    assert_eq!(report.flaw, None);
    let counted: u64 = report.drops.sums.values().map(|(segments, ..)| segments).sum();
    assert_eq!(counted, u64::try_from(said.len() - 1).unwrap());
    let tally = audit::tally(&kept.place.ledger(), (Timestamp::MIN, Timestamp::MAX), &mut |_, _| ()).unwrap();
    assert_eq!(tally.dropped_in_all, counted);
}
