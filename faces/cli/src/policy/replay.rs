//! `portcullis policy replay`: what another set of policies would have said to what was recorded.
//!
//! Reads the leaves of a ledger, one after another, in memory that does not grow with it: each holds the complete
//! question that policy was asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use authorize::PolicySet;
use clap::Args;
use comfy_table::Table;
use jiff::Timestamp;
use model::{ExchangeId, Judgement, Ruling};
use record::leaf::{Leaf, What};
use record::opened::Opened;
use record::{Exchange, Position, Series};
use serde_json::{Value, json};

use crate::bar::Bar;
use crate::config_verb;
use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::sessions::When;

/// Groups of changes that are told apart; what is more is only counted.
const MOST: usize = 10_000;
/// How far a clock may have stepped back within the record, in nanoseconds.
const SLACK: i64 = 3_600_000_000_000;

#[derive(Args)]
pub(crate) struct Replay {
    /// The folder that holds the proposed `*.cedar`
    #[arg(long, value_name = "DIR")]
    policies: PathBuf,
    /// The ledger's folder; taken from the configuration when absent
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// The configuration file
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// Only what is as old as this: a time span such as 90m or 7d, or a time
    #[arg(long, value_parser = crate::sessions::when, default_value = "7d")]
    since: When,
    /// Only what is older than this: likewise
    #[arg(long, value_parser = crate::sessions::when)]
    until: Option<When>,
    /// End with 1 if anything would have come out otherwise, or can't be judged
    #[arg(long)]
    fail_on_change: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What came out, or would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    Allowed,
    /// With so many consents.
    Held(u8),
    Denied,
}

impl Came {
    fn of(judgements: &[Judgement]) -> Self {
        let all = judgements.iter().map(|judgement| match judgement.ruling {
            Ruling::Allowed => Self::Allowed,
            Ruling::NeedsApprovals(count) => Self::Held(count),
            Ruling::Denied => Self::Denied,
        });
        // All operations of an exchange must be permitted.
        all.max().unwrap_or(Self::Denied)
    }

    fn told(self) -> (Tone, String) {
        match self {
            Self::Allowed => (Tone::Good, "allowed".to_owned()),
            Self::Held(count) => (Tone::Caution, format!("held for {count}")),
            Self::Denied => (Tone::Bad, "denied".to_owned()),
        }
    }
}

/// What changes alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    caller: String,
    resource: String,
    class: String,
    was: Came,
    becomes: Came,
    /// The policies that decide it now.
    by: Vec<String>,
    /// The policies that decided it then.
    was_by: Vec<String>,
}

/// How often, and where to look.
struct Seen {
    count: u64,
    example: ExchangeId,
    last: i64,
}

/// What comes out of it all.
#[derive(Default)]
struct Comparison {
    /// Exchanges judged again.
    judged: u64,
    changed: u64,
    /// Exchanges that no policy judged: refused before, or without their operations.
    unjudged: u64,
    /// Exchanges whose questions can't be read any more, with the first one's reason.
    unreadable: u64,
    why_unreadable: Option<String>,
    groups: BTreeMap<Group, Seen>,
    /// Changes beyond the groups that are told apart.
    others: u64,
}

impl Comparison {
    fn take(&mut self, set: &PolicySet, opened: Opened) {
        let (Ok(id), arrived) = (<[u8; 16]>::try_from(opened.exchange.as_slice()), opened.arrived) else {
            return;
        };
        let exchange = Exchange { opened: Some(opened), ..Exchange::default() };
        let before = exchange.judgements();
        if before.is_empty() {
            self.unjudged = self.unjudged.saturating_add(1);
            return;
        }
        let after: Result<Vec<Judgement>, String> =
            before.iter().map(|judgement| authorize::judge_again(set, judgement)).collect();
        match after {
            Ok(after) => self.compare(ExchangeId::from_bytes(id), arrived, &exchange, (&before, &after)),
            Err(why) => {
                self.unreadable = self.unreadable.saturating_add(1);
                self.why_unreadable.get_or_insert(why);
            }
        }
    }

