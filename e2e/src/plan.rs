//! What a gateway under test is told: its configuration, its policies, its environment.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::gateway::Gateway;
use crate::llama::LlamaServer;
use crate::provider::{Glewlwyd, Provider};

/// Lets the ml-engineers infer, embed, tokenize and inspect on the llama, and nobody anything else.
pub const ENGINEERS_MAY_USE: &str = r#"
@id("engineers-use-llama")
permit(
  principal in Group::"ml-engineers",
  action in [Action::"infer", Action::"embed", Action::"tokenize", Action::"inspect"],
  resource in Resource::"llama"
);
"#;

/// A gateway to be started. Its configuration is a JSON value, which is YAML too, so a test may change
/// any key of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The configuration. The listeners, `observe`, `policies` and `ledger` are filled in at the start.
    pub config: Value,
    /// The policy files: name and text.
    pub policies: Vec<(String, String)>,
    /// The environment, besides what the test itself has.
    pub environment: Vec<(String, String)>,
    /// Further files beside the configuration: name and text.
    pub files: Vec<(String, String)>,
    /// How its listener is secured; plain when null.
    pub tls: Value,
    /// Where the ledger lies, if not in the gateway's own folder.
    pub ledger: Option<PathBuf>,
    /// Whether it reaches its upstreams through an agent. See [`crate::through`].
    pub through_agent: bool,
    /// The program, if not the one that tests run.
    pub binary: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            config: json!({ "issuers": {}, "resources": {} }),
            policies: Vec::new(),
            environment: Vec::new(),
            files: Vec::new(),
            tls: Value::Null,
            ledger: None,
            through_agent: crate::through::wanted(),
            binary: None,
        }
    }
}

impl Plan {
    /// A gateway with one provider and one model server, which the ml-engineers may use.
    pub fn usual(provider: &Provider, llama: &LlamaServer) -> Self {
        Self::default().provider(provider).llama(llama).policy("engineers.cedar", ENGINEERS_MAY_USE)
    }

    /// The same before any upstream: `llama` is at `url` and wants the key `only-the-gateway-knows`.
    pub fn before(provider: &Provider, url: &str) -> Self {
        Self::default()
            .provider(provider)
            .resource("llama", model_at(url))
            .environment("LLAMA_KEY", UPSTREAM_KEY)
            .policy("engineers.cedar", ENGINEERS_MAY_USE)
    }

    /// The same with this issuer.
    #[must_use]
    pub fn issuer(mut self, name: &str, settings: Value) -> Self {
        self.section("issuers").insert(name.to_owned(), settings);
        self
    }

    /// The same with the certified provider as issuer `panva`.
    #[must_use]
    pub fn provider(self, provider: &Provider) -> Self {
        let settings = json!({
            "issuer": provider.issuer, "audiences": ["portcullis"], "groups": { "claims": ["/groups"] },
        });
        self.issuer("panva", settings)
    }

    /// The same with the provider of another make as issuer `glewlwyd`.
    #[must_use]
    pub fn glewlwyd(self, provider: &Glewlwyd) -> Self {
        let settings = json!({
            "issuer": provider.issuer, "audiences": ["openid groups api", "gateway-tests"],
            "groups": { "claims": ["/groups"] },
        });
        self.issuer("glewlwyd", settings)
    }

    /// The same with this resource.
    #[must_use]
    pub fn resource(mut self, name: &str, mut settings: Value) -> Self {
        // What a fake upstream received is what callers sent, unless a test says otherwise.
        if let Some(keys) = settings.as_object_mut() {
            keys.entry("probe_every").or_insert_with(|| json!("0s"));
        }
        self.section("resources").insert(name.to_owned(), settings);
        self
    }

    /// The same with the model server as resource `llama`.
    #[must_use]
    pub fn llama(self, llama: &LlamaServer) -> Self {
        self.resource("llama", model_at(&llama.url)).environment("LLAMA_KEY", &llama.key)
    }

    /// The same with this policy file; one of that name is replaced.
    #[must_use]
    pub fn policy(mut self, name: &str, text: &str) -> Self {
        self.policies.retain(|(known, _)| known != name);
        self.policies.push((name.to_owned(), text.to_owned()));
        self
    }

    /// The same with this variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with this file beside the configuration.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// The same behind TLS, as the listener's `tls` has it.
    #[must_use]
    pub fn secured(mut self, tls: Value) -> Self {
        self.tls = tls;
        self
    }

    /// The same with other settings, as deep as `change` names them.
    #[must_use]
    pub fn with(mut self, change: Value) -> Self {
        merge(&mut self.config, change);
        self
    }

    /// The same, administered on the socket `admin.sock` beside its configuration.
    #[must_use]
    pub fn administered(self) -> Self {
        self.with(json!({ "admin": { "socket": "admin.sock" } }))
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Gateway {
        Gateway::start(self).await
    }

    /// Starts it and waits only until it lives.
    pub async fn start_unready(self) -> Gateway {
        Gateway::start_until(self, "/healthz").await
    }

    fn section(&mut self, name: &str) -> &mut Map<String, Value> {
        self.config[name].as_object_mut().expect("a section is a map")
    }
}

/// The key that [`Plan::before`] gives the gateway for its upstream.
pub const UPSTREAM_KEY: &str = "only-the-gateway-knows";

/// A model resource at `url`, opened by `$LLAMA_KEY`.
pub fn model_at(url: &str) -> Value {
    json!({ "kind": "model", "server": "llama-cpp", "upstreams": [url], "credential": "env:LLAMA_KEY" })
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}
