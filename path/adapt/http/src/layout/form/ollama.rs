//! Ollama's own lines: `/api/generate` and `/api/chat`.

use super::{carried, is_true, quoted};
use crate::json::Node;
use crate::layout::lanes::Closes;
use crate::layout::marks::{LaneUse, Step, Template, Treat};

use Step::Key;

pub(super) fn treat<'n>(root: &'n Node<'n>, path: &[Step<'n>], node: &'n Node<'n>) -> Option<Treat> {
    let head = || carried(root, ["model", "created_at"]);
    let (key, before, after) = match path {
        [Key("message"), Key("images")] => return Some(Treat::Classed("opaque.image")),
        [Key("image")] if node.text().is_some() => return Some(Treat::Classed("opaque.image")),
        _ if node.text().is_none() => return None,
        [Key(field @ ("response" | "thinking"))] => (
            (*field).to_owned(),
            format!("{{{}{}:\"", head(), quoted(field)),
            r#"","done":false}"#.to_owned(),
        ),
        [Key("message"), Key(field @ ("content" | "thinking"))] => (
            format!("message.{field}"),
            format!(r#"{{{}"message":{{"role":"assistant",{}:""#, head(), message_field(field)),
            r#""},"done":false}"#.to_owned(),
        ),
        _ => return None,
    };
    let template = Some(Template { event: None, before, after });
    Some(Treat::Lane(LaneUse { key, group: String::new(), template }))
}

/// Clients ask every message for its content, so one that carries thinking has an empty one.
fn message_field(field: &str) -> String {
    let content = if field == "content" { "" } else { r#""content":"","# };
    format!("{content}{}", quoted(field))
}

pub(super) fn closes(root: &Node<'_>) -> Closes {
    if is_true(root, "done") { Closes::All } else { Closes::Nothing }
}
