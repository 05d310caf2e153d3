//! `portcullis agents`: which there are, who is let in, who is put out. Asks the gateway.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::Table;
use model::{AgentName, ResourceName};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::remote::{self, Asked};
use crate::serve;
use crate::told::Told;

#[derive(Subcommand)]
pub(crate) enum AgentsVerb {
    /// Print a join token for a new agent: good once, for a short while
    Invite(Invite),
    /// List the agents, how each does, and who is invited
    List(List),
    /// Put an agent out; its tunnels close within a second
    Revoke(Revoke),
}

#[derive(Args)]
pub(crate) struct Invite {
    /// What it may serve, by the names of the gateway's configuration
    #[arg(long, required = true, value_delimiter = ',', value_parser = ResourceName::new)]
    resources: Vec<ResourceName>,
    /// What it will be called; made up when absent
    #[arg(long, value_parser = AgentName::new)]
    name: Option<AgentName>,
    /// How many seconds the token is good
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    lasts: u64,
    #[command(flatten)]
    at: Asked,
}

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    at: Asked,
}

#[derive(Args)]
pub(crate) struct Revoke {
    /// The agent's name
    #[arg(value_parser = AgentName::new)]
    agent: AgentName,
    /// Why, for other operators
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    at: Asked,
}

impl AgentsVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        serve::runtime()?.block_on(async {
            match self {
                Self::Invite(verb) => verb.run(out).await,
                Self::List(verb) => verb.run(out).await,
                Self::Revoke(verb) => verb.run(out).await,
            }
        })
    }
}

impl Invite {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let body = json!({ "name": self.name, "resources": self.resources, "lasts_seconds": self.lasts });
        let invited = self.at.post("/agents/invitations", &body).await?;
        if self.at.json {
            out.json(&invited)?;
            return Ok(ExitCode::SUCCESS);
        }
        // The token alone on the output, so that it can go straight into a file.
        out.line(invited.at("join").as_str().unwrap_or_default())?;
        let (agent, until) = (invited.at("agent").as_str(), invited.at("expires_at").as_str());
        let told = format!(
            "a join token for `{}`, good once and until {}: put it where the agent's `join` says",
            agent.unwrap_or_default(),
            until.unwrap_or_default()
        );
        Out::stderr().line(told)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let told = self.at.get("/agents").await?;
        if self.at.json {
            out.json(&told)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header([
            "agent",
            "resources",
            "standing",
            "from",
            "connections",
            "requests",
            "certificate ends",
        ]);
        for agent in told.list("agents") {
            table.add_row(row(agent, out));
        }
        for invited in told.list("invitations") {
            let text = |key| invited.at(key).as_str().unwrap_or("-").to_owned();
            let standing = out.tone(Tone::Caution, format_args!("invited until {}", text("expires_at")));
            let dash = || "-".to_owned();
            table.add_row([text("agent"), names(invited), standing, dash(), dash(), dash(), dash()]);
        }
        out.line(table)?;
        // Workloads that join by a token of their own know the gateway by it.
        out.line(format_args!("authority {}", told.at("authority").as_str().unwrap_or("-")))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Revoke {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let path = format!("/agents/{}/revoke", remote::segment(self.agent.as_str()));
        let revoked = self.at.post(&path, &json!({ "reason": self.reason })).await?;
        if self.at.json {
            out.json(&revoked)?;
        } else {
            out.line(format_args!("{} {}", out.tone(Tone::Bad, "revoked"), self.agent))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn names(of: &Value) -> String {
    of.list("resources").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

fn row(agent: &Value, out: &Out) -> [String; 7] {
    let connected = agent.at("connected");
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let number = |key| connected.at(key).as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string());
    let standing = if agent.at("revoked").is_object() {
        out.tone(Tone::Bad, format_args!("revoked {}", text(agent.at("revoked").at("at"))))
    } else if connected.is_object() {
        out.tone(Tone::Good, format_args!("connected since {}", text(connected.at("since"))))
    } else {
        out.tone(Tone::Caution, "away")
    };
    [
        text(agent.at("name")),
        names(agent),
        standing,
        text(connected.at("address")),
        number("connections"),
        number("streams"),
        text(agent.at("expires_at")),
    ]
}
