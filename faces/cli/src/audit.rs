//! `portcullis audit`: is the record whole, unchanged and the one that was checkpointed.
//!
//! Reads files alone: works on a copy, on another machine, and beside a running gateway.

mod page;
mod prove;
mod report;
mod verify;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use record::audit::Expected;
use record::note::{Notes, Signed, VerifierKey};
use serde_json::json;

use crate::config_verb;
use crate::failure::Failure;
use crate::out::{Out, Tone};

#[derive(Subcommand)]
pub(crate) enum AuditVerb {
    /// Check everything: frames, digests, tree, checkpoints; names the first bad place
    Verify(verify::Verify),
    /// Write what happened in a stretch of time, on one page
    Report(report::ReportVerb),
    /// Print the newest checkpoint
    Checkpoint(Checkpoint),
    /// Print the keys that sign checkpoints, the newest last
    Key(Keys),
    /// Write a proof that an exchange is in the record, for whoever does not have the record
    Prove(prove::Prove),
    /// Check a proof with nothing but the key
    Check(prove::Check),
    /// Show that the record of one checkpoint begins with the record of another
    Consistency(prove::Consistency),
    /// Make a new key for checkpoints; the next start of the gateway takes it over
    Rotate(Rotate),
}

/// Which ledger to read.
#[derive(Args)]
pub(crate) struct Where {
    /// The ledger's folder; taken from the configuration when absent
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// The configuration file
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
}

impl Where {
    fn dir(&self, colour: bool) -> Result<PathBuf, Failure> {
        match &self.ledger {
            Some(dir) => Ok(dir.clone()),
            None => Ok(config_verb::load(&self.config, colour)?.ledger.dir),
        }
    }
}

/// Which ledger is verified, and what is known of it from elsewhere.
#[derive(Args)]
struct Whole {
    /// The ledger's folder, or a copy of it; taken from the configuration when absent
    dir: Option<PathBuf>,
    /// Checkpoints kept elsewhere: a file with any number of them, or - for standard input
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    /// The key that must have signed, or handed over: as `audit key` prints it, or a file with it
    #[arg(long)]
    key: Option<String>,
    /// The configuration file
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
}

impl Whole {
    /// The folder, and what is expected of what lies in it.
    fn read(&self, colour: bool) -> Result<(PathBuf, Expected), Failure> {
        let dir = match &self.dir {
            Some(dir) => dir.clone(),
            None => config_verb::load(&self.config, colour)?.ledger.dir,
        };
        let mut expected =
            Expected { checkpoints: Vec::new(), key: self.key.as_deref().map(key).transpose()? };
        for file in &self.against {
            expected.checkpoints.extend(checkpoints(file)?);
        }
        Ok((dir, expected))
    }
}

#[derive(Args)]
pub(crate) struct Checkpoint {
    #[command(flatten)]
    at: Where,
    /// Have the running gateway make one of all there is now
    #[arg(long)]
    now: bool,
}

#[derive(Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    at: Where,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Rotate {
    /// The configuration file
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
}

impl AuditVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        match self {
            Self::Verify(verb) => verb.run(out),
            Self::Report(verb) => verb.run(out),
            Self::Checkpoint(verb) => verb.run(out),
            Self::Key(verb) => verb.run(out),
            Self::Prove(verb) => verb.run(out),
            Self::Check(verb) => verb.run(out),
            Self::Consistency(verb) => verb.run(out),
            Self::Rotate(verb) => verb.run(out),
        }
    }
}

impl Checkpoint {
    fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let dir = self.at.dir(out.colour())?;
        if self.now {
            ask(&dir)?;
        }
        match record::last_checkpoint(&dir)? {
            Some(signed) => out.raw(signed.to_string().as_bytes())?,
            None => {
                return Err(Failure::Said(format!(
                    "the ledger in {} holds no checkpoint yet: the gateway signs one when it starts",
                    dir.display()
                )));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks the gateway that writes the ledger, and waits until it has done it.
fn ask(dir: &Path) -> Result<(), Failure> {
    const EVERY: Duration = Duration::from_millis(50);
    const TIMES: u32 = 600;
    if !record::is_written(dir) {
        return Err(Failure::Said(format!(
            "no gateway writes the ledger in {}: only it can sign; without `--now` the newest checkpoint is printed",
            dir.display()
        )));
    }
    record::ask_for_checkpoint(dir)?;
    for _ in 0..TIMES {
        if !record::is_asked(dir) {
            return Ok(());
        }
        std::thread::sleep(EVERY);
    }
    record::ask_no_more(dir);
    Err(Failure::Said("the gateway made no checkpoint within half a minute: see its log".to_owned()))
}

impl Keys {
    fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let keys = record::audit::keys(&self.at.dir(out.colour())?)?;
        if self.json {
            let keys: Vec<_> =
                keys.iter().map(|used| json!({ "leaf": used.leaf, "key": used.key.to_string() })).collect();
            out.json(&json!({ "keys": keys }))?;
        } else {
            for used in &keys {
                out.line(&used.key)?;
            }
        }
        Ok(if keys.is_empty() { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}

impl Rotate {
    fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let ledger = config_verb::load(&self.config, out.colour())?.ledger;
        record::rotate(&ledger.checkpoints.key)?;
        let good = out.tone(Tone::Good, "ok");
        let file = ledger.checkpoints.key.display();
        out.line(format_args!(
            "{good}: a new key lies in {file}. Start the gateway again: it records the key, and signs its next checkpoint with both; \
             then the old one is removed."
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// All checkpoints in a file; `-` is standard input.
fn checkpoints(file: &Path) -> Result<Vec<Signed>, Failure> {
    let named = |why: String| Failure::Said(format!("{}: {why}", file.display()));
    let from: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(file).map_err(|fault| named(format!("cannot be read: {fault}")))?)
    };
    let notes: Result<Vec<_>, _> =
        Notes::new(BufReader::new(from)).map(|note| note.map(|(_, note)| note)).collect();
    let notes = notes.map_err(|fault| named(format!("is no file of checkpoints: {fault}")))?;
    if notes.is_empty() { Err(named("holds no checkpoint".to_owned())) } else { Ok(notes) }
}

/// The newest checkpoint in a file.
fn newest(file: &Path) -> Result<Signed, Failure> {
    let notes = checkpoints(file)?;
    let newest = notes.into_iter().max_by_key(|signed| signed.checkpoint().size);
    newest.ok_or_else(|| Failure::Said(format!("{}: holds no checkpoint", file.display())))
}

/// A key as it is written, or the last one in a file.
fn key(text: &str) -> Result<VerifierKey, Failure> {
    if text.contains('+') {
        return text.parse().map_err(|fault| Failure::Said(format!("--key: {fault}")));
    }
    let mut written = String::new();
    let read = File::open(text).and_then(|file| file.take(4096).read_to_string(&mut written));
    read.map_err(|fault| {
        Failure::Said(format!(
            "--key: `{text}` is neither a key, as `portcullis audit key` prints it, nor a file with one: {fault}"
        ))
    })?;
    let last = written.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    last.parse().map_err(|fault| Failure::Said(format!("--key: {text}: {fault}")))
}
