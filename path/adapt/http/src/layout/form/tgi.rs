//! Text Generation Inference's own events: one token each, the whole text with the last.

use super::index_of;
use crate::json::Node;
use crate::layout::lanes::Closes;
use crate::layout::marks::{LaneUse, Step, Template, Treat};

use Step::Key;

pub(super) fn treat<'n>(root: &'n Node<'n>, path: &[Step<'n>], node: &'n Node<'n>) -> Option<Treat> {
    match path {
        // A token's number is its text, to anyone with the vocabulary.
        [Key("token"), Key("id")] => Some(Treat::Classed("model.tokens")),
        [Key("top_tokens")] | [Key("details"), Key("prefill" | "tokens" | "top_tokens")] => {
            Some(Treat::Classed("model.logprobs"))
        }
        [Key("token"), Key("text")] => {
            let before = format!(r#"{{"index":{},"token":{{"id":null,"text":""#, index_of(Some(root), 0));
            let after =
                r#"","logprob":null,"special":false},"generated_text":null,"details":null}"#.to_owned();
            let template = Some(Template { event: None, before, after });
            Some(Treat::Lane(LaneUse { key: "token".to_owned(), group: String::new(), template }))
        }
        [Key("details"), Key("finish_reason")] if node.text().is_some() => Some(Treat::Syntax),
        _ => None,
    }
}

pub(super) fn closes(root: &Node<'_>) -> Closes {
    let has = |key: &str| root.get(key).is_some_and(|node| !node.is_null());
    if has("generated_text") || has("details") { Closes::All } else { Closes::Nothing }
}