    fn compare(
        &mut self,
        id: ExchangeId,
        arrived: i64,
        exchange: &Exchange,
        (before, after): (&[Judgement], &[Judgement]),
    ) {
        self.judged = self.judged.saturating_add(1);
        let (was, becomes) = (Came::of(before), Came::of(after));
        if was == becomes {
            return;
        }
        self.changed = self.changed.saturating_add(1);
        let Some(opened) = &exchange.opened else { return };
        let caller = opened.caller.as_ref();
        let mut classes: Vec<&str> =
            opened.operations.iter().map(|operation| operation.class.as_str()).collect();
        classes.dedup();
        let group = Group {
            caller: caller.map(|caller| format!("{}#{}", caller.issuer, caller.subject)).unwrap_or_default(),
            resource: opened.resource.clone(),
            class: classes.join(" "),
            was,
            becomes,
            by: policies(after, becomes),
            was_by: policies(before, was),
        };
        let room = self.groups.len() < MOST;
        match self.groups.get_mut(&group) {
            Some(seen) => {
                *seen =
                    Seen { count: seen.count.saturating_add(1), example: id, last: arrived.max(seen.last) };
            }
            None if room => {
                self.groups.insert(group, Seen { count: 1, example: id, last: arrived });
            }
            None => self.others = self.others.saturating_add(1),
        }
    }

    fn is_same(&self) -> bool {
        self.changed == 0 && self.unreadable == 0
    }

    /// The groups, what happened most first.
    fn sorted(&self) -> Vec<(&Group, &Seen)> {
        let mut all: Vec<_> = self.groups.iter().collect();
        all.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.count));
        all
    }
}

/// The policies that determined a ruling. None, where nothing permits.
fn policies(judgements: &[Judgement], came: Came) -> Vec<String> {
    let deciding = judgements.iter().filter(|judgement| Came::of(std::slice::from_ref(judgement)) == came);
    let mut policies: Vec<String> =
        deciding.flat_map(|judgement| &judgement.reasons).map(|reason| reason.policy.clone()).collect();
    policies.sort_unstable();
    policies.dedup();
    policies
}

