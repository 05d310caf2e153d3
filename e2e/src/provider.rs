//! The two OpenID providers: one certified, whose operator we play; one of another make, whose tokens
//! look different.

use std::process::Command;

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::parts::require;
use crate::process::{Part, free_address};
use crate::{client, script};

/// The certified provider. Its people: alice (ml-engineers, admins), bob (analysts), mallory (no
/// group). Its workloads: batch-runner (batch-jobs), agent-runner (agents, ml-engineers).
#[derive(Debug)]
pub struct Provider {
    /// The issuer's URL.
    pub issuer: String,
    /// The secret of each of its clients; `gate` may introspect.
    pub secret: String,
    control: String,
    _script: TempDir,
    _part: Part,
}

impl Provider {
    /// Starts it, signing with RS256.
    pub async fn start() -> Self {
        Self::start_signing("RS256").await
    }

    /// Starts it, signing with `algorithm` (RS256 or ES256).
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_signing(algorithm: &str) -> Self {
        let parts = require();
        let text = std::fs::read_to_string(parts.script("node/provider.mjs")).expect("a script of ours");
        let script = script::beside_packages(&parts, &text);
        let mut command = Command::new("node");
        command.arg(script.path().join("main.mjs")).env("ALGORITHM", algorithm);
        let mut part = Part::start("the provider", &mut command);
        let ready = part.ready().await;
        let word = |key: &str| ready[key].as_str().expect("the provider's ready line").to_owned();
        let (issuer, secret, control) = (word("issuer"), word("secret"), word("control"));
        Self { issuer, secret, control, _script: script, _part: part }
    }

    /// A person's access token, by the code flow.
    pub async fn login(&self, user: &str) -> String {
        access(&self.order("login", &json!({ "user": user })).await)
    }

    /// A person's access token for another audience.
    pub async fn login_for(&self, user: &str, audience: &str) -> String {
        access(&self.order("login", &json!({ "user": user, "audience": audience })).await)
    }

    /// A person's access token for no resource: opaque, without groups, and good at userinfo.
    pub async fn login_bare(&self, user: &str) -> String {
        access(&self.order("login", &json!({ "user": user, "audience": null })).await)
    }

    /// Where logout tokens of the client `person` are sent, from now on.
    pub async fn hear(&self, url: &str) {
        self.order("hear", &json!({ "url": url })).await;
    }

    /// Ends the session of a person's last login, and tells whoever hears.
    pub async fn logout(&self, user: &str) {
        self.order("logout", &json!({ "user": user })).await;
    }

    /// Ends a token.
    pub async fn revoke(&self, token: &str) {
        self.order("revoke", &json!({ "token": token })).await;
    }

    /// A person's ID token. Its audience is `person`.
    ///
    /// # Panics
    /// When the provider gives none.
    pub async fn id_token(&self, user: &str) -> String {
        let told = self.order("login", &json!({ "user": user })).await;
        told["id_token"].as_str().expect("a code flow gives an ID token").to_owned()
    }

    /// A workload's access token, by its client credentials.
    pub async fn machine(&self, client: &str) -> String {
        access(&self.order("machine", &json!({ "client": client })).await)
    }

    /// Plays a person's browser at `url`: logs `user` in and follows where it leads. Gives the last page:
    /// `status`, `url` and `text`.
    pub async fn browse(&self, url: &str, user: &str) -> Value {
        self.order("browse", &json!({ "url": url, "user": user })).await
    }

    /// The same for somebody who says no.
    pub async fn browse_and_deny(&self, url: &str) -> Value {
        self.order("browse", &json!({ "url": url, "deny": true })).await
    }

    /// Plays a person's other screen: types in a device's code and logs `user` in.
    pub async fn type_in(&self, code: &str, user: &str) -> Value {
        self.order("device", &json!({ "code": code, "user": user })).await
    }

    /// The same for somebody who says no.
    pub async fn type_in_and_deny(&self, code: &str) -> Value {
        self.order("device", &json!({ "code": code, "deny": true })).await
    }

    /// How many tokens this grant, as `refresh_token`, gave so far.
    pub async fn count(&self, grant: &str) -> u64 {
        self.order("counts", &json!({})).await[grant].as_u64().unwrap_or_default()
    }

