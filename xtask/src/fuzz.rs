//! `cargo xtask fuzz`: builds the targets of `fuzz/` with this toolchain, whichever it is, and runs
//! them. The compiler's coverage pass is reached by flags that a stable compiler takes, so nobody
//! needs a nightly or another cargo command.

use std::fs;
use std::process::Command;

use crate::Project;
use crate::run::{Failure, Met, answer, say, show};

/// What makes a program tell the fuzzer where it has been. Overflow and debug assertions are on in
/// the profile of `fuzz/Cargo.toml`; the code holds no `unsafe`, so there is no sanitizer.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];
/// Longer inputs find little that shorter ones do not, and slow everything.
const LONGEST_INPUT: u32 = 16 * 1024;
const SECONDS: u32 = 60;

/// `[TARGET] [--seconds N]`.
pub(crate) fn fuzz(project: &Project, arguments: &[&str]) -> Result<(), Failure> {
    let usage = || {
        Failure::new(format!(
            "usage: cargo xtask fuzz [TARGET] [--seconds N]; the targets are {}",
            list(project)
        ))
    };
    let (target, rest) = match arguments {
        [first, rest @ ..] if !first.starts_with('-') => (Some(*first), rest),
        all => (None, all),
    };
    let seconds = match rest {
        [] => SECONDS,
        ["--seconds", count] => count.parse().map_err(|_| usage())?,
        _ => return Err(usage()),
    };
    match target {
        None => each(project, seconds),
        Some(target) if targets(project)?.iter().any(|known| known == target) => {
            build(project)?;
            run(project, target, seconds)
        }
        Some(_) => Err(usage()),
    }
}

/// Every target in turn.
pub(crate) fn each(project: &Project, seconds: u32) -> Result<(), Failure> {
    build(project)?;
    targets(project)?.iter().try_for_each(|target| run(project, target, seconds))
}

fn targets(project: &Project) -> Result<Vec<String>, Failure> {
    let folder = project.root.join("fuzz/targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).met(folder.display())? {
        let path = entry.met(folder.display())?.path();
        if let (Some("rs"), Some(stem)) = (path.extension().and_then(|e| e.to_str()), path.file_stem()) {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn list(project: &Project) -> String {
    targets(project).unwrap_or_default().join(", ")
}

/// The compiler's own triple. Named on the command line, it keeps the flags away from build scripts
/// and macros, which would not link with them.
fn triple() -> Result<String, Failure> {
    let told = answer(Command::new("rustc").arg("-vV")).unwrap_or_default();
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::new("rustc does not say what machine it compiles for"))
}

fn build(project: &Project) -> Result<(), Failure> {
    let mut command = Command::new("cargo");
    command.current_dir(project.root.join("fuzz"));
    command.args(["build", "--release", "--bins", "--target", &triple()?]);
    // Over whatever flags the environment holds: without these there is nothing to fuzz with.
    command.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}"));
    command.env("CARGO_TARGET_DIR", project.root.join("fuzz/target"));
    show(&mut command)
}

fn run(project: &Project, target: &str, seconds: u32) -> Result<(), Failure> {
    let found = project.root.join("target/fuzz").join(target);
    let seeds = project.root.join("fuzz/seeds").join(target);
    for folder in [&found, &seeds] {
        fs::create_dir_all(folder).met(folder.display())?;
    }
    say(&format!("fuzzing {target} for {seconds} s\n"));
    let program = project.root.join("fuzz/target").join(triple()?).join("release").join(target);
    let log = project.root.join("target/fuzz").join(format!("{target}.log"));
    let mut command = Command::new(program);
    // What is found goes into the first folder; the second is only read.
    command.arg(&found).arg(&seeds);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-max_len={LONGEST_INPUT}"));
    command.arg("-timeout=10").arg("-rss_limit_mb=2048").arg("-print_final_stats=1");
    command.arg(format!("-artifact_prefix={}-", project.root.join("target/fuzz").join(target).display()));
    crate::run::quietly(&mut command, &log)?;
    let text = fs::read_to_string(&log).unwrap_or_default();
    let runs = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let covered = text.lines().rev().find_map(|line| line.split_once("cov: ")?.1.split(' ').next());
    say(&format!(
        "  {} inputs, {} places reached, nothing broke\n",
        runs.unwrap_or("?").trim(),
        covered.unwrap_or("?")
    ));
    Ok(())
}
