//! Where a request holds text: what may reach a model, or may not, is decided about these.
//!
//! Every string is a text, in whatever field it stands, and so is every long number. Images, audio and
//! video in base64 are none: they pass byte for byte.

use model::{AskedText, Encoding, Question};

use super::{Body, ModelRule, Profile};
use crate::json::{Node, Value};
use crate::layout::{is_long, is_protocol_key};

/// Keys of one word of a fixed set, which is no text while it is short.
const WORDS: &[&str] = &["detail", "encoding_format", "format", "media_type", "role", "type"];

/// Keys of requests beside those of answers, in order. Any other key may be somebody's text.
const KEYS: &[&str] = &[
    "best_of",
    "cache_control",
    "chat_template_kwargs",
    "echo",
    "enable_thinking",
    "encoding_format",
    "extra_body",
    "frequency_penalty",
    "functions",
    "guided_json",
    "ignore_eos",
    "image_url",
    "include_usage",
    "input_ids",
    "inputs",
    "instances",
    "keep_alive",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_new_tokens",
    "max_output_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "min_p",
    "min_tokens",
    "modalities",
    "n",
    "n_predict",
    "options",
    "parallel_tool_calls",
    "parameters",
    "presence_penalty",
    "previous_response_id",
    "prompt_cache_key",
    "query",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "sampling_params",
    "schema",
    "seed",
    "skip_special_tokens",
    "source",
    "stop",
    "stop_sequences",
    "store",
    "stream",
    "stream_options",
    "strict",
    "temperature",
    "text_input",
    "thinking",
    "tool_call_id",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "truncation",
    "url",
    "user",
    "verbosity",
];

/// The longest word that needs no look.
const SHORT: usize = 16;

/// Keys below which base64 is a file.
const FILES: &[&str] = &[
    "audio",
    "audio_url",
    "image",
    "image_data",
    "image_url",
    "images",
    "input_audio",
    "multimodal_data",
    "source",
    "video",
    "video_url",
];

/// The shortest base64 that is taken for a file.
const LEAST_FILE: usize = 64;

/// The texts of a request whose body was read by `profile`.
pub(crate) fn texts(question: &Question, body: &Body<'_>, profile: &Profile) -> Vec<AskedText> {
    let keys = match profile.model {
        ModelRule::Absent => &[][..],
        ModelRule::Optional(keys) | ModelRule::Required(keys) => keys,
    };
    let names_model = |key: &str| keys.contains(&key) || profile.also.contains(&key);
    match body {
        Body::Json(root) => {
            let mut walk = Walk { texts: Vec::new(), in_file: false };
            for member in root.members() {
                walk.key(&member.key, member.key_inner());
                let from = walk.texts.len();
                walk.at(&member.key, &member.node);
                if names_model(&member.key) {
                    walk.texts.iter_mut().skip(from).for_each(|text| text.fixed = true);
                }
            }
            if root.members().is_empty() {
                walk.visit(root);
            }
            walk.texts
        }
        Body::Form(form) => {
            let whole = question.body();
            let place = |text: &str| {
                let start = (text.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
                (start + text.len() <= whole.len()).then(|| start..start + text.len())
            };
            let text = |(name, text): (&str, &str)| {
                let fixed = names_model(name);
                Some(AskedText { range: place(text)?, encoding: Encoding::Plain, fixed })
            };
            form.fields().filter_map(text).collect()
        }
        Body::Empty | Body::Opaque => Vec::new(),
    }
}

struct Walk {
    texts: Vec<AskedText>,
    in_file: bool,
}

impl Walk {
    fn key(&mut self, key: &str, range: std::ops::Range<usize>) {
        if !key.is_empty() && !is_protocol_key(key) && KEYS.binary_search(&key).is_err() {
            self.texts.push(AskedText { range, encoding: Encoding::JsonString, fixed: true });
        }
    }

    fn at(&mut self, key: &str, node: &Node<'_>) {
        if WORDS.contains(&key) && node.text().is_some_and(|text| text.len() <= SHORT) {
            return;
        }
        let outer = self.in_file;
        self.in_file = outer || FILES.contains(&key);
        self.visit(node);
        self.in_file = outer;
    }

    fn visit(&mut self, node: &Node<'_>) {
        match &node.value {
            Value::String(text) if text.is_empty() || is_file(text, self.in_file) => {}
            Value::String(_) => {
                let (range, encoding) = (node.inner(), Encoding::JsonString);
                self.texts.push(AskedText { range, encoding, fixed: false });
            }
            Value::Number(number) if is_long(*number) => {
                let (range, encoding) = (node.span(), Encoding::JsonNumber);
                self.texts.push(AskedText { range, encoding, fixed: false });
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::Array(items) => items.iter().for_each(|item| self.visit(item)),
            Value::Object(members) => {
                for member in members {
                    self.key(&member.key, member.key_inner());
                    self.at(&member.key, &member.node);
                }
            }
        }
    }
}

/// Whether a string is a picture, a sound or a film.
fn is_file(text: &str, in_file: bool) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"+/-_=\r\n".contains(&b);
    let base64 = |text: &str| text.bytes().all(letter);
    let Some(url) = text.strip_prefix("data:") else {
        return in_file && text.len() >= LEAST_FILE && base64(text);
    };
    let Some((kind, data)) = url.split_once(";base64,") else { return false };
    let media = ["image/", "audio/", "video/"].iter().any(|media| kind.starts_with(media));
    media && kind.len() <= 128 && base64(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_can_be_searched() {
        assert!(KEYS.is_sorted());
    }
}
