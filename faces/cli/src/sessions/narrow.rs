//! Which exchanges are meant: the same words for every verb that takes several.

use clap::Args;
use jiff::{Span, Timestamp};
use record::Filter;

use crate::failure::Failure;
use crate::told::Told;

#[derive(Args)]
pub(crate) struct Narrow {
    /// Only this caller's: a subject, an e-mail address, issuer#subject, or `me`
    #[arg(long)]
    pub(crate) caller: Option<String>,
    /// Only of callers in this group
    #[arg(long)]
    group: Option<String>,
    /// Only on this resource
    #[arg(long)]
    resource: Option<String>,
    /// Only for this model
    #[arg(long)]
    model: Option<String>,
    /// Only with an operation of this class, such as infer
    #[arg(long)]
    class: Option<String>,
    /// Only with this decision: allowed, needs-approvals, denied
    #[arg(long, alias = "decision")]
    ruling: Option<String>,
    /// Only with this outcome: completed, refused, caller-gone, upstream-lost, cut, interrupted, running
    #[arg(long)]
    outcome: Option<String>,
    /// Only where a value of this data class was masked, such as pii or pii.email
    #[arg(long, value_name = "CLASS")]
    masked: Option<String>,
    /// Only where a value of this data class was let through
    #[arg(long, value_name = "CLASS")]
    revealed: Option<String>,
    /// Only of this session, as s-…
    #[arg(long)]
    session: Option<String>,
    /// Only where these words were said; words in quotes are a phrase. Needs `ledger.full_text`
    #[arg(long)]
    text: Option<String>,
    /// Only as old as this: a time span such as 90m or 7d, or a time
    #[arg(long, value_parser = when)]
    since: Option<When>,
    /// Only older than this: likewise
    #[arg(long, value_parser = when)]
    until: Option<When>,
}

/// A point in time, as people say it.
#[derive(Clone, Debug)]
pub(crate) enum When {
    Ago(Span),
    At(Timestamp),
}

pub(crate) fn when(text: &str) -> Result<When, String> {
    match (text.parse::<Span>(), text.parse::<Timestamp>()) {
        (Ok(span), _) => Ok(When::Ago(span.abs())),
        (_, Ok(at)) => Ok(When::At(at)),
        _ => Err("write a time span such as 90m or 7d, or a time such as 2026-01-31T12:00:00Z".to_owned()),
    }
}

impl When {
    /// The point in time it means now.
    pub(crate) fn at(&self, clock: &dyn model::Clock) -> Result<Timestamp, Failure> {
        match self {
            Self::At(at) => Ok(*at),
            Self::Ago(span) => {
                let ago = clock.now().to_zoned(jiff::tz::TimeZone::UTC).checked_sub(*span);
                ago.map(|at| at.timestamp())
                    .map_err(|fault| Failure::Said(format!("this time is out of reach: {fault}")))
            }
        }
    }
}

impl Narrow {
    /// As a filter. `caller` and `session` of a gateway are spelt as it spells them.
    pub(crate) fn filter(&self) -> Result<Filter, Failure> {
        let clock = model::SystemClock::default();
        let at = |when: &Option<When>| when.as_ref().map(|when| when.at(&clock)).transpose();
        let session = self.session.as_ref().map(|text| {
            let wrong = || {
                Failure::Said("--session: a session is spelt s- and the id of its first exchange".to_owned())
            };
            admin::views::session_named(text).ok_or_else(wrong)
        });
        Ok(Filter {
            caller: self.caller.clone(),
            group: self.group.clone(),
            resource: self.resource.clone(),
            model: self.model.clone(),
            class: self.class.clone(),
            ruling: self.ruling.clone(),
            outcome: self.outcome.clone(),
            masked: self.masked.clone(),
            revealed: self.revealed.clone(),
            session: session.transpose()?,
            text: self.text.clone(),
            since: at(&self.since)?,
            until: at(&self.until)?,
            ..Filter::default()
        })
    }
}

/// A filter as the gateway's query has it.
pub(crate) fn pairs<'a>(filter: &Filter, cursor: Option<&str>) -> Vec<(&'a str, Option<String>)> {
    vec![
        ("caller", filter.caller.clone()),
        ("group", filter.group.clone()),
        ("resource", filter.resource.clone()),
        ("model", filter.model.clone()),
        ("class", filter.class.clone()),
        ("ruling", filter.ruling.clone()),
        ("outcome", filter.outcome.clone()),
        ("masked", filter.masked.clone()),
        ("revealed", filter.revealed.clone()),
        ("session", filter.session.map(|first| format!("s-{first}"))),
        ("text", filter.text.clone()),
        ("since", filter.since.map(|at| at.to_string())),
        ("until", filter.until.map(|at| at.to_string())),
        ("limit", filter.limit.map(|limit| limit.to_string())),
        ("cursor", cursor.map(str::to_owned)),
    ]
}

/// The text at a key, or a dash.
pub(crate) fn or_dash(value: &serde_json::Value, key: &str) -> String {
    value.at(key).as_str().unwrap_or("-").to_owned()
}
