//! `portcullis callers` and `portcullis access`: who asks, and who is kept out.

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use comfy_table::Table;
use http::Method;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::remote::{self, Client, Remote};
use crate::serve;
use crate::told::Told;

#[derive(Subcommand)]
pub(crate) enum CallersVerb {
    /// List who was seen and who is kept out
    List(List),
}

#[derive(Subcommand)]
pub(crate) enum AccessVerb {
    /// Keep a caller out from the next request on, and end what runs
    Block(Change),
    /// Let a caller in again
    Unblock(One),
    /// Refuse the tokens a caller holds now; new ones are good
    Revoke(Change),
}

/// Which gateway.
#[derive(Args)]
pub(crate) struct At {
    #[command(flatten)]
    remote: Remote,
    /// The configuration file, where the gateway's administration is named
    #[arg(long, short, default_value = "portcullis.yaml", env = "PORTCULLIS_CONFIG")]
    config: PathBuf,
}

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    at: At,
    /// How many
    #[arg(long, short = 'n', default_value_t = 100)]
    limit: u32,
    /// Go on after this one, as the page before says
    #[arg(long)]
    cursor: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct One {
    #[command(flatten)]
    at: At,
    /// The caller: issuer#subject; or a subject or e-mail address that one caller has
    caller: String,
}

#[derive(Args)]
pub(crate) struct Change {
    #[command(flatten)]
    one: One,
    /// Why, for operators; the caller is not told
    #[arg(long)]
    reason: Option<String>,
}

impl CallersVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let Self::List(list) = self;
        serve::runtime()?.block_on(list.run(out))
    }
}

impl AccessVerb {
    pub(crate) fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        serve::runtime()?.block_on(async {
            let (one, method, what, reason) = match self {
                Self::Block(Change { one, reason }) => (one, Method::PUT, "block", Some(reason)),
                Self::Unblock(one) => (one, Method::DELETE, "block", None),
                Self::Revoke(Change { one, reason }) => (one, Method::POST, "revoke", Some(reason)),
            };
            let client = one.at.remote.client(&one.at.config).await?;
            let (id, key) = meant(&client, &one.caller).await?;
            let body = reason.map(|reason| json!({ "reason": reason }));
            let path = format!("/callers/{key}/{what}");
            let done = client.send(method.clone(), &path, body.as_ref()).await?;
            out.line(match method {
                Method::PUT => format!("{id} is blocked"),
                Method::DELETE if done.at("was_blocked") == true => format!("{id} is let in again"),
                Method::DELETE => format!("{id} was not blocked"),
                _ => format!(
                    "{id}: tokens from before {} are refused",
                    done.at("before").as_str().unwrap_or("now")
                ),
            })?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// The one caller that is meant, with its key. Somebody never seen can be named by the whole id.
async fn meant(client: &Client, name: &str) -> Result<(String, String), Failure> {
    if name.contains('#') {
        return Ok((name.to_owned(), URL_SAFE_NO_PAD.encode(name)));
    }
    let found = client.get(&remote::query("/callers", &[("name", Some(name.to_owned()))])).await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match found.list("callers") {
        [one] => Ok((text(one.at("id")), text(one.at("key")))),
        [] => Err(Failure::Said(format!("no caller `{name}` was seen; write issuer#subject"))),
        several => {
            let ids: Vec<String> = several.iter().map(|caller| text(caller.at("id"))).collect();
            Err(Failure::Said(format!(
                "`{name}` may be each of these; write one of them: {}",
                ids.join(", ")
            )))
        }
    }
}

impl List {
    async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let client = self.at.remote.client(&self.at.config).await?;
        let pairs = [("limit", Some(self.limit.to_string())), ("cursor", self.cursor)];
        let page = client.get(&remote::query("/callers", &pairs)).await?;
        if self.json {
            out.json(&json!({ "callers": page.at("callers"), "next": page.at("next") }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["caller", "issuer", "kind", "groups", "last seen", "token ends", "standing"]);
        for caller in page.list("callers") {
            table.add_row(row(caller, out));
        }
        out.line(table)?;
        if let Some(next) = page.at("next").as_str() {
            out.line(out.tone(Tone::Faint, format_args!("more: --cursor {next}")))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(caller: &Value, out: &Out) -> [String; 7] {
    let text = |key: &str| caller.at(key).as_str();
    let or_dash = |key: &str| text(key).unwrap_or("-").to_owned();
    let groups: Vec<&str> = caller.list("groups").iter().filter_map(Value::as_str).collect();
    let because =
        |rule: &Value| rule.at("reason").as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
    let standing = if caller.at("blocked").is_object() {
        out.tone(Tone::Bad, format_args!("blocked{}", because(caller.at("blocked"))))
    } else if caller.at("revoked").is_object() {
        let before = caller.at("revoked").at("before").as_str().unwrap_or("-");
        out.tone(
            Tone::Caution,
            format_args!("tokens before {before} revoked{}", because(caller.at("revoked"))),
        )
    } else {
        "-".to_owned()
    };
    [
        text("email").or(text("subject")).unwrap_or("-").to_owned(),
        text("issuer_name").or(text("issuer")).unwrap_or("-").to_owned(),
        or_dash("kind"),
        groups.join(", "),
        or_dash("last_seen"),
        or_dash("expires_at"),
        standing,
    ]
}
