//! `portcullis init`: a configuration and a first policy for one's own issuer and model.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use config::{SecretRef, ServerKind};
use dial::{Fetcher, Trust};
use http::{HeaderMap, HeaderValue, Uri, header};
use model::ResourceName;
use serde_json::Value;

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::{config_verb, serve};

/// The largest document read from an issuer or a model server.
const LIMIT: usize = 1 << 20;

#[derive(Args)]
pub(crate) struct Init {
    /// The issuer of your people's tokens, as in their `iss`
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The model server
    #[arg(long, value_name = "URL")]
    upstream: Uri,
    /// Where the model server's key lies, as env:NAME or file:PATH
    #[arg(long, value_name = "REFERENCE")]
    upstream_key: Option<String>,
    /// The audience tokens are issued for
    #[arg(long, default_value = "portcullis")]
    audience: String,
    /// What to call the model in base URLs and policies
    #[arg(long, default_value = "model", value_parser = ResourceName::new)]
    name: ResourceName,
    /// The group that may ask the model; everybody with a token when absent
    #[arg(long)]
    group: Option<String>,
    /// Where to write; files that are there already are kept
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

impl Init {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let (issuer, server) = serve::runtime()?.block_on(self.look())?;
        out.line(format_args!("{} issuer {issuer} answers", out.tone(Tone::Good, "ok:")))?;
        match server {
            Some(kind) => out.line(format_args!(
                "{} the model server is {}",
                out.tone(Tone::Good, "ok:"),
                kind.as_str()
            ))?,
            None => out.line(format_args!(
                "{} the model server at {} did not say what it is; taken for openai",
                out.tone(Tone::Caution, "note:"),
                self.upstream
            ))?,
        }
        let starter = config::starter(&config::StarterAnswers {
            issuer: &issuer,
            audience: &self.audience,
            resource: &self.name,
            server: server.unwrap_or(ServerKind::OpenAi),
            upstream: &self.base(),
            credential: self.upstream_key.as_deref(),
            group: self.group.as_deref(),
        });
        let file = self.dir.join("portcullis.yaml");
        write_new(&file, &starter.yaml)?;
        let policy = self.dir.join(starter.policy_file);
        write_new(&policy, &starter.policy)?;
        out.line(format_args!("wrote {} and {}", file.display(), policy.display()))?;
        let code = config_verb::check(&file, out)?;
        if self.group.is_none() {
            let note = out.tone(Tone::Caution, "note:");
            out.line(format_args!(
                "{note} the policy lets everybody with a token ask; name a group in {}",
                policy.display()
            ))?;
        }
        out.line(format_args!("next: portcullis serve --config {}", file.display()))?;
        Ok(code)
    }

    /// Asks the issuer for its own name and the model server what it is.
    async fn look(&self) -> Result<(String, Option<ServerKind>), Failure> {
        let said = |fault: &dyn std::fmt::Display| Failure::Said(fault.to_string());
        let fetcher = Fetcher::new(&Trust::System, Duration::from_secs(5)).map_err(|e| said(&e))?;
        let at = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let uri: Uri = at.parse().map_err(|fault| Failure::Said(format!("{at} is no URL: {fault}")))?;
        let fetched = fetcher.get(&uri, &HeaderMap::new(), LIMIT).await;
        let fetched = fetched.map_err(|fault| {
            Failure::Said(format!("cannot read the issuer's discovery document at {at}: {fault}"))
        })?;
        let document: Value = serde_json::from_slice(&fetched.body).map_err(|fault| {
            Failure::Said(format!(
                "{at} answered {} with something that is no discovery document: {fault}",
                fetched.status
            ))
        })?;
        let issuer = document.get("issuer").and_then(Value::as_str).ok_or_else(|| {
            Failure::Said(format!(
                "the discovery document at {at} names no issuer; is this an OpenID provider?"
            ))
        })?;
        Ok((issuer.to_owned(), self.probe(&fetcher).await))
    }

    /// What the model server is, by what only that kind answers.
    async fn probe(&self, fetcher: &Fetcher) -> Option<ServerKind> {
        let base = self.base();
        let headers = self.upstream_headers();
        for (path, tell) in PROBES {
            let Ok(uri) = format!("{base}{path}").parse::<Uri>() else { continue };
            if let Ok(fetched) = fetcher.get(&uri, &headers, LIMIT).await
                && fetched.status.is_success()
                && let Ok(document) = serde_json::from_slice::<Value>(&fetched.body)
                && let Some(kind) = tell(&document)
            {
                return Some(kind);
            }
        }
        None
    }

    /// The model server without the `/v1` that SDKs want in their base URL: every path forwarded has it.
    fn base(&self) -> String {
        self.upstream.to_string().trim_end_matches('/').trim_end_matches("/v1").to_owned()
    }

    fn upstream_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let secret = self.upstream_key.as_deref().and_then(secret_ref);
        if let Some(secret) = secret.and_then(|secret| secret.read().ok())
            && let Ok(mut value) =
                HeaderValue::try_from(format!("Bearer {}", secrecy::ExposeSecret::expose_secret(&secret)))
        {
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        headers
    }
}

fn secret_ref(reference: &str) -> Option<SecretRef> {
    match reference.split_once(':')? {
        ("env", name) => Some(SecretRef::Env(name.to_owned())),
        ("file", path) => Some(SecretRef::File(path.into())),
        _ => None,
    }
}

type Probe = (&'static str, fn(&Value) -> Option<ServerKind>);

/// What to ask, and what an answer tells. SGLang before Ollama, and Ollama before the others: each answers
/// the paths of those behind it too.
const PROBES: [Probe; 7] = [
    ("/get_model_info", |document| document.get("model_path").map(|_| ServerKind::Sglang)),
    ("/api/tags", |document| document.get("models").and_then(Value::as_array).map(|_| ServerKind::Ollama)),
    ("/props", |document| document.get("default_generation_settings").map(|_| ServerKind::LlamaCpp)),
    ("/v1/models", |document| match document.pointer("/data/0/owned_by").and_then(Value::as_str) {
        Some("vllm") => Some(ServerKind::Vllm),
        Some("llamacpp") => Some(ServerKind::LlamaCpp),
        Some("library") => Some(ServerKind::Ollama),
        _ => None,
    }),
    ("/info", |document| document.get("max_concurrent_requests").map(|_| ServerKind::Tgi)),
    ("/v2", |document| match document.get("name").and_then(Value::as_str) {
        Some("triton") => Some(ServerKind::Triton),
        Some("kserve") => Some(ServerKind::Kserve),
        _ => None,
    }),
    ("/version", |document| document.get("version").map(|_| ServerKind::Vllm)),
];

fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |fault: std::io::Error| {
        let hint = if fault.kind() == std::io::ErrorKind::AlreadyExists {
            "; move it away, or choose another --dir"
        } else {
            ""
        };
        Failure::Said(format!("cannot write {}: {fault}{hint}", file.display()))
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut new = std::fs::File::create_new(file).map_err(failed)?;
    std::io::Write::write_all(&mut new, text.as_bytes()).map_err(failed)
}
