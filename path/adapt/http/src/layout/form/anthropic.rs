//! Anthropic's message events: one lane for each text of each content block.

use super::quoted;
use crate::json::Node;
use crate::layout::lanes::Closes;
use crate::layout::marks::{LaneUse, Step, Template, Treat};

use Step::Key;

fn group(root: &Node<'_>) -> String {
    format!("{}.", super::index_of(Some(root), 0))
}

pub(super) fn treat<'n>(root: &'n Node<'n>, path: &[Step<'n>], node: &'n Node<'n>) -> Option<Treat> {
    node.text()?;
    match path {
        // Opaque to everyone but the server that made it: a changed one would be refused there.
        [Key("delta" | "content_block"), Key("signature")] => Some(Treat::Syntax),
        [Key("content_block"), Key("data")] => Some(Treat::Classed("opaque.binary")),
        [Key("delta"), Key("type" | "stop_reason")] => None,
        // A message's end says more than a block's: its delta is not text.
        [Key("delta"), Key("stop_sequence")] => Some(Treat::Whole),
        [Key("content_block"), Key(field @ ("text" | "thinking"))] | [Key("delta"), Key(field)] => {
            Some(Treat::Lane(lane(root, field)))
        }
        _ => None,
    }
}

fn lane(root: &Node<'_>, field: &str) -> LaneUse {
    let index = super::index_of(Some(root), 0);
    let group = group(root);
    let kind = match field {
        "text" => "text_delta",
        "thinking" => "thinking_delta",
        "partial_json" => "input_json_delta",
        _ => root.at(&["delta", "type"]).and_then(Node::text).unwrap_or("text_delta"),
    };
    let template = Template {
        event: Some("content_block_delta".to_owned()),
        before: format!(
            r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":{},{}:""#,
            quoted(kind),
            quoted(field)
        ),
        after: r#""}}"#.to_owned(),
    };
    LaneUse { key: format!("{group}{field}"), group, template: Some(template) }
}

pub(super) fn closes(root: &Node<'_>) -> Closes {
    match root.get("type").and_then(Node::text) {
        Some("content_block_stop") => Closes::Groups(vec![group(root)]),
        Some("message_delta" | "message_stop") => Closes::All,
        _ => Closes::Nothing,
    }
}
