//! What is measured: the upstream itself, nginx before it, Portcullis before it, with its record and without.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use e2e::gateway::Gateway;
use e2e::plan::{Plan, model_at};
use e2e::process::{Part, free_address};
use serde_json::json;
use tempfile::TempDir;

use crate::plain;
use crate::upstream::Upstream;

/// Where requests go, and with what.
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    pub(crate) token: String,
}

/// The running targets. Dropped, they are gone.
pub(crate) struct Targets {
    pub(crate) list: Vec<Target>,
    _nginx: Option<(Part, TempDir)>,
    _plain: Option<Part>,
    gateways: Vec<(String, Gateway)>,
}

/// Ten policies, as a small company has them; the first that matters is not the first in the file.
const POLICIES: &str = r#"
permit(principal in Group::"site-c", action == Action::"infer", resource);
permit(principal in Group::"site-d", action == Action::"embed", resource) when { context.batch <= 8 };
permit(principal, action == Action::"inspect", resource);
permit(principal in Group::"ops", action in Action::"operation", resource) when { context.token.mfa };
permit(principal in Group::"research", action == Action::"train", resource) when { context.approvals >= 1 };
@id("engineers") permit(principal in Group::"ml-engineers", action == Action::"infer", resource in Resource::"llama")
  when { context.max_tokens <= 4096 && context.batch <= 8 };
@id("no-bulk") forbid(principal, action in Action::"operation", resource) when { context.batch > 64 };
@id("no-listed-words") forbid(principal, action in Action::"operation", resource) when { context.matches.contains("listed") };
@id("no-flood") forbid(principal, action in Action::"operation", resource) when { context.recent.requests_day > 900000000 };
@id("office-network") forbid(principal, action in Action::"operation", resource)
  unless { context.client.isInRange(ip("127.0.0.0/8")) || context.client.isInRange(ip("10.0.0.0/8")) };
"#;

const NGINX: &str = "
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  upstream behind { server {upstream}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen {address};
    location / {
      proxy_pass http://behind;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffering off;
    }
  }
}
";

impl Targets {
    /// Starts those that are named.
    pub(crate) async fn start(names: &[String], upstream: &Upstream) -> Self {
        let mut targets = Self { list: Vec::new(), _nginx: None, _plain: None, gateways: Vec::new() };
        for name in names {
            let (address, path) = match name.as_str() {
                "direct" => (upstream.address, "/v1/chat/completions"),
                "nginx" => {
                    let address = free_address();
                    targets._nginx = Some(nginx(address, upstream.address).await);
                    (address, "/v1/chat/completions")
                }
                "plain" => {
                    let (address, part) = plain::start(upstream.address).await;
                    targets._plain = Some(part);
                    (address, "/v1/chat/completions")
                }
                "portcullis" | "unrecorded" => {
                    let binary = (name == "unrecorded").then(unrecorded);
                    let gateway = gateway(upstream, binary).await;
                    let address = gateway.address;
                    targets.gateways.push((name.clone(), gateway));
                    (address, "/llama/v1/chat/completions")
                }
                other => panic!("there is no target `{other}`"),
            };
            let token = upstream.signer.token(&issuer(upstream));
            targets.list.push(Target { name: name.clone(), address, path, token });
        }
        targets
    }

    /// Lets no gateway work but the one that is measured: what one of them has still to do, such as its index,
    /// is no cost of another.
    pub(crate) fn only(&self, name: &str) {
        for (other, gateway) in &self.gateways {
            if other == name { gateway.resume() } else { gateway.pause() }
        }
    }
}

/// The same gateway, built from a copy of the tree in which it records nothing.
fn unrecorded() -> PathBuf {
    let file = std::env::var_os("PORTCULLIS_UNRECORDED").map(PathBuf::from);
    file.unwrap_or_else(|| panic!("the target `unrecorded` is measured by `cargo xtask bench record`"))
}

pub(crate) fn issuer(upstream: &Upstream) -> String {
    format!("http://{}", upstream.address)
}

async fn nginx(address: SocketAddr, upstream: SocketAddr) -> (Part, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = NGINX
        .replace("{folder}", &folder.path().display().to_string())
        .replace("{upstream}", &upstream.to_string())
        .replace("{address}", &address.to_string());
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, text).expect("a configuration");
    // Debian keeps it where only root's PATH looks.
    let program = if std::path::Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
    let mut command = Command::new(program);
    let mut part = Part::start("nginx", command.arg("-p").arg(folder.path()).arg("-c").arg(&file));
    part.answers(&format!("http://{address}/jwks")).await;
    (part, folder)
}

async fn gateway(upstream: &Upstream, binary: Option<PathBuf>) -> Gateway {
    let settings = json!({
        "issuer": issuer(upstream), "jwks": format!("{}/jwks", issuer(upstream)), "audiences": ["portcullis"],
    });
    Plan { binary, ..Plan::default() }
        .issuer("bench", settings)
        .resource("llama", model_at(&issuer(upstream)))
        .environment("LLAMA_KEY", "the-upstreams-own-key")
        .with(json!({ "deny_lists": { "listed": { "words": ["forbidden project", "code name"], "patterns": [] } } }))
        .policy("bench.cedar", POLICIES)
        .start()
        .await
}
