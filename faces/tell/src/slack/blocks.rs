//! What a message says, in Slack's Block Kit.
//!
//! Words that come from outside stand in `plain_text` alone, where nothing is markup: no name can make a
//! link, mention anybody or break out of its line. The one link is ours.

use config::TellEvent;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::matter::{About, Matter, Stage};
use crate::notice::page;

/// The most characters of one field. Slack takes 2,000.
const FIELD: usize = 600;
/// The most characters of the heading. Slack takes 150.
const HEADING: usize = 140;

/// The message for `event`, but for its channel.
pub(super) fn message(matter: &Matter, event: TellEvent, origin: Option<&str>) -> Value {
    let heading = heading(matter, event);
    let mut blocks = vec![
        json!({ "type": "header", "text": plain(&heading, HEADING) }),
        json!({ "type": "section", "fields": fields(matter, event) }),
    ];
    if let Some(reason) = &matter.reason {
        blocks.push(json!({ "type": "section", "text": plain(&format!("“{reason}”"), FIELD) }));
    }
    let link = match page(origin, &matter.approval) {
        // Its parts are the configuration's and the gateway's own, without characters that mean anything.
        Some(page) if waits(matter) => {
            format!("<{page}|Look at it and decide> — nothing can be decided here in Slack.")
        }
        Some(page) => format!("<{page}|Look at it>"),
        None if waits(matter) => format!("Decide with `portcullis approvals show {}`.", matter.approval),
        None => format!("`{}`", matter.approval),
    };
    blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": link, "verbatim": true } }));
    json!({
        // What notifications show. `parse` and `link_names` leave names as they are written.
        "text": escaped(&heading),
        "parse": "none",
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

fn waits(matter: &Matter) -> bool {
    matter.stage == Stage::Waiting
}

fn heading(matter: &Matter, event: TellEvent) -> String {
    let who = matter.requester.shown();
    let what = match &matter.about {
        About::Request { resource, operations } => format!("{} on {resource}", operations.join(", ")),
        About::Grant { group, seconds, .. } => format!("{group} for {}", length(*seconds)),
    };
    let verb = match event {
        TellEvent::Requested => "Approval needed",
        TellEvent::Consented => "Approval needed",
        TellEvent::Approved => "Approved",
        TellEvent::Denied => "Denied",
        TellEvent::Expired => "Expired",
        TellEvent::Released => match &matter.about {
            About::Grant { .. } => "Granted",
            _ => "Approved and done",
        },
        TellEvent::Ended => "Ended",
        TellEvent::Revoked => "Revoked",
    };
    format!("{verb}: {who} – {what}")
}

fn fields(matter: &Matter, event: TellEvent) -> Vec<Value> {
    let needed = match matter.needed {
        1 => "one person".to_owned(),
        needed => format!("{needed} people"),
    };
    let mut fields = vec![
        field("Who", &format!("{} ({})", matter.requester.shown(), matter.requester.subject)),
        field("Issuer", &matter.requester.issuer),
        field("Consents", &format!("{} of {needed}", matter.given)),
    ];
    match matter.stage {
        Stage::Waiting => fields.push(field("Expires", &time(matter.expires))),
        Stage::Approved | Stage::Released => {
            if let About::Grant { ends: Some(ends), .. } = &matter.about {
                fields.push(field("Until", &time(*ends)));
            }
        }
        _ => {}
    }
    if event != TellEvent::Requested
        && let Some(by) = &matter.decided_by
    {
        fields.push(field("By", by.shown()));
    }
    fields
}

fn field(name: &str, value: &str) -> Value {
    plain(&format!("{name}: {value}"), FIELD)
}

fn plain(text: &str, most: usize) -> Value {
    let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// In the text beside the blocks these three begin markup.
fn escaped(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn length(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matter::Who;
    use crate::matter::tests::matter;

    fn texts(value: &Value, found: &mut Vec<(String, String)>) {
        match value {
            Value::Object(map) => {
                if let (Some(Value::String(kind)), Some(Value::String(text))) =
                    (map.get("type"), map.get("text"))
                {
                    found.push((kind.clone(), text.clone()));
                }
                map.values().for_each(|value| texts(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| texts(value, found)),
            _ => {}
        }
    }

    #[test]
    fn what_waits_links_to_its_page_and_asks_for_nothing() {
        let told = message(&matter("0198", Stage::Waiting, 0), TellEvent::Requested, Some("https://a.test"));
        let text = told.to_string();
        assert!(text.contains("<https://a.test/approvals/0198|"), "{text}");
        assert!(text.contains("Approval needed: alice@example.test – export, read on llama"), "{text}");
        assert!(text.contains("Consents: 0 of 2 people") && text.contains("Expires: 2026-01-02 04:04 UTC"));
        assert!(!text.contains("button") && !text.contains("action_id"), "{text}");
        let nowhere = message(&matter("0198", Stage::Waiting, 0), TellEvent::Requested, None).to_string();
        assert!(nowhere.contains("portcullis approvals show 0198"), "{nowhere}");
    }

    #[test]
    fn no_name_is_markup() {
        let mut hostile = matter("0198", Stage::Denied, 0);
        let name = "<!channel> <https://evil.test|x> & @here\n*b*";
        hostile.requester = Who::new("<@U1>", name, Some(name));
        hostile.decided_by = Some(Who::new("i", "bob", None));
        hostile.reason = Some("<!everyone> no".to_owned());
        let told = message(&hostile, TellEvent::Denied, Some("https://a.test"));
        let mut found = Vec::new();
        texts(&told["blocks"], &mut found);
        for (kind, text) in found {
            let ours = text == "<https://a.test/approvals/0198|Look at it>";
            assert!(kind == "plain_text" || ours, "{kind}: {text}");
        }
        let beside = told["text"].as_str().unwrap();
        assert!(!beside.contains(['<', '>', '\n']), "{beside}");
        assert_eq!(told["parse"], "none");
        assert!(told.to_string().contains("By: bob"));
    }

    #[test]
    fn lengths_are_as_people_say_them() {
        for (seconds, said) in [
            (45, "45 s"),
            (60, "1 min"),
            (90, "1 min 30 s"),
            (7200, "2 h"),
            (5400, "1 h 30 min"),
            (86_400, "24 h"),
        ] {
            assert_eq!(length(seconds), said);
        }
    }
}
