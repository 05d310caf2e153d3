//! `portcullis policy`: whether policies are good, which ones decide, and reading them again.

use std::path::PathBuf;
use std::process::ExitCode;

use authorize::PolicySet;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;

use crate::config_verb;
use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::remote::Remote;
use crate::serve;
use crate::told::Told;

#[derive(Subcommand)]
pub(crate) enum PolicyVerb {
    /// Parse and validate a folder of policies; warnings count as faults
    Check(Check),
    /// Show the set that decides on a gateway now
    Show(Asked),
    /// Make a gateway read its configuration and policies again
    Reload(Asked),
}

#[derive(Args)]
pub(crate) struct Asked {
    #[command(flatten)]
    remote: Remote,
    /// The configuration file, where the gateway's administration is named
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Check {
    /// The folder that holds `*.cedar`; taken from the configuration when absent
    dir: Option<PathBuf>,
    /// The configuration file
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

impl PolicyVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        match self {
            Self::Check(check) => check.run(out),
            Self::Show(asked) => serve::runtime()?.block_on(asked.show(out)),
            Self::Reload(asked) => serve::runtime()?.block_on(asked.reload(out)),
        }
    }
}

impl Asked {
    async fn show(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let set = self.remote.client(&self.config).await?.get("/policies").await?;
        if self.json {
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

    async fn reload(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let client = self.remote.client(&self.config).await?;
        let loaded = client.send(Method::POST, "/policies/reload", None).await?;
        if self.json {
            out.json(&loaded)?;
        } else {
            let good = out.tone(Tone::Good, "reloaded");
            out.line(format_args!("{good}: set {}", loaded.at("hash").as_str().unwrap_or_default()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Check {
    fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let dir = match self.dir {
            Some(dir) => dir,
            None => config_verb::load(&self.config, out.colour())?.policies.dir,
        };
        match PolicySet::load(&dir) {
            Ok(set) => {
                let report = set.report();
                if self.json {
                    out.json(&json!({ "ok": true, "report": report }))?;
                    return Ok(ExitCode::SUCCESS);
                }
                for policy in &report.policies {
                    let id = out.tone(Tone::Title, &policy.id);
                    let sentence = policy.sentence.as_deref().unwrap_or("(no sentence above it)");
                    out.line(format_args!("{id}  {}  {sentence}", policy.effect))?;
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
}
