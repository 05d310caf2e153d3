//! `portcullis approvals`: what waits for consent, and giving or refusing it. Always asks a gateway: consent
//! is judged by policy and recorded there, with the token of whoever gives it.

mod describe;
mod inbox;
mod keys;
mod watch;

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Table;
use http::{Method, StatusCode};
use jiff::Timestamp;
use model::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::remote::{self, Asked, Client, RemoteError};
use crate::serve;
use crate::told::Told;

use describe::{short, span, text, time, tone};

#[derive(Subcommand)]
pub(crate) enum ApprovalsVerb {
    /// List what waits for consent, or what became of it
    List(Box<List>),
    /// Show one: who asks for what, why it needs consent, and what was said
    Show(Show),
    /// Consent to exactly what was asked
    Approve(Approve),
    /// Refuse it, at once and for all
    Deny(Deny),
    /// Watch what comes and what becomes of it; on a terminal, decide with a key
    Watch(watch::Watch),
}

/// Which approvals to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// Those that wait
    Waiting,
    /// Those with every consent, not yet used
    Approved,
    /// Those that somebody refused
    Denied,
    /// Those whose time ran out
    Expired,
    /// Those whose request went on its way
    Released,
    /// All of them
    All,
}

impl State {
    fn word(self) -> Option<String> {
        let word = match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Released => "released",
            Self::All => return None,
        };
        Some(word.to_owned())
    }
}

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    at: Asked,
    /// Those in this state
    #[arg(long, value_enum, default_value_t = State::Waiting)]
    state: State,
    /// Only on this resource
    #[arg(long)]
    resource: Option<String>,
    /// How many
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: u32,
    /// Go on after this one, as the page before says
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Args)]
pub(crate) struct Show {
    /// The approval's id
    approval: String,
    #[command(flatten)]
    at: Asked,
}

#[derive(Args)]
pub(crate) struct Approve {
    /// The approval's id
    approval: String,
    /// Why, for the record and for whoever asked
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    at: Asked,
}

#[derive(Args)]
pub(crate) struct Deny {
    /// The approval's id
    approval: String,
    /// Why: whoever asked is told
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    at: Asked,
}

impl ApprovalsVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        serve::runtime()?.block_on(async {
            match self {
                Self::List(list) => list.run(out).await,
                Self::Show(show) => show.run(out).await,
                Self::Approve(verb) => {
                    decide(out, &verb.at, &verb.approval, "approve", verb.reason.as_deref()).await
                }
                Self::Deny(verb) => decide(out, &verb.at, &verb.approval, "deny", Some(&verb.reason)).await,
                Self::Watch(watch) => watch.run(out).await,
            }
        })
    }
}

impl List {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let client = self.at.client().await?;
        let pairs = [
            ("state", self.state.word()),
            ("resource", self.resource),
            ("limit", Some(self.limit.to_string())),
            ("cursor", self.cursor),
        ];
        let page = client.get(&remote::query("/approvals", &pairs)).await?;
        if self.at.json {
            out.json(&page)?;
            return Ok(ExitCode::SUCCESS);
        }
        if page.list("approvals").is_empty() {
            let nothing = match self.state {
                State::Waiting => "nothing waits that you may see",
                _ => "there is none that you may see",
            };
            out.line(out.tone(Tone::Faint, nothing))?;
            return Ok(ExitCode::SUCCESS);
        }
        listed(out, page.list("approvals"))?;
        if let Some(next) = page.at("next").as_str() {
            out.line(out.tone(Tone::Faint, format_args!("more: --cursor {next}")))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn listed(out: &mut Out, approvals: &[Value]) -> Result<(), Failure> {
    let now = SystemClock::default().now();
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["approval", "asked", "by", "resource", "operation", "consents", "state", "ends"]);
    for approval in approvals {
        table.add_row(row(approval, now, out));
    }
    Ok(out.line(table)?)
}

fn row(approval: &Value, now: Timestamp, out: &Out) -> [String; 8] {
    let waits = approval.at("state") == "waiting";
    let ends = time(approval.at("expires_at")).filter(|_| waits);
    [
        text(approval.at("id")).to_owned(),
        time(approval.at("asked_at")).map_or_else(|| "-".to_owned(), |at| format!("{} ago", span(at, now))),
        describe::who(approval.at("requester")),
        describe::on(approval),
        describe::operations(approval),
        format!("{} of {}", approval.at("given"), approval.at("needed")),
        out.tone(tone(approval), text(approval.at("state"))),
        ends.map_or_else(|| "-".to_owned(), |at| format!("in {}", span(now, at))),
    ]
}

impl Show {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let shown = self.at.get(&path(&self.approval)).await?;
        if self.at.json {
            out.json(&shown)?;
        } else {
            for line in describe::lines(&shown, SystemClock::default().now(), out) {
                out.line(line)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Gives consent, or refuses it. Ends in 1 when it is settled already.
async fn decide(
    out: &mut Out,
    at: &Asked,
    approval: &str,
    verb: &str,
    reason: Option<&str>,
) -> Result<ExitCode, Failure> {
    let decided = send(&at.client().await?, approval, verb, reason).await;
    let decided = match decided {
        Err(RemoteError::Refused(refused)) if refused.status == StatusCode::CONFLICT && !at.json => {
            out.line(out.tone(Tone::Caution, refused))?;
            return Ok(ExitCode::from(1));
        }
        decided => decided?,
    };
    if at.json {
        out.json(&decided)?;
    } else {
        out.line(settled(&decided, out))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends a decision.
async fn send(
    client: &Client,
    approval: &str,
    verb: &str,
    reason: Option<&str>,
) -> Result<Value, RemoteError> {
    let body = json!({ "reason": reason.filter(|reason| !reason.trim().is_empty()), "via": "cli" });
    client.send(Method::POST, &format!("{}/{verb}", path(approval)), Some(&body)).await
}

/// What a decision came to, in a line.
fn settled(approval: &Value, out: &Out) -> String {
    let (given, needed) = (approval.at("given"), approval.at("needed"));
    let state = out.tone(tone(approval), text(approval.at("state")));
    let id = short(text(approval.at("id")));
    match text(approval.at("state")) {
        "waiting" => format!("{state} {id}: {given} of {needed} consents given"),
        _ => format!("{state} {id}: {} on {}", describe::operations(approval), describe::on(approval)),
    }
}

fn path(approval: &str) -> String {
    format!("/approvals/{}", remote::segment(approval))
}
