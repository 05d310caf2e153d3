//! llama.cpp's own completion events.

use super::{index_of, is_true};
use crate::json::Node;
use crate::layout::lanes::Closes;
use crate::layout::marks::{LaneUse, Step, Template, Treat};

fn group(root: &Node<'_>) -> String {
    format!("{}.", index_of(Some(root), 0))
}

pub(super) fn treat<'n>(root: &'n Node<'n>, path: &[Step<'n>], node: &'n Node<'n>) -> Option<Treat> {
    node.text()?;
    let [Step::Key("content")] = path else { return None };
    let group = group(root);
    let template = Template {
        event: None,
        before: format!(r#"{{"index":{},"content":""#, index_of(Some(root), 0)),
        after: r#"","stop":false}"#.to_owned(),
    };
    Some(Treat::Lane(LaneUse { key: format!("{group}content"), group, template: Some(template) }))
}

pub(super) fn closes(root: &Node<'_>) -> Closes {
    if is_true(root, "stop") { Closes::Groups(vec![group(root)]) } else { Closes::Nothing }
}
