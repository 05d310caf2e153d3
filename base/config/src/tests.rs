//! The crate as a whole: what files become, and what is said of bad ones.

mod admin;
mod agents;
mod approvals;
mod asked;
mod checkpoints;
mod console;
mod credential;
mod defaults;
mod docs;
mod faults;
mod fields;
mod hostile;
mod login;
mod masking;
mod retention;
mod seal;
mod tell;

use std::path::{Path, PathBuf};

use crate::{Config, Faults};

/// A folder with everything that the examples name.
struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["policies", "tls"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let files = ["cert.pem", "key.pem", "corp-ca.pem", "internal-ca.pem", "client.pem", "client-key.pem"];
        for name in files {
            std::fs::write(dir.path().join("tls").join(name), "").unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn parse(&self, text: &str) -> Result<Config, Faults> {
        crate::parse(text, &self.path("portcullis.yaml"))
    }

    /// The faults of `text` as people read them, the folder's own name left out.
    fn faults(&self, text: &str) -> String {
        let faults = self.parse(text).expect_err("the file has faults");
        faults.render(false).replace(&format!("{}/", self.dir.path().display()), "")
    }

    /// The faults of the small example with `more` below it.
    fn faults_with(&self, more: &str) -> String {
        self.faults(&format!("{}{more}", crate::reference::SMALL))
    }

    fn file(&self) -> &Path {
        self.dir.path()
    }
}
