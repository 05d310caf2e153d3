//! Why a demo failed.

use std::fmt;

/// Why a demo failed: what was being done, and what went wrong.
#[derive(Debug, thiserror::Error)]
pub struct DemoError {
    scene: Option<usize>,
    doing: String,
    why: String,
}

impl DemoError {
    /// `why` went wrong while `doing`.
    pub(crate) fn new(doing: &str, why: impl fmt::Display) -> Self {
        Self { scene: None, doing: doing.to_owned(), why: why.to_string() }
    }

    pub(crate) fn in_scene(mut self, number: usize) -> Self {
        self.scene.get_or_insert(number);
        self
    }
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scene) = self.scene {
            write!(f, "scene {scene}: ")?;
        }
        write!(f, "{}: {}", self.doing, self.why)
    }
}

impl From<std::io::Error> for DemoError {
    fn from(fault: std::io::Error) -> Self {
        Self::new("writing to the screen", fault)
    }
}
