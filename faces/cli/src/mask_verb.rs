//! `portcullis mask`: what is masked, what a text becomes, and how well the rules do on labelled samples.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use mask::{Case, Cost, Evaluation, Find, Hidden, Marks, Rules};
use serde_json::json;

use crate::config_verb;
use crate::failure::Failure;
use crate::out::{Out, Tone};

/// The longest text that is tried, and the longest line of samples.
const MOST_BYTES: u64 = 64 << 20;

#[derive(Subcommand)]
pub(crate) enum MaskVerb {
    /// List every rule with its class, its check and who publishes the format
    Rules(List),
    /// Mask a text, and say what was found
    Try(Try),
    /// Measure recall and near-misses on labelled samples
    Eval(Eval),
}

#[derive(Args)]
pub(crate) struct List {
    /// Report as JSON
    #[arg(long)]
    json: bool,
    /// Take the rules of this configuration too, and say what each costs
    #[arg(long, short, env = "PORTCULLIS_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Try {
    /// A file with the text; `-` or nothing reads the standard input
    file: Option<PathBuf>,
    /// Report as JSON
    #[arg(long)]
    json: bool,
    /// Take the rules and placeholders of this configuration too
    #[arg(long, short, env = "PORTCULLIS_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Eval {
    /// One sample a line, as JSON with `text`, `spans` and `neg_for`; may be compressed with gzip
    file: PathBuf,
    /// Report as JSON
    #[arg(long)]
    json: bool,
    /// Take the rules of this configuration too
    #[arg(long, short, env = "PORTCULLIS_CONFIG")]
    config: Option<PathBuf>,
}

impl MaskVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        match self {
            Self::Rules(verb) => verb.run(out),
            Self::Try(verb) => verb.run(out),
            Self::Eval(verb) => verb.run(out),
        }
    }
}

/// The rules that ship, with those of a configuration where one is named.
fn rules(config: Option<&Path>, out: &Out) -> Result<(Arc<Rules>, Vec<Cost>), Failure> {
    let (own, marks) = match config {
        Some(file) => {
            let masking = config_verb::load(file, out.colour())?.masking;
            (gateway::own_rules(&masking), gateway::marks(&masking))
        }
        None => (Vec::new(), Marks::default()),
    };
    Rules::with(&own, &marks).map_err(|fault| Failure::Said(fault.to_string()))
}

