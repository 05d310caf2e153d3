//! `portcullis access`: who is shut out, and who is in a group for a while ([`grant`]). Asks the gateway; with `--local`, straight in the state's file: a
//! running gateway sees it within a second.

mod grant;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use authenticate::Standing;
use authenticate::standing::{CallerId, Known};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use http::Method;
use jiff::Timestamp;
use model::{Clock, SystemClock};
use serde_json::{Value, json};
use store::SqliteStore;

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::remote::{self, Asked, Client};
use crate::told::Told;
use crate::{config_verb, serve};

/// What work on the state's file is told to be, on standard error.
const LOCAL: &str =
    "working on the state's file here as its operator: no policy is asked, and nothing is recorded";

#[derive(Subcommand)]
pub(crate) enum AccessVerb {
    /// Shut a caller out, from the next request on; what runs is cut within a second
    Block(Block),
    /// Let a caller in again
    Unblock(Unblock),
    /// Take a grant back, or refuse a caller's tokens that were issued before now, or before a time
    Revoke(Revoke),
    /// Ask to be in a group for a while
    Request(grant::Request),
    /// List who is in a group for a while
    List(grant::List),
}

/// Which state to use.
#[derive(Args)]
pub(crate) struct At {
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// Work on the state's file on this machine, as its operator
    #[arg(long, conflicts_with = "admin")]
    local: bool,
    /// The state's folder; taken from the configuration when absent
    #[arg(long, requires = "local")]
    state: Option<PathBuf>,
}

/// The state.
pub(crate) enum State {
    /// As a gateway has it.
    Remote(Client),
    /// As it lies in the file here.
    Local(Arc<Standing>),
}

impl At {
    /// The state, to change or to read alone: then nothing is made or changed, also where nothing may be.
    pub(crate) async fn open(&self, to_change: bool, out: &Out) -> Result<State, Failure> {
        if !self.local {
            return Ok(State::Remote(self.asked.client().await?));
        }
        Out::stderr().line(LOCAL)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let dir = match &self.state {
            Some(dir) => dir.clone(),
            None => config_verb::load(&self.asked.remote.config, out.colour())?.state.dir,
        };
        let store = match to_change {
            true => SqliteStore::open(&dir, Arc::clone(&clock)).await,
            false => SqliteStore::open_to_read(&dir, Arc::clone(&clock)).await,
        };
        let standing = Standing::open(Arc::new(store.map_err(said)?), clock).await;
        Ok(State::Local(standing.map_err(said)?))
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
    at: At,
}

#[derive(Args)]
pub(crate) struct Unblock {
    /// The caller: issuer#subject, or the subject or e-mail address of somebody who was seen
    caller: String,
    #[command(flatten)]
    at: At,
}

#[derive(Args)]
pub(crate) struct Revoke {
    /// A grant's id, as `access list` shows it; or a caller: issuer#subject, or the subject or e-mail address of
    /// somebody who was seen
    #[arg(value_name = "GRANT|CALLER")]
    what: String,
    /// A caller's tokens issued before this are refused; now when absent
    #[arg(long)]
    before: Option<Timestamp>,
    /// Why, for other operators
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    at: At,
}

impl AccessVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        serve::runtime()?.block_on(async {
            match self {
                Self::Block(verb) => verb.run(out).await,
                Self::Unblock(verb) => verb.run(out).await,
                Self::Revoke(verb) => verb.run(out).await,
                Self::Request(verb) => verb.run(out).await,
                Self::List(verb) => verb.run(out).await,
            }
        })
    }
}

