//! Places that mean the same in every form: ids, counts, and values whose class is known by their name.

use crate::json::{Node, Value};
use crate::layout::marks::{Step, Treat};

/// Words of the protocol, where they stand among its own containers.
const IDS: &[&str] = &[
    "call_id",
    "created",
    "created_at",
    "digest",
    "done_reason",
    "eval_duration",
    "expires_at",
    "finish_reason",
    "id",
    "item_id",
    "load_duration",
    "model",
    "modified_at",
    "object",
    "previous_response_id",
    "prompt_eval_duration",
    "role",
    "sequence_number",
    "service_tier",
    "size",
    "size_vram",
    "status",
    "stop_reason",
    "system_fingerprint",
    "total_duration",
    "type",
];

/// Containers of the protocol. Below any other key lies someone's data.
const CONTAINERS: &[&str] = &[
    "choices",
    "content",
    "content_block",
    "data",
    "delta",
    "item",
    "message",
    "models",
    "output",
    "part",
    "response",
    "tool_calls",
];

/// Token texts with their odds. They spell the answer again, cut so that no pattern can be found in them.
const LOGPROBS: &[&str] =
    &["completion_probabilities", "logprobs", "output_top_logprobs", "prompt_logprobs", "top_logprobs"];

/// Token numbers: the answer or the prompt again, to anyone with the vocabulary.
const TOKENS: &[&str] = &["context", "output_ids", "prompt_token_ids", "token_ids", "tokens"];

/// Further keys whose values are one word of a fixed set, a name or a time, never a run of text.
const KINDS: &[&str] = &[
    "code",
    "date",
    "event",
    "format",
    "kind",
    "language",
    "level",
    "name",
    "phase",
    "stage",
    "state",
    "time",
    "timestamp",
    "ts",
    "voice",
];

/// Whether the values of `key` are complete in themselves wherever it stands.
pub(crate) fn is_kind(key: &str) -> bool {
    IDS.contains(&key) || KINDS.contains(&key)
}

/// What becomes of a value in a model's answer.
pub(crate) fn words(path: &[Step<'_>], node: &Node<'_>) -> Treat {
    let Some(Step::Key(key)) = path.last() else { return Treat::Whole };
    let is_container = matches!(node.value, Value::Array(_) | Value::Object(_));
    if is_container && LOGPROBS.contains(key) {
        return Treat::Classed("model.logprobs");
    }
    let is_numbers = || node.items().first().is_some_and(|item| matches!(item.value, Value::Number(_)));
    if TOKENS.contains(key) && is_numbers() {
        return Treat::Classed("model.tokens");
    }
    data(path, node)
}

/// What becomes of a value in any other answer of a model server.
pub(crate) fn data(path: &[Step<'_>], node: &Node<'_>) -> Treat {
    let [above @ .., Step::Key(key)] = path else {
        return match path {
            // Cohere's `embeddings.base64[]`.
            [.., Step::Key("base64"), Step::At(_)] if node.text().is_some() => {
                Treat::Classed("opaque.embedding")
            }
            _ => Treat::Whole,
        };
    };
    if let Some(class) = opaque(above, key, node) {
        return Treat::Classed(class);
    }
    match node.value {
        Value::Object(_) if matches!(*key, "usage" | "timings") => Treat::Syntax,
        Value::String(_) | Value::Number(_) if is_protocol(above, key) && is_plain(node) => Treat::Syntax,
        _ => Treat::Whole,
    }
}

fn opaque(above: &[Step<'_>], key: &str, node: &Node<'_>) -> Option<&'static str> {
    node.text().filter(|text| !text.is_empty())?;
    match (above.last(), key) {
        (_, "b64_json" | "partial_image_b64") => Some("opaque.image"),
        (Some(Step::Key("audio")), "data") => Some("opaque.audio"),
        (Some(Step::At(_)), "embedding" | "data") if matches!(above.first(), Some(Step::Key("data"))) => {
            Some("opaque.embedding")
        }
        // The answer of an image generation call among a response's output.
        (Some(Step::At(_)), "result") if node.text().is_some_and(is_base64) => Some("opaque.image"),
        _ => None,
    }
}

fn is_protocol(above: &[Step<'_>], key: &str) -> bool {
    // Some models write the ids of their calls themselves.
    let is_call = key == "id" && above.contains(&Step::Key("tool_calls"));
    !is_call
        && IDS.contains(&key)
        && above.iter().all(|step| match step {
            Step::Key(key) => CONTAINERS.contains(key),
            Step::At(_) => true,
        })
}

/// Whether a value can be an id, a name or a count, and no text: short, and of one word.
fn is_plain(node: &Node<'_>) -> bool {
    match &node.value {
        Value::String(text) => {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&b);
            text.len() <= 256 && text.bytes().all(plain)
        }
        _ => true,
    }
}

/// Long enough to be a file, and of nothing but base64.
fn is_base64(text: &str) -> bool {
    text.len() > 256 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
}
