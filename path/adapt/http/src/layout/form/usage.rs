//! How many tokens an answer says it used.

use model::Usage;

use crate::json::Node;

const INPUT: &[&str] = &["prompt_tokens", "input_tokens"];
const OUTPUT: &[&str] = &["completion_tokens", "output_tokens"];

/// Takes over what a message says of usage. Later messages of a stream say more than earlier ones.
pub(crate) fn read(root: &Node<'_>, usage: &mut Option<Usage>) {
    let nested = [root.at(&["usage"]), root.at(&["response", "usage"]), root.at(&["message", "usage"])];
    for counts in nested.into_iter().flatten() {
        take(counts, INPUT, OUTPUT, usage);
    }
    take(root, &["prompt_eval_count", "tokens_evaluated"], &["eval_count", "tokens_predicted"], usage);
}

fn take(counts: &Node<'_>, input: &[&str], output: &[&str], usage: &mut Option<Usage>) {
    let count = |keys: &[&str]| keys.iter().find_map(|key| counts.get(key)).and_then(Node::count);
    if let Some(input) = count(input) {
        usage.get_or_insert_default().input = input;
    }
    if let Some(output) = count(output) {
        usage.get_or_insert_default().output = output;
    }
}
