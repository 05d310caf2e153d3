//! The patch that measures what the record costs fits the tree as it is: whoever changes what it changes
//! learns it now, not when somebody measures.

use super::{Breach, Source};
use crate::unrecorded::{PATCH, changes};

pub(super) fn judge(sources: &[Source]) -> Vec<Breach> {
    let text =
        |path: &str| sources.iter().find(|source| source.path == path).map(|source| source.text.clone());
    let Some(patch) = text(PATCH) else { return Vec::new() };
    let mut breaches = Vec::new();
    let mut changed: Option<(String, String)> = None;
    for change in changes(&patch) {
        let before = changed.take().filter(|(path, _)| *path == change.path).map(|(_, text)| text);
        let before = before.or_else(|| text(&change.path)).unwrap_or_default();
        match change.applied(&before) {
            Some(after) => changed = Some((change.path, after)),
            None => {
                breaches.push(Breach::at(PATCH, 1, change.misfit()));
                changed = Some((change.path, before));
            }
        }
    }
    breaches
}
