//! Bodies that are not there any more, and what the record says of it.

use jiff::Timestamp;
use prost::Message;
use sqlx::Row;

use crate::LedgerError;
use crate::index::{number, unsigned};
use crate::leaf::{Leaf, What};
use crate::reader::{Exchange, Reader};
use crate::segment::Series;

/// A segment with bodies of an exchange that is not there any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The segment.
    pub segment: u64,
    /// What the record says; `None` if nothing: somebody else removed it.
    pub dropped: Option<WhyGone>,
}

/// What the record says of a segment that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyGone {
    /// When.
    pub at: Timestamp,
    /// By which rule: `age` or `size`,
    pub rule: String,
    /// and in a sentence.
    pub reason: String,
}

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.dropped {
            Some(why) => {
                write!(f, "its body was dropped on {:.0} by the rule `{}`: {}", why.at, why.rule, why.reason)
            }
            None => write!(f, "its body is missing, and no leaf says why: run `portcullis audit verify`"),
        }
    }
}

impl Reader {
    /// The segments with bodies of a shown exchange that are not there any more; none if all are.
    ///
    /// # Errors
    /// [`LedgerError`] when the index cannot be read.
    pub async fn gone(&self, shown: &Exchange) -> Result<Vec<Gone>, LedgerError> {
        let Some(span) = shown.bodies.as_ref().filter(|span| !span.class.is_empty()) else {
            return Ok(Vec::new());
        };
        let series = Series::bodies(self.dir(), &span.class);
        let there = series.numbers().map_err(|error| LedgerError::file("list", &series.dir, error))?;
        let last = span.end_segment.min(span.first_segment.saturating_add(1 << 20));
        let missing: Vec<u64> = (span.first_segment.max(1)..=last)
            .filter(|number| there.binary_search(number).is_err())
            .collect();
        let mut gone: Vec<Gone> =
            missing.into_iter().map(|segment| Gone { segment, dropped: None }).collect();
        if gone.is_empty() {
            return Ok(gone);
        }
        let rows = sqlx::query(
            "SELECT segment, time, rule, reason FROM dropped WHERE class = ? AND segment BETWEEN ? AND ?",
        )
        .bind(&span.class)
        .bind(number(span.first_segment))
        .bind(number(last))
        .fetch_all(&self.index.pool)
        .await
        .map_err(|error| LedgerError::Index { cause: error.to_string() })?;
        let mut say = |segment: u64, at: i64, rule: String, reason: String| {
            let at = Timestamp::from_nanosecond(i128::from(at)).unwrap_or_default();
            if let Some(gone) = gone.iter_mut().find(|gone| gone.segment == segment) {
                gone.dropped = Some(WhyGone { at, rule, reason });
            }
        };
        for row in rows {
            say(unsigned(row.get(0)), row.get(1), row.get(2), row.get(3));
        }
        let (from, _) = self.index.place().await?;
        let mut tail = self.leaves(from);
        while let Ok(Some((_, frame))) = tail.next() {
            if let Ok(Leaf { time, what: Some(What::Dropped(dropped)), .. }) =
                Leaf::decode(frame.payload.as_slice())
                && dropped.class == span.class
            {
                say(dropped.segment, time, dropped.rule, dropped.reason);
            }
        }
        Ok(gone)
    }
}
