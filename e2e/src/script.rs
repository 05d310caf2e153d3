//! Runs short programs in Python and Node with the vendors' own SDKs.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::parts::{Parts, require};

/// No script of these tests runs longer: what it said so far is told before the test itself is ended.
const WITHIN: Duration = Duration::from_secs(180);

/// Runs a Python program with the `openai` and `anthropic` packages, and gives the JSON it printed
/// last. `environment` is what it finds in `os.environ`.
///
/// # Panics
/// When it fails or prints no JSON, with everything it said.
pub async fn python(program: &str, environment: &[(&str, &str)]) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("main.py");
    std::fs::write(&file, program).expect("a temporary file");
    run(Command::new(require().python()), &file, environment).await
}

/// Runs a program for Node with the `openai` package, and gives the JSON it printed last.
///
/// # Panics
/// When it fails or prints no JSON, with everything it said.
pub async fn node(program: &str, environment: &[(&str, &str)]) -> Value {
    let folder = beside_packages(&require(), program);
    run(Command::new("node"), &folder.path().join("main.mjs"), environment).await
}

/// Runs a script of ours below `e2e/parts/node`, and gives the JSON it printed last.
///
/// # Panics
/// When it is not there, fails, or prints no JSON, with everything it said.
pub async fn node_part(name: &str, environment: &[(&str, &str)]) -> Value {
    let parts = require();
    let text = |name: &str| {
        std::fs::read_to_string(parts.script(&format!("node/{name}"))).expect("a script of ours")
    };
    let folder = beside_packages(&parts, &text(name));
    // What several of them do at a page.
    std::fs::write(folder.path().join("browser.mjs"), text("browser.mjs")).expect("a temporary file");
    run(Command::new("node"), &folder.path().join("main.mjs"), environment).await
}

/// Writes `program` to a new folder from which Node finds the installed packages: it looks for them
/// only above the file that asks.
pub(crate) fn beside_packages(parts: &Parts, program: &str) -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix("run-")
        .tempdir_in(parts.node_folder())
        .expect("a folder for scripts");
    std::fs::write(folder.path().join("main.mjs"), program).expect("a temporary file");
    folder
}

async fn run(mut command: Command, file: &Path, environment: &[(&str, &str)]) -> Value {
    command.arg(file).envs(environment.iter().copied()).env("NO_PROXY", "127.0.0.1,localhost");
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ran = tokio::time::timeout(WITHIN, command.output()).await;
    let output = ran
        .unwrap_or_else(|_| panic!("the script still runs after {WITHIN:?}"))
        .expect("the interpreter runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the script failed ({})\n{said}\n{complained}", output.status);
    let last = said.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    last.unwrap_or_else(|| panic!("the script printed no JSON\n{said}\n{complained}"))
}
