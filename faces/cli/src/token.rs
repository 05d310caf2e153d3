//! `portcullis token`: for a 401 at three in the morning.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use authenticate::{Authenticator, Inspection, Standing, Verdict};
use clap::{Args, Subcommand};
use model::SystemClock;
use serde_json::Value;

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::{config_verb, serve};

/// The largest text read for a token.
const LIMIT: u64 = 128 << 10;

#[derive(Subcommand)]
pub(crate) enum TokenVerb {
    /// Run every check on a token and say which one fails
    Inspect(Inspect),
}

#[derive(Args)]
pub(crate) struct Inspect {
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

impl TokenVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let Self::Inspect(inspect) = self;
        inspect.run(out)
    }
}

impl Inspect {
    fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let config = config_verb::load(&self.config, out.colour())?;
        let token = if self.token == "-" { read_token()? } else { self.token };
        let inspection = serve::runtime()?.block_on(async {
            let clock = Arc::new(SystemClock::default());
            let standing = Standing::stateless(clock.clone());
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
