//! `portcullis callers`: who was seen, and how they stand.

use std::process::ExitCode;

use authenticate::standing::Known;
use clap::{Args, Subcommand};
use comfy_table::Table;
use jiff::Timestamp;
use model::{Clock, SystemClock};

use crate::access::{State, said};
use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::serve;

#[derive(Subcommand)]
pub(crate) enum CallersVerb {
    /// List who was seen: issuer, groups, last use, age of the token, blocked or not
    List(List),
}

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    at: State,
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
        let standing = self.at.open_to_read(out.colour()).await?;
        let mut page = standing.list(self.cursor.as_deref(), self.limit).await.map_err(said)?;
        if self.shut_out {
            page.callers.retain(|known| known.blocked.is_some() || known.revoked.is_some());
        }
        if self.at.json {
            out.json(&page)?;
            return Ok(ExitCode::SUCCESS);
        }
        let now = SystemClock::default().now();
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["caller", "name", "groups", "first seen", "last seen", "token", "standing"]);
        for known in &page.callers {
            table.add_row(row(known, now, out));
        }
        out.line(table)?;
        if let Some(next) = page.next {
            out.line(out.tone(Tone::Faint, format_args!("more: --cursor {next}")))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(known: &Known, now: Timestamp, out: &Out) -> [String; 7] {
    let seen = known.seen.as_ref();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let day = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M").to_string();
    let token = seen.map(|seen| match seen.token_expires_at {
        ended if ended <= now => "ended".to_owned(),
        _ => seen.token_issued_at.map_or_else(|| "of unknown age".to_owned(), |at| age(now, at)),
    });
    let standing = match (&known.blocked, &known.revoked) {
        (Some(block), _) => {
            let why = block.reason.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
            out.tone(Tone::Bad, format_args!("blocked{why}"))
        }
        (None, Some(revoked)) => {
            out.tone(Tone::Caution, format_args!("revoked before {}", day(revoked.before)))
        }
        (None, None) => out.tone(Tone::Good, "good"),
    };
    [
        known.id.to_string(),
        or_dash(seen.and_then(|seen| seen.email.clone().or_else(|| seen.display.clone()))),
        or_dash(seen.map(|seen| seen.groups.iter().cloned().collect::<Vec<_>>().join(" "))),
        or_dash(seen.map(|seen| day(seen.first))),
        or_dash(seen.map(|seen| day(seen.last))),
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
