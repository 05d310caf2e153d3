//! What happened in a stretch of time, counted for an auditor: one pass over the leaves, in memory that does
//! not grow with them. What there is too much of to name is counted together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use jiff::Timestamp;
use model::{ExchangeId, hex};
use prost::Message;

use crate::LedgerError;
use crate::audit::kept::DroppedSegment;
use crate::audit::tallied::{
    ActCount, ClassCount, Event, HoldShown, Note, RefusalCount, RuleShown, Tally, Use,
};
use crate::describe::nanoseconds;
use crate::hold::holds_of;
use crate::leaf::{self, Leaf, Sealed, What};
use crate::opened::{Caller, Opened};
use crate::recover::exchange;
use crate::segment::{Position, Series};

/// How many rows a table may have; what comes after is counted as [`OTHERS`].
const ROWS: usize = 2000;
/// How many events of a kind are listed.
const EVENTS: usize = 500;
/// Stands for what has no row of its own.
const OTHERS: &str = "(all others)";

/// What is remembered of an exchange until its seal: where it is counted.
struct Begun {
    row: Option<usize>,
    act: Option<usize>,
    denial: Option<usize>,
    approval: Option<usize>,
    policies: String,
}

/// Rows by key, as many as there may be.
struct Table<K, R> {
    places: HashMap<K, usize>,
    rows: Vec<R>,
}

impl<K, R> Default for Table<K, R> {
    fn default() -> Self {
        Self { places: HashMap::new(), rows: Vec::new() }
    }
}

impl<K: std::hash::Hash + Eq + Clone, R> Table<K, R> {
    /// The place of `key`, or of `others` when there is no room for it.
    fn place(&mut self, key: K, others: K, make: impl Fn(&K) -> R) -> usize {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let key = if self.rows.len() < ROWS { key } else { others };
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.rows.len();
        self.rows.push(make(&key));
        self.places.insert(key, place);
        place
    }

    fn at(&mut self, place: usize) -> Option<&mut R> {
        self.rows.get_mut(place)
    }
}