impl Replay {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let set = PolicySet::load(&self.policies)?;
        let dir = match &self.ledger {
            Some(dir) => dir.clone(),
            None => config_verb::load(&self.config, out.colour())?.ledger.dir,
        };
        let clock = model::SystemClock::default();
        let nanoseconds = |at: Timestamp| i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
        let since = nanoseconds(self.since.at(&clock)?);
        let until =
            self.until.as_ref().map(|until| until.at(&clock)).transpose()?.map_or(i64::MAX, nanoseconds);
        let comparison = compare(&dir, &set, since..until)?;
        if self.json {
            out.json(&described(&comparison, &set))?;
        } else {
            tell(out, &comparison)?;
        }
        let fails = self.fail_on_change && !comparison.is_same();
        Ok(if fails { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}

/// Judges again everything recorded in `dir` that arrived in a time.
fn compare(
    dir: &std::path::Path,
    set: &PolicySet,
    when: std::ops::Range<i64>,
) -> Result<Comparison, Failure> {
    let leaves = Series::leaves(dir);
    let unlisted = |fault| Failure::Said(format!("cannot list the ledger in {}: {fault}", dir.display()));
    let mut numbers = leaves.numbers().map_err(unlisted)?;
    numbers.sort_unstable();
    // A segment that another begins after, long before the time that is asked for, holds nothing of it.
    let begins = |number: &u64| leaves.header(*number).map_or(i64::MIN, |header| header.created);
    let old = |number: &u64| begins(number) < when.start.saturating_sub(SLACK);
    let first = numbers.iter().copied().rfind(|number| old(number)).or(numbers.first().copied()).unwrap_or(1);
    let sizes: Vec<(u64, u64)> = numbers
        .iter()
        .filter(|number| **number >= first)
        .map(|number| (*number, std::fs::metadata(leaves.path(*number)).map_or(0, |file| file.len())))
        .collect();
    let total = sizes.iter().fold(0u64, |sum, (_, size)| sum.saturating_add(*size));
    let mut reader = leaves.read(Position { segment: first, offset: 0 });
    let (mut comparison, mut bar) = (Comparison::default(), Bar::new());
    loop {
        let (at, frame) = match reader.next() {
            Ok(Some(found)) => found,
            Ok(None) => break,
            Err(damage) => {
                Out::stderr().line(format_args!("warning: {damage}; it is left out"))?;
                continue;
            }
        };
        let before = sizes.iter().filter(|(number, _)| *number < at.segment);
        bar.draw(before.fold(at.offset, |sum, (_, size)| sum.saturating_add(*size)), total);
        let Some(Leaf { what: Some(What::Opened(opened)), .. }) = Leaf::read(&frame.payload) else {
            continue;
        };
        if when.contains(&opened.arrived) {
            comparison.take(set, opened);
        }
    }
    bar.clear();
    Ok(comparison)
}

fn word(came: Came) -> &'static str {
    match came {
        Came::Allowed => "allowed",
        Came::Held(_) => "held",
        Came::Denied => "denied",
    }
}

fn approvals(came: Came) -> u8 {
    if let Came::Held(count) = came { count } else { 0 }
}

fn described(comparison: &Comparison, set: &PolicySet) -> Value {
    let groups = comparison.sorted().into_iter().map(|(group, seen)| {
        json!({
            "caller": group.caller, "resource": group.resource, "class": group.class,
            "was": word(group.was), "was_approvals": approvals(group.was), "was_by": group.was_by,
            "becomes": word(group.becomes), "approvals": approvals(group.becomes), "by": group.by,
            "count": seen.count, "example": seen.example.to_string(),
            "last": Timestamp::from_nanosecond(i128::from(seen.last)).map(|at| at.to_string()).ok(),
        })
    });
    json!({
        "policy_set": set.report().hash,
        "judged": comparison.judged,
        "changed": comparison.changed,
        "unjudged": comparison.unjudged,
        "unreadable": comparison.unreadable,
        "why_unreadable": comparison.why_unreadable,
        "changes": groups.collect::<Vec<_>>(),
        "other_changes": comparison.others,
    })
}

fn tell(out: &mut Out, comparison: &Comparison) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["count", "caller", "resource", "class", "was", "becomes", "by", "for example"]);
    for (group, seen) in comparison.sorted() {
        let tone = |came: Came| {
            let (tone, text) = came.told();
            out.tone(tone, text)
        };
        let by = if group.by.is_empty() { "no policy permits it".to_owned() } else { group.by.join(", ") };
        table.add_row([
            seen.count.to_string(),
            group.caller.clone(),
            group.resource.clone(),
            group.class.clone(),
            tone(group.was),
            tone(group.becomes),
            by,
            seen.example.to_string(),
        ]);
    }
    if !comparison.groups.is_empty() {
        out.line(table)?;
    }
    if comparison.others > 0 {
        out.line(format_args!("and {} more changes of other kinds", comparison.others))?;
    }
    if let Some(why) = &comparison.why_unreadable {
        let label = out.tone(Tone::Caution, "warning:");
        out.line(format_args!("{label} {} exchanges can't be judged again: {why}", comparison.unreadable))?;
    }
    let (tone, word) = if comparison.is_same() { (Tone::Good, "same") } else { (Tone::Caution, "changed") };
    out.line(format_args!(
        "{}: {} of {} exchanges would have come out otherwise ({} no policy had judged)",
        out.tone(tone, word),
        comparison.changed,
        comparison.judged,
        comparison.unjudged
    ))?;
    Ok(())
}
