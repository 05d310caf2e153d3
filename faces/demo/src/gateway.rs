//! The demo's gateway: the real program in a process of its own, so that it can be killed.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::client;
use crate::error::DemoError;

/// How often readiness is asked for, and how many times.
const POLL: (Duration, u32) = (Duration::from_millis(20), 3000);

/// A gateway process. Killed when dropped, so that a failed demo leaves nothing running.
pub(crate) struct Process {
    program: PathBuf,
    config: PathBuf,
    log: PathBuf,
    ready_at: String,
    child: Option<Child>,
}

impl Process {
    pub(crate) fn new(program: PathBuf, config: PathBuf, log: PathBuf, observe: &str) -> Self {
        Self { program, config, log, ready_at: format!("http://{observe}/readyz"), child: None }
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(&mut self) -> Result<(), DemoError> {
        let failed = |fault: &dyn std::fmt::Display| DemoError::new("starting the gateway", fault);
        let log = File::options().create(true).append(true).open(&self.log).map_err(|e| failed(&e))?;
        let child = Command::new(&self.program)
            .arg("serve")
            .arg("--config")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| failed(&e))?;
        self.child = Some(child);
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&mut self) -> Result<(), DemoError> {
        for _ in 0..POLL.1 {
            if client::get(&self.ready_at).await.is_ok_and(|(status, _)| status.is_success()) {
                return Ok(());
            }
            if let Some(child) = &mut self.child
                && let Ok(Some(status)) = child.try_wait()
            {
                return Err(DemoError::new(
                    "starting the gateway",
                    format!("it ended with {status}; {}", self.last_words()),
                ));
            }
            tokio::time::sleep(POLL.0).await;
        }
        Err(DemoError::new("waiting for the gateway", format!("it was never ready; {}", self.last_words())))
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        format!("{} says: {}", self.log.display(), log.lines().last().unwrap_or("nothing"))
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) -> Result<(), DemoError> {
        match self.child.take() {
            Some(mut child) => {
                child.kill().await.map_err(|fault| DemoError::new("killing the gateway", fault))
            }
            None => Ok(()),
        }
    }
}
