//! What the scenes stand on: a folder with a configuration and policies, an issuer, a model, a gateway.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Method;
use model::{SystemClock, hex};
use serde_json::Value;
use tempfile::TempDir;

use crate::Options;
use crate::client;
use crate::error::DemoError;
use crate::gateway::Process;
use crate::issuer::{AUDIENCE, CONSOLE, Issuer};
use crate::model_server::{MODEL, ModelServer};

/// Everything a scene may use.
pub(crate) struct Ground {
    dir: PathBuf,
    /// Removed with everything in it when the demo ends; `None` when the folder was asked for.
    temporary: Option<TempDir>,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) model_server: ModelServer,
    pub(crate) gateway: Process,
    /// The base URL an SDK would be given.
    pub(crate) base: String,
    /// Where the weights are taken out.
    pub(crate) weights: String,
    /// Where the gateway is administered.
    admin: String,
    /// Listens to somebody's keys.
    pub(crate) keys: Option<crate::Listen>,
    /// Where the gateway tells its health.
    pub(crate) observe: String,
    /// The model to ask for.
    pub(crate) model: String,
    /// This program, as one would run it.
    program: PathBuf,
}

/// The policy that scene three edits, and the line it edits.
pub(crate) const TIGHT: &str = "when { context.max_tokens <= 16 };";
/// The same line, edited.
pub(crate) const WIDE: &str = "when { context.max_tokens <= 512 };";

impl Ground {
    /// Lays everything out and starts it.
    pub(crate) async fn prepare(options: &Options) -> Result<Self, DemoError> {
        let (dir, temporary) = folder(options.dir.as_deref())?;
        let issuer = Issuer::start(Arc::new(SystemClock::default())).await?;
        let key = random_key()?;
        let model_server = ModelServer::start(key.clone(), options.upstream.clone()).await?;
        let (callers, observe, admin) = (free_address()?, free_address()?, free_address()?);
        // The weights are the demo's own, also where the model is a real one.
        let store = ModelServer::start(key.clone(), None).await?;
        let credential = match (&options.upstream_key, model_server.embedded) {
            (Some(reference), false) => Some(reference.clone()),
            (None, false) => None,
            (_, true) => Some("file:upstream.key".to_owned()),
        };
        write(&dir, "upstream.key", &key)?;
        write(
            &dir,
            "portcullis.yaml",
            &Configuration {
                callers: &callers,
                observe: &observe,
                admin: &admin,
                issuer: &issuer.url,
                upstream: &model_server.url,
                weights: &store.url,
                credential: credential.as_deref(),
            }
            .text(),
        )?;
        write(&dir, "policies/demo.cedar", &policies())?;
        let mut gateway = Process::new(
            options.program.clone(),
            dir.join("portcullis.yaml"),
            dir.join("gateway.log"),
            &observe,
        );
        gateway.start().await?;
        let base = format!("http://{callers}/demo/v1");
        let mut ground = Self {
            dir,
            temporary,
            issuer,
            model_server,
            gateway,
            base,
            weights: format!("http://{callers}/weights/weights/demo-model"),
            admin,
            keys: options.keys,
            observe,
            model: MODEL.to_owned(),
            program: options.program.clone(),
        };
        if !ground.model_server.embedded {
            ground.model = ground.first_model().await?;
        }
        Ok(ground)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.dir.join("ledger")
    }

