//! Memberships for a while: `access request` and `access list`, and the grants' part of `access revoke`.

use std::process::ExitCode;

use clap::Args;
use comfy_table::Table;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use model::{Clock, ExchangeId, SystemClock};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::out::{Out, Tone};
use crate::remote::{self, Asked, Client, RemoteError};
use crate::told::Told;

#[derive(Args)]
pub(crate) struct Request {
    /// The group, as policies spell it
    #[arg(long)]
    group: String,
    /// For how long, from the approval on: `30m`, `2h`
    #[arg(long = "for", value_name = "TIME", value_parser = minutes)]
    lasts: u32,
    /// Why; approvers read it
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    at: Asked,
}

#[derive(Args)]
pub(crate) struct List {
    /// Also those that are over
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    at: Asked,
}

/// Whole minutes, written as jiff reads lengths of time: `90m`, `1h30m`, `2 hours`.
fn minutes(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is no length of time: write `30m` or `2h`");
    let lasts: SignedDuration = text.parse().map_err(|_| wrong())?;
    match u32::try_from(lasts.as_secs()) {
        Ok(seconds) if seconds >= 60 && seconds % 60 == 0 && lasts.subsec_nanos() == 0 => Ok(seconds / 60),
        Ok(_) => Err("a membership lasts whole minutes".to_owned()),
        Err(_) => Err(wrong()),
    }
}

impl Request {
    pub(super) async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let body = json!({ "group": self.group, "minutes": self.lasts, "reason": self.reason });
        let told = self.at.post("/grants", &body).await?;
        if self.at.json {
            out.json(&told)?;
            return Ok(ExitCode::SUCCESS);
        }
        let (grant, approval) = (told.at("grant"), told.at("approval"));
        if grant.is_object() {
            let (id, ends) = (grant.at("id").as_str(), grant.at("ends").as_str());
            out.line(format_args!(
                "{} you are in {} until {} ({})",
                out.tone(Tone::Good, "granted"),
                self.group,
                time(ends),
                id.unwrap_or_default()
            ))?;
        } else {
            let id = approval.at("id").as_str().unwrap_or_default();
            let needed = approval.at("needed").as_u64().unwrap_or(1);
            let people = if needed == 1 { "one person".to_owned() } else { format!("{needed} people") };
            out.line(format_args!("{} for the consent of {people}", out.tone(Tone::Caution, "waits")))?;
            match approval.at("url").as_str() {
                Some(url) => out.line(url)?,
                None => out.line(format_args!("portcullis approvals show {id}"))?,
            }
            out.line(
                out.tone(Tone::Faint, "the time counts from the last consent; see `portcullis access list`"),
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    pub(super) async fn run(self, out: &mut Out) -> Result<ExitCode, Failure> {
        let told = self.at.get("/grants").await?;
        let now = SystemClock::default().now();
        let live = |grant: &&Value| {
            let ends = grant.at("ends").as_str().and_then(|at| at.parse::<Timestamp>().ok());
            self.all || grant.at("over").is_null() && ends.is_some_and(|ends| now < ends)
        };
        let grants: Vec<&Value> = told.list("grants").iter().filter(live).collect();
        if self.at.json {
            out.json(&json!({ "grants": grants }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["grant", "caller", "group", "until", "consents", "reason", "standing"]);
        for grant in grants {
            table.add_row(row(grant, now, out));
        }
        out.line(table)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn row(grant: &Value, now: Timestamp, out: &Out) -> [String; 7] {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let ends = grant.at("ends").as_str();
    let over = grant.at("over");
    let standing = if let Some(by) = over.at("by").as_str() {
        out.tone(Tone::Bad, format_args!("revoked by {by}"))
    } else if over.is_object()
        || ends.and_then(|at| at.parse::<Timestamp>().ok()).is_none_or(|ends| ends <= now)
    {
        out.tone(Tone::Faint, "over")
    } else {
        out.tone(Tone::Good, "live")
    };
    let name = grant.at("name").as_str().unwrap_or_else(|| grant.at("caller").as_str().unwrap_or("-"));
    let consents: Vec<&str> = grant.list("consents").iter().filter_map(Value::as_str).collect();
    let consents = if consents.is_empty() { "-".to_owned() } else { consents.join(" ") };
    let (id, group, reason) = (text(grant.at("id")), text(grant.at("group")), text(grant.at("reason")));
    [id, name.to_owned(), group, time(ends), consents, reason, standing]
}

fn time(at: Option<&str>) -> String {
    let at = at.and_then(|at| at.parse::<Timestamp>().ok());
    at.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// Takes the grant `id` back, if it is the id of one. A caller's subject may look the same: then there is no
/// such grant.
pub(super) async fn revoke(
    client: &Client,
    id: &str,
    reason: Option<&str>,
) -> Result<Option<Value>, Failure> {
    if ExchangeId::parse(id).is_none() {
        return Ok(None);
    }
    let path = format!("/grants/{}/revoke", remote::segment(id));
    match client.send(Method::POST, &path, Some(&json!({ "reason": reason }))).await {
        Ok(told) => Ok(Some(told)),
        Err(RemoteError::Refused(refused)) if refused.status == StatusCode::NOT_FOUND => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}

/// Says what was taken back.
pub(super) fn revoked(grant: &Value, as_json: bool, out: &mut Out) -> Result<ExitCode, Failure> {
    if as_json {
        out.json(&json!({ "grant": grant }))?;
    } else {
        let (group, caller) = (grant.at("group").as_str(), grant.at("caller").as_str());
        out.line(format_args!(
            "{} the membership of {} in {}",
            out.tone(Tone::Bad, "revoked"),
            caller.unwrap_or_default(),
            group.unwrap_or_default()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_minutes() {
        for (text, expected) in [("30m", 30), ("2h", 120), ("1h30m", 90), ("90s", 0), ("0m", 0), ("60s", 1)] {
            assert_eq!(minutes(text).ok().unwrap_or_default(), expected, "{text}");
        }
        for odd in ["", "2", "two hours", "-2h", "1h30", "100000000h"] {
            assert!(minutes(odd).is_err(), "{odd}");
        }
    }
}
