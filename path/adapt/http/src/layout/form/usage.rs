//! How many tokens an answer says it used.

use model::Usage;

use crate::json::Node;

const INPUT: &[&str] = &["prompt_tokens", "input_tokens", "input_length"];
const OUTPUT: &[&str] = &["completion_tokens", "output_tokens", "generated_tokens"];

/// Takes over what a message says of usage. Later messages of a stream say more than earlier ones.
pub(crate) fn read(root: &Node<'_>, usage: &mut Option<Usage>) {
    // llama.cpp tells its times in any case, and the rest only if asked.
    if let Some(times) = root.get("timings") {
        let count = |key: &str| times.get(key).and_then(Node::count);
        if let Some(read) = count("prompt_n") {
            usage.get_or_insert_default().input = read.saturating_add(count("cache_n").unwrap_or(0));
        }
        take(times, &[], &["predicted_n"], usage);
    }
    let nested: [&[&str]; 5] =
        [&["usage"], &["response", "usage"], &["message", "usage"], &["meta_info"], &["details"]];
    for counts in nested.into_iter().filter_map(|path| root.at(path)) {
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
