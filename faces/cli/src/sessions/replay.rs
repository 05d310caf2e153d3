//! `portcullis sessions replay` and `follow`: an answer again, at the pace it came; or as it comes.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::identity::Auditor;
use super::keys::Keys;
use super::narrow::Narrow;
use super::pace::{Pace, Then};
use super::{Where, describe};
use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::told::Told;

#[derive(Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    at: Where,
    #[command(flatten)]
    auditor: Auditor,
    /// The exchange: its request id, or enough of its beginning
    exchange: String,
    /// Without pauses
    #[arg(long, conflicts_with = "speed")]
    fast: bool,
    /// So many times as fast as it came. On a terminal: space pauses, + and - change the speed, n or → skips, q ends
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Print one JSON object a chunk, with its time
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Follow {
    #[command(flatten)]
    at: Where,
    #[command(flatten)]
    auditor: Auditor,
    /// The exchange: its request id, or enough of its beginning. Without it: the newest that runs and fits, or the
    /// first that comes
    exchange: Option<String>,
    #[command(flatten)]
    narrow: Narrow,
    /// Print one JSON object a chunk, with its time
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub(crate) async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let source = self.at.open_with(out, self.auditor.identities()?).await?;
        let keys = if self.json || self.fast { None } else { Keys::listen() };
        if keys.is_some() {
            describe::asked(out, &source.show(&self.exchange).await?)?;
            out.line(out.tone(Tone::Faint, "— the answer: space pauses, + - speed, n or → skips, q ends"))?;
        }
        let mut pace = Pace::new(self.speed, keys);
        let mut played = source.replay(&self.exchange).await?;
        let mut last = 0;
        while let Some((frame, data)) = played.next().await? {
            let after = frame.at("after_ns").as_i64().unwrap_or_default();
            let pause = Duration::from_nanos(u64::try_from(after.saturating_sub(last)).unwrap_or(0));
            if !self.fast && pace.wait(pause).await == Then::End {
                break;
            }
            last = after;
            print(out, self.json, &frame, &data)?;
        }
        if !self.json {
            out.line("")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Follow {
    pub(crate) async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let mut told = self.json || self.exchange.is_some();
        let (mut any, mut identities) = (false, self.auditor.identities()?);
        // A gateway waits only a while for one that fits; then it is asked again.
        while !any {
            let source = self.at.open_with(out, identities.take()).await?;
            let mut played = match &self.exchange {
                Some(exchange) => source.follow(exchange).await?,
                None => source.follow_next(&self.narrow.filter()?).await?,
            };
            while let Some((frame, data)) = played.next().await? {
                any = true;
                if let Some(exchange) = frame.at("exchange").as_str().filter(|_| !told) {
                    let following = out.tone(Tone::Faint, format_args!("following {exchange}"));
                    Out::stderr().line(following)?;
                    told = true;
                }
                print(out, self.json, &frame, &data)?;
            }
            any |= self.exchange.is_some();
        }
        if !self.json {
            out.line("")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(out: &mut Out, json: bool, frame: &Value, data: &[u8]) -> Result<(), Failure> {
    if json {
        out.json(frame)?;
        return Ok(());
    }
    if frame.at("kind") == "gone" {
        out.line(out.tone(Tone::Caution, frame.at("data").as_str().unwrap_or_default()))?;
    }
    if let Some(length) = frame.at("opaque").at("length").as_u64() {
        let class = frame.at("opaque").at("class").as_str().filter(|class| !class.is_empty());
        let what = class.unwrap_or("not shown");
        out.line(out.tone(Tone::Faint, format_args!("[{length} bytes {what}]")))?;
    }
    if matches!(frame.at("kind").as_str(), Some("data" | "spokendata")) {
        out.raw(data)?;
    }
    Ok(())
}
