//! Where the parts lie, and a clear word when they do not.

use std::path::{Path, PathBuf};

/// The folders and programs that `cargo xtask setup` made.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The test ground's folder.
    pub testbed: PathBuf,
    /// The workspace's root.
    pub root: PathBuf,
}

/// Finds the parts.
///
/// # Panics
/// When one is missing, with the command that brings it.
pub fn require() -> Parts {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned();
    let testbed = match std::env::var_os("PORTCULLIS_TESTBED") {
        Some(folder) => PathBuf::from(folder),
        None => root.join("target/testbed"),
    };
    let parts = Parts { testbed, root };
    for needed in
        [parts.python(), parts.model(), parts.node_folder().join("node_modules/oidc-provider/package.json")]
    {
        assert!(needed.exists(), "{} is missing: run `cargo xtask setup`", needed.display());
    }
    parts
}

impl Parts {
    /// The interpreter that has the SDKs and llama.cpp's server.
    pub fn python(&self) -> PathBuf {
        self.testbed.join("python/bin/python")
    }

    /// The tiny model's weights.
    pub fn model(&self) -> PathBuf {
        self.testbed.join("tiny.gguf")
    }

    /// The server that speaks the interface of HashiCorp Vault.
    ///
    /// # Panics
    /// When it is missing, with the command that brings it.
    pub fn vault(&self) -> PathBuf {
        let program = self.testbed.join("vault/bin/rvault");
        assert!(program.exists(), "{} is missing: run `cargo xtask setup`", program.display());
        program
    }

    /// The folder from which Node finds its packages.
    pub fn node_folder(&self) -> PathBuf {
        self.testbed.join("node")
    }

    /// A script of ours below `e2e/parts`.
    pub fn script(&self, path: &str) -> PathBuf {
        self.root.join("e2e/parts").join(path)
    }
}

/// The built `portcullis`: `$PORTCULLIS_BINARY`, or the one beside the running test.
///
/// # Panics
/// When it is not built.
pub fn portcullis() -> PathBuf {
    let binary = match std::env::var_os("PORTCULLIS_BINARY") {
        Some(file) => PathBuf::from(file),
        None => {
            let test = std::env::current_exe().expect("a running test has a file");
            test.ancestors().nth(2).expect("tests lie in target/PROFILE/deps").join("portcullis")
        }
    };
    assert!(binary.exists(), "{} is missing: run `cargo build --package portcullis`", binary.display());
    binary
}
