//! OpenAI's chat completion chunks and legacy completions: one lane for each text field of each choice.

use super::{carried, index_of, is_kind, quoted, words};
use crate::json::Node;
use crate::layout::lanes::Closes;
use crate::layout::marks::{LaneUse, Step, Template, Treat};

use Step::{At, Key};

const HEAD: [&str; 5] = ["id", "object", "created", "model", "system_fingerprint"];

fn choice<'r>(root: &'r Node<'r>, place: usize) -> Option<&'r Node<'r>> {
    root.get("choices").and_then(|choices| choices.items().get(place))
}

fn group(index: u64) -> String {
    format!("{index}.")
}

pub(super) fn treat<'n>(root: &'n Node<'n>, path: &[Step<'n>], node: &'n Node<'n>) -> Option<Treat> {
    let [Key("choices"), At(place), inside @ ..] = path else { return None };
    let known = words(path, node);
    if known != Treat::Whole || node.text().is_none() {
        return Some(known);
    }
    let choice = choice(root, *place);
    let index = index_of(choice, *place);
    let head = carried(root, HEAD);
    let (key, before, after) = match inside {
        [Key("text")] => (
            "text".to_owned(),
            format!(r#"{{{head}"choices":[{{"index":{index},"text":""#),
            r#"","logprobs":null,"finish_reason":null}]}"#.to_owned(),
        ),
        // Names and kinds come whole: held back in part, they would be others.
        [Key("delta" | "message"), .., Key(key)] if is_kind(key) => return Some(Treat::Whole),
        // Some servers stream pieces of a `message`.
        [Key(carrier @ ("delta" | "message")), within @ ..] => {
            let (key, before, after) = nest(within, choice.and_then(|choice| choice.get(carrier)));
            (
                format!("{carrier}.{key}"),
                format!(r#"{{{head}"choices":[{{"index":{index},"{carrier}":{before}"#),
                format!(r#"{after},"finish_reason":null}}]}}"#),
            )
        }
        _ => return Some(Treat::Whole),
    };
    let group = group(index);
    let template = Some(Template { event: None, before, after });
    Some(Treat::Lane(LaneUse { key: format!("{group}{key}"), group, template }))
}

/// The same path of keys again, with nothing beside the text: a name for the lane, and the JSON before
/// and after the text.
fn nest<'n>(path: &[Step<'n>], node: Option<&'n Node<'n>>) -> (String, String, String) {
    match path {
        [] => (String::new(), "\"".to_owned(), "\"".to_owned()),
        [Key(key), rest @ ..] => {
            let (name, before, after) = nest(rest, node.and_then(|node| node.get(key)));
            (format!("{key}.{name}"), format!("{{{}:{before}", quoted(key)), format!("{after}}}"))
        }
        [At(place), rest @ ..] => {
            let item = node.and_then(|node| node.items().get(*place));
            let index = index_of(item, *place);
            let (name, before, after) = nest(rest, item);
            let before = match before.strip_prefix('{') {
                Some(members) => format!(r#"[{{"index":{index},{members}"#),
                None => format!("[{before}"),
            };
            (format!("{index}.{name}"), before, format!("{after}]"))
        }
    }
}

pub(super) fn closes(root: &Node<'_>) -> Closes {
    let choices = root.get("choices").map_or(&[][..], Node::items).iter().enumerate();
    let finished = choices.filter(|(_, choice)| {
        choice.get("finish_reason").and_then(Node::text).is_some_and(|reason| !reason.is_empty())
    });
    let groups: Vec<_> = finished.map(|(place, choice)| group(index_of(Some(choice), place))).collect();
    if groups.is_empty() { Closes::Nothing } else { Closes::Groups(groups) }
}
