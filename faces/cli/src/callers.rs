//! `portcullis callers`: who was seen, and how they stand.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::Table;
use jiff::Timestamp;
use model::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::access::At;
use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::serve;
use crate::told::Told;

#[derive(Subcommand)]
pub(crate) enum CallersVerb {
    /// List who was seen: issuer, groups, last use, age of the token, blocked or not
    List(List),
}

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    at: At,
    /// Only those who are blocked or whose tokens were revoked
    #[arg(long)]
    shut_out: bool,
    /// How many
    #[arg(long, short = 'n', default_value_t = 200)]
    limit: usize,
    /// Go on after this one, as the page before says
    #[arg(long)]
    cursor: Option<String>,
}

impl CallersVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let Self::List(list) = self;
        serve::runtime()?.block_on(list.run(out))
    }
}

impl List {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let state = self.at.open(false, out).await?;
        let page = state.list(self.cursor.as_deref(), self.limit).await?;
        let shown = |known: &&Value| {
            !self.shut_out || known.at("blocked").is_object() || known.at("revoked").is_object()
        };
        let callers: Vec<&Value> = page.list("callers").iter().filter(shown).collect();
        if self.at.asked.json {
            out.json(&json!({ "callers": callers, "next": page.at("next") }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let now = SystemClock::default().now();
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["caller", "name", "groups", "first seen", "last seen", "token", "standing"]);
        for known in callers {
            table.add_row(row(known, now, out));
        }
        out.line(table)?;
        if let Some(next) = page.at("next").as_str() {
            out.line(out.tone(Tone::Faint, format_args!("more: --cursor {next}")))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(known: &Value, now: Timestamp, out: &Out) -> [String; 7] {
    let seen = known.at("seen");
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let time = |value: &Value| value.as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let day = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M").to_string();
    let token = time(seen.at("token_expires_at")).map(|ends| match ends {
        ended if ended <= now => "ended".to_owned(),
        _ => time(seen.at("token_issued_at")).map_or_else(|| "of unknown age".to_owned(), |at| age(now, at)),
    });
    let (blocked, revoked) = (known.at("blocked"), known.at("revoked"));
    let standing = if blocked.is_object() {
        let why = text(blocked.at("reason")).map(|why| format!(" ({why})")).unwrap_or_default();
        out.tone(Tone::Bad, format_args!("blocked{why}"))
    } else if let Some(before) = time(revoked.at("before")) {
        out.tone(Tone::Caution, format_args!("revoked before {}", day(before)))
    } else {
        out.tone(Tone::Good, "good")
    };
    let groups: Vec<&str> = seen.list("groups").iter().filter_map(Value::as_str).collect();
    [
        or_dash(text(known.at("id"))),
        or_dash(text(seen.at("email")).or_else(|| text(seen.at("display")))),
        if seen.is_object() { groups.join(" ") } else { "-".to_owned() },
        or_dash(time(seen.at("first")).map(day)),
        or_dash(time(seen.at("last")).map(day)),
        or_dash(token),
        standing,
    ]
}

/// How old, in its largest unit.
fn age(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s old"),
        60..3600 => format!("{}m old", seconds / 60),
        3600..86400 => format!("{}h old", seconds / 3600),
        _ => format!("{}d old", seconds / 86400),
    }
}
