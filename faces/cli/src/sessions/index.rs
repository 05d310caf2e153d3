//! `portcullis sessions index`: the index of the record, made anew.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use record::Indexing;

use crate::bar::Bar;
use crate::config_verb;
use crate::failure::Failure;
use crate::out::{Out, Tone};

#[derive(Args)]
pub(crate) struct Index {
    /// The ledger's folder; taken from the configuration when absent
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// The configuration file
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
}

impl Index {
    pub(crate) async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let (dir, indexing) = match self.ledger {
            // As it was made.
            Some(dir) => (dir, None),
            None => {
                let ledger = config_verb::load(&self.config, out.colour())?.ledger;
                let finding = ledger.finding;
                let indexing = Indexing { session_idle: finding.session_idle, full_text: finding.full_text };
                (ledger.dir, Some(indexing))
            }
        };
        let mut bar = Bar::new();
        let built = record::rebuild_index_as(&dir, indexing, |done, of| bar.draw(done, of)).await;
        bar.clear();
        built?;
        out.line(format_args!(
            "{}: the index in {} is made anew",
            out.tone(Tone::Good, "ok"),
            dir.display()
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}
