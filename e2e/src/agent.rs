//! An agent as it is shipped: a process of its own, with a file of its own, beside the upstream.

use std::fs;
use std::process::{Command, ExitStatus};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::admin::ADMINS_ADMINISTER;
use crate::gateway::Gateway;
use crate::parts::portcullis;
use crate::plan::{ENGINEERS_MAY_USE, Plan};
use crate::process::{PATIENCE, Part, eventually};
use crate::provider::Provider;

/// A running agent with a folder of its own.
#[derive(Debug)]
pub struct Agent {
    /// Its name.
    pub name: String,
    folder: TempDir,
    part: Part,
}

impl Agent {
    /// Invites an agent by the gateway's own command line, with the token of an administrator, starts it
    /// with these resources, and waits until it is connected. `at` is where agents come in, with commas
    /// between several.
    ///
    /// # Panics
    /// When it is not invited, or does not come.
    pub async fn start(gateway: &Gateway, at: &str, admin: &str, name: &str, resources: Value) -> Self {
        Self::start_by(gateway, at, admin, name, resources, |command| command).await
    }

    /// The same; `wrap` says how its process is started, as in another network.
    ///
    /// # Panics
    /// When it is not invited, or does not come.
    pub async fn start_by(
        gateway: &Gateway,
        at: &str,
        admin: &str,
        name: &str,
        resources: Value,
        wrap: impl Fn(Command) -> Command,
    ) -> Self {
        let names: Vec<&str> = resources.as_object().expect("a map").keys().map(String::as_str).collect();
        let arguments = ["agents", "invite", "--name", name, "--resources", &names.join(",")];
        let invited = gateway.cli_as(Some(admin), &arguments);
        assert!(invited.status.success(), "{}", String::from_utf8_lossy(&invited.stderr));
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("join-token"), &invited.stdout).expect("a token");
        let file = json!({ "gateways": at.split(',').collect::<Vec<_>>(), "join": "file:join-token", "resources": resources });
        fs::write(folder.path().join("agent.yaml"), file.to_string()).expect("a file");
        let part = Part::start("the agent", &mut wrap(command(&folder)));
        let agent = Self { name: name.to_owned(), folder, part };
        agent.connected(gateway, admin).await;
        agent
    }

    /// Starts an agent that has a token of its own, `token`, and joins by it as `join` says. Waits for
    /// nothing.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_as_workload(at: &str, name: &str, token: &str, join: &Value, resources: Value) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("token"), token).expect("a token");
        let file = json!({ "gateways": [at], "join": join, "resources": resources });
        fs::write(folder.path().join("agent.yaml"), file.to_string()).expect("a file");
        let part = Part::start("the agent", &mut command(&folder));
        Self { name: name.to_owned(), folder, part }
    }

    /// Waits until the gateway has it.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn connected(&self, gateway: &Gateway, admin: &str) {
        let there =
            eventually(PATIENCE, || state(gateway, admin, &self.name)["connected"].is_object().then_some(()));
        there.await.unwrap_or_else(|| panic!("the agent is not connected; it said:\n{}", self.log()));
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.part.pid().as_raw_nonzero().get()
    }

    /// A file of its folder.
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Starts it again on the same files.
    pub fn restart(&mut self) {
        self.part = Part::start("the agent", &mut command(&self.folder));
    }

    /// Waits until it has ended by itself.
    pub async fn end(&mut self) -> ExitStatus {
        self.part.end().await
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        self.part.kill();
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        self.part.signal(Signal::TERM);
        self.part.end().await
    }

    /// What it has written to its outputs.
    pub fn log(&self) -> String {
        self.part.log()
    }
}

/// A gateway whose one resource, `llama`, stands beyond an agent: it has neither the model's address nor its
/// credential. `agents` says where agents come in, as the configuration does.
pub fn plan(provider: &Provider, agents: Value) -> Plan {
    Plan::default()
        .provider(provider)
        .resource("llama", json!({ "server": "llama-cpp", "agent": "any" }))
        .policy("engineers.cedar", ENGINEERS_MAY_USE)
        .policy("admin.cedar", ADMINS_ADMINISTER)
        .administered()
        .with(json!({ "agents": agents }))
}

/// How an agent does, as `agents list` tells it; null when there is none of this name.
///
/// # Panics
/// When the list cannot be had.
pub fn state(gateway: &Gateway, admin: &str, name: &str) -> Value {
    let listed = gateway.cli_as(Some(admin), &["agents", "list", "--json"]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let agents = listed["agents"].as_array().expect("a list");
    agents.iter().find(|agent| agent["name"] == name).cloned().unwrap_or_default()
}

fn command(folder: &TempDir) -> Command {
    let mut command = Command::new(portcullis());
    command.arg("agent").arg("--config").arg(folder.path().join("agent.yaml"));
    command.env("LLAMA_KEY", crate::plan::UPSTREAM_KEY).current_dir(folder.path());
    command
}