/// Counts what happened in the ledger at `dir`, which may be a copy, from `from` on and before `until`.
/// `progress` is told how many bytes of how many were read.
///
/// # Errors
/// [`LedgerError`] when there is no ledger.
pub fn tally(
    dir: &Path,
    (from, until): (Timestamp, Timestamp),
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Tally, LedgerError> {
    let series = Series::leaves(dir);
    let numbers = series.numbers().map_err(|error| LedgerError::file("list", &series.dir, error))?;
    if numbers.is_empty() {
        let problem = "there are no leaves in it".to_owned();
        return Err(LedgerError::Format { path: dir.to_owned(), problem });
    }
    let total = numbers.iter().filter_map(|number| series.length(*number)).fold(0, u64::saturating_add);
    let mut counting = Counting::new(nanoseconds(from), nanoseconds(until));
    let (mut reader, mut done, mut index) = (series.read(Position::default()), 0u64, 0u64);
    loop {
        match reader.next() {
            Ok(Some((_, frame))) => {
                done = done.saturating_add(u64::try_from(frame.payload.len()).unwrap_or(0));
                match Leaf::decode(frame.payload.as_slice()) {
                    Ok(leaf) => counting.take(index, leaf),
                    Err(_) => counting.tally.damaged = counting.tally.damaged.saturating_add(1),
                }
                index = index.saturating_add(1);
                progress(done.min(total), total);
            }
            Ok(None) => break,
            Err(_) => counting.tally.damaged = counting.tally.damaged.saturating_add(1),
        }
    }
    progress(total, total);
    Ok(counting.finish())
}

#[derive(Default)]
struct Counting {
    from: i64,
    until: i64,
    tally: Tally,
    begun: HashMap<ExchangeId, Begun>,
    uses: Table<(String, String), Use>,
    acts: Table<(String, String), ActCount>,
    refusals: Table<(String, String), RefusalCount>,
    classes: BTreeMap<String, ClassCount>,
    /// Segments that were dropped: one may be dropped twice.
    dropped: HashSet<(String, u64)>,
    standing: crate::retention::Standing,
}

impl Counting {
    fn new(from: i64, until: i64) -> Self {
        Self { from, until, ..Self::default() }
    }

    fn is_in(&self, at: i64) -> bool {
        (self.from..self.until).contains(&at)
    }

    fn take(&mut self, index: u64, leaf: Leaf) {
        let inside = self.is_in(leaf.time);
        if inside {
            let first = self.tally.leaves.map_or(index, |(first, _)| first);
            self.tally.leaves = Some((first, index));
        }
        let Some(what) = leaf.what else { return };
        if leaf.time < self.until {
            self.standing.take(&what);
        }
        if inside {
            self.note(index, leaf.time, &what);
        }
        match what {
            What::Opened(opened) if self.is_in(opened.arrived) => self.opened(&opened),
            What::Sealed(sealed) => self.sealed(&sealed),
            What::Refused(refused) if self.is_in(refused.arrived) => {
                self.tally.strangers = self.tally.strangers.saturating_add(1);
                if let Some(refusal) = &refused.refusal {
                    self.refused(&refusal.code, String::new(), 1);
                }
            }
            What::Summary(summary) if self.is_in(summary.since) => {
                self.tally.strangers = self.tally.strangers.saturating_add(summary.count);
                for code in summary.codes {
                    self.refused(&code.name, String::new(), code.count);
                }
            }
            _ => {}
        }
    }

    fn refused(&mut self, code: &str, policies: String, count: u64) {
        let others = (OTHERS.to_owned(), String::new());
        let place = self.refusals.place((code.to_owned(), policies), others, |(code, policies)| {
            RefusalCount { code: code.clone(), policies: policies.clone(), count: 0 }
        });
        if let Some(row) = self.refusals.at(place) {
            row.count = row.count.saturating_add(count);
        }
    }

    fn opened(&mut self, opened: &Opened) {
        let Some(id) = exchange(&opened.exchange) else { return };
        let caller = opened.caller.clone().unwrap_or_default();
        let who = named(&caller);
        self.tally.exchanges = self.tally.exchanges.saturating_add(1);
        let policies = policies(opened);
        let mut begun = Begun { row: None, act: None, denial: None, approval: None, policies };
        if opened.resource.starts_with("api/") {
            let act = opened.operations.first().map(|operation| operation.name.clone()).unwrap_or_default();
            let others = (OTHERS.to_owned(), OTHERS.to_owned());
            let place = self.acts.place((who.clone(), act), others, |(caller, act)| ActCount {
                caller: caller.clone(),
                act: act.clone(),
                ..ActCount::default()
            });
            begun.act = Some(place);
            if let Some(row) = self.acts.at(place) {
                row.count = row.count.saturating_add(1);
            }
        } else {
            let key = (who.clone(), opened.resource.clone());
            let place = self.uses.place(key, (OTHERS.to_owned(), OTHERS.to_owned()), |(who, resource)| Use {
                email: caller.email.clone().filter(|_| who != OTHERS),
                caller: who.clone(),
                resource: resource.clone(),
                ..Use::default()
            });
            begun.row = Some(place);
            if let Some(row) = self.uses.at(place) {
                row.exchanges = row.exchanges.saturating_add(1);
                row.other = row.other.saturating_add(1);
            }
        }
        for found in &opened.disclosed {
            let class = self.class(&found.class);
            class.requests.0 = class.requests.0.saturating_add(found.masked);
            class.requests.1 = class.requests.1.saturating_add(found.revealed);
        }
        self.ruled(&mut begun, opened, who);
        self.begun.insert(id, begun);
    }

    /// Names it, if policy denied it or wanted approvals.
    fn ruled(&mut self, begun: &mut Begun, opened: &Opened, who: String) {
        let decision = opened.decision.as_ref();
        let ruling = decision.map_or("", |decision| decision.ruling.as_str());
        let needed = decision.map_or(0, |decision| decision.approvals);
        let why = match ruling {
            "needs-approvals" => format!("{needed} needed"),
            _ if begun.policies.is_empty() => "no policy permits it".to_owned(),
            _ => begun.policies.clone(),
        };
        let (list, count, place) = match ruling {
            "denied" => (&mut self.tally.denials, &mut self.tally.denials_in_all, &mut begun.denial),
            "needs-approvals" => {
                (&mut self.tally.approvals, &mut self.tally.approvals_in_all, &mut begun.approval)
            }
            _ => return,
        };
        *count = count.saturating_add(1);
        if list.len() >= EVENTS {
            return;
        }
        *place = Some(list.len());
        let operations: Vec<&str> =
            opened.operations.iter().map(|operation| operation.name.as_str()).collect();
        list.push(Event {
            exchange: exchange(&opened.exchange).map(|id| id.to_string()).unwrap_or_default(),
            at: time(opened.arrived),
            caller: who,
            resource: opened.resource.clone(),
            operations: operations.join(", "),
            why,
            outcome: "open".to_owned(),
        });
    }

    fn class(&mut self, class: &str) -> &mut ClassCount {
        let name = if self.classes.len() < ROWS || self.classes.contains_key(class) { class } else { OTHERS };
        let row = self.classes.entry(name.to_owned()).or_default();
        name.clone_into(&mut row.class);
        row
    }

    fn sealed(&mut self, sealed: &Sealed) {
        let Some(begun) = exchange(&sealed.exchange).and_then(|id| self.begun.remove(&id)) else { return };
        let outcome = sealed.outcome.as_str();
        if let Some(row) = begun.row.and_then(|row| self.uses.at(row)) {
            let ended = match outcome {
                "completed" => &mut row.completed,
                "refused" => &mut row.refused,
                _ => &mut row.other,
            };
            *ended = ended.saturating_add(1);
            row.other = row.other.saturating_sub(1);
            let usage = sealed.usage.clone().unwrap_or_default();
            row.tokens.0 = row.tokens.0.saturating_add(usage.input);
            row.tokens.1 = row.tokens.1.saturating_add(usage.output);
            row.bytes = row.bytes.saturating_add(sealed.response.as_ref().map_or(0, |digest| digest.bytes));
            for found in &sealed.findings {
                row.masked = row.masked.saturating_add(found.masked);
                row.revealed = row.revealed.saturating_add(found.revealed);
            }
        }
        if let Some(row) = begun.act.and_then(|act| self.acts.at(act)).filter(|_| outcome == "refused") {
            row.refused = row.refused.saturating_add(1);
        }
        for found in &sealed.findings {
            let class = self.class(&found.class);
            class.answers.0 = class.answers.0.saturating_add(found.masked);
            class.answers.1 = class.answers.1.saturating_add(found.revealed);
            class.exchanges = class.exchanges.saturating_add(1);
        }
        if let Some(refusal) = &sealed.refusal {
            self.refused(&refusal.code, begun.policies.clone(), 1);
        }
        let denial = begun.denial.and_then(|place| self.tally.denials.get_mut(place));
        let approval = begun.approval.and_then(|place| self.tally.approvals.get_mut(place));
        for event in denial.into_iter().chain(approval) {
            outcome.clone_into(&mut event.outcome);
        }
    }

    fn note(&mut self, index: u64, at: i64, what: &What) {
        let what = match what {
            What::PolicySet(set) => format!(
                "policy set {} began to decide ({})",
                hex(set.hash.get(..8).unwrap_or(&set.hash)),
                set.loaded_by
            ),
            What::Key(key) => format!("a key for {} began to be used ({})", key.purpose, key.algorithm),
            What::Outage(outage) => {
                format!("the ledger could not be written: {} ({} refused)", outage.cause, outage.failed)
            }
            What::Torn(torn) => {
                format!("a start found {} at byte {}: {}", torn.file, torn.offset, torn.problem)
            }
            What::Retention(_) => "the rules of retention changed".to_owned(),
            What::Hold(hold) if hold.released => format!("a hold was released: {}", hold.reason),
            What::Hold(hold) => format!("a hold was placed: {}", hold.reason),
            What::Approval(approval) if approval.event == "joined" => return,
            What::Approval(approval) => approval.told(),
            What::Dropped(dropped) => return self.dropped(index, at, dropped),
            _ => return,
        };
        if self.tally.notes.len() < EVENTS {
            self.tally.notes.push(Note { leaf: index, at: time(at), what });
        }
    }

    fn dropped(&mut self, index: u64, at: i64, dropped: &leaf::Dropped) {
        if !self.dropped.insert((dropped.class.clone(), dropped.segment)) {
            return;
        }
        self.tally.dropped_in_all = self.tally.dropped_in_all.saturating_add(1);
        if self.tally.dropped.len() < EVENTS {
            self.tally.dropped.push(DroppedSegment::of(index, at, dropped));
        }
    }

    fn finish(mut self) -> Tally {
        let mut tally = self.tally;
        tally.open = u64::try_from(self.begun.len()).unwrap_or(u64::MAX);
        self.uses.rows.sort_by(|a, b| b.exchanges.cmp(&a.exchanges).then_with(|| a.caller.cmp(&b.caller)));
        self.acts.rows.sort_by(|a, b| (&a.caller, &a.act).cmp(&(&b.caller, &b.act)));
        self.refusals.rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(&b.code)));
        tally.uses = self.uses.rows;
        tally.acts = self.acts.rows;
        tally.refusals = self.refusals.rows;
        tally.classes = self.classes.into_values().collect();
        let rules = self.standing.retention.clone().unwrap_or_default().rules;
        tally.rules = rules
            .into_iter()
            .map(|rule| RuleShown {
                class: rule.class,
                age: (rule.age > 0).then_some(rule.age / 1_000_000_000),
                size: (rule.size > 0).then_some(rule.size),
            })
            .collect();
        tally.holds = holds_of(&self.standing)
            .into_iter()
            .map(|held| HoldShown {
                id: held.id.to_string(),
                holds: held.filter.to_string(),
                reason: held.reason,
                by: held.by,
                at: held.at,
            })
            .collect();
        tally
    }
}

fn time(at: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(at)).ok()
}

fn named(caller: &Caller) -> String {
    format!("{}#{}", caller.issuer, caller.subject)
}

fn policies(opened: &Opened) -> String {
    let judgements = opened.decision.iter().flat_map(|decision| &decision.judgements);
    let mut policies: Vec<&str> =
        judgements.flat_map(|judgement| &judgement.reasons).map(|reason| reason.policy.as_str()).collect();
    policies.sort_unstable();
    policies.dedup();
    policies.join(", ")
}
