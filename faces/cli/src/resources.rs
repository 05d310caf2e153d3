//! `portcullis resources`: what is protected, and how it stands.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::Table;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::remote::{self, Asked};
use crate::serve;
use crate::told::Told;

#[derive(Subcommand)]
pub(crate) enum ResourcesVerb {
    /// List what a gateway protects, and how its upstreams stand
    List(List),
}

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    at: Asked,
    /// How many
    #[arg(long, short = 'n', default_value_t = 100)]
    limit: u32,
    /// Go on after this one, as the page before says
    #[arg(long)]
    cursor: Option<String>,
}

impl ResourcesVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let Self::List(list) = self;
        serve::runtime()?.block_on(list.run(out))
    }
}

impl List {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let pairs = [("limit", Some(self.limit.to_string())), ("cursor", self.cursor)];
        let page = self.at.get(&remote::query("/resources", &pairs)).await?;
        if self.at.json {
            out.json(&json!({ "resources": page.at("resources"), "next": page.at("next") }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["resource", "kind", "server", "upstream", "state", "answers in", "last fault"]);
        for resource in page.list("resources") {
            for upstream in resource.list("upstreams") {
                table.add_row(row(resource, upstream, out));
            }
        }
        out.line(table)?;
        if let Some(next) = page.at("next").as_str() {
            out.line(out.tone(Tone::Faint, format_args!("more: --cursor {next}")))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(resource: &Value, upstream: &Value, out: &Out) -> [String; 7] {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let probed = upstream.at("probed");
    let state = match (upstream.at("usable").as_bool(), probed.at("fault").as_str()) {
        (Some(true), None) => out.tone(Tone::Good, "usable"),
        (Some(true), Some(_)) => out.tone(Tone::Caution, "ailing"),
        _ => out.tone(Tone::Bad, "out"),
    };
    let took = probed.at("seconds").as_f64().map(|seconds| format!("{:.1} ms", seconds * 1000.0));
    let fault = probed.at("fault").as_str().or_else(|| upstream.at("last_failure").as_str());
    [
        text(resource.at("name")),
        text(resource.at("kind")),
        text(resource.at("server")),
        text(upstream.at("url")),
        state,
        took.unwrap_or_else(|| "-".to_owned()),
        fault.unwrap_or("-").to_owned(),
    ]
}
