//! `cargo xtask bench`: builds what is measured and what measures, then measures.

use std::process::Command;

use crate::Project;
use crate::run::{Failure, program, show};

/// The measuring itself is in `benches/`: it needs an HTTP client, and this tool stays quick to build.
pub(crate) fn bench(project: &Project, arguments: &[&str]) -> Result<(), Failure> {
    if program("nginx").is_none() {
        return Err(Failure::new("nginx is missing: run `cargo xtask setup`"));
    }
    let mut build = Command::new("cargo");
    build.current_dir(&project.root);
    show(build.args(["build", "--release", "--package", "portcullis", "--package", "benches"]))?;
    let target = project.root.join("target/release");
    let mut measure = Command::new(target.join("benches"));
    measure.env("PORTCULLIS_BINARY", target.join("portcullis")).args(arguments);
    show(measure.current_dir(&project.root))
}
