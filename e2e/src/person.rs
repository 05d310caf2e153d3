//! A person at a terminal: the command line as it is shipped, with a home of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::Gateway;
use crate::parts::portcullis;
use crate::process::Part;
use crate::provider::Provider;

/// The login of the certified provider's `cli`, as a gateway's issuer has it.
pub fn login_settings() -> Value {
    json!({
        "client_id": "cli",
        "scopes": ["openid", "profile", "email", "groups", "api", "offline_access"],
        "resource": "urn:portcullis",
        "prompt": "consent",
    })
}

/// Somebody with a home. Dropped, it is gone.
#[derive(Debug)]
pub struct Person {
    home: TempDir,
}

impl Default for Person {
    fn default() -> Self {
        Self { home: tempfile::tempdir().expect("a temporary folder") }
    }
}

impl Person {
    /// The home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The folder of the logins.
    pub fn logins(&self) -> PathBuf {
        self.home.path().join("config/portcullis/logins")
    }

    /// The environment of everything this person starts.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.display().to_string();
        let beside = portcullis().parent().expect("a program lies in a folder").display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        vec![
            ("HOME", text(self.home.path().to_owned())),
            ("XDG_CONFIG_HOME", text(self.home.path().join("config"))),
            ("PATH", format!("{beside}:{path}")),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
        ]
    }

    /// `portcullis` with these arguments, to be run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(portcullis());
        command.args(arguments).envs(self.environment()).current_dir(self.home.path());
        for name in ["PORTCULLIS_TOKEN", "PORTCULLIS_GATEWAY", "PORTCULLIS_PROFILE", "BROWSER"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs `portcullis` to its end: whether it succeeded, and what it said on both outputs.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn run(&self, arguments: &[&str]) -> (Output, String) {
        let output = self.command(arguments).output().expect("portcullis runs");
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output, said)
    }

    /// Runs `portcullis` and gives what it printed, which must be JSON.
    ///
    /// # Panics
    /// When it fails or prints something else.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let (output, said) = self.run(arguments);
        assert!(output.status.success(), "portcullis {arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("portcullis {arguments:?}: {said}"))
    }

    /// A fresh token.
    ///
    /// # Panics
    /// When there is none.
    pub fn token(&self) -> String {
        let (output, said) = self.run(&["token"]);
        assert!(output.status.success(), "portcullis token: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Begins a login, and gives it with the first line that it printed.
    pub async fn begin(&self, arguments: &[&str]) -> (Part, Value) {
        let mut all = vec!["login", "--json"];
        all.extend(arguments);
        let mut part = Part::start("portcullis login", &mut self.command(&all));
        let told = part.ready().await;
        (part, told)
    }

    /// Logs in by the browser at `gateway`, as `user` of `provider`.
    ///
    /// # Panics
    /// When that fails.
    pub async fn log_in(&self, gateway: &Gateway, provider: &Provider, user: &str) -> Value {
        let (mut part, told) = self.begin(&["--gateway", &gateway.url(""), "--no-browser"]).await;
        let page = told["open"].as_str().expect("a page to open").to_owned();
        let last = provider.browse(&page, user).await;
        assert_eq!(last["status"], 200, "{last}");
        let who = part.ready().await;
        assert!(part.end().await.success(), "{}", part.log());
        who
    }

    /// The file of the login that was made last.
    ///
    /// # Panics
    /// When nobody is logged in.
    pub fn file(&self) -> PathBuf {
        let name = fs::read_to_string(self.logins().join("default")).expect("a login was made");
        self.logins().join(format!("{}.json", name.trim()))
    }

    /// What is kept of the login that was made last, tokens and all.
    ///
    /// # Panics
    /// When nobody is logged in.
    pub fn kept(&self) -> Value {
        serde_json::from_slice(&fs::read(self.file()).expect("a login's file")).expect("JSON")
    }

    /// Starts `portcullis proxy` with these arguments, and gives it with what it said when it was ready.
    pub async fn proxy(&self, arguments: &[&str]) -> (Part, Value) {
        let mut all = vec!["proxy", "--json"];
        all.extend(arguments);
        let mut part = Part::start("portcullis proxy", &mut self.command(&all));
        let told = part.ready().await;
        (part, told)
    }
}

/// Asks a part to end as Ctrl-C does, and waits until it has.
pub async fn interrupt(part: &mut Part) -> std::process::ExitStatus {
    part.signal(Signal::INT);
    part.end().await
}
