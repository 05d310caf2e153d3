//! Where the facts stand in the body of each kind of request.

/// How a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// There must be none.
    None,
    /// Strict JSON, an object.
    Json,
    /// Strict JSON of any form, or nothing.
    OptionalJson,
    /// A form with files (RFC 7578), and what a file counts as.
    Form(FileKind),
    /// Bytes that are forwarded unread. Only for operations whose class says it all.
    Opaque,
    /// The operation needs a protocol the gateway does not carry.
    Unsupported,
}

/// What a file in a form counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// Audio.
    Audio,
    /// An image.
    Image,
    /// Neither.
    Data,
}

/// Which models a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelRule {
    /// None, or the path does.
    Absent,
    /// Perhaps, under the first of these keys.
    Optional(&'static [&'static str]),
    /// It must, under one of these keys: left out, the server would choose.
    Required(&'static [&'static str]),
}

/// Where the facts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    /// How the body is read.
    pub(crate) body: BodyKind,
    /// Which model it names.
    pub(crate) model: ModelRule,
    /// Further models it names, each an operation of its own.
    pub(crate) also: &'static [&'static str],
    /// Keys whose arrays are many inputs in one request.
    pub(crate) inputs: &'static [&'static str],
    /// Whether the answer may stream, and does unless told otherwise.
    pub(crate) streams: Option<bool>,
    /// Whether the model writes tokens.
    pub(crate) generates: bool,
    /// Whether keys some server would take for a known one are refused.
    pub(crate) guarded: bool,
}

const MODEL: ModelRule = ModelRule::Required(&["model"]);
const MAYBE_MODEL: ModelRule = ModelRule::Optional(&["model"]);

impl Profile {
    /// No body.
    pub(crate) const NONE: Self = Self {
        body: BodyKind::None,
        model: ModelRule::Absent,
        also: &[],
        inputs: &[],
        streams: None,
        generates: false,
        guarded: false,
    };

    /// JSON or nothing, perhaps with a model.
    pub(crate) const ANY: Self =
        Self { body: BodyKind::OptionalJson, model: MAYBE_MODEL, guarded: true, ..Self::NONE };

    /// JSON or nothing, of a team's own interface.
    pub(crate) const FOREIGN: Self = Self { body: BodyKind::OptionalJson, ..Self::NONE };

    const JSON: Self = Self { body: BodyKind::Json, model: MODEL, guarded: true, ..Self::NONE };
    const WORDS: Self = Self { streams: Some(false), generates: true, ..Self::JSON };

    /// The profile a catalogue calls `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "chat" | "responses" | "messages" => Self::WORDS,
            "chat-batch" => Self { inputs: &["messages"], ..Self::WORDS },
            "completion" => Self { inputs: &["prompt"], ..Self::WORDS },
            "invocation" => Self { inputs: &["prompt", "input", "items", "documents"], ..Self::WORDS },
            "audio-form" => Self { body: BodyKind::Form(FileKind::Audio), ..Self::WORDS },
            "image-form" => {
                Self { body: BodyKind::Form(FileKind::Image), streams: Some(false), ..Self::JSON }
            }
            "image" | "speech" => Self { streams: Some(false), ..Self::JSON },
            "upload" => Self { body: BodyKind::Form(FileKind::Data), model: ModelRule::Absent, ..Self::JSON },
            "embedding" => Self { inputs: &["input", "messages"], ..Self::JSON },
            "embed-v2" => Self { inputs: &["texts", "images", "inputs"], ..Self::JSON },
            "score" => Self {
                inputs: &["text_1", "text_2", "queries", "documents", "items", "data_1", "data_2"],
                ..Self::JSON
            },
            "rerank" => Self { inputs: &["documents"], ..Self::JSON },
            "tokenize" => Self { inputs: &["prompt"], ..Self::JSON },
            "llama-completion" => Self { inputs: &["prompt"], model: MAYBE_MODEL, ..Self::WORDS },
            "llama-embedding" => Self { inputs: &["input", "content"], model: MAYBE_MODEL, ..Self::JSON },
            "llama-tokenize" => Self { model: MAYBE_MODEL, ..Self::JSON },
            "tgi-generate" => Self { inputs: &["inputs"], model: ModelRule::Absent, ..Self::WORDS },
            "tgi-stream" => {
                Self { inputs: &["inputs"], model: ModelRule::Absent, streams: Some(true), ..Self::WORDS }
            }
            "tgi-vertex" => Self { inputs: &["instances"], model: ModelRule::Absent, ..Self::WORDS },
            "tgi-text" => Self { model: MAYBE_MODEL, ..Self::JSON },
            "sglang-generate" => Self { inputs: &["text", "input_ids"], model: MAYBE_MODEL, ..Self::WORDS },
            "sglang-text" => Self { inputs: &["text", "input_ids"], model: MAYBE_MODEL, ..Self::JSON },
            "generate" => Self { model: ModelRule::Absent, ..Self::WORDS },
            "generate-stream" => Self { model: ModelRule::Absent, streams: Some(true), ..Self::WORDS },
            "tensors" => Self { inputs: &["inputs"], model: ModelRule::Absent, ..Self::JSON },
            "instances" => Self { inputs: &["instances", "inputs"], model: ModelRule::Absent, ..Self::JSON },
            "ollama-generate" | "ollama-chat" => Self { streams: Some(true), ..Self::WORDS },
            "ollama-embed" => Self { inputs: &["input"], ..Self::JSON },
            "ollama-embedding" => Self::JSON,
            "ollama-model" => Self { model: ModelRule::Required(&["model", "name"]), ..Self::JSON },
            "ollama-job" => Self {
                model: ModelRule::Required(&["model", "name"]),
                also: &["from"],
                streams: Some(true),
                ..Self::JSON
            },
            "ollama-copy" => {
                Self { model: ModelRule::Required(&["source"]), also: &["destination"], ..Self::JSON }
            }
            "opaque" => Self { body: BodyKind::Opaque, ..Self::NONE },
            "unsupported" => Self { body: BodyKind::Unsupported, ..Self::NONE },
            _ => return None,
        })
    }
}
