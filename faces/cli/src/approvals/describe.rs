//! One approval, as text for people.

use jiff::Timestamp;
use serde_json::Value;

use crate::out::{Out, Tone};
use crate::told::Told;

/// Everything of one approval, in lines. The gateway has taken out of the texts what a screen would obey.
pub(super) fn lines(shown: &Value, now: Timestamp, out: &Out) -> Vec<String> {
    let state = out.tone(tone(shown), text(shown.at("state")));
    let mut all = vec![format!("{} {state}", out.tone(Tone::Title, text(shown.at("id"))))];
    let mut say = |name: &str, text: String| {
        if !text.is_empty() {
            all.push(format!("{name:<11}{text}"));
        }
    };
    let requester = shown.at("requester");
    say("asks", format!("{} ({}, {})", who(requester), text(requester.at("kind")), text(requester.at("id"))));
    say("groups", words(requester.at("groups")));
    say("wants", format!("{} on {}", operations(shown), on(shown)));
    for reason in shown.list("policies") {
        let sentence = reason.at("sentence").as_str().unwrap_or("no comment stands above this policy");
        say("because", format!("{sentence} ({})", text(reason.at("policy"))));
    }
    for fact in shown.list("facts") {
        say("", format!("{}: {}", text(fact.at("name")), text(fact.at("value"))));
    }
    say("request", format!("{} {}", text(shown.at("method")), text(shown.at("path"))));
    say("digest", text(shown.at("digest")).to_owned());
    say("asked", since(shown.at("asked_at"), now));
    if shown.at("state") == "waiting" {
        let ends = time(shown.at("expires_at")).map(|at| format!("in {}", span(now, at)));
        say("ends", ends.unwrap_or_default());
        let waits =
            if shown.at("held") == true { "the client waits now" } else { "the client does not wait now" };
        say("client", waits.to_owned());
    }
    say("consents", format!("{} of {}", shown.at("given"), shown.at("needed")));
    for decision in shown.list("decisions") {
        let word = text(decision.at("decision"));
        let reason = decision.at("reason").as_str().map(|why| format!(": {why}")).unwrap_or_default();
        say(word, format!("by {}, {}{reason}", who(decision.at("by")), since(decision.at("at"), now)));
    }
    say("page", text(shown.at("url")).to_owned());
    if let Some(why) = shown.at("you").at("why").as_str() {
        say("you", why.to_owned());
    }
    all.extend(prompt(shown.at("prompt"), out));
    all
}

/// What was asked, as far as whoever looks may see it.
fn prompt(prompt: &Value, out: &Out) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(why) = prompt.at("absent").as_str() {
        all.push(out.tone(Tone::Caution, format_args!("— {why}")));
    }
    for part in prompt.list("parts") {
        all.push(out.tone(Tone::Faint, format_args!("— {}", text(part.at("label")))));
        all.extend(text(part.at("said")).lines().map(str::to_owned));
        if let Some(hidden) = part.at("hidden").as_u64().filter(|hidden| *hidden > 0) {
            all.push(out.tone(Tone::Caution, format_args!("… {hidden} characters that are not shown …")));
            all.extend(text(part.at("ending")).lines().map(str::to_owned));
        }
    }
    for (class, count) in prompt.at("masked").as_object().into_iter().flatten() {
        all.push(out.tone(Tone::Faint, format_args!("— {count} × {class} that you may not see")));
    }
    all
}

/// The colour of an approval's state.
pub(super) fn tone(approval: &Value) -> Tone {
    match text(approval.at("state")) {
        "waiting" => Tone::Caution,
        "approved" | "released" => Tone::Good,
        "denied" => Tone::Bad,
        _ => Tone::Faint,
    }
}

/// What somebody is called.
pub(super) fn who(person: &Value) -> String {
    let name = ["email", "display", "subject", "id"]
        .into_iter()
        .find_map(|key| person.at(key).as_str().filter(|name| !name.is_empty()));
    name.unwrap_or("-").to_owned()
}

/// What it is asked of.
pub(super) fn on(approval: &Value) -> String {
    let models: Vec<&str> = approval
        .list("operations")
        .iter()
        .map(|one| text(one.at("model")))
        .filter(|model| !model.is_empty())
        .collect();
    let resource = text(approval.at("resource"));
    match models.first() {
        Some(model) => format!("{resource}/{model}"),
        None => resource.to_owned(),
    }
}

/// What is asked, by name.
pub(super) fn operations(approval: &Value) -> String {
    let names: Vec<String> = approval
        .list("operations")
        .iter()
        .map(|one| format!("{} ({})", text(one.at("name")), text(one.at("class"))))
        .collect();
    names.join(", ")
}

/// The beginning of an id, for a line.
pub(super) fn short(id: &str) -> &str {
    id.get(..13).unwrap_or(id)
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(super) fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn words(value: &Value) -> String {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

fn since(value: &Value, now: Timestamp) -> String {
    time(value).map(|at| format!("{} ago", span(at, now))).unwrap_or_default()
}

/// The time between, in its largest units.
pub(super) fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {:02}h", seconds / 86400, seconds % 86400 / 3600),
    }
}
