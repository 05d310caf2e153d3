//! `portcullis sessions export`: recorded exchanges, for other tools.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::identity::Auditor;
use super::narrow::Narrow;
use super::{Where, har, ocsf};
use crate::failure::Failure;
use crate::out::Out;

#[derive(Args)]
pub(crate) struct Export {
    #[command(flatten)]
    at: Where,
    #[command(flatten)]
    auditor: Auditor,
    #[command(flatten)]
    narrow: Narrow,
    /// How they are written
    #[arg(long, value_enum)]
    format: Format,
    /// Into this file instead of standard output; it must not be there yet
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// How many at most
    #[arg(long, short = 'n')]
    limit: Option<u64>,
}

/// A format of export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// HTTP Archive 1.2, for a browser's developer tools
    Har,
    /// One JSON object a line, as `sessions show --json` has it
    Jsonl,
    /// Events of the Open Cybersecurity Schema Framework, one a line
    Ocsf,
}

impl Export {
    pub(crate) async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let identities = self.auditor.identities()?;
        let source = self.at.open_with(out, identities).await?;
        let mut exported = source.export(self.narrow.filter()?).await?;
        let mut file = self.out.as_ref().map(create).transpose()?;
        let mut write = |text: &str| match &mut file {
            Some(file) => file.write_all(text.as_bytes()).map_err(Failure::from),
            None => out.raw(text.as_bytes()).map_err(Failure::from),
        };
        let mut count = 0u64;
        if self.format == Format::Har {
            write(&har::begin())?;
        }
        while self.limit.is_none_or(|limit| count < limit) {
            let Some(shown) = exported.next().await? else { break };
            write(&self.format.line(&shown, count == 0))?;
            count = count.saturating_add(1);
        }
        if self.format == Format::Har {
            write(har::END)?;
            write("\n")?;
        }
        if let (Some(mut file), Some(path)) = (file, &self.out) {
            file.flush()?;
            Out::stderr().line(format_args!("{count} exchanges in {}", path.display()))?;
        }
        Ok(if count == 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}

impl Format {
    fn line(self, shown: &Value, first: bool) -> String {
        match self {
            Self::Har if first => format!("\n{}", har::entry(shown)),
            Self::Har => format!(",\n{}", har::entry(shown)),
            Self::Jsonl => format!("{shown}\n"),
            Self::Ocsf => format!("{}\n", ocsf::event(shown)),
        }
    }
}

/// A file for its owner alone: what was said to a model is in it.
fn create(path: &PathBuf) -> Result<BufWriter<File>, Failure> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let file = file.map_err(|fault| Failure::Said(format!("cannot make {}: {fault}", path.display())))?;
    Ok(BufWriter::new(file))
}
