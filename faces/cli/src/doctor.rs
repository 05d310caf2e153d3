//! `portcullis doctor`: looks at everything a gateway or an agent needs, and says what to mend. It calls each
//! upstream without its credential too: what answers then can be walked around, and guards nothing.

mod agent;
mod finding;
mod gateway;
mod outside;
mod upstreams;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use http::Uri;
use serde_json::json;

use crate::failure::Failure;
use crate::out::Out;
use crate::serve;
use finding::State;

#[derive(Args)]
pub(crate) struct Doctor {
    /// The gateway's configuration file
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
    /// Look at an agent instead, by its own file
    #[arg(long, value_name = "FILE", conflicts_with = "outside")]
    agent: Option<PathBuf>,
    /// Look from outside instead: whether this machine reaches these servers, which only the gateway should
    #[arg(long, value_name = "URL", num_args = 1.., value_parser = server)]
    outside: Vec<Uri>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn server(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|_| "this is no URL".to_owned())?;
    match (url.scheme_str(), url.host()) {
        (Some("http" | "https"), Some(_)) => Ok(url),
        _ => Err("expected a server's URL, as `http://model.example.test:8081`".to_owned()),
    }
}

impl Doctor {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let found = serve::runtime()?.block_on(async {
            if !self.outside.is_empty() {
                let mut found = Vec::new();
                for url in &self.outside {
                    found.push(outside::reach(url).await);
                }
                return found;
            }
            match &self.agent {
                Some(file) => agent::examine(file).await,
                None => gateway::examine(&self.config).await,
            }
        });
        let count = |state| found.iter().filter(|finding| finding.state == state).count();
        let (bad, caution) = (count(State::Bad), count(State::Caution));
        if self.json {
            out.json(&json!({ "ok": bad == 0, "findings": found }))?;
        } else {
            for finding in &found {
                finding.tell(out)?;
            }
            out.line(format_args!("{} looks, {bad} bad, {caution} to look at", found.len()))?;
        }
        Ok(ExitCode::from(u8::from(bad > 0)))
    }
}
