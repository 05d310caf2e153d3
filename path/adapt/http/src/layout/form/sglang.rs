//! SGLang's own events. Each repeats the text so far, or, if the server is told so, brings only what is
//! new.

use super::{index_of, quoted};
use crate::json::{Node, Value};
use crate::layout::lanes::Closes;
use crate::layout::marks::{LaneUse, Step, Template, Treat};

use Step::Key;

/// What tells one text of an answer from another.
pub(crate) fn key(root: &Node<'_>) -> String {
    format!("{}.text", index_of(Some(root), 0))
}

pub(super) fn treat<'n>(root: &'n Node<'n>, path: &[Step<'n>], node: &'n Node<'n>) -> Option<Treat> {
    match path {
        [Key("text")] if node.text().is_some() => {
            let before = format!("{{\"index\":{},{}:\"", index_of(Some(root), 0), quoted("text"));
            let after = r#"","meta_info":{"finish_reason":null}}"#.to_owned();
            let template = Some(Template { event: None, before, after });
            Some(Treat::Lane(LaneUse { key: key(root), group: group(root), template }))
        }
        [Key("meta_info"), Key(key)] if key.ends_with("logprobs") => Some(Treat::Classed("model.logprobs")),
        [Key("meta_info"), Key("id" | "weight_version")] if node.text().is_some() => Some(Treat::Syntax),
        [Key("meta_info"), Key("finish_reason"), Key("type")] => Some(Treat::Syntax),
        [Key("meta_info")] => Some(Treat::Syntax),
        _ => None,
    }
}

fn group(root: &Node<'_>) -> String {
    format!("{}.", index_of(Some(root), 0))
}

pub(crate) fn closes(root: &Node<'_>) -> Closes {
    let finished = root.at(&["meta_info", "finish_reason"]).is_some_and(|node| !node.is_null());
    if finished { Closes::Groups(vec![group(root)]) } else { Closes::Nothing }
}

/// Whether a message repeats the text of the one before, as far as it tells: its numbers are as many as
/// the tokens written so far.
pub(crate) fn repeats(root: &Node<'_>, before: &str) -> bool {
    let text = root.get("text").and_then(Node::text).unwrap_or_default();
    let written = root.at(&["meta_info", "completion_tokens"]).and_then(Node::count);
    let numbers = match root.get("output_ids").map(|node| &node.value) {
        Some(Value::Array(items)) => u64::try_from(items.len()).ok(),
        _ => None,
    };
    let as_many = written.is_none() || numbers.is_none() || written == numbers;
    !before.is_empty() && text.starts_with(before) && as_many
}
