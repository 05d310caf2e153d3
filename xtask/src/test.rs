//! `cargo xtask test`: everything that must pass before a change is taken. Quick judgements come
//! first; the test runner comes last, so that the last line is its summary.

use std::process::Command;

use crate::Project;
use crate::run::{Failure, answer, say, show};
use crate::{fuzz, setup, tidy};

/// How long each fuzz target runs here: enough to replay its corpus and notice what is plainly broken.
const FUZZ_SECONDS: u32 = 15;

type Work = fn(&Project) -> Result<(), Failure>;

const STEPS: &[(&str, Work)] = &[
    ("setup", setup::setup),
    ("tidy", tidy::tidy),
    ("fmt", fmt),
    ("clippy", clippy),
    ("build", build),
    ("deny", deny),
    ("fuzz", fuzz_a_little),
    ("through-agents", through_agents),
    ("tests", tests),
];

/// Runs the steps in order, or only those named, and stops at the first that fails.
pub(crate) fn test(project: &Project, arguments: &[&str]) -> Result<(), Failure> {
    let wanted = only(arguments)?;
    for (name, work) in STEPS {
        if wanted.as_ref().is_none_or(|wanted| wanted.contains(name)) {
            say(&format!("── {name}\n"));
            work(project)?;
        }
    }
    Ok(())
}

fn only<'a>(arguments: &[&'a str]) -> Result<Option<Vec<&'a str>>, Failure> {
    let known = || STEPS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    match arguments {
        [] => Ok(None),
        ["--only", list] => {
            let wanted: Vec<&str> = list.split(',').collect();
            match wanted.iter().find(|name| !STEPS.iter().any(|(known, _)| known == *name)) {
                None => Ok(Some(wanted)),
                Some(name) => {
                    Err(Failure::new(format!("there is no step `{name}`; the steps are {}", known())))
                }
            }
        }
        _ => Err(Failure::new(format!("usage: cargo xtask test [--only STEP,…]; the steps are {}", known()))),
    }
}

fn cargo(project: &Project) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(&project.root);
    command
}

fn fmt(project: &Project) -> Result<(), Failure> {
    show(cargo(project).args(["fmt", "--all", "--check"]))
}

fn clippy(project: &Project) -> Result<(), Failure> {
    show(cargo(project).args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// The end-to-end tests run the program itself, so it must be there and be of this source.
fn build(project: &Project) -> Result<(), Failure> {
    show(cargo(project).args(["build", "--package", "portcullis"]))
}

fn deny(project: &Project) -> Result<(), Failure> {
    if answer(Command::new("cargo").args(["deny", "--version"])).is_none() {
        say("cargo-deny is not installed: left out\n");
        return Ok(());
    }
    show(cargo(project).args(["deny", "check"]))
}

fn fuzz_a_little(project: &Project) -> Result<(), Failure> {
    fuzz::each(project, FUZZ_SECONDS)
}

/// The end-to-end tests whose callers notice nothing of an agent: once more, with one between the gateway
/// and every upstream.
const THROUGH_AGENTS: &str = "test(/^(sdk_|masking::|hostile::|shapes::|catalogue::|opaque::|disclose::|standing::|identity::|ledger::|tls::|replay::)/) - test(=standing::a_gateway_that_cannot_read_its_state_does_not_start)";

fn through_agents(project: &Project) -> Result<(), Failure> {
    if answer(Command::new("cargo").args(["nextest", "--version"])).is_none() {
        say("cargo-nextest is not installed: left out\n");
        return Ok(());
    }
    let mut run = cargo(project);
    run.env("PORTCULLIS_E2E_THROUGH", "agent");
    show(run.args(["nextest", "run", "--package", "e2e", "--no-fail-fast", "-E", THROUGH_AGENTS]))
}

fn tests(project: &Project) -> Result<(), Failure> {
    if answer(Command::new("cargo").args(["nextest", "--version"])).is_some() {
        // nextest does not run examples in documentation; they come first, so its summary comes last.
        show(cargo(project).args(["test", "--quiet", "--workspace", "--doc"]))?;
        return show(cargo(project).args(["nextest", "run", "--workspace", "--no-fail-fast"]));
    }
    show(cargo(project).args(["test", "--workspace", "--no-fail-fast"]))
}
