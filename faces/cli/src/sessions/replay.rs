//! `portcullis sessions replay`: an answer again, at the pace it came.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::Where;
use super::identity::Auditor;
use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::told::Told;

/// No pause is longer than this: a model that thought for minutes need not be waited for again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    at: Where,
    #[command(flatten)]
    auditor: Auditor,
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
        let identities = self.auditor.identities()?;
        let mut played = self.at.open_with(out, identities).await?.replay(&self.exchange).await?;
        let mut last = 0;
        while let Some((frame, data)) = played.next().await? {
            let after = frame.at("after_ns").as_i64().unwrap_or_default();
            if !self.fast {
                let pause = Duration::from_nanos(u64::try_from(after.saturating_sub(last)).unwrap_or(0));
                tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
            }
            last = after;
            if self.json {
                out.json(&frame)?;
                continue;
            }
            if let Some(length) = frame.at("opaque").at("length").as_u64() {
                let class = frame.at("opaque").at("class").as_str().filter(|class| !class.is_empty());
                let what = class.unwrap_or("not shown");
                out.line(out.tone(Tone::Faint, format_args!("[{length} bytes {what}]")))?;
            }
            if matches!(frame.at("kind").as_str(), Some("data" | "spokendata")) {
                out.raw(&data)?;
            }
        }
        if !self.json {
            out.line("")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
