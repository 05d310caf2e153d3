//! `portcullis audit verify`: the whole ledger, and the first bad place in it.

use std::process::ExitCode;

use clap::Args;
use model::hex;
use record::audit::{Drops, Expected, Report};
use serde_json::{Value, json};

use super::Whole;
use crate::bar::Bar;
use crate::failure::Failure;
use crate::out::{Out, Tone};

#[derive(Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    whole: Whole,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let (dir, expected) = self.whole.read(out.colour())?;
        let mut bar = Bar::new();
        let report = record::audit::verify(&dir, &expected, &mut |done, of| bar.draw(done, of))?;
        bar.clear();
        if self.json {
            out.json(&described(&report))?;
        } else {
            tell(out, &report, &expected)?;
        }
        Ok(if report.flaw.is_some() { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}

pub(super) fn described(report: &Report) -> Value {
    let flaw = report.flaw.as_ref().map(|flaw| {
        json!({
            "file": flaw.file.display().to_string(),
            "segment": flaw.segment,
            "offset": flaw.offset,
            "leaf": flaw.leaf,
            "problem": flaw.problem,
        })
    });
    let keys = report.keys.iter().map(
        |used| json!({ "leaf": used.leaf, "key": used.key.to_string(), "handed_over": used.handed_over }),
    );
    json!({
        "ok": report.flaw.is_none(),
        "flaw": flaw,
        "origin": report.origin,
        "leaves": report.leaves,
        "root": hex(&report.root),
        "dropped": dropped(&report.drops),
        "exchanges": report.exchanges,
        "open": report.open,
        "refused": report.refused,
        "frames": report.frames,
        "bytes": report.bytes,
        "checkpoints": report.checkpoints,
        "covered": report.covered,
        "against": report.against,
        "keys": keys.collect::<Vec<_>>(),
        "notes": report.notes,
    })
}

/// What was dropped, by class and rule, with the first of the segments.
fn dropped(drops: &Drops) -> Value {
    let sums = drops.sums.iter().map(|((class, rule), (segments, exchanges, bytes))| {
        json!({ "class": class, "rule": rule, "segments": segments, "exchanges": exchanges, "bytes": bytes })
    });
    let disallowed =
        drops.disallowed.iter().map(|(leaf, problem)| json!({ "leaf": leaf, "problem": problem }));
    json!({
        "sums": sums.collect::<Vec<_>>(),
        "segments": drops.segments,
        "disallowed": disallowed.collect::<Vec<_>>(),
    })
}

fn tell(out: &mut Out, report: &Report, expected: &Expected) -> Result<(), Failure> {
    match &report.flaw {
        Some(flaw) => {
            let bad = out.tone(Tone::Bad, "bad");
            out.line(format_args!("{bad}: {flaw}"))?;
            out.line(format_args!("     Everything before it is whole: {} leaves.", report.leaves))?;
        }
        None => {
            let good = out.tone(Tone::Good, "ok");
            out.line(format_args!(
                "{good}: {} leaves, {} exchanges ({} open), {} refused before there was a caller, {} body frames, {} bytes",
                report.leaves, report.exchanges, report.open, report.refused, report.frames, report.bytes
            ))?;
        }
    }
    out.line(format_args!("tree:        {} with root {}", report.origin, hex(&report.root)))?;
    out.line(format_args!(
        "checkpoints: {} in the ledger hold; the newest covers {} of {} leaves",
        report.checkpoints, report.covered, report.leaves
    ))?;
    for size in &report.against {
        out.line(format_args!("kept:        one of {size} leaves holds"))?;
    }
    for used in &report.keys {
        out.line(format_args!("key:         {} since leaf {}", used.key, used.leaf))?;
    }
    for ((class, rule), (segments, exchanges, bytes)) in &report.drops.sums {
        out.line(format_args!(
            "dropped:     {segments} segments of `{class}` by the rule `{rule}`: {exchanges} exchanges' bodies, {bytes} bytes"
        ))?;
    }
    for (leaf, problem) in &report.drops.disallowed {
        out.line(format_args!("{}: leaf {leaf}: {problem}", out.tone(Tone::Bad, "not allowed")))?;
    }
    for note in &report.notes {
        let label = out.tone(Tone::Caution, "note");
        out.line(format_args!("{label}: {note}"))?;
    }
    if report.flaw.is_none() && expected.checkpoints.is_empty() {
        out.line(out.tone(
            Tone::Faint,
            "This shows that the ledger fits itself. That it is the one that was written, a checkpoint shows that was \
             kept elsewhere: --against FILE.",
        ))?;
    }
    Ok(())
}
