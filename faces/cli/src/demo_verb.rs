//! `portcullis demo`: the main job, done on this machine alone.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;

use clap::Args;

use crate::failure::Failure;
use crate::out::Out;
use crate::serve;
use crate::terminal::Terminal;

#[derive(Args)]
pub(crate) struct Demo {
    /// Run every scene without a terminal, then stop: 0 when all hold
    #[arg(long)]
    check: bool,
    /// Keep everything in this folder (the ledger in DIR/ledger) instead of a temporary one
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Use a real OpenAI-compatible model server instead of the embedded one
    #[arg(long, value_name = "URL")]
    upstream: Option<http::Uri>,
    /// Where that server's key lies, as env:NAME or file:PATH
    #[arg(long, value_name = "REFERENCE", requires = "upstream")]
    upstream_key: Option<String>,
}

impl Demo {
    pub(crate) fn run(self, _out: &mut Out) -> Result<ExitCode, Failure> {
        let program = std::env::current_exe().map_err(|fault| {
            Failure::Said(format!("cannot find this program to run it as the gateway: {fault}"))
        })?;
        let options = demo::Options {
            check: self.check,
            dir: self.dir,
            upstream: self.upstream,
            upstream_key: self.upstream_key,
            program,
            terminal: std::io::stdout().is_terminal() && !self.check,
            keys: (!self.check)
                .then_some(|| Terminal::beside_signals().map(|keys| Box::new(keys) as Box<dyn demo::Keys>)),
        };
        let shown = serve::runtime()?.block_on(demo::run(options, &mut std::io::stdout()));
        match shown {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(fault) => Err(Failure::Said(fault.to_string())),
        }
    }
}

impl demo::Keys for Terminal {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = u8> + Send + '_>> {
        Box::pin(Terminal::next(self))
    }
}
