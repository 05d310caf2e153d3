//! OpenAI's typed events: Responses, and transcription, speech and image streams of the same make.

use super::{carried, words};
use crate::json::Node;
use crate::layout::lanes::Closes;
use crate::layout::marks::{LaneUse, Step, Template, Treat};

use Step::Key;

/// What tells one text of a response from another.
const PLACE: [&str; 4] = ["output_index", "item_id", "content_index", "summary_index"];

fn kind<'r>(root: &'r Node<'_>) -> &'r str {
    root.get("type").and_then(Node::text).unwrap_or("")
}

/// `3|` and the rest of the place, so that one output's texts can end together.
fn group(root: &Node<'_>, base: &str) -> String {
    let output = root.get("output_index").and_then(Node::count).map_or(String::new(), |n| n.to_string());
    format!("{output}|{base}|{}", carried(root, PLACE))
}

pub(super) fn treat<'n>(root: &'n Node<'n>, path: &[Step<'n>], node: &'n Node<'n>) -> Option<Treat> {
    node.text()?;
    let kind = kind(root);
    match path {
        [Key("delta" | "audio")] if kind.ends_with(".audio.delta") => Some(Treat::Classed("opaque.audio")),
        [Key("delta")] => {
            let base = kind.strip_suffix(".delta")?;
            let group = group(root, base);
            let others = root.members().iter().map(|member| &*member.key);
            let head = carried(root, others.filter(|key| !matches!(*key, "delta" | "obfuscation")));
            let logprobs = if root.get("logprobs").is_some() { r#","logprobs":[]"# } else { "" };
            let template = Template {
                event: Some(kind.to_owned()),
                before: format!(r#"{{{head}"delta":""#),
                after: format!("\"{logprobs}}}"),
            };
            Some(Treat::Lane(LaneUse { key: group.clone(), group, template: Some(template) }))
        }
        // Random padding against readers of lengths.
        [Key("obfuscation")] => Some(Treat::Syntax),
        [.., Key("result")] if is_image_call(root) => Some(Treat::Classed("opaque.image")),
        _ => Some(words(path, node)),
    }
}

fn is_image_call(root: &Node<'_>) -> bool {
    root.at(&["item", "type"]).and_then(Node::text) == Some("image_generation_call")
}

pub(super) fn closes(root: &Node<'_>) -> Closes {
    match kind(root) {
        "response.completed" | "response.failed" | "response.incomplete" | "response.cancelled" => {
            Closes::All
        }
        "response.output_item.done" => match root.get("output_index").and_then(Node::count) {
            Some(output) => Closes::Groups(vec![format!("{output}|")]),
            None => Closes::All,
        },
        kind => match kind.strip_suffix(".done") {
            Some(base) => Closes::Groups(vec![group(root, base)]),
            None => Closes::Nothing,
        },
    }
}
