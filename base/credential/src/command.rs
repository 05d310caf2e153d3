//! Programs: run without a shell, with few variables, within a time, in a process group of their own.

use std::process::{ExitStatus, Stdio};

use config::{MAX_SECRET_BYTES, SecretCommand};
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::SecretString;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::error::CredentialError;
use crate::source::{Form, fit};

/// The variables that every program gets.
const VARIABLES: [&str; 3] = ["PATH", "HOME", "LANG"];
/// Tells a program for which resource it is run.
const RESOURCE: &str = "PORTCULLIS_RESOURCE";

/// What a program writes to its standard output.
pub(crate) async fn output(
    command: &SecretCommand,
    form: Form,
    resource: &str,
) -> Result<SecretString, CredentialError> {
    let mut running = Running::begin(command, resource, Stdio::piped())?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    let status = timeout(command.timeout, async {
        if let Some(stdout) = running.child.stdout.take() {
            // One byte more than a secret may have, so that a larger one shows.
            stdout.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes).await?;
        }
        if bytes.len() as u64 > MAX_SECRET_BYTES {
            return Ok(None);
        }
        running.child.wait().await.map(Some)
    })
    .await;
    let program = || program(command);
    match status {
        Err(_) => Err(late(command)),
        Ok(Err(cause)) => Err(CredentialError::Run { program: program(), cause }),
        Ok(Ok(None)) => {
            Err(CredentialError::Unfit { whence: named(command), why: "is larger than a secret may be" })
        }
        Ok(Ok(Some(status))) => {
            ended(command, status)?;
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| CredentialError::Unfit { whence: named(command), why: "is not UTF-8 text" })?;
            fit(text, form, || named(command))
        }
    }
}

/// Runs a program for what it does.
pub(crate) async fn run(command: &SecretCommand, resource: &str) -> Result<(), CredentialError> {
    let mut running = Running::begin(command, resource, Stdio::null())?;
    match timeout(command.timeout, running.child.wait()).await {
        Err(_) => Err(late(command)),
        Ok(Err(cause)) => Err(CredentialError::Run { program: program(command), cause }),
        Ok(Ok(status)) => ended(command, status),
    }
}

fn program(command: &SecretCommand) -> String {
    command.run.first().cloned().unwrap_or_default()
}

fn named(command: &SecretCommand) -> String {
    format!("`{}`", program(command))
}

fn late(command: &SecretCommand) -> CredentialError {
    let how = format!("did not end within {:?} and was killed", command.timeout);
    CredentialError::Ended { program: program(command), how }
}

fn ended(command: &SecretCommand, status: ExitStatus) -> Result<(), CredentialError> {
    if status.success() {
        return Ok(());
    }
    let how = match status.code() {
        Some(code) => format!("ended with {code}"),
        None => "was killed by a signal".to_owned(),
    };
    Err(CredentialError::Ended { program: program(command), how })
}

/// A program that runs. Dropped, it is killed with everything it started.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn begin(command: &SecretCommand, resource: &str, stdout: Stdio) -> Result<Self, CredentialError> {
        let mut words = command.run.iter();
        let program = words.next().map(String::as_str).unwrap_or_default();
        let mut process = Command::new(program);
        process.args(words).env_clear().env(RESOURCE, resource);
        for name in VARIABLES.into_iter().chain(command.environment.iter().map(String::as_str)) {
            if let Some(value) = config::variable(name) {
                process.env(name, value.as_str());
            }
        }
        process.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
        let child =
            process.spawn().map_err(|cause| CredentialError::Run { program: program.to_owned(), cause })?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, group })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A program that was waited for has no id any more: its number may be another's by now.
        if let Some(group) = self.group.filter(|_| self.child.id().is_some()) {
            // What has ended by itself can't be killed, and need not be.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
