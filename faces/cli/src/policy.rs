//! `portcullis policy`: whether policies are good, before they decide anything.

use std::path::PathBuf;
use std::process::ExitCode;

use authorize::PolicySet;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::config_verb;
use crate::failure::Failure;
use crate::out::{Out, Tone};

#[derive(Subcommand)]
pub(crate) enum PolicyVerb {
    /// Parse and validate a folder of policies; warnings count as faults
    Check(Check),
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
        let Self::Check(check) = self;
        check.run(out)
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
}
