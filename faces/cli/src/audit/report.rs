//! `portcullis audit report`: what happened in a stretch of time, on one page for people and as JSON.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use model::{Clock, SystemClock};
use record::audit::{Report, Tally};
use serde_json::{Value, json};

use super::Whole;
use super::page;
use super::verify::described;
use crate::bar::Bar;
use crate::failure::Failure;
use crate::out::{Out, Tone};

#[derive(Args)]
pub(crate) struct ReportVerb {
    #[command(flatten)]
    whole: Whole,
    /// From this day or time on, as 2026-01-01 or 2026-01-01T08:00:00Z
    #[arg(long, value_parser = moment)]
    from: Timestamp,
    /// Before this day or time; now when absent
    #[arg(long, value_parser = moment)]
    to: Option<Timestamp>,
    /// Where the page goes; standard output when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON to standard output
    #[arg(long)]
    json: bool,
}

/// A day (its beginning, UTC) or a time.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(day) = text.parse::<Date>()
        && text.len() == 10
    {
        return day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|fault| fault.to_string());
    }
    text.parse().map_err(|_| "neither a day, as 2026-01-01, nor a time, as 2026-01-01T08:00:00Z".to_owned())
}

/// All that the report tells.
pub(super) struct Told<'a> {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) made: Timestamp,
    pub(super) verified: &'a Report,
    pub(super) tally: &'a Tally,
}

impl ReportVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let made = SystemClock::default().now();
        let to = self.to.unwrap_or(made);
        if self.from >= to {
            return Err(Failure::Said(format!("--from {} does not lie before --to {to}", self.from)));
        }
        let (dir, expected) = self.whole.read(out.colour())?;
        let mut bar = Bar::new();
        let verified = record::audit::verify(&dir, &expected, &mut |done, of| bar.draw(done, of))?;
        let tally = record::audit::tally(&dir, (self.from, to), &mut |done, of| bar.draw(done, of))?;
        bar.clear();
        let told = Told { from: self.from, to, made, verified: &verified, tally: &tally };
        if let Some(file) = &self.out {
            let written = fs::write(file, page::page(&told));
            written
                .map_err(|fault| Failure::Said(format!("{}: cannot be written: {fault}", file.display())))?;
        }
        match (self.json, &self.out) {
            (true, _) => out.json(&json(&told))?,
            (false, None) => out.raw(page::page(&told).as_bytes())?,
            (false, Some(file)) => {
                let good = out.tone(Tone::Good, "ok");
                out.line(format_args!("{good}: {} exchanges, in {}", tally.exchanges, file.display()))?;
            }
        }
        if let Some(flaw) = &verified.flaw {
            Out::stderr().line(format_args!("the ledger does not verify: {flaw}"))?;
            return Ok(ExitCode::from(1));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn json(told: &Told<'_>) -> Value {
    json!({
        "from": told.from.to_string(),
        "to": told.to.to_string(),
        "made": told.made.to_string(),
        "ledger": described(told.verified),
        "report": told.tally,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_beginning() {
        assert_eq!(moment("2026-01-02").unwrap().to_string(), "2026-01-02T00:00:00Z");
        assert_eq!(moment("2026-01-02T03:00:00+01:00").unwrap().to_string(), "2026-01-02T02:00:00Z");
        for wrong in ["", "2026", "2026-13-01", "yesterday", "2026-01-02T03:00:00"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
