//! The command `portcullis`: reads its arguments and runs one face.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
