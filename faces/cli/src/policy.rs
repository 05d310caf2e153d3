//! `portcullis policy`: whether policies are good, which ones decide, and reading them again.

mod replay;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use authorize::PolicySet;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;

use crate::config_verb;
use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::remote::{Asked, Remote};
use crate::serve;
use crate::told::Told;

#[derive(Subcommand)]
pub(crate) enum PolicyVerb {
    /// Parse and validate a folder of policies; warnings count as faults
    Check(Check),
    /// Judge again what was recorded, by a proposed set: what would have come out otherwise
    Replay(replay::Replay),
    /// Show the set that decides on a gateway now
    Show(Asked),
    /// Make a gateway read its configuration and policies again
    Reload(Asked),
}

#[derive(Args)]
pub(crate) struct Check {
    /// The folder that holds `*.cedar`; taken from the configuration when absent
    dir: Option<PathBuf>,
    /// Let a gateway check it, as the version that runs there reads it; nothing changes there
    #[arg(long)]
    by_gateway: bool,
    #[command(flatten)]
    remote: Remote,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

impl PolicyVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        match self {
            Self::Check(check) => check.run(out),
            Self::Replay(replay) => replay.run(out),
            Self::Show(asked) => serve::runtime()?.block_on(show(&asked, out)),
            Self::Reload(asked) => serve::runtime()?.block_on(reload(&asked, out)),
        }
    }
}

async fn show(asked: &Asked, out: &mut Out) -> Result<ExitCode, Failure> {
    let set = asked.get("/policies").await?;
    if asked.json {
        out.json(&set)?;
        return Ok(ExitCode::SUCCESS);
    }
    for policy in set.list("policies") {
        let text = |key: &str| policy.at(key).as_str().unwrap_or("-").to_owned();
        let id = out.tone(Tone::Title, text("id"));
        out.line(format_args!("{id}  {}  {}", text("effect"), text("sentence")))?;
    }
    out.line(format_args!("set {}", set.at("hash").as_str().unwrap_or_default()))?;
    Ok(ExitCode::SUCCESS)
}

async fn reload(asked: &Asked, out: &mut Out) -> Result<ExitCode, Failure> {
    let loaded = asked.client().await?.send(Method::POST, "/policies/reload", None).await?;
    if asked.json {
        out.json(&loaded)?;
    } else {
        let good = out.tone(Tone::Good, "reloaded");
        out.line(format_args!("{good}: set {}", loaded.at("hash").as_str().unwrap_or_default()))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Check {
    fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let dir = match &self.dir {
            Some(dir) => dir.clone(),
            None => config_verb::load(&self.remote.config, out.colour())?.policies.dir,
        };
        if self.by_gateway {
            return serve::runtime()?.block_on(Self::ask(&self.remote, &dir, out));
        }
        match PolicySet::load(&dir) {
            Ok(set) => {
                let report = set.report();
                if self.json {
                    out.json(&json!({
                        "ok": true, "report": report, "built_in_disclosure": !set.rules_disclosure(),
                    }))?;
                    return Ok(ExitCode::SUCCESS);
                }
                for policy in &report.policies {
                    let id = out.tone(Tone::Title, &policy.id);
                    let sentence = policy.sentence.as_deref().unwrap_or("(no sentence above it)");
                    out.line(format_args!("{id}  {}  {sentence}", policy.effect))?;
                }
                if !set.rules_disclosure() {
                    let id = out.tone(Tone::Title, "built in");
                    let sentence = authorize::DISCLOSED_BY_DEFAULT;
                    out.line(format_args!("{id}  disclose  {sentence} (until a policy names it)"))?;
                }
                for warning in &report.warnings {
                    out.line(format_args!("{} {warning}", out.tone(Tone::Caution, "warning:")))?;
                }
                let good = out.tone(Tone::Good, "ok");
                out.line(format_args!("{good}: {} policies, set {}", report.policies.len(), report.hash))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(faults) => {
                if self.json {
                    out.json(&json!({ "ok": false, "faults": faults }))?;
                } else {
                    out.line(faults)?;
                }
                Ok(ExitCode::from(1))
            }
        }
    }

    /// Lets the gateway check the files of a folder, and tells what it says as JSON.
    async fn ask(remote: &Remote, dir: &Path, out: &mut Out) -> Result<ExitCode, Failure> {
        let mut files = BTreeMap::new();
        let unread = |fault| Failure::Said(format!("cannot read {}: {fault}", dir.display()));
        for entry in std::fs::read_dir(dir).map_err(unread)? {
            let path = entry.map_err(unread)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if name.ends_with(".cedar") && !name.starts_with('.') {
                files.insert(name, std::fs::read_to_string(&path).map_err(unread)?);
            }
        }
        let files: Vec<_> = files.iter().map(|(name, text)| json!({ "name": name, "text": text })).collect();
        let client = remote.client().await?;
        let told = client.send(Method::POST, "/policies/check", Some(&json!({ "files": files }))).await?;
        out.json(&told)?;
        Ok(if *told.at("ok") == json!(true) { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}
