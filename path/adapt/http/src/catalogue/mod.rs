//! Every operation the gateway knows, as data: one text a kind of server, read once.

mod rows;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use http::Method;
use model::Class;

pub use rows::CatalogueFault;
pub(crate) use rows::{Condition, Pattern};

use crate::facts::Profile;

/// The kind of server behind a resource: which catalogue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerKind {
    /// Any server that speaks OpenAI's interface.
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
    /// An HTTP interface of the team's own: only the routes its configuration lists.
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

    fn text(self) -> &'static str {
        match self {
            Self::OpenAi => include_str!("openai.txt"),
            Self::Vllm => include_str!("vllm.txt"),
            Self::LlamaCpp => include_str!("llama-cpp.txt"),
            Self::Ollama => include_str!("ollama.txt"),
            Self::Tgi => include_str!("tgi.txt"),
            Self::Sglang => include_str!("sglang.txt"),
            Self::Kserve => include_str!("kserve.txt"),
            Self::Triton => include_str!("triton.txt"),
            Self::Plain => "",
        }
    }
}

/// What an answer holds, which says how it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerShape {
    /// A model's words, streamed or whole.
    Events,
    /// A list of models.
    Models,
    /// A stream of messages that are complete one by one.
    Progress,
    /// Whole JSON, or anything else that is not a model's words.
    Data,
    /// An answer of a team's own interface, of which nothing is known.
    Foreign,
}

/// One row of a catalogue: an operation, and how a request for it looks.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogueEntry {
    /// The kind of server it holds for.
    pub server: ServerKind,
    /// Its methods in upper case; empty for any.
    pub methods: Vec<String>,
    /// Its path, with `{name}` for one segment and a last `{name*}` for one or more.
    pub path: String,
    /// Its class.
    pub class: Class,
    /// Its name.
    pub name: String,
    pub(crate) pattern: Pattern,
    pub(crate) profile: Profile,
    pub(crate) answer: AnswerShape,
    pub(crate) model_from: Option<String>,
    pub(crate) conditions: Vec<Condition>,
}

impl CatalogueEntry {
    /// What must hold of body and query beside method and path, as written in the catalogue.
    pub fn conditions(&self) -> impl Iterator<Item = String> {
        self.conditions.iter().map(ToString::to_string)
    }

    /// Whether it fits method and path; conditions are judged apart.
    pub(crate) fn fits(&self, method: &Method, path: &str) -> bool {
        let method = method.as_str();
        let listed = |listed: &String| listed == method || (method == "HEAD" && listed == "GET");
        self.pattern.fits(path) && (self.methods.is_empty() || self.methods.iter().any(listed))
    }
}

/// All catalogues as read. The texts are part of the program and a test reads them all, so a fault here
/// means a broken build; it is still an error, not a panic.
static ALL: LazyLock<Result<Vec<CatalogueEntry>, CatalogueFault>> = LazyLock::new(|| {
    ServerKind::ALL.into_iter().try_fold(Vec::new(), |mut all, server| {
        all.extend(rows::read(server, &ServerKind::text)?);
        Ok(all)
    })
});

/// Every operation of every kind of server, for tests and documentation.
pub fn catalogue() -> impl Iterator<Item = &'static CatalogueEntry> {
    ALL.iter().flatten()
}

/// The operations of one kind of server, in the order they are tried.
///
/// # Errors
/// [`CatalogueFault`] when the catalogues built into the program are broken.
pub(crate) fn entries(server: ServerKind) -> Result<Vec<CatalogueEntry>, CatalogueFault> {
    match &*ALL {
        Ok(all) => Ok(all.iter().filter(|entry| entry.server == server).cloned().collect()),
        Err(fault) => Err(fault.clone()),
    }
}
