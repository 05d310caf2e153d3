//! `cargo xtask setup`: fetches and builds what the tests stand on. May be run again at any time: a
//! step whose inputs have not changed is already done.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Project;
use crate::run::{Failure, Met, Steps, answer, program, quietly};

/// Programs that must be there already, the Debian packages that bring them, and why they are needed.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("node", "nodejs", "runs the OpenID provider and the OpenAI SDK for Node"),
    ("npm", "npm", "fetches them"),
    ("python3", "python3 python3-venv", "runs llama.cpp's server and the SDKs for Python"),
    ("openssl", "openssl", "makes the second OpenID provider's key"),
    ("cc", "build-essential", "links Rust programs"),
];
/// Programs that `setup` installs if it may.
const PACKAGES: &[(&str, &str, &str)] = &[
    ("glewlwyd", "glewlwyd", "a second OpenID provider, of another make"),
    ("age", "age", "opens what an auditor was handed of a sealed recording"),
    ("gcore", "gdb", "takes the core of a running gateway, to look for credentials in it"),
    ("ip", "iproute2", "makes networks that gateway, agent and model do not share"),
    ("nginx", "nginx", "what the benchmark measures Portcullis against"),
    ("zstd", "zstd", "unpacks compressed segments for the verifier in Python"),
    ("chromium", "chromium", "the browser that people sign in with"),
    ("pkg-config", "pkg-config", "finds the headers that the secret store is built with"),
    ("openssl.pc", "libssl-dev", "headers that the secret store of the tests is built with"),
];
const NODE_AT_LEAST: u32 = 20;
/// The crate that brings `rvault`, and its version.
const SECRET_STORE: [&str; 2] = ["rusty_vault", "0.2.1"];

/// Does every step in turn, with a line of progress for each.
pub(crate) fn setup(project: &Project) -> Result<(), Failure> {
    let mut steps = Steps::new(8);
    fs::create_dir_all(&project.testbed).met(project.testbed.display())?;
    steps.step("programs that must be there", programs)?;
    steps.step("system packages", || system_packages(project))?;
    steps.step("node packages", || node_packages(project))?;
    steps.step("Python environment", || python_environment(project))?;
    steps.step("Python packages", || python_packages(project))?;
    steps.step("tiny model", || tiny_model(project))?;
    steps.step("secret store", || secret_store(project))?;
    steps.step("everything answers", || everything_answers(project))
}

fn programs() -> Result<&'static str, Failure> {
    let missing: Vec<_> = PROGRAMS.iter().filter(|(name, _, _)| !is_there(name)).collect();
    if !missing.is_empty() {
        return Err(lacking(&missing));
    }
    let version = answer(Command::new("node").arg("--version")).unwrap_or_default();
    let major =
        version.trim_start_matches('v').split('.').next().and_then(|digits| digits.parse::<u32>().ok());
    if major.is_some_and(|major| major >= NODE_AT_LEAST) {
        return Ok("ok");
    }
    Err(Failure::new(format!(
        "node is {version}, and {NODE_AT_LEAST} or newer is needed; install a newer one first on the PATH"
    )))
}

/// What is missing, what for, and the command that brings it.
fn lacking(missing: &[&(&str, &str, &str)]) -> Failure {
    let mut text = String::from("these programs are missing:\n");
    for (name, _, why) in missing {
        text.push_str(&format!("  {name:10} {why}\n"));
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package, _)| *package).collect();
    text.push_str(&format!(
        "On Debian or Ubuntu: sudo apt-get install --no-install-recommends {}\nThen run `cargo xtask setup` again.",
        packages.join(" ")
    ));
    Failure::new(text)
}

/// Whether a program is on the PATH, or a library's headers are installed, where it ends in `.pc`.
fn is_there(name: &str) -> bool {
    match name.strip_suffix(".pc") {
        Some(library) => Command::new("pkg-config")
            .args(["--exists", library])
            .status()
            .is_ok_and(|status| status.success()),
        None => program(name).is_some(),
    }
}

fn system_packages(project: &Project) -> Result<&'static str, Failure> {
    let missing: Vec<_> = PACKAGES.iter().filter(|(name, _, _)| !is_there(name)).collect();
    if missing.is_empty() {
        return Ok("already there");
    }
    let root = answer(Command::new("id").arg("-u")).as_deref() == Some("0");
    if !root || program("apt-get").is_none() {
        return Err(lacking(&missing));
    }
    let install = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command.args(["-o", "DPkg::Lock::Timeout=600", "install", "--yes", "--no-install-recommends"]);
        command.args(missing.iter().map(|(_, package, _)| *package));
        quietly(&mut command, &log(project, "apt-install"))
    };
    if install().is_err() {
        // Most often the lists of packages are absent or old.
        quietly(Command::new("apt-get").arg("update"), &log(project, "apt-update"))?;
        install()?;
    }
    match PACKAGES.iter().find(|(name, _, _)| !is_there(name)) {
        None => Ok("installed"),
        Some((name, package, _)) => {
            Err(Failure::new(format!("package {package} is installed, but {name} is still not found")))
        }
    }
}

