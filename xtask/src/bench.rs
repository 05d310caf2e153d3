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
    // Built as it is shipped it is an eighth quicker, and takes ten minutes to build.
    let (profile, arguments) = match arguments {
        ["--dist", rest @ ..] => ("dist", rest),
        all => ("release", all),
    };
    let build = |profile, package| {
        let mut build = Command::new("cargo");
        show(build.current_dir(&project.root).args(["build", "--profile", profile, "--package", package]))
    };
    build(profile, "portcullis")?;
    build("release", "benches")?;
    let target = project.root.join("target");
    let mut measure = Command::new(target.join("release/benches"));
    measure.env("PORTCULLIS_BINARY", target.join(profile).join("portcullis")).args(arguments);
    show(measure.current_dir(&project.root))
}

/// The masking step by itself, on one core: speed, hold-back and weight in each view.
fn mask(project: &Project, arguments: &[&str]) -> Result<(), Failure> {
    let mut run = Command::new("cargo");
    run.current_dir(&project.root);
    show(run.args(["run", "--release", "--package", "mask", "--example", "speed", "--"]).args(arguments))
}
