//! The known forms of a model's answers, told apart by what one message holds.
//!
//! Servers mix forms under one path (a Responses event in a chat stream, an error in any), so the form
//! is read from each message, never assumed from the request.

mod anthropic;
mod chat;
mod llama;
mod ollama;
mod places;
mod responses;
pub(crate) mod sglang;
mod tgi;
mod triton;
mod usage;

pub(crate) use places::{data, is_kind, words};
pub(crate) use usage::read as read_usage;

use std::fmt::Write as _;

use super::lanes::Closes;
use super::marks::{Step, Treat};
use crate::json::{Node, Value};

/// A form of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// OpenAI's chat and legacy completions.
    Chat,
    /// OpenAI's Responses, transcription, speech and image events.
    Responses,
    /// Anthropic's messages.
    Anthropic,
    /// Ollama's own.
    Ollama,
    /// llama.cpp's own completion.
    Llama,
    /// Text Generation Inference's own.
    Tgi,
    /// The generate extension of the Open Inference Protocol.
    Triton,
    /// SGLang's own.
    Sglang,
    /// An error, in any of their shapes.
    Error,
}

impl Form {
    /// The form of a message; none if it is no known one.
    pub(crate) fn of(root: &Node<'_>) -> Option<Self> {
        let kind = root.get("type").and_then(Node::text).unwrap_or("");
        let has = |key: &str| root.get(key).is_some_and(|node| !node.is_null());
        let starts = |words: &[&str]| words.iter().any(|word| kind.starts_with(word));
        if matches!(root.get("choices").map(|node| &node.value), Some(Value::Array(_))) {
            Some(Self::Chat)
        } else if starts(&["response.", "transcript.", "speech.", "image_"]) {
            Some(Self::Responses)
        } else if starts(&["message_", "content_block_"]) || kind == "ping" {
            Some(Self::Anthropic)
        } else if has("error") || kind == "error" || root.get("object").and_then(Node::text) == Some("error")
        {
            Some(Self::Error)
        } else if is_flag(root, "done") && (has("response") || has("message") || has("thinking")) {
            Some(Self::Ollama)
        } else if is_flag(root, "stop") && root.get("content").and_then(Node::text).is_some() {
            Some(Self::Llama)
        } else if root.at(&["token", "text"]).is_some() {
            Some(Self::Tgi)
        } else if root.get("text_output").is_some() {
            Some(Self::Triton)
        } else if has("meta_info") && root.get("text").and_then(Node::text).is_some() {
            Some(Self::Sglang)
        } else {
            None
        }
    }

    /// What becomes of a value of the message.
    pub(crate) fn treat<'n>(self, root: &'n Node<'n>, path: &[Step<'n>], node: &'n Node<'n>) -> Treat {
        let of_form = match self {
            Self::Chat => chat::treat(root, path, node),
            Self::Responses => responses::treat(root, path, node),
            Self::Anthropic => anthropic::treat(root, path, node),
            Self::Ollama => ollama::treat(root, path, node),
            Self::Llama => llama::treat(root, path, node),
            Self::Tgi => tgi::treat(root, path, node),
            Self::Triton => triton::treat(root, path, node),
            Self::Sglang => sglang::treat(root, path, node),
            Self::Error => None,
        };
        of_form.unwrap_or_else(|| words(path, node))
    }

    /// Which lanes end with the message.
    pub(crate) fn closes(self, root: &Node<'_>) -> Closes {
        match self {
            Self::Chat => chat::closes(root),
            Self::Responses => responses::closes(root),
            Self::Anthropic => anthropic::closes(root),
            Self::Ollama => ollama::closes(root),
            Self::Llama => llama::closes(root),
            Self::Tgi => tgi::closes(root),
            Self::Triton => Closes::Nothing,
            Self::Sglang => sglang::closes(root),
            Self::Error => Closes::All,
        }
    }
}

fn is_flag(root: &Node<'_>, key: &str) -> bool {
    matches!(root.get(key).map(|node| &node.value), Some(Value::Bool(_)))
}

fn is_true(root: &Node<'_>, key: &str) -> bool {
    matches!(root.get(key).map(|node| &node.value), Some(Value::Bool(true)))
}

/// A JSON string, quotes included.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The short scalar members of an object called `keys`, as `"key":value,` each: what makes a new message
/// look like the last one.
fn carried<'k>(root: &Node<'_>, keys: impl IntoIterator<Item = &'k str>) -> String {
    let mut text = String::new();
    for key in keys {
        let value = match root.get(key).map(|node| &node.value) {
            Some(Value::String(value)) if value.len() <= 256 => quoted(value),
            Some(Value::Number(crate::json::Number::Unsigned(count))) => count.to_string(),
            _ => continue,
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "{}:{value},", quoted(key));
    }
    text
}

/// The `index` of an object, or else its place.
fn index_of(node: Option<&Node<'_>>, place: usize) -> u64 {
    node.and_then(|node| node.get("index")).and_then(Node::count).unwrap_or(place as u64)
}
