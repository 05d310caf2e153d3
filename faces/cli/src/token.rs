//! `portcullis token`: prints a fresh one; and `token inspect`, for a 401 at three in the morning.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use authenticate::{Authenticator, Inspection, Standing, Verdict};
use clap::{Args, Subcommand};
use model::{Clock, SystemClock};
use serde_json::{Value, json};
use store::SqliteStore;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::whoami::Whose;
use crate::{config_verb, log, serve};

/// The largest text read for a token.
const LIMIT: u64 = 128 << 10;

/// Without a verb: print one.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Token {
    #[command(subcommand)]
    verb: Option<TokenVerb>,
    #[command(flatten)]
    print: Print,
}

#[derive(Args)]
struct Print {
    #[command(flatten)]
    whose: Whose,
    /// Print JSON, with the token's end in seconds since 1970
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum TokenVerb {
    /// Run every check on a token and say which one fails
    Inspect(Inspect),
}

#[derive(Args)]
struct Inspect {
    /// The token, or `-` to read it from standard input (which keeps it out of the shell's history)
    #[arg(default_value = "-")]
    token: String,
    /// The configuration file
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

impl Token {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        match self.verb {
            Some(TokenVerb::Inspect(inspect)) => inspect.run(out),
            None => self.print.run(out),
        }
    }
}

impl Print {
    fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        log::start("error");
        serve::runtime()?.block_on(async {
            // Whoever calls this may lose patience in the middle of a refresh. The new refresh token must be
            // written down before the process ends, or the login is lost; each step of it is bounded.
            let wait = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            let _held: Vec<_> = wait.into_iter().filter_map(|kind| signal(kind).ok()).collect();
            let login = self.whose.choose()?;
            let token = login.token().await?;
            let token = secrecy::ExposeSecret::expose_secret(&token);
            if self.json {
                let ends = login.kept()?.map(|kept| kept.ends.as_second());
                out.json(&json!({ "token": token, "expires_at": ends }))?;
            } else {
                out.line(token)?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl Inspect {
    fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let config = config_verb::load(&self.config, out.colour())?;
        let token = if self.token == "-" { read_token()? } else { self.token };
        let inspection = serve::runtime()?.block_on(async {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
            let standing = standing(&config, &clock).await?;
            let authenticator = Authenticator::build(&config.issuers, &config.limits, clock, standing)
                .map_err(|fault| Failure::Said(fault.to_string()))?;
            Ok::<_, Failure>(authenticator.inspect(token.trim()).await)
        })?;
        if self.json {
            out.json(&inspection)?;
        } else {
            print(out, &inspection)?;
        }
        Ok(if inspection.accepted { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

/// Who is shut out, by the gateway's state where that can be found; else that check is left out.
async fn standing(config: &config::Config, clock: &Arc<dyn Clock>) -> Result<Arc<Standing>, Failure> {
    let said = |fault: &dyn std::fmt::Display| Failure::Said(fault.to_string());
    if !config.state.dir.join(store::FILE_NAME).is_file() {
        return Ok(Standing::stateless(Arc::clone(clock)));
    }
    let store = SqliteStore::open_to_read(&config.state.dir, Arc::clone(clock)).await;
    let store = store.map_err(|fault| said(&fault))?;
    Standing::open(Arc::new(store), Arc::clone(clock)).await.map_err(|fault| said(&fault))
}

fn print(out: &mut Out, inspection: &Inspection) -> Result<(), Failure> {
    let mut rest = Vec::new();
    for checked in &inspection.checks {
        let (mark, why) = match &checked.verdict {
            Verdict::Passed => (out.tone(Tone::Good, "✓"), None),
            Verdict::Failed { why } => (out.tone(Tone::Bad, "✗"), Some(why)),
            Verdict::NotReached => {
                rest.push(checked.check);
                continue;
            }
        };
        out.line(format_args!("{mark} {:<12} {}", checked.check, checked.asks))?;
        if let Some(why) = why {
            out.line(format_args!("  {:<12} {}", "", out.tone(Tone::Bad, why)))?;
        }
    }
    if !rest.is_empty() {
        let rest = format!("· not reached: {}", rest.join(", "));
        out.line(out.tone(Tone::Faint, rest))?;
    }
    for (claim, text) in told(inspection.claims.as_ref()) {
        out.line(format_args!("{claim:<8} {text}"))?;
    }
    if let Some(issuer) = &inspection.issuer {
        out.line(format_args!("issuer   {issuer}"))?;
    }
    if let Some(groups) = &inspection.groups {
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        out.line(format_args!(
            "groups   {}",
            if groups.is_empty() { "none".to_owned() } else { groups.join(", ") }
        ))?;
    }
    let verdict = match inspection.code {
        None => out.tone(Tone::Good, "this token is accepted"),
        Some(code) => out.tone(Tone::Bad, format_args!("this token is refused with {code}")),
    };
    Ok(out.line(verdict)?)
}

/// The claims that most refusals turn on, as the token has them. Escaped: a token is a stranger's text.
fn told(claims: Option<&Value>) -> Vec<(&'static str, String)> {
    let shown = ["iss", "sub", "aud", "exp"].into_iter().filter_map(|claim| {
        let value = claims?.get(claim)?;
        let time = if claim == "exp" { value.as_i64() } else { None };
        let time = time.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        Some((claim, time.map_or_else(|| value.to_string(), |time| format!("{value} ({time})"))))
    });
    shown.collect()
}

fn read_token() -> Result<String, Failure> {
    let mut token = String::new();
    let read = std::io::stdin().take(LIMIT).read_to_string(&mut token);
    read.map_err(|fault| Failure::Said(format!("cannot read a token from standard input: {fault}")))?;
    Ok(token)
}
