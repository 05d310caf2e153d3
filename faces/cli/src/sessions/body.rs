//! `portcullis sessions body`: one recorded body as a file, for somebody who has no ledger.

use std::fs::{self, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use config::AgeRecipient;
use record::body::Direction;

use super::Where;
use super::identity::Auditor;
use crate::failure::Failure;
use crate::out::{Out, Tone};

#[derive(Args)]
pub(crate) struct BodyOf {
    #[command(flatten)]
    at: Where,
    #[command(flatten)]
    auditor: Auditor,
    /// The exchange: its request id, or enough of its beginning
    exchange: String,
    /// The request's body instead of the answer's
    #[arg(long)]
    request: bool,
    /// Encrypt it to this age recipient, which may be given several times; else to those of --identity
    #[arg(long, value_name = "RECIPIENT", value_parser = config::age_recipient)]
    to: Vec<AgeRecipient>,
    /// Write it in the clear
    #[arg(long, conflicts_with = "to")]
    plain: bool,
    /// The file to write; there must be none yet. The stock `age` tool opens it
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

impl BodyOf {
    pub(crate) async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let identities = self.auditor.identities()?;
        let recipients = match &identities {
            _ if self.plain => Vec::new(),
            Some(identities) if self.to.is_empty() => identities.recipients(),
            _ => self.to,
        };
        if recipients.is_empty() && !self.plain {
            let problem = "it is not said for whom the file is: name age recipients by --to, or write it in the \
                           clear with --plain";
            return Err(Failure::Said(problem.to_owned()));
        }
        let source = self.at.open_with(out, identities).await?;
        let frames = source.frames(&self.exchange).await?;
        let direction = if self.request { Direction::Request } else { Direction::Response };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.out);
        let file = file.map_err(|fault| {
            Failure::Said(format!("--out: `{}` cannot be made: {fault}", self.out.display()))
        })?;
        let handed = frames.hand_over(direction, &recipients, BufWriter::new(file)).inspect_err(|_| {
            // Half a body is none. That it could not be written is told; that it could not be removed adds nothing.
            let _ = fs::remove_file(&self.out);
        })?;
        let how = if recipients.is_empty() { "in the clear" } else { "as an age file" };
        out.line(format_args!("{} bytes to {}, {how}", handed.bytes, self.out.display()))?;
        if handed.missing > 0 {
            let missing = format_args!(
                "{} bytes of it are missing: the record keeps their digest alone",
                handed.missing
            );
            Out::stderr().line(out.tone(Tone::Caution, missing))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
