//! `portcullis sessions replay`: an answer again, at the pace it came.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use record::Reader;
use record::body::{Direction, Kind};

use super::Where;
use crate::failure::Failure;
use crate::out::{Out, Tone};

/// No pause is longer than this: a model that thought for minutes need not be waited for again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    at: Where,
    /// The exchange: its request id, or enough of its beginning
    exchange: String,
    /// Without pauses
    #[arg(long)]
    fast: bool,
    /// Print one JSON object a chunk, with its time
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub(crate) async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let reader = Reader::open(&self.at.dir(out.colour())?).await?;
        let id = reader.find(&self.exchange).await?;
        let exchange = reader.show(id).await?;
        let began = exchange.opened.as_ref().map_or(0, |opened| opened.arrived);
        if let (Some(opened), false) = (&exchange.opened, self.json) {
            let who = opened.caller.as_ref().map(|caller| caller.subject.clone()).unwrap_or_default();
            let what = opened.request.as_ref().map(|head| format!("{} {}", head.method, head.path));
            let line = format!("{who} asked {}: {}", opened.resource, what.unwrap_or_default());
            out.line(out.tone(Tone::Faint, line))?;
        }
        let mut last = began;
        for frame in reader.frames(id, &exchange) {
            let frame = frame.map_err(record::LedgerError::from)?;
            if frame.direction() != Direction::Response {
                continue;
            }
            if !self.fast {
                let pause = Duration::from_nanos(u64::try_from(frame.time.saturating_sub(last)).unwrap_or(0));
                tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
            }
            last = frame.time;
            match frame.kind() {
                _ if self.json => out.json(&super::describe::frame(began, &frame))?,
                Kind::Data | Kind::SpokenData => out.raw(&frame.data)?,
                Kind::Opaque | Kind::Withheld => {
                    let length = frame.opaque.as_ref().map_or(0, |opaque| opaque.length);
                    out.line(out.tone(Tone::Faint, format_args!("[{length} bytes, kept as a digest]")))?;
                }
                _ => {}
            }
        }
        let outcome = exchange.sealed.as_ref().map_or("still running", |sealed| sealed.outcome.as_str());
        if !self.json {
            out.line("")?;
            out.line(out.tone(Tone::Faint, format_args!("— {outcome}")))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
