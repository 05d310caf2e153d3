//! The one seam between the spine and the protocols it carries.

use std::sync::Arc;

use crate::{AnswerHead, DataClass, Layout, Operation, Question, Refusal};

/// Knows one protocol: what a request would do, and how its answer lies.
pub trait Adapter: Send + Sync {
    /// What the request would do. Never empty.
    ///
    /// # Errors
    /// A refusal when the request can't be fully understood: what is not understood is not forwarded.
    fn operations(&self, question: &Question) -> Result<Vec<Operation>, Refusal>;

    /// Begins to read the answer. `usable` says which models a list may show.
    fn layout(&self, question: &Question, head: &AnswerHead, usable: Arc<dyn Usable>) -> Box<dyn Layout>;
}

/// Says what a caller may use, for lists that show only that.
pub trait Usable: Send + Sync {
    /// Whether some policy would let the caller ask `model`, with or without approval.
    fn may_use(&self, model: &str) -> bool;
}

/// Says what a caller may see.
pub trait Reveal: Send + Sync {
    /// Whether policy lets the caller see values of `class`. Errors are a no.
    fn reveals(&self, class: &DataClass) -> bool;
}
