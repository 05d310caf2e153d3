//! `portcullis access`: who is shut out. With `--local`, straight in the state's file: a running gateway
//! sees it within a second.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use authenticate::Standing;
use authenticate::standing::{CallerId, Known};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use model::{Clock, SystemClock};
use serde_json::json;
use store::SqliteStore;

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::{config_verb, serve};

#[derive(Subcommand)]
pub(crate) enum AccessVerb {
    /// Shut a caller out, from the next request on; what runs is cut within a second
    Block(Block),
    /// Let a caller in again
    Unblock(Unblock),
    /// Refuse a caller's tokens that were issued before now, or before a time
    Revoke(Revoke),
}

/// Which state to use.
#[derive(Args)]
pub(crate) struct State {
    /// Work on the state's file itself, as whoever may write it: no policy is asked
    #[arg(long)]
    local: bool,
    /// The state's folder; taken from the configuration when absent
    #[arg(long, requires = "local")]
    state: Option<PathBuf>,
    /// The configuration file
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl State {
    fn dir(&self, colour: bool) -> Result<PathBuf, Failure> {
        if !self.local {
            return Err(Failure::Said(
                "say `--local` to work on the state's file on this machine, as its operator".to_owned(),
            ));
        }
        match &self.state {
            Some(dir) => Ok(dir.clone()),
            None => Ok(config_verb::load(&self.config, colour)?.state.dir),
        }
    }

    /// The state, to change.
    pub(crate) async fn open(&self, colour: bool) -> Result<Arc<Standing>, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let store = SqliteStore::open(&self.dir(colour)?, Arc::clone(&clock)).await.map_err(said)?;
        Standing::open(Arc::new(store), clock).await.map_err(said)
    }

    /// The state, to read alone: nothing is made or changed, also where nothing may be.
    pub(crate) async fn open_to_read(&self, colour: bool) -> Result<Arc<Standing>, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let store = SqliteStore::open_to_read(&self.dir(colour)?, Arc::clone(&clock)).await.map_err(said)?;
        Standing::open(Arc::new(store), clock).await.map_err(said)
    }
}

pub(crate) fn said(fault: impl std::fmt::Display) -> Failure {
    Failure::Said(fault.to_string())
}

#[derive(Args)]
pub(crate) struct Block {
    /// The caller: issuer#subject, or the subject or e-mail address of somebody who was seen
    caller: String,
    /// Why, for other operators; the caller is not told
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    at: State,
}

#[derive(Args)]
pub(crate) struct Unblock {
    /// The caller: issuer#subject, or the subject or e-mail address of somebody who was seen
    caller: String,
    #[command(flatten)]
    at: State,
}

#[derive(Args)]
pub(crate) struct Revoke {
    /// The caller: issuer#subject, or the subject or e-mail address of somebody who was seen
    caller: String,
    /// Tokens issued before this are refused; now when absent
    #[arg(long)]
    before: Option<Timestamp>,
    /// Why, for other operators
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    at: State,
}

impl AccessVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        serve::runtime()?.block_on(async {
            match self {
                Self::Block(verb) => verb.run(out).await,
                Self::Unblock(verb) => verb.run(out).await,
                Self::Revoke(verb) => verb.run(out).await,
            }
        })
    }
}

impl Block {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let standing = self.at.open(out.colour()).await?;
        let caller = who(&standing, &self.caller).await?;
        let block = standing.block(&caller, self.reason.as_deref(), &by()).await.map_err(said)?;
        if self.at.json {
            out.json(&json!({ "caller": caller, "blocked": block }))?;
        } else {
            out.line(format_args!("{} {caller}", out.tone(Tone::Bad, "blocked")))?;
            if standing.get(&caller).await.map_err(said)?.is_none_or(|known| known.seen.is_none()) {
                let note = "nobody by this id was seen yet: check how it is written";
                out.line(out.tone(Tone::Caution, note))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Unblock {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let standing = self.at.open(out.colour()).await?;
        let caller = who(&standing, &self.caller).await?;
        let was_blocked = standing.unblock(&caller, &by()).await.map_err(said)?;
        if self.at.json {
            out.json(&json!({ "caller": caller, "was_blocked": was_blocked }))?;
        } else if was_blocked {
            out.line(format_args!("{} {caller}", out.tone(Tone::Good, "unblocked")))?;
        } else {
            out.line(format_args!("{caller} was not blocked"))?;
        }
        Ok(if was_blocked { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

impl Revoke {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let standing = self.at.open(out.colour()).await?;
        let caller = who(&standing, &self.caller).await?;
        let before = self.before.unwrap_or_else(|| SystemClock::default().now());
        let revoked = standing.revoke(&caller, before, self.reason.as_deref(), &by()).await.map_err(said)?;
        if self.at.json {
            out.json(&json!({ "caller": caller, "revoked": revoked }))?;
        } else {
            let done = out.tone(Tone::Bad, "revoked");
            out.line(format_args!("{done} every token of {caller} from before {}", revoked.before))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The one caller that is meant.
async fn who(standing: &Standing, name: &str) -> Result<CallerId, Failure> {
    let found = standing.named(name).await.map_err(said)?;
    match found.as_slice() {
        [Known { id, .. }] => Ok(id.clone()),
        // An id names somebody also before they were ever seen.
        [] => CallerId::parse(name).map_err(|_| {
            Failure::Said(format!(
                "nobody called `{name}` was seen: write issuer#subject, or see `portcullis callers list`"
            ))
        }),
        several => {
            let ids: Vec<String> = several.iter().take(10).map(|known| known.id.to_string()).collect();
            Err(Failure::Said(format!("`{name}` could be any of these; say which: {}", ids.join(", "))))
        }
    }
}

/// Who works on the file: the machine's user, for other operators to read.
fn by() -> String {
    format!("user {} of the gateway's machine", rustix::process::getuid().as_raw())
}
