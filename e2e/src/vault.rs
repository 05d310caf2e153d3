//! A server with the interface of HashiCorp Vault: RustyVault, which has a key-value engine without versions.

use std::process::Command;

use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client;
use crate::parts::require;
use crate::process::{Part, eventually, free_address};

/// A running, unsealed vault.
#[derive(Debug)]
pub struct Vault {
    /// Its URL.
    pub url: String,
    /// The token that may do everything.
    pub root: String,
    key: String,
    part: Part,
    _folder: TempDir,
}

impl Vault {
    /// Starts one, makes it its key and opens it.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start() -> Self {
        let (folder, address) = (tempfile::tempdir().expect("a temporary folder"), free_address());
        let at = folder.path().display();
        let config = format!(
            "storage \"file\" {{\n  path = \"{at}/data\"\n}}\nlistener \"tcp\" {{\n  address = \"{address}\"\n  \
             tls_disable = \"true\"\n}}\napi_addr = \"http://{address}\"\nlog_level = \"warn\"\n\
             pid_file = \"{at}/pid\"\nwork_dir = \"{at}\"\n"
        );
        std::fs::create_dir(folder.path().join("data")).expect("a folder");
        std::fs::write(folder.path().join("config.hcl"), config).expect("a file");
        let mut command = Command::new(require().vault());
        command.args(["server", "--config"]).arg(folder.path().join("config.hcl")).current_dir(folder.path());
        let part = Part::start("the vault", &mut command);
        let url = format!("http://{address}");
        let listens = || std::net::TcpStream::connect(address).ok();
        assert!(eventually(crate::process::PATIENCE, listens).await.is_some(), "{}", part.log());
        let mut vault = Self { url, root: String::new(), key: String::new(), part, _folder: folder };
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let made = vault.call(Method::PUT, "sys/init", &shares).await;
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        (vault.root, vault.key) = (text(&made["root_token"]), text(&made["keys"][0]));
        vault.unseal().await;
        vault
    }

    /// Opens it.
    pub async fn unseal(&self) {
        self.call(Method::PUT, "sys/unseal", &json!({ "key": self.key })).await;
    }

    /// Closes it: it gives nothing any more.
    pub async fn seal(&self) {
        self.call(Method::PUT, "sys/seal", &Value::Null).await;
    }

    /// Puts a secret of one field into the engine without versions, at `secret/PATH`.
    pub async fn put(&self, path: &str, field: &str, value: &str) {
        self.call(Method::POST, &format!("secret/{path}"), &json!({ field: value })).await;
    }

    /// A token of its own, which is not the root's. This server knows no rules of who may read what.
    pub async fn token(&self) -> String {
        let made = self
            .call(Method::POST, "auth/token/create", &json!({ "policies": ["default"], "ttl": "1h" }))
            .await;
        made["auth"]["client_token"].as_str().expect("a token").to_owned()
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let mut request = Request::builder().method(method).uri(format!("{}/v1/{path}", self.url));
        if !self.root.is_empty() {
            request = request.header("x-vault-token", &self.root);
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = request.body(Full::from(body)).expect("a well-formed request");
        let answer = client::try_send(request).await.expect("an answer");
        assert!(
            answer.status.is_success(),
            "{path}: {} {}\n{}",
            answer.status,
            answer.text(),
            self.part.log()
        );
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }
}
