//! `cargo xtask bench`: builds what is measured and what measures, then measures.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Project;
use crate::run::{Failure, program, say, show};
use crate::unrecorded;

/// The measuring itself is in `benches/`: it needs an HTTP client, and this tool stays quick to build.
pub(crate) fn bench(project: &Project, arguments: &[&str]) -> Result<(), Failure> {
    match arguments {
        ["mask", rest @ ..] => return mask(project, rest),
        ["record", rest @ ..] => return record(project, rest),
        _ => {}
    }
    if program("nginx").is_none() {
        return Err(Failure::new("nginx is missing: run `cargo xtask setup`"));
    }
    // Built as it is shipped it is an eighth quicker, and takes ten minutes to build.
    let (profile, arguments) = match arguments {
        ["--dist", rest @ ..] => ("dist", rest),
        all => ("release", all),
    };
    build(&project.root, &project.root.join("target"), profile, "portcullis")?;
    measure(project, profile, None, arguments)
}

/// What the record costs: the gateway beside a build of it that records nothing.
fn record(project: &Project, arguments: &[&str]) -> Result<(), Failure> {
    let folder = project.root.join("target/unrecorded");
    let tree = folder.join("tree");
    unrecorded::plant(&project.root, &tree)?;
    build(&tree, &folder, "release", "portcullis")?;
    build(&project.root, &project.root.join("target"), "release", "portcullis")?;
    let arguments: Vec<&str> =
        ["--targets", "unrecorded,portcullis"].iter().chain(arguments).copied().collect();
    measure(project, "release", Some(folder.join("release/portcullis")), &arguments)
}

fn build(tree: &Path, target: &Path, profile: &str, package: &str) -> Result<(), Failure> {
    let mut build = Command::new("cargo");
    build.current_dir(tree).arg("build").arg("--target-dir").arg(target);
    show(build.args(["--profile", profile, "--package", package]))
}

/// Builds what measures, and runs it.
fn measure(
    project: &Project,
    profile: &str,
    unrecorded: Option<PathBuf>,
    arguments: &[&str],
) -> Result<(), Failure> {
    let target = project.root.join("target");
    build(&project.root, &target, "release", "benches")?;
    let mut measure = Command::new(target.join("release/benches"));
    measure.env("PORTCULLIS_BINARY", target.join(profile).join("portcullis")).args(arguments);
    measure.envs(unrecorded.map(|binary| ("PORTCULLIS_UNRECORDED", binary)));
    show(measure.current_dir(&project.root))
}

/// The masking step by itself, on one core: speed, hold-back and weight in each view. Built as it is shipped, for that
/// is what users get, or with `--release` as is quicker to build.
fn mask(project: &Project, arguments: &[&str]) -> Result<(), Failure> {
    let (profile, arguments) = match arguments {
        ["--release", rest @ ..] => ("release", rest),
        all => ("dist", all),
    };
    let shipped =
        if profile == "dist" { "as it is shipped" } else { "quicker to build than what is shipped" };
    say(&format!("built with the profile `{profile}`, {shipped}\n"));
    let mut run = Command::new("cargo");
    run.current_dir(&project.root);
    run.args(["run", "--profile", profile, "--package", "mask", "--example", "speed", "--"]);
    show(run.args(arguments))
}
