//! `portcullis ledger`: what is kept past its retention.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::Table;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::remote::{self, Asked};
use crate::serve;
use crate::told::Told;

#[derive(Subcommand)]
pub(crate) enum LedgerVerb {
    /// Legal holds: bodies that are not dropped although their time has come
    #[command(subcommand)]
    Hold(HoldVerb),
}

#[derive(Subcommand)]
pub(crate) enum HoldVerb {
    /// Hold the bodies of exchanges that fit, recorded and to come
    Add(Add),
    /// List what is held
    List(List),
    /// End a hold; what it held is dropped when it is due
    Remove(Remove),
}

#[derive(Args)]
pub(crate) struct Add {
    /// Why: a case, a request, who asked for it
    #[arg(long)]
    reason: String,
    /// Only this caller's: issuer#subject, a subject or an e-mail address
    #[arg(long, required_unless_present_any = ["resource", "since", "until", "exchange"])]
    caller: Option<String>,
    /// Only on this resource
    #[arg(long)]
    resource: Option<String>,
    /// Arrived at this time or later
    #[arg(long)]
    since: Option<Timestamp>,
    /// Arrived before this time
    #[arg(long)]
    until: Option<Timestamp>,
    /// This exchange alone: its whole request id
    #[arg(long)]
    exchange: Option<String>,
    #[command(flatten)]
    at: Asked,
}

#[derive(Args)]
pub(crate) struct List {
    /// Read the ledger in this folder, which may be a copy, and ask no gateway
    #[arg(long, conflicts_with = "admin")]
    ledger: Option<PathBuf>,
    #[command(flatten)]
    at: Asked,
}

#[derive(Args)]
pub(crate) struct Remove {
    /// The hold, as `hold list` tells it
    hold: String,
    /// Why it is not needed any more
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    at: Asked,
}

impl LedgerVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let Self::Hold(verb) = self;
        serve::runtime()?.block_on(async {
            match verb {
                HoldVerb::Add(verb) => verb.run(out).await,
                HoldVerb::List(verb) => verb.run(out).await,
                HoldVerb::Remove(verb) => verb.run(out).await,
            }
        })
    }
}

impl Add {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let body = json!({
            "reason": self.reason,
            "caller": self.caller,
            "resource": self.resource,
            "since": self.since,
            "until": self.until,
            "exchange": self.exchange,
        });
        let held = self.at.post("/holds", &body).await?;
        if self.at.json {
            out.json(&held)?;
        } else {
            let id = held.at("id").as_str().unwrap_or_default();
            out.line(format_args!("{} {id}: {}", out.tone(Tone::Good, "held"), what(&held)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let told = match &self.ledger {
            Some(dir) => {
                let holds: Vec<Value> = record::holds(dir)?.iter().map(admin::shown_hold).collect();
                json!({ "holds": holds })
            }
            None => self.at.get("/holds").await?,
        };
        if self.at.json {
            out.json(&told)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["hold", "holds", "reason", "by", "since"]);
        for held in told.list("holds") {
            let text = |key| held.at(key).as_str().unwrap_or("-").to_owned();
            table.add_row([text("id"), what(held), text("reason"), text("by"), text("at")]);
        }
        out.line(table)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Remove {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let path = format!("/holds/{}/release", remote::segment(&self.hold));
        let held = self.at.post(&path, &json!({ "reason": self.reason })).await?;
        if self.at.json {
            out.json(&held)?;
        } else {
            out.line(format_args!("{} {}", out.tone(Tone::Caution, "released"), what(&held)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What a hold holds, in words.
fn what(held: &Value) -> String {
    let parts = ["caller", "resource", "exchange", "since", "until"];
    let given = parts.into_iter().filter_map(|key| Some(format!("{key} {}", held.at(key).as_str()?)));
    given.collect::<Vec<_>>().join(", ")
}
