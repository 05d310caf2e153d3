//! Whether what was dropped was allowed to be: by the rules that the record held then, and by no hold.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use model::hex;
use serde::Serialize;

use crate::hold::Survey;
use crate::leaf::{Dropped, Hold, Span, What};
use crate::retention::Standing;

/// A segment that was dropped, as its leaf says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DroppedSegment {
    /// The leaf that says so.
    pub leaf: u64,
    /// When it was written.
    pub at: Option<Timestamp>,
    /// The retention class.
    pub class: String,
    /// The segment.
    pub segment: u64,
    /// `age` or `size`,
    pub rule: String,
    /// and in a sentence.
    pub reason: String,
    /// How many exchanges had frames in it.
    pub exchanges: u64,
    /// Bytes it held.
    pub bytes: u64,
    /// SHA-256 of them, in hex; empty if they could not be read.
    pub sha256: String,
}

impl DroppedSegment {
    /// What the leaf at `leaf`, written at `time` (nanoseconds since 1970), says.
    pub(super) fn of(leaf: u64, time: i64, dropped: &Dropped) -> Self {
        Self {
            leaf,
            at: Timestamp::from_nanosecond(i128::from(time)).ok(),
            class: dropped.class.clone(),
            segment: dropped.segment,
            rule: dropped.rule.clone(),
            reason: dropped.reason.clone(),
            exchanges: dropped.exchanges,
            bytes: dropped.bytes,
            sha256: hex(&dropped.sha256),
        }
    }
}

/// What was dropped, in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// Segments, exchanges and bytes, by class and rule.
    pub sums: BTreeMap<(String, String), (u64, u64, u64)>,
    /// The first thousand.
    pub segments: Vec<DroppedSegment>,
    /// Those that no rule allowed, and why: the leaf that says they were dropped. The first hundred.
    pub disallowed: Vec<(u64, String)>,
}

/// What leaves say of the segments of one class.
#[derive(Default)]
struct Class {
    /// How far each goes that was not dropped, and when the last leaf that ends in it was written.
    segments: BTreeMap<u64, (u64, i64)>,
}

/// Follows rules, holds and drops, leaf by leaf.
#[derive(Default)]
pub(super) struct Kept {
    standing: Standing,
    classes: HashMap<String, Class>,
    /// Every hold there ever was, with the leaf that began it and the one that ended it.
    holds: Vec<(Hold, u64, u64)>,
    dropped: Vec<(String, u64, u64)>,
    /// Segments that are counted already: one that was still there after a power cut is dropped once more.
    counted: HashSet<(String, u64)>,
    pub(super) drops: Drops,
}

impl Kept {
    /// The next leaf, written at `time`.
    pub(super) fn take(&mut self, leaf: u64, time: i64, span: &Span, what: &What) {
        if !span.class.is_empty() {
            if !self.classes.contains_key(&span.class) {
                self.classes.insert(span.class.clone(), Class::default());
            }
            if let Some(class) = self.classes.get_mut(&span.class) {
                class.segments.insert(span.end_segment, (span.end_offset, time));
            }
        }
        match what {
            What::Dropped(dropped) => self.dropped(leaf, time, dropped),
            What::Hold(hold) if hold.released => {
                for (_, _, until) in self.holds.iter_mut().filter(|(held, ..)| held.id == hold.id) {
                    *until = leaf;
                }
            }
            What::Hold(hold) => self.holds.push((hold.clone(), leaf, u64::MAX)),
            _ => {}
        }
        self.standing.take(what);
    }

    fn dropped(&mut self, leaf: u64, time: i64, dropped: &Dropped) {
        let problem = self.problem(time, dropped);
        if let Some(class) = self.classes.get_mut(&dropped.class) {
            class.segments.remove(&dropped.segment);
        }
        self.dropped.push((dropped.class.clone(), dropped.segment, leaf));
        if let Some(problem) = problem {
            self.disallow(leaf, dropped, &problem);
        }
        if !self.counted.insert((dropped.class.clone(), dropped.segment)) {
            return;
        }
        let sum = self.drops.sums.entry((dropped.class.clone(), dropped.rule.clone())).or_default();
        sum.0 = sum.0.saturating_add(1);
        sum.1 = sum.1.saturating_add(dropped.exchanges);
        sum.2 = sum.2.saturating_add(dropped.bytes);
        if self.drops.segments.len() < 1000 {
            self.drops.segments.push(DroppedSegment::of(leaf, time, dropped));
        }
    }

    fn disallow(&mut self, leaf: u64, dropped: &Dropped, problem: &str) {
        if self.drops.disallowed.len() < 100 {
            let text =
                format!("segment {} of `{}` was dropped, and {problem}", dropped.segment, dropped.class);
            self.drops.disallowed.push((leaf, text));
        }
    }

    /// Why the rules did not allow it, if they did not.
    fn problem(&self, time: i64, dropped: &Dropped) -> Option<String> {
        let rule = self.standing.retention.as_ref().and_then(|retention| retention.rule(&dropped.class));
        let Some(rule) = rule else { return Some("no rule was recorded".to_owned()) };
        let class = self.classes.get(&dropped.class);
        match dropped.rule.as_str() {
            "age" if rule.age <= 0 => Some("age drops nothing in its class".to_owned()),
            "age" => {
                let last = class.and_then(|class| class.segments.get(&dropped.segment));
                let last = last.map_or(dropped.closed_at, |(_, last)| *last);
                let kept = time.saturating_sub(last);
                // A clock that was set back between the last leaf and the next segment is no offence.
                let short = kept < rule.age.saturating_sub(rule.age / 100);
                short.then(|| format!("it was kept {:?}, not {:?}", nanos(kept), nanos(rule.age)))
            }
            "size" if rule.size == 0 => Some("size drops nothing in its class".to_owned()),
            "size" if dropped.total <= rule.size => {
                Some(format!("its class took {} bytes and may take {}", dropped.total, rule.size))
            }
            "size" => {
                // Compressed it takes less than it holds, but for a little; and the remains of failed writes.
                let known =
                    class.map_or(0, |class| class.segments.values().map(|(length, _)| *length).sum::<u64>());
                let most = known.saturating_add(known / 16).saturating_add(8 << 20);
                (dropped.total > most)
                    .then(|| format!("its class is said to take {} bytes and held {known}", dropped.total))
            }
            other => Some(format!("there is no rule `{other}`")),
        }
    }

    /// Holds every drop against every hold there was then. Reads the leaves again, if there were both.
    pub(super) fn finish(&mut self, dir: &Path) {
        if self.holds.is_empty() || self.dropped.is_empty() {
            return;
        }
        let mut survey = Survey::new(self.holds.iter().map(|(hold, ..)| hold.clone()).collect());
        if let Err(error) = survey.catch_up(dir, &mut |_| Ok(())) {
            self.drops.disallowed.push((0, format!("what was held could not be read: {error}")));
            return;
        }
        for (class, segment, leaf) in std::mem::take(&mut self.dropped) {
            let then = |hold: &Hold| {
                self.holds
                    .iter()
                    .any(|(held, from, until)| held.id == hold.id && *from < leaf && leaf < *until)
            };
            let held = survey.on(&class, segment).find(|hold| then(hold)).map(|hold| hold.reason.clone());
            if let Some(reason) = held {
                let dropped = Dropped { class, segment, ..Dropped::default() };
                self.disallow(leaf, &dropped, &format!("a hold was on it: {reason}"));
            }
        }
        self.drops.disallowed.sort_unstable();
    }
}

fn nanos(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}
