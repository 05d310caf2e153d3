//! Images, audio and tools in a request, and keys that would hide them.

use model::Refusal;

use super::{Body, malformed};
use crate::json::{Node, Value, folds_to};

/// Keys that carry facts. A server that ignores case reads `Model` as `model`; a request that could be
/// read so is refused, for policy would judge another one.
const KNOWN: &[&str] = &[
    "model",
    "name",
    "source",
    "destination",
    "from",
    "stream",
    "n",
    "best_of",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_new_tokens",
    "n_predict",
    "options",
    "num_predict",
    "sampling_params",
    "tools",
    "functions",
    "mcp_servers",
    "messages",
    "content",
    "prompt",
    "input",
    "inputs",
    "texts",
    "documents",
    "queries",
    "items",
    "text_1",
    "text_2",
    "images",
    "image_data",
    "keep_alive",
    "type",
    "role",
    "image_url",
    "input_audio",
    "audio_url",
    "video_url",
];

const IMAGE_TYPES: &[&str] =
    &["image_url", "input_image", "image", "image_pil", "image_embeds", "video_url", "input_video", "video"];
const IMAGE_KEYS: &[&str] = &["image_url", "image_pil", "image_embeds", "video_url"];
const IMAGE_LISTS: &[&str] = &["images", "image_data", "multimodal_data"];
const AUDIO_TYPES: &[&str] = &["input_audio", "audio_url", "audio", "audio_embeds"];
const AUDIO_KEYS: &[&str] = &["input_audio", "audio_url", "audio_embeds"];

/// Refuses keys that some server takes for one that carries a fact: at the top, in options, messages
/// and their parts. Elsewhere, as in a tool's schema, keys are the caller's own.
pub(super) fn guard(root: &Node<'_>) -> Result<(), Refusal> {
    keys(root)?;
    for key in ["options", "sampling_params", "parameters"] {
        root.get(key).map_or(Ok(()), keys)?;
    }
    for key in ["messages", "input"] {
        for message in root.get(key).map_or(&[][..], Node::items) {
            keys(message)?;
            for part in message.get("content").map_or(&[][..], Node::items) {
                keys(part)?;
            }
        }
    }
    Ok(())
}

fn keys(object: &Node<'_>) -> Result<(), Refusal> {
    for member in object.members() {
        if let Some(name) = folds_to(&member.key, KNOWN) {
            return Err(malformed(format!(
                "A key is spelt like `{name}` but for case: servers differ on it."
            )));
        }
    }
    Ok(())
}

/// What a request holds beside text.
#[derive(Default)]
pub(super) struct Found {
    pub(super) tools: bool,
    pub(super) images: i128,
    pub(super) audio: i128,
}

/// Counts parts wherever they stand: an over-count errs on the side of caution.
pub(super) fn count(body: &Body<'_>) -> Found {
    let mut found = Found::default();
    let Some(root) = body.root() else { return found };
    found.tools = ["tools", "functions", "mcp_servers"].iter().any(|key| {
        root.get(key).is_some_and(|node| match &node.value {
            Value::Null => false,
            Value::Array(items) => !items.is_empty(),
            _ => true,
        })
    });
    for member in root.members() {
        // A tool's schema may use these words for its own ends.
        if !matches!(&*member.key, "tools" | "functions" | "response_format") {
            visit(&member.node, &mut found);
        }
    }
    lists(root, &mut found);
    found
}

fn lists(object: &Node<'_>, found: &mut Found) {
    for key in IMAGE_LISTS {
        let listed = object.get(key).map_or(0, |node| node.items().len());
        found.images = found.images.saturating_add(i128::try_from(listed).unwrap_or(i128::MAX));
    }
}

fn visit(node: &Node<'_>, found: &mut Found) {
    for item in node.items() {
        visit(item, found);
    }
    if node.members().is_empty() {
        return;
    }
    lists(node, found);
    let kind = node.get("type").and_then(Node::text).unwrap_or("");
    let has = |keys: &[&str]| keys.iter().any(|key| node.get(key).is_some());
    if IMAGE_TYPES.contains(&kind) || has(IMAGE_KEYS) {
        found.images += 1;
    } else if AUDIO_TYPES.contains(&kind) || has(AUDIO_KEYS) {
        found.audio += 1;
    }
    for member in node.members() {
        visit(&member.node, found);
    }
}
