//! `portcullis sessions`: list, show and replay what was recorded.
//!
//! Reads the ledger's files, so it works beside a running gateway, and on a copy.

mod describe;
mod replay;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::Table;
use jiff::{Span, Timestamp};
use record::{Cursor, Filter, Listed, Reader};
use serde_json::json;

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::{config_verb, serve};

#[derive(Subcommand)]
pub(crate) enum SessionsVerb {
    /// List exchanges, newest first
    List(Box<List>),
    /// Show everything recorded of one exchange
    Show(Show),
    /// Play an answer again, at the pace it came
    Replay(replay::Replay),
}

/// Which ledger to read.
#[derive(Args)]
pub(crate) struct Where {
    /// The ledger's folder; taken from the configuration when absent
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// The configuration file
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
}

impl Where {
    pub(crate) fn dir(&self, colour: bool) -> Result<PathBuf, Failure> {
        match &self.ledger {
            Some(dir) => Ok(dir.clone()),
            None => Ok(config_verb::load(&self.config, colour)?.ledger.dir),
        }
    }
}

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    at: Where,
    /// Only this caller's: a subject, an e-mail address, or issuer#subject
    #[arg(long)]
    caller: Option<String>,
    /// Only on this resource
    #[arg(long)]
    resource: Option<String>,
    /// Only for this model
    #[arg(long)]
    model: Option<String>,
    /// Only with an operation of this class, such as infer
    #[arg(long)]
    class: Option<String>,
    /// Only with this ruling: allowed, needs-approvals, denied
    #[arg(long)]
    ruling: Option<String>,
    /// Only with this outcome: completed, refused, caller-gone, upstream-lost, cut, interrupted
    #[arg(long)]
    outcome: Option<String>,
    /// Only as old as this: a time span such as 90m or 7d, or a time
    #[arg(long, value_parser = since)]
    since: Option<Since>,
    /// How many
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: u32,
    /// Go on after this one, as the page before says
    #[arg(long, value_parser = cursor)]
    cursor: Option<Cursor>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Show {
    #[command(flatten)]
    at: Where,
    /// The exchange: its request id, or enough of its beginning
    exchange: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A point in time, as people say it.
#[derive(Clone, Debug)]
enum Since {
    Ago(Span),
    At(Timestamp),
}

fn since(text: &str) -> Result<Since, String> {
    match (text.parse::<Span>(), text.parse::<Timestamp>()) {
        (Ok(span), _) => Ok(Since::Ago(span.abs())),
        (_, Ok(at)) => Ok(Since::At(at)),
        _ => Err("write a time span such as 90m or 7d, or a time such as 2026-01-31T12:00:00Z".to_owned()),
    }
}

fn cursor(text: &str) -> Result<Cursor, String> {
    Cursor::parse(text).ok_or_else(|| "this is no cursor; take it from the end of the page before".to_owned())
}

impl SessionsVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        serve::runtime()?.block_on(async {
            match self {
                Self::List(list) => list.run(out).await,
                Self::Show(show) => show.run(out).await,
                Self::Replay(replay) => replay.run(out).await,
            }
        })
    }
}

impl List {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let reader = Reader::open(&self.at.dir(out.colour())?).await?;
        let since = self.since.map(|since| from_now(&since, &model::SystemClock::default())).transpose()?;
        let filter = Filter {
            caller: self.caller,
            resource: self.resource,
            model: self.model,
            class: self.class,
            ruling: self.ruling,
            outcome: self.outcome,
            since,
            until: None,
            limit: Some(self.limit),
            cursor: self.cursor,
        };
        let page = reader.list(&filter).await?;
        let next = page.next.as_ref().map(ToString::to_string);
        if self.json {
            let exchanges: Vec<_> = page.exchanges.iter().map(describe::listed).collect();
            out.json(&json!({ "exchanges": exchanges, "next": next }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header([
            "arrived",
            "request",
            "caller",
            "resource",
            "operation",
            "ruling",
            "outcome",
            "masked",
        ]);
        for exchange in &page.exchanges {
            table.add_row(row(exchange, out));
        }
        out.line(table)?;
        if let Some(next) = next {
            out.line(out.tone(Tone::Faint, format_args!("more: --cursor {next}")))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(exchange: &Listed, out: &Out) -> [String; 8] {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let masked: u64 = exchange.masked.iter().map(|(_, count)| count).sum();
    let outcome = exchange.outcome.clone().unwrap_or_else(|| "running".to_owned());
    let tone = match outcome.as_str() {
        "completed" => Tone::Good,
        "refused" | "cut" | "upstream-lost" => Tone::Bad,
        _ => Tone::Caution,
    };
    let outcome = exchange.code.as_ref().map_or(outcome.clone(), |code| format!("{outcome} ({code})"));
    [
        exchange.arrived.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        exchange.exchange.to_string(),
        exchange.email.clone().unwrap_or_else(|| or_dash(&exchange.subject)),
        or_dash(&exchange.resource),
        if exchange.operations.is_empty() { or_dash(&exchange.path) } else { exchange.operations.join(" ") },
        or_dash(&exchange.ruling),
        out.tone(tone, outcome),
        if masked == 0 { "-".to_owned() } else { masked.to_string() },
    ]
}

fn from_now(since: &Since, clock: &dyn model::Clock) -> Result<Timestamp, Failure> {
    match since {
        Since::At(at) => Ok(*at),
        Since::Ago(span) => {
            let ago = clock.now().to_zoned(jiff::tz::TimeZone::UTC).checked_sub(*span);
            ago.map(|at| at.timestamp()).map_err(|fault| Failure::Said(format!("--since: {fault}")))
        }
    }
}

impl Show {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let reader = Reader::open(&self.at.dir(out.colour())?).await?;
        let id = reader.find(&self.exchange).await?;
        let exchange = reader.show(id).await?;
        let bodies = describe::bodies(reader.frames(id, &exchange))?;
        if self.json {
            out.json(&describe::shown(id, &exchange, &bodies))?;
        } else {
            describe::print(out, id, &exchange, &bodies)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
