//! The server behind a resource, as the configuration names it and the adapter reads it.

/// The kind of server behind a resource: which operations it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerKind {
    /// Any server that speaks OpenAI's interface, and no more is known of it.
    OpenAi,
    /// vLLM.
    Vllm,
    /// llama.cpp's server.
    LlamaCpp,
    /// Ollama.
    Ollama,
    /// Text Generation Inference.
    Tgi,
    /// SGLang.
    Sglang,
    /// KServe's own server.
    Kserve,
    /// Triton Inference Server.
    Triton,
    /// No model server but an HTTP interface of the team's own: only the routes its configuration lists.
    Plain,
}

impl ServerKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::OpenAi,
        Self::Vllm,
        Self::LlamaCpp,
        Self::Ollama,
        Self::Tgi,
        Self::Sglang,
        Self::Kserve,
        Self::Triton,
        Self::Plain,
    ];

    /// Every kind of model server.
    pub fn models() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| *kind != Self::Plain)
    }

    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Vllm => "vllm",
            Self::LlamaCpp => "llama-cpp",
            Self::Ollama => "ollama",
            Self::Tgi => "tgi",
            Self::Sglang => "sglang",
            Self::Kserve => "kserve",
            Self::Triton => "triton",
            Self::Plain => "plain",
        }
    }

    /// The kind that `name` spells.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What becomes of a stream whose shape is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownStreams {
    /// It is held whole, up to `max_held_answer_bytes`, then masked as text.
    #[default]
    Hold,
    /// It is refused.
    Refuse,
}
