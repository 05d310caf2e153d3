//! `portcullis sessions`: find, show, replay, follow and export what was recorded.
//!
//! Asks the gateway, which judges, masks again and records the asking. `--local` reads the ledger's files
//! here instead, beside a running gateway or on a copy.

mod body;
mod describe;
mod export;
mod har;
mod identity;
mod index;
mod keys;
mod narrow;
mod ocsf;
mod pace;
mod replay;
mod source;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::Table;
use jiff::Timestamp;
use model::ExchangeId;
use record::Filter;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::serve;
use crate::told::Told;

use narrow::{Narrow, or_dash};
use source::Source;

pub(crate) use narrow::{When, when};
pub(crate) use source::Where;

#[derive(Subcommand)]
pub(crate) enum SessionsVerb {
    /// List exchanges, newest first
    List(Box<List>),
    /// Show everything recorded of one exchange
    Show(Show),
    /// Play an answer again, at the pace it came
    Replay(replay::Replay),
    /// Watch an answer while it runs
    Follow(Box<replay::Follow>),
    /// Write exchanges for other tools: HAR, JSON Lines, OCSF
    Export(Box<export::Export>),
    /// Make the index of the record anew
    Index(index::Index),
    /// Write one body to a file that the stock `age` tool opens
    Body(Box<body::BodyOf>),
}

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    at: Where,
    #[command(flatten)]
    narrow: Narrow,
    /// Sessions instead of exchanges: what one caller asked of one resource in one go. Narrowed by caller, group,
    /// resource and time
    #[arg(long)]
    grouped: bool,
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
    /// The exchange: its request id, or enough of its beginning; or a session, as s-…
    exchange: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl SessionsVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        serve::runtime()?.block_on(async {
            match self {
                Self::List(list) => list.run(out).await,
                Self::Show(show) => show.run(out).await,
                Self::Replay(replay) => replay.run(out).await,
                Self::Follow(follow) => follow.run(out).await,
                Self::Export(export) => export.run(out).await,
                Self::Index(index) => index.run(out).await,
                Self::Body(body) => body.run(out).await,
            }
        })
    }
}

impl List {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let source = self.at.open(out).await?;
        let filter = Filter { limit: Some(self.limit), begins: self.grouped, ..self.narrow.filter()? };
        let page = source.list(&filter, self.cursor.as_deref()).await?;
        if self.json {
            out.json(&page)?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.grouped {
            grouped(out, &page)?
        } else {
            listed(out, &page)?
        }
        if let Some(next) = page.at("next").as_str() {
            out.line(out.tone(Tone::Faint, format_args!("more: --cursor {next}")))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header);
    table
}

fn listed(out: &mut Out, page: &Value) -> Result<(), Failure> {
    let header = ["arrived", "request", "caller", "resource", "operation", "ruling", "outcome", "masked"];
    let mut table = table(&header);
    for exchange in page.list("exchanges") {
        table.add_row(row(exchange, out));
    }
    Ok(out.line(table)?)
}

fn grouped(out: &mut Out, page: &Value) -> Result<(), Failure> {
    let mut table = table(&["began", "ended", "session", "caller", "resource", "exchanges", "name"]);
    for session in page.list("sessions") {
        let text = |key: &str| session.at(key).as_str();
        table.add_row([
            moment(text("began")),
            moment(text("ended")),
            or_dash(session, "session"),
            text("email").or(text("subject")).unwrap_or("-").to_owned(),
            or_dash(session, "resource"),
            session.at("exchanges").to_string(),
            or_dash(session, "session_name"),
        ]);
    }
    Ok(out.line(table)?)
}

fn moment(time: Option<&str>) -> String {
    let time = time.and_then(|at| at.parse::<Timestamp>().ok());
    time.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

fn row(exchange: &Value, out: &Out) -> [String; 8] {
    let text = |key: &str| exchange.at(key).as_str();
    let or_dash = |key: &str| or_dash(exchange, key);
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
    let operations: Vec<&str> = exchange.list("operations").iter().filter_map(Value::as_str).collect();
    [
        moment(text("arrived")),
        or_dash("exchange"),
        text("email").or(text("subject")).unwrap_or("-").to_owned(),
        or_dash("resource"),
        if operations.is_empty() { or_dash("path") } else { operations.join(" ") },
        or_dash("ruling"),
        out.tone(tone, outcome),
        if masked == 0 { "-".to_owned() } else { masked.to_string() },
    ]
}

impl Show {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let identities = self.auditor.identities()?;
        let source = self.at.open_with(out, identities).await?;
        if let Some(first) = admin::views::session_named(&self.exchange) {
            return self.session(&source, first, out).await;
        }
        let shown = source.show(&self.exchange).await?;
        if self.json {
            out.json(&shown)?;
        } else {
            describe::print(out, &shown)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The exchanges of a session, the first first.
    async fn session(&self, source: &Source, first: ExchangeId, out: &mut Out) -> Result<ExitCode, Failure> {
        let filter = Filter { session: Some(first), limit: Some(1000), ..Filter::default() };
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = source.list(&filter, cursor.as_deref()).await?;
            all.extend(page.list("exchanges").iter().cloned());
            cursor = page.at("next").as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        all.reverse();
        let found = !all.is_empty();
        let page = json!({ "session": self.exchange, "exchanges": all });
        if self.json {
            out.json(&page)?;
        } else if found {
            listed(out, &page)?;
        } else {
            out.line("no session has this id")?;
        }
        Ok(if found { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}