impl List {
    fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let (rules, costs) = rules(self.config.as_deref(), out)?;
        if self.json {
            let list: Vec<_> = rules.catalogue().collect();
            let costs: Vec<_> = costs
                .iter()
                .map(|c| json!({ "name": c.name, "states": c.states, "bytes": c.bytes, "hold": c.hold }))
                .collect();
            let own =
                json!({ "rules": list, "bytes": rules.memory(), "max_hold": rules.max_hold(), "own": costs });
            out.json(&own)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["RULE", "CLASS", "CHECK", "SOURCE"]);
        for entry in rules.catalogue() {
            let check = if entry.words {
                format!("{}; words before it", entry.check)
            } else {
                entry.check.to_owned()
            };
            table.add_row([entry.name, entry.class.as_str(), &check, entry.source]);
        }
        out.line(table)?;
        for cost in &costs {
            let name = out.tone(Tone::Title, &cost.name);
            out.line(format_args!(
                "{name}: {} states, {} bytes, holds at most {} bytes",
                cost.states, cost.bytes, cost.hold
            ))?;
        }
        let count = rules.catalogue().count();
        out.line(format_args!(
            "{count} rules, {} bytes, hold back at most {} bytes",
            rules.memory(),
            rules.max_hold()
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Try {
    fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let (rules, _) = rules(self.config.as_deref(), out)?;
        let text = match self.file.as_deref() {
            None => read(std::io::stdin())?,
            Some(path) if path == Path::new("-") => read(std::io::stdin())?,
            Some(path) => {
                read(File::open(path).map_err(|e| Failure::Said(format!("{}: {e}", path.display())))?)?
            }
        };
        let hidden = rules.hidden(&text);
        let (mut masked, mut at) = (String::new(), 0);
        for value in &hidden {
            let Find { range, .. } = &value.find;
            masked.push_str(&String::from_utf8_lossy(text.get(at..range.start).unwrap_or(&[])));
            let instead = value.placeholder.clone();
            masked.push_str(&if self.json { instead } else { out.tone(Tone::Caution, instead) });
            at = range.end;
        }
        masked.push_str(&String::from_utf8_lossy(text.get(at..).unwrap_or(&[])));
        if self.json {
            let list: Vec<_> = hidden
                .iter()
                .map(|Hidden { find: f, placeholder }| json!({ "rule": &*f.rule, "class": f.class, "start": f.range.start, "end": f.range.end, "placeholder": placeholder }))
                .collect();
            out.json(&json!({ "masked": masked, "findings": list }))?;
            return Ok(ExitCode::SUCCESS);
        }
        out.raw(masked.as_bytes())?;
        if !masked.ends_with('\n') {
            out.line("")?;
        }
        for Hidden { find, .. } in &hidden {
            let line =
                format!("{}  {}  bytes {}-{}", find.class, find.rule, find.range.start, find.range.end);
            out.line(out.tone(Tone::Faint, line))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn read(from: impl Read) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    from.take(MOST_BYTES + 1).read_to_end(&mut text)?;
    match u64::try_from(text.len()) {
        Ok(length) if length <= MOST_BYTES => Ok(text),
        _ => Err(Failure::Said(format!("the text has more than {MOST_BYTES} bytes; try a part of it"))),
    }
}

impl Eval {
    fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let (rules, _) = rules(self.config.as_deref(), out)?;
        let mut evaluation = Evaluation::default();
        each(&self.file, |case| evaluation.note(case))?;
        each(&self.file, |case| evaluation.add(&rules, case))?;
        evaluation.finish(&rules);
        if self.json {
            out.json(&evaluation)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header([
            "TYPE",
            "VALUES",
            "FOUND",
            "RECALL",
            "WHOLE",
            "FINDS",
            "PRECISION",
            "NEAR-MISSES",
            "FLAGGED",
        ]);
        for (kind, family) in &evaluation.families {
            let judged = if Evaluation::judges(&rules, kind) { "" } else { " (no rule)" };
            table.add_row([
                format!("{kind}{judged}"),
                family.values.to_string(),
                family.found.to_string(),
                percent(family.found, family.values),
                family.whole.to_string(),
                family.finds.to_string(),
                percent(family.right, family.finds),
                family.near_misses.to_string(),
                family.flagged.to_string(),
            ]);
        }
        out.line(table)?;
        out.line(format_args!(
            "{} texts: credential recall {:.3}, precision {:.3}; personal recall {:.3}, precision {:.3}; near-misses \
             flagged as their family {:.3}, as anything {:.3}; {} labels that contradict each other left out",
            evaluation.cases,
            evaluation.credential_recall,
            evaluation.credential_precision,
            evaluation.pii_recall,
            evaluation.pii_precision,
            evaluation.near_miss_rate,
            evaluation.near_miss_any_rate,
            evaluation.contradictions,
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn percent(part: u64, all: u64) -> String {
    match all {
        0 => "-".to_owned(),
        _ => format!("{}%", (part * 100 + all / 2) / all),
    }
}

/// Gives each sample of a file, compressed or not, to `take`.
fn each(path: &Path, mut take: impl FnMut(&Case)) -> Result<(), Failure> {
    let told = |e: &dyn std::fmt::Display, line: usize| {
        Failure::Said(format!("{}, line {line}: {e}", path.display()))
    };
    let mut file = BufReader::new(File::open(path).map_err(|e| told(&e, 0))?);
    let gzip = file.fill_buf().map_err(|e| told(&e, 0))?.starts_with(&[0x1f, 0x8b]);
    let read: Box<dyn Read> =
        if gzip { Box::new(flate2::read::MultiGzDecoder::new(file)) } else { Box::new(file) };
    for (number, line) in BufReader::new(read.take(1 << 30)).lines().enumerate() {
        let line = line.map_err(|e| told(&e, number + 1))?;
        if !line.trim().is_empty() {
            take(&serde_json::from_str(&line).map_err(|e| told(&e, number + 1))?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
