//! The project's own commands: `cargo xtask COMMAND`. Plain Rust, so that they build within seconds
//! on a machine that has nothing but a toolchain.
#![allow(
    clippy::disallowed_methods,
    reason = "a tool for developers: it times its steps and reads its own switches from the environment"
)]

mod bench;
mod fuzz;
mod run;
mod setup;
mod soak;
mod test;
mod tidy;
mod unrecorded;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use run::{Failure, say};

const USAGE: &str = "\
cargo xtask COMMAND

  setup                      fetch and build what the tests stand on, into target/testbed
  test [--only STEP,…]       everything that must pass: setup, tidy, fmt, clippy, build, deny, fuzz, tests
  tidy                       the house law that neither types nor clippy can say
  fuzz [TARGET] [--seconds N]  fuzz one parser, or each in turn (default 60 s each)
  soak CRATE [--cases N]     its property tests with many more cases (default 100000)
  bench [--dist] [--json] [--seconds N] [--targets LIST]
                             Portcullis beside nginx beside nothing, in one run
  bench record [--json] [--seconds N]
                             Portcullis beside a build of it that records nothing, in one run
  bench mask [--release] [FILE]
                             the masking step alone: speed and hold-back in each view

PORTCULLIS_TESTBED names another folder than target/testbed.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut words = arguments.iter().map(String::as_str);
    let command = words.next().unwrap_or("help");
    let rest: Vec<&str> = words.collect();
    let result = match command {
        "setup" => no_more(&rest).and_then(|()| setup::setup(&Project::here())),
        "test" => test::test(&Project::here(), &rest),
        "tidy" => no_more(&rest).and_then(|()| tidy::tidy(&Project::here())),
        "fuzz" => fuzz::fuzz(&Project::here(), &rest),
        "soak" => soak::soak(&Project::here(), &rest),
        "bench" => bench::bench(&Project::here(), &rest),
        "help" | "--help" | "-h" => {
            say(USAGE);
            Ok(())
        }
        other => Err(Failure::new(format!("there is no command `{other}`\n\n{USAGE}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            run::complain(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}

fn no_more(rest: &[&str]) -> Result<(), Failure> {
    match rest.first() {
        None => Ok(()),
        Some(word) => Err(Failure::new(format!("what is `{word}`? This command takes no arguments"))),
    }
}

/// Where the project lies, and where its test ground does.
pub(crate) struct Project {
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// What `setup` fills.
    pub(crate) testbed: PathBuf,
}

impl Project {
    fn here() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_path_buf();
        let testbed = match std::env::var_os("PORTCULLIS_TESTBED") {
            Some(folder) => PathBuf::from(folder),
            None => root.join("target/testbed"),
        };
        Self { root, testbed }
    }
}