    /// The secret of every client that has one.
    ///
    /// # Panics
    /// When the provider does not say it.
    pub async fn secret(&self) -> String {
        let told = self.order("secret", &json!({})).await;
        told["secret"].as_str().expect("the clients' secret").to_owned()
    }

    /// The lifetime in seconds of device codes issued from now on.
    pub async fn device_codes_live(&self, seconds: u32) {
        self.order("lifetimes", &json!({ "device": seconds })).await;
    }

    /// Moves the signing keys: `add` a generation, `retire` all but the newest, `replace` all.
    pub async fn keys(&self, order: &str) {
        self.order("keys", &json!({ "do": order })).await;
    }

    /// The lifetime in seconds of access tokens issued from now on.
    pub async fn access_lives(&self, seconds: u32) {
        self.order("lifetimes", &json!({ "access": seconds })).await;
    }

    /// Registers the console at `origin` as the client `console`, and gives its secret.
    ///
    /// # Panics
    /// When the provider gives none.
    pub async fn console(&self, origin: &str) -> String {
        let told = self.order("console", &json!({ "origin": origin })).await;
        told["secret"].as_str().expect("a client has a secret").to_owned()
    }

    /// How long ID tokens issued from now on live, in seconds.
    pub async fn id_tokens_live(&self, seconds: u32) {
        self.order("lifetimes", &json!({ "id": seconds })).await;
    }

    /// Stops answering, or answers again at the same address with the same keys.
    pub async fn away(&self, away: bool) {
        self.order("away", &json!({ "away": away })).await;
    }

    async fn order(&self, name: &str, body: &Value) -> Value {
        let answer = client::send(Method::POST, &format!("{}/{name}", self.control), None, Some(body)).await;
        assert!(answer.status.is_success(), "the provider refuses {name} {body}: {}", answer.text());
        answer.json()
    }
}

fn access(told: &Value) -> String {
    told["access_token"].as_str().unwrap_or_else(|| panic!("no access token in {told}")).to_owned()
}

/// The provider of another make. Its people: alice (ml-engineers, admins), bob (analysts). The groups
/// in its access tokens are one comma-joined string, and their audience is `openid groups api`.
#[derive(Debug)]
pub struct Glewlwyd {
    /// The issuer's URL.
    pub issuer: String,
    _folder: TempDir,
    _part: Part,
}

impl Glewlwyd {
    /// Starts it, fresh.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start() -> Self {
        let parts = require();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(parts.python());
        command.arg(parts.script("python/glewlwyd.py")).arg("serve").arg(folder.path());
        command.arg(free_address().port().to_string());
        let mut part = Part::start("glewlwyd", &mut command);
        let ready = part.ready().await;
        let issuer = ready["issuer"].as_str().expect("glewlwyd's ready line").to_owned();
        Self { issuer, _folder: folder, _part: part }
    }

    /// Registers a program on people's machines, which comes back to `redirect_uri`. Its id is `cli`.
    pub async fn register(&self, redirect_uri: &str) {
        self.script(&["client", &self.issuer, redirect_uri]).await;
    }

    /// Plays a person's browser at `url`: logs `user` in and follows where it leads. Gives the last page's
    /// `status` and `url`.
    ///
    /// # Panics
    /// When the flow fails.
    pub async fn browse(&self, url: &str, user: &str) -> Value {
        let told = self.script(&["browse", &self.issuer, user, url]).await;
        serde_json::from_str(&told).expect("the last page")
    }

    async fn script(&self, arguments: &[&str]) -> String {
        let parts = require();
        let mut command = tokio::process::Command::new(parts.python());
        command.arg(parts.script("python/glewlwyd.py")).args(arguments);
        let output = command.kill_on_drop(true).output().await.expect("Python runs");
        let (said, complained) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "glewlwyd.py {arguments:?} fails: {complained}");
        said.into_owned()
    }

    /// A person's token response, by the code flow: `access_token` and `id_token`.
    ///
    /// # Panics
    /// When the flow fails.
    pub async fn login(&self, user: &str) -> Value {
        let parts = require();
        let mut command = tokio::process::Command::new(parts.python());
        command.arg(parts.script("python/glewlwyd.py")).args(["token", &self.issuer, user]);
        let output = command.kill_on_drop(true).output().await.expect("Python runs");
        assert!(
            output.status.success(),
            "glewlwyd's login fails: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("a token response")
    }
}
