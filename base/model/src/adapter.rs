//! The one seam between the spine and the protocols it carries.

use std::sync::Arc;

use crate::{AnswerHead, DataClass, Layout, Operation, Question, Refusal, Understood};

/// Knows one protocol: what a request would do, and how its answer lies.
pub trait Adapter: Send + Sync {
    /// What the request would do, and where it holds text.
    ///
    /// # Errors
    /// A refusal when the request can't be fully understood: what is not understood is not forwarded.
    fn read(&self, question: &Question) -> Result<Understood, Refusal>;

    /// What the request would do. Never empty.
    ///
    /// # Errors
    /// As [`Adapter::read`].
    fn operations(&self, question: &Question) -> Result<Vec<Operation>, Refusal> {
        self.read(question).map(|understood| understood.operations)
    }

    /// Begins to read the answer.
    fn layout(&self, question: &Question, head: &AnswerHead, sees: MaySee) -> Box<dyn Layout>;
}

/// What of an answer its caller may get.
#[derive(Clone)]
pub struct MaySee {
    /// Which models a list may show.
    pub usable: Arc<dyn Usable>,
    /// Which data classes the caller may see.
    pub viewer: Arc<dyn Reveal>,
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
