//! How answers lie: which bytes are syntax, which are text, and of which lane.

use std::sync::Arc;

use http::Method;
use model::{AnswerHead, Layout, Usable};

use crate::adapter::UnknownStreams;
use crate::catalogue::AnswerShape;

/// What a layout is chosen by.
pub(crate) struct Reading<'a> {
    pub(crate) shape: AnswerShape,
    pub(crate) method: &'a Method,
    pub(crate) head: &'a AnswerHead,
    pub(crate) usable: Arc<dyn Usable>,
    pub(crate) max_held: usize,
    pub(crate) max_event: usize,
    pub(crate) unknown: UnknownStreams,
}

pub(crate) fn begin(_reading: Reading<'_>) -> Box<dyn Layout> {
    todo!()
}
