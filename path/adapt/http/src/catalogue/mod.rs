//! Every operation the gateway knows, as data: one text a kind of server, read once.

mod rows;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use http::Method;
use model::{Class, ServerKind};

pub use rows::CatalogueFault;
pub(crate) use rows::{Condition, Pattern};

use crate::facts::Profile;

/// The catalogue of one kind of server, as it is written.
fn text(server: ServerKind) -> &'static str {
    match server {
        ServerKind::OpenAi => include_str!("openai.txt"),
        ServerKind::Vllm => include_str!("vllm.txt"),
        ServerKind::LlamaCpp => include_str!("llama-cpp.txt"),
        ServerKind::Ollama => include_str!("ollama.txt"),
        ServerKind::Tgi => include_str!("tgi.txt"),
        ServerKind::Sglang => include_str!("sglang.txt"),
        ServerKind::Kserve => include_str!("kserve.txt"),
        ServerKind::Triton => include_str!("triton.txt"),
        ServerKind::Plain => "",
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
        all.extend(rows::read(server, &text)?);
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
