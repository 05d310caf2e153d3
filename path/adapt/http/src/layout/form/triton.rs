//! Events of the generate extension, as Triton and KServe answer them: a run of text each, and no last
//! one that says so.

use super::{carried, quoted};
use crate::json::Node;
use crate::layout::marks::{LaneUse, Step, Template, Treat};

const HEAD: [&str; 3] = ["id", "model_name", "model_version"];

pub(super) fn treat<'n>(root: &'n Node<'n>, path: &[Step<'n>], node: &'n Node<'n>) -> Option<Treat> {
    let [Step::Key(key)] = path else { return None };
    match (*key, node.text()) {
        ("text_output", Some(_)) => {
            let before = format!("{{{}{}:\"", carried(root, HEAD), quoted("text_output"));
            let template = Some(Template { event: None, before, after: "\"}".to_owned() });
            Some(Treat::Lane(LaneUse { key: "text_output".to_owned(), group: String::new(), template }))
        }
        ("model_name" | "model_version", Some(name)) if name.len() <= 256 => Some(Treat::Syntax),
        ("output_log_probs" | "context_logits" | "generation_logits" | "cum_log_probs", None) => {
            Some(Treat::Classed("model.logprobs"))
        }
        _ => None,
    }
}