impl Block {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let state = self.at.open(true, out).await?;
        let caller = state.who(&self.caller).await?;
        let block = match &state {
            State::Local(standing) => {
                json!(standing.block(&caller, self.reason.as_deref(), &by()).await.map_err(said)?)
            }
            State::Remote(client) => {
                let body = json!({ "reason": self.reason });
                client.send(Method::PUT, &path(&caller, "block"), Some(&body)).await?
            }
        };
        if self.at.asked.json {
            out.json(&json!({ "caller": caller, "blocked": block }))?;
        } else {
            out.line(format_args!("{} {caller}", out.tone(Tone::Bad, "blocked")))?;
            if !state.has_seen(&caller).await? {
                let note = "nobody by this id was seen yet: check how it is written";
                out.line(out.tone(Tone::Caution, note))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Unblock {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let state = self.at.open(true, out).await?;
        let caller = state.who(&self.caller).await?;
        let was_blocked = match &state {
            State::Local(standing) => standing.unblock(&caller, &by()).await.map_err(said)?,
            State::Remote(client) => {
                let told = client.send(Method::DELETE, &path(&caller, "block"), None).await?;
                *told.at("was_blocked") == json!(true)
            }
        };
        if self.at.asked.json {
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
        let state = self.at.open(true, out).await?;
        if self.before.is_none()
            && let State::Remote(client) = &state
            && let Some(ended) = grant::revoke(client, &self.what, self.reason.as_deref()).await?
        {
            return grant::revoked(&ended, self.at.asked.json, out);
        }
        let caller = state.who(&self.what).await?;
        let revoked = match &state {
            State::Local(standing) => {
                let before = self.before.unwrap_or_else(|| SystemClock::default().now());
                let reason = self.reason.as_deref();
                json!(standing.revoke(&caller, before, reason, &by()).await.map_err(said)?)
            }
            State::Remote(client) => {
                let body = json!({ "reason": self.reason, "before": self.before });
                client.send(Method::POST, &path(&caller, "revoke"), Some(&body)).await?
            }
        };
        if self.at.asked.json {
            out.json(&json!({ "caller": caller, "revoked": revoked }))?;
        } else {
            let done = out.tone(Tone::Bad, "revoked");
            let before = revoked.at("before").as_str().unwrap_or("now").to_owned();
            out.line(format_args!("{done} every token of {caller} from before {before}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The path of an act on a caller: its id holds slashes, so its key stands there.
fn path(caller: &CallerId, act: &str) -> String {
    format!("/callers/{}/{act}", URL_SAFE_NO_PAD.encode(caller.to_string()))
}

impl State {
    /// The one caller that is meant.
    async fn who(&self, name: &str) -> Result<CallerId, Failure> {
        let ids: Vec<String> = match self {
            Self::Local(standing) => {
                let found = standing.named(name).await.map_err(said)?;
                found.into_iter().map(|Known { id, .. }| id.to_string()).collect()
            }
            // The whole id needs no looking up, which is a right of its own.
            Self::Remote(_) if CallerId::parse(name).is_ok() => Vec::new(),
            Self::Remote(client) => {
                let found =
                    client.get(&remote::query("/callers", &[("name", Some(name.to_owned()))])).await?;
                let ids = found.list("callers").iter().filter_map(|known| known.at("id").as_str());
                ids.map(str::to_owned).collect()
            }
        };
        match ids.as_slice() {
            [id] => CallerId::parse(id).map_err(said),
            // An id names somebody also before they were ever seen.
            [] => CallerId::parse(name).map_err(|_| {
                Failure::Said(format!(
                    "nobody called `{name}` was seen: write issuer#subject, or see `portcullis callers list`"
                ))
            }),
            several => {
                let ids: Vec<&str> = several.iter().take(10).map(String::as_str).collect();
                Err(Failure::Said(format!("`{name}` could be any of these; say which: {}", ids.join(", "))))
            }
        }
    }

    /// Whether the caller was ever seen; taken for granted where that may not be looked up.
    async fn has_seen(&self, caller: &CallerId) -> Result<bool, Failure> {
        match self {
            Self::Local(standing) => {
                Ok(standing.get(caller).await.map_err(said)?.is_some_and(|known| known.seen.is_some()))
            }
            Self::Remote(client) => {
                let key = URL_SAFE_NO_PAD.encode(caller.to_string());
                let told = client.get(&format!("/callers/{key}")).await;
                Ok(told.map_or(true, |known| known.at("seen").is_object()))
            }
        }
    }

    /// Some of the callers: `callers` and `next`.
    pub(crate) async fn list(&self, cursor: Option<&str>, limit: usize) -> Result<Value, Failure> {
        match self {
            Self::Local(standing) => Ok(json!(standing.list(cursor, limit).await.map_err(said)?)),
            Self::Remote(client) => {
                let pairs = [("limit", Some(limit.to_string())), ("cursor", cursor.map(str::to_owned))];
                Ok(client.get(&remote::query("/callers", &pairs)).await?)
            }
        }
    }
}

/// Who works on the file: the machine's user, for other operators to read.
fn by() -> String {
    format!("user {} of the gateway's machine", rustix::process::getuid().as_raw())
}
