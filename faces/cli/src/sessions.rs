//! `portcullis sessions`: list, show and replay what was recorded.
//!
//! Asks the gateway, which judges, masks again and records the asking. `--local` reads the ledger's files
//! here instead, beside a running gateway or on a copy.

mod body;
mod describe;
mod identity;
mod replay;
mod source;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::Table;
use jiff::{Span, Timestamp};
use record::Filter;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::serve;
use crate::told::Told;

pub(crate) use source::Where;

#[derive(Subcommand)]
pub(crate) enum SessionsVerb {
    /// List exchanges, newest first
    List(Box<List>),
    /// Show everything recorded of one exchange
    Show(Show),
    /// Play an answer again, at the pace it came
    Replay(replay::Replay),
    /// Write one body to a file that the stock `age` tool opens
    Body(Box<body::BodyOf>),
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
    #[arg(long)]
    cursor: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Show {
    #[command(flatten)]
    at: Where,
    #[command(flatten)]
    auditor: identity::Auditor,
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

impl SessionsVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        serve::runtime()?.block_on(async {
            match self {
                Self::List(list) => list.run(out).await,
                Self::Show(show) => show.run(out).await,
                Self::Replay(replay) => replay.run(out).await,
                Self::Body(body) => body.run(out).await,
            }
        })
    }
}

impl List {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let source = self.at.open(out).await?;
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
            cursor: None,
        };
        let page = source.list(&filter, self.cursor.as_deref()).await?;
        if self.json {
            out.json(&json!({ "exchanges": page.at("exchanges"), "next": page.at("next") }))?;
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
        for exchange in page.list("exchanges") {
            table.add_row(row(exchange, out));
        }
        out.line(table)?;
        if let Some(next) = page.at("next").as_str() {
            out.line(out.tone(Tone::Faint, format_args!("more: --cursor {next}")))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(exchange: &Value, out: &Out) -> [String; 8] {
    let text = |key: &str| exchange.at(key).as_str();
    let or_dash = |key: &str| text(key).unwrap_or("-").to_owned();
    let masked: u64 = exchange
        .at("masked")
        .as_object()
        .map(|classes| classes.values().filter_map(Value::as_u64).sum())
        .unwrap_or_default();
    let outcome = text("outcome").unwrap_or("running").to_owned();
    let tone = match outcome.as_str() {
        "completed" => Tone::Good,
        "refused" | "cut" | "upstream-lost" => Tone::Bad,
        _ => Tone::Caution,
    };
    let outcome = text("code").map_or(outcome.clone(), |code| format!("{outcome} ({code})"));
    let arrived = text("arrived").and_then(|at| at.parse::<Timestamp>().ok());
    let operations: Vec<&str> = exchange.list("operations").iter().filter_map(Value::as_str).collect();
    [
        arrived.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string()),
        or_dash("exchange"),
        text("email").or(text("subject")).unwrap_or("-").to_owned(),
        or_dash("resource"),
        if operations.is_empty() { or_dash("path") } else { operations.join(" ") },
        or_dash("ruling"),
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
        let identities = self.auditor.identities()?;
        let shown = self.at.open_with(out, identities).await?.show(&self.exchange).await?;
        if self.json {
            out.json(&shown)?;
        } else {
            describe::print(out, &shown)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
