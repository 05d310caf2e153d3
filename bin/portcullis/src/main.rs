//! The command `portcullis`: reads its arguments and runs one face.

use std::process::ExitCode;

/// An exchange makes many small values that live as long as it does, over two threads; this allocator
/// gives them back for a third of the system's price.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