    /// The program that this is.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn policy_file(&self) -> PathBuf {
        self.dir.join("policies/demo.cedar")
    }

    /// Asks the model through the gateway, as a person would.
    pub(crate) async fn ask(
        &self,
        person: &str,
        prompt: &str,
        max_tokens: u32,
    ) -> Result<client::Answer, DemoError> {
        client::chat(&self.base, &self.issuer.token(person)?, &self.model, prompt, max_tokens).await
    }

    /// Calls the gateway's administration, as a person would.
    pub(crate) async fn administration(
        &self,
        person: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, DemoError> {
        let url = format!("http://{}/api/v1{path}", self.admin);
        let answer = client::send_as(method, &url, &self.issuer.token(person)?, body).await?;
        let status = answer.status;
        let told = answer.whole().await?;
        let told: Value = serde_json::from_slice(&told)
            .map_err(|fault| DemoError::new("reading the administration's answer", fault))?;
        if status.is_success() { Ok(told) } else { Err(DemoError::new("asking the administration", told)) }
    }

    async fn first_model(&self) -> Result<String, DemoError> {
        let token = self.issuer.token("alice")?;
        let body = client::get_as(&format!("{}/models", self.base), &token).await?;
        let list: Value =
            serde_json::from_slice(&body).map_err(|fault| DemoError::new("reading the model list", fault))?;
        let first = list.pointer("/data/0/id").and_then(Value::as_str);
        first
            .map(str::to_owned)
            .ok_or_else(|| DemoError::new("asking your model server for its models", &list))
    }

    /// What a person may type next, in another terminal. Every part can be pasted as it stands.
    pub(crate) fn lines_to_try(&self) -> Vec<String> {
        let (base, issuer, model) = (&self.base, &self.issuer.url, &self.model);
        let program = self.program.display();
        let ledger = self.ledger();
        let text = format!(
            "export TOKEN=$(curl -s '{issuer}/token?user=alice')   # or bob; good for ten minutes

             curl -sN {base}/chat/completions \\
               -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\
               -d '{{\"model\":\"{model}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'

             python3 - <<'END'                # after: pip install openai
             import os
             from openai import OpenAI
             client = OpenAI(base_url=\"{base}\", api_key=os.environ[\"TOKEN\"])
             ask = [{{\"role\": \"user\", \"content\": \"Hello\"}}]
             print(client.chat.completions.create(model=\"{model}\", messages=ask).choices[0].message.content)
             END

             {program} sessions list --ledger {ledger}

             Your own issuer and model:
             {program} init --issuer https://login.example.com --upstream http://127.0.0.1:8000",
            ledger = ledger.display(),
        );
        // No margin: an indented END would not end what Python reads.
        text.lines().map(|line| line.strip_prefix("             ").unwrap_or(line).to_owned()).collect()
    }

    /// Stops everything; a temporary folder goes with it.
    pub(crate) async fn end(mut self) -> Result<(), DemoError> {
        self.gateway.kill().await?;
        match self.temporary.take() {
            Some(folder) => {
                folder.close().map_err(|fault| DemoError::new("removing the temporary folder", fault))
            }
            None => Ok(()),
        }
    }
}

fn folder(asked: Option<&Path>) -> Result<(PathBuf, Option<TempDir>), DemoError> {
    let failed = |fault: std::io::Error| DemoError::new("making the demo's folder", fault);
    let Some(dir) = asked else {
        let folder = tempfile::Builder::new().prefix("portcullis-demo-").tempdir().map_err(failed)?;
        return Ok((folder.path().to_owned(), Some(folder)));
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    Ok((std::path::absolute(dir).map_err(failed)?, None))
}

fn write(dir: &Path, name: &str, text: &str) -> Result<(), DemoError> {
    let file = dir.join(name);
    let made = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = made.and_then(|()| std::fs::write(&file, text));
    written
        .map_err(|fault| DemoError::new("writing the demo's files", format!("{}: {fault}", file.display())))
}

/// A free loopback address. Another program could take it before the gateway does; then the gateway
/// says so, and the demo with it.
fn free_address() -> Result<String, DemoError> {
    let found = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    found.map(|address| address.to_string()).map_err(|fault| DemoError::new("finding a free port", fault))
}

fn random_key() -> Result<String, DemoError> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|fault| DemoError::new("making a key for the demo's model", fault))?;
    Ok(format!("demo-{}", hex(&bytes)))
}

/// What the demo's gateway is told.
struct Configuration<'a> {
    callers: &'a str,
    observe: &'a str,
    admin: &'a str,
    issuer: &'a str,
    upstream: &'a str,
    weights: &'a str,
    credential: Option<&'a str>,
}

impl Configuration<'_> {
    fn text(&self) -> String {
        let Self { callers, observe, admin, issuer, upstream, weights, credential } = self;
        let credential =
            credential.map(|reference| format!("\n    credential: {reference}")).unwrap_or_default();
        // Browsers take a cookie for `https` alone from `localhost` too, and from no address.
        let page = admin.replace("127.0.0.1", "localhost");
        format!(
            "listeners:
  - address: {callers}
observe: {observe}
admin: {admin}
console:
  url: http://{page}
  sign_in:
    demo: {{client_id: {CONSOLE}, scopes: [openid]}}
issuers:
  demo:
    issuer: {issuer}
    audiences: [{AUDIENCE}]
resources:
  demo:
    kind: model
    server: openai
    upstreams: [{upstream}]{credential}
  weights:
    kind: http
    upstreams: [{weights}]
    credential: file:upstream.key
    routes:
      - {{match: \"GET /weights/{{name}}\", class: export, name: export.weights}}
policies: policies/
ledger: ledger/
"
        )
    }
}

fn policies() -> String {
    format!(
        r#"// Researchers may ask the demo model, and see which models there are.
@id("researchers-ask")
permit (
  principal in Group::"research",
  action in [Action::"infer", Action::"inspect"],
  resource in Resource::"demo"
);

// Analysts may ask the demo model for short answers.
@id("analysts-ask-short")
permit (
  principal in Group::"analysts",
  action == Action::"infer",
  resource in Resource::"demo"
)
{TIGHT}

// Researchers may take the weights out when somebody of the security group agrees.
@id("export-with-consent")
permit (
  principal in Group::"research",
  action == Action::"export",
  resource in Resource::"weights"
)
when {{ context.approvals >= 1 }};

// The security group decides about exports.
@id("security-decides")
permit (
  principal in Group::"security",
  action == Action::"approve",
  resource in Resource::"weights"
);
"#
    )
}