fn node_packages(project: &Project) -> Result<&'static str, Failure> {
    let folder = project.testbed.join("node");
    fs::create_dir_all(&folder).met(folder.display())?;
    let parts = project.root.join("e2e/parts/node");
    let mut inputs = String::new();
    for name in ["package.json", "package-lock.json"] {
        let text = read(&parts.join(name))?;
        fs::write(folder.join(name), &text).met(folder.join(name).display())?;
        inputs.push_str(&text);
    }
    once(project, "node", &inputs, || {
        let mut command = Command::new("npm");
        command.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&folder);
        quietly(&mut command, &log(project, "npm"))
    })
}

fn python_environment(project: &Project) -> Result<&'static str, Failure> {
    let folder = project.testbed.join("python");
    if folder.join("bin/python").exists() && folder.join("bin/pip").exists() {
        return Ok("already there");
    }
    let mut command = Command::new("python3");
    command.args(["-m", "venv", "--clear"]).arg(&folder);
    match quietly(&mut command, &log(project, "venv")) {
        Ok(()) => Ok("made"),
        Err(failure) => {
            Err(Failure::new(format!("{failure}\nOn Debian or Ubuntu: sudo apt-get install python3-venv")))
        }
    }
}

fn python_packages(project: &Project) -> Result<&'static str, Failure> {
    let list = project.root.join("e2e/parts/python/requirements.txt");
    let inputs = read(&list)?;
    once(project, "python-packages", &inputs, || {
        let mut command = Command::new(python(project));
        command.args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
            "--requirement",
        ]);
        quietly(command.arg(&list), &log(project, "pip"))
    })
}

fn tiny_model(project: &Project) -> Result<&'static str, Failure> {
    let script = project.root.join("e2e/parts/python/tiny_model.py");
    let model = project.testbed.join("tiny.gguf");
    let inputs = read(&script)? + if model.exists() { "" } else { "and the model is not there" };
    once(project, "tiny-model", &inputs, || {
        let mut command = Command::new(python(project));
        quietly(command.arg(&script).arg(&model), &log(project, "tiny-model"))
    })?;
    // Remembered under the script alone, now that the model is there.
    remember(project, "tiny-model", &read(&script)?)?;
    Ok("ok")
}

/// A server that speaks the interface of HashiCorp Vault, for credentials that lie in one. It is no part of
/// Portcullis, and links OpenSSL, which Portcullis does not.
fn secret_store(project: &Project) -> Result<&'static str, Failure> {
    let folder = project.testbed.join("vault");
    let inputs = format!("{SECRET_STORE:?}");
    once(project, "vault", &inputs, || {
        let mut command = Command::new("cargo");
        let [name, version] = SECRET_STORE;
        command.args(["install", name, "--version", version, "--locked", "--debug", "--root"]).arg(&folder);
        // What it is built with is thrown away: a folder of the workspace's own would keep half a GiB.
        quietly(command.env("CARGO_PROFILE_DEV_DEBUG", "0"), &log(project, "vault"))
    })
}

/// A step is done when its parts can be loaded, not when an installer says so.
fn everything_answers(project: &Project) -> Result<&'static str, Failure> {
    let mut command = Command::new(python(project));
    command.args(["-c", "import xllamacpp, openai, anthropic, openapi_spec_validator"]);
    quietly(&mut command, &log(project, "python-answers"))?;
    let mut command = Command::new("node");
    command.args([
        "--input-type=module",
        "--eval",
        "await import('oidc-provider'); await import('openai'); await import('playwright-core')",
    ]);
    quietly(command.current_dir(project.testbed.join("node")), &log(project, "node-answers"))?;
    Ok("ok")
}

fn python(project: &Project) -> PathBuf {
    project.testbed.join("python/bin/python")
}

fn log(project: &Project, name: &str) -> PathBuf {
    project.testbed.join("log").join(format!("{name}.log"))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).met(path.display())
}

fn mark(project: &Project, name: &str) -> PathBuf {
    project.testbed.join(format!("{name}.done"))
}

fn remember(project: &Project, name: &str, inputs: &str) -> Result<(), Failure> {
    let mark = mark(project, name);
    fs::write(&mark, inputs).met(mark.display())
}

/// Does `work` unless it was done for exactly these inputs before.
fn once(
    project: &Project,
    name: &str,
    inputs: &str,
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<&'static str, Failure> {
    if fs::read_to_string(mark(project, name)).is_ok_and(|done| done == inputs) {
        return Ok("already there");
    }
    work()?;
    remember(project, name, inputs)?;
    Ok("ok")
}
