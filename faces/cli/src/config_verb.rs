//! `portcullis config`: whether the file is good, and what it may say.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use config::Config;
use serde_json::json;

use crate::failure::Failure;
use crate::out::{Out, Tone};

#[derive(Subcommand)]
pub(crate) enum ConfigVerb {
    /// Report every fault of a configuration and its policies, each with its place
    Check(Check),
    /// Print the JSON Schema of the file
    Schema,
    /// Print the reference of every key
    Reference,
}

#[derive(Args)]
pub(crate) struct Check {
    /// The configuration file
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

impl ConfigVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        match self {
            Self::Check(check) => check.run(out),
            Self::Schema => {
                out.json(&config::json_schema())?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Reference => {
                out.raw(config::reference_markdown().as_bytes())?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl Check {
    fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let faults = match config::load(&self.config) {
            Ok(config) => return self.policies(&config, out),
            Err(faults) => faults,
        };
        if self.json {
            out.json(&json!({ "ok": false, "faults": faults.to_json() }))?;
        } else {
            out.line(faults.render(out.colour()))?;
        }
        Ok(ExitCode::from(1))
    }

    fn policies(&self, config: &Config, out: &mut Out) -> Result<ExitCode, Failure> {
        match authorize::PolicySet::load(&config.policies.dir) {
            Ok(_) if self.json => out.json(&json!({ "ok": true, "faults": [] }))?,
            Ok(set) => {
                let file = self.config.display();
                let good = out.tone(Tone::Good, "ok");
                let (resources, policies) = (config.resources.len(), set.report().policies.len());
                out.line(format_args!("{good}: {file}: resources {resources}, policies {policies}"))?;
            }
            Err(faults) if self.json => {
                out.json(&json!({ "ok": false, "faults": faults }))?;
                return Ok(ExitCode::from(1));
            }
            Err(faults) => {
                out.line(faults)?;
                return Ok(ExitCode::from(1));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// `config check` for people, as other verbs end with it.
pub(crate) fn check(file: &Path, out: &mut Out) -> Result<ExitCode, Failure> {
    Check { config: file.to_owned(), json: false }.run(out)
}

/// Reads the configuration, or says all that is wrong with it.
pub(crate) fn load(file: &Path, colour: bool) -> Result<Config, Failure> {
    config::load(file).map_err(|faults| {
        Failure::Config(format!("the configuration has faults:\n{}", faults.render(colour)))
    })
}
