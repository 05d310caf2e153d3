//! Who is told about approvals.

use std::collections::BTreeSet;

use super::Base;
use super::resource::{secret, secret_at};
use crate::fault::shown;
use crate::reader::Mapping;
use crate::usable::{Slack, Tell, TellEvent, Webhook};
use crate::value;

/// The most webhooks.
const MOST_WEBHOOKS: usize = 16;
/// The most secrets of one.
const MOST_SECRETS: usize = 4;

/// The section `tell` of `approvals`. None when something is wrong, and noted.
pub(super) fn tell(approvals: &Mapping<'_>, base: &Base) -> Option<Tell> {
    let section = approvals.section("tell")?;
    let named = section.named("webhooks");
    if named.len() > MOST_WEBHOOKS
        && let Some(item) = section.item("webhooks")
    {
        item.fault(format!("there are {} webhooks", named.len()), format!("at most {MOST_WEBHOOKS}"));
    }
    let webhooks: Vec<Option<Webhook>> =
        named.into_iter().map(|(name, item)| webhook(name, &item.section()?, base)).collect();
    let slack = match section.has("slack") {
        true => Some(slack(&section.section("slack")?, base)),
        false => None,
    };
    let give_up = section.duration("give_up");
    Some(Tell {
        webhooks: webhooks.into_iter().collect::<Option<_>>()?,
        slack: match slack {
            Some(slack) => Some(slack?),
            None => None,
        },
        give_up,
    })
}

fn webhook(name: String, section: &Mapping<'_>, base: &Base) -> Option<Webhook> {
    let url = section.parse("url", |text| {
        let uri = value::link(text)?;
        let host = uri.host().unwrap_or_default();
        match uri.scheme_str() == Some("http") && !value::is_loopback(host) {
            true => {
                Err("this URL is plain HTTP: who asks for what could be read on the way; use `https`"
                    .to_owned())
            }
            false => Ok(uri),
        }
    });
    let items = section.many("secrets");
    if items.len() > MOST_SECRETS {
        section.fault(
            format!("{} secrets sign each message", items.len()),
            format!("at most {MOST_SECRETS}: the new one, and those it replaces"),
        );
    }
    let secrets: Vec<_> = items.iter().map(|item| secret_at(item, base)).collect();
    let events = events(section);
    let ca_file = if section.has("ca_file") { Some(base.file(section, "ca_file")?) } else { None };
    Some(Webhook {
        name,
        url: url?,
        secrets: secrets.into_iter().collect::<Option<_>>()?,
        events,
        ca_file,
        timeout: section.duration("timeout"),
    })
}

fn events(section: &Mapping<'_>) -> BTreeSet<TellEvent> {
    let words: Vec<&'static str> =
        section.many("events").iter().filter_map(crate::reader::Item::choice).collect();
    TellEvent::ALL.into_iter().filter(|event| words.contains(&event.as_str())).collect()
}

fn slack(section: &Mapping<'_>, base: &Base) -> Option<Slack> {
    let api = section.parse("api", |text| {
        let uri = value::url(text)?;
        match uri.scheme_str() == Some("http") && !uri.host().is_some_and(value::is_loopback) {
            true => {
                Err("this URL is plain HTTP: the bot's token would travel readable; use `https`".to_owned())
            }
            false => Ok(text.trim_end_matches('/').to_owned()),
        }
    });
    let token = secret(section, "token", base);
    let ca_file = if section.has("ca_file") { Some(base.file(section, "ca_file")?) } else { None };
    Some(Slack { channel: section.parse("channel", channel)?, token: token?, api: api?, ca_file })
}

/// A channel's id: names can be given to another channel later.
fn channel(text: &str) -> Result<String, String> {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| matches!(b, b'C' | b'G' | b'D'));
    match first
        && (9..=32).contains(&text.len())
        && bytes.all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "{} is no channel's id: Slack shows it at the bottom of the channel's details, as `C0123456789`",
            shown(text)
        )),
    }
}
