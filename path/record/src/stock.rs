//! What the ledger takes on the disk, class by class, as an operator sees it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::segment::{Family, Series};

/// One series of segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassStock {
    /// The retention class; `leaves` for the leaves.
    pub class: String,
    /// Segments that are there,
    pub segments: u64,
    /// of them compressed ones.
    pub compressed: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// When the oldest was begun.
    pub oldest: Option<Timestamp>,
    /// When one was dropped last, since the start.
    pub last_drop: Option<Timestamp>,
}

/// All series, as the keeper saw them last.
#[derive(Debug, Default)]
pub(crate) struct Stock(Mutex<(Vec<ClassStock>, BTreeMap<String, Timestamp>)>);

impl Stock {
    /// Looks at a series.
    pub(crate) fn look(series: &Series) -> ClassStock {
        let numbers = series.numbers().unwrap_or_default();
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let oldest = numbers.iter().find_map(|number| series.header(*number).ok());
        ClassStock {
            class: if series.family == Family::Leaves { "leaves".to_owned() } else { series.class.clone() },
            segments: count(numbers.len()),
            compressed: count(numbers.iter().filter(|number| series.packed_path(**number).exists()).count()),
            bytes: numbers.iter().fold(0u64, |sum, number| sum.saturating_add(series.stored(*number))),
            oldest: oldest.and_then(|h| Timestamp::from_nanosecond(i128::from(h.created)).ok()),
            last_drop: None,
        }
    }

    /// Takes what was seen, and shows it as metrics.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is no account")]
    pub(crate) fn set(&self, seen: Vec<ClassStock>) {
        for class in &seen {
            let labels = [("class", class.class.clone())];
            metrics::gauge!("portcullis_ledger_segments", &labels).set(class.segments as f64);
            metrics::gauge!("portcullis_ledger_stored_bytes", &labels).set(class.bytes as f64);
            if let Some(oldest) = class.oldest {
                metrics::gauge!("portcullis_ledger_oldest_seconds", &labels).set(oldest.as_second() as f64);
            }
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = seen;
    }

    /// A segment was dropped.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is no account")]
    pub(crate) fn dropped(&self, class: &str, now: Timestamp) {
        let labels = [("class", class.to_owned())];
        metrics::gauge!("portcullis_ledger_last_drop_seconds", &labels).set(now.as_second() as f64);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.insert(class.to_owned(), now);
    }

    /// What was seen last.
    pub(crate) fn get(&self) -> Vec<ClassStock> {
        let stock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, dropped) = &*stock;
        let dropped = |class: &ClassStock| dropped.get(&class.class).copied();
        seen.iter().map(|class| ClassStock { last_drop: dropped(class), ..class.clone() }).collect()
    }
}
