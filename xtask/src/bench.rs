//! `cargo xtask bench`: builds what is measured and what measures, then measures.

use std::process::Command;

use crate::Project;
use crate::run::{Failure, program, show};

/// The measuring itself is in `benches/`: it needs an HTTP client, and this tool stays quick to build.
pub(crate) fn bench(project: &Project, arguments: &[&str]) -> Result<(), Failure> {
    if let ["mask", rest @ ..] = arguments {
        return mask(project, rest);
    }
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

/// The masking step by itself, on one core: speed, hold-back and weight in each view.
fn mask(project: &Project, arguments: &[&str]) -> Result<(), Failure> {
    let mut run = Command::new("cargo");
    run.current_dir(&project.root);
    show(run.args(["run", "--release", "--package", "mask", "--example", "speed", "--"]).args(arguments))
}
