//! How far a long reading is, on a terminal only.

use std::io::IsTerminal;

use crate::out::Out;

/// A bar on standard error.
pub(crate) struct Bar {
    err: Out,
    shown: bool,
    /// In thousandths.
    at: Option<u64>,
}

impl Bar {
    pub(crate) fn new() -> Self {
        Self { err: Out::stderr(), shown: std::io::stderr().is_terminal(), at: None }
    }

    /// Shows that `done` of `of` bytes are done.
    pub(crate) fn draw(&mut self, done: u64, of: u64) {
        const WIDTH: u64 = 40;
        let at = done.saturating_mul(1000).checked_div(of).unwrap_or(1000).min(1000);
        if !self.shown || self.at == Some(at) {
            return;
        }
        self.at = Some(at);
        let full = usize::try_from(at * WIDTH / 1000).unwrap_or(0);
        let rest = usize::try_from(WIDTH).unwrap_or(0).saturating_sub(full);
        let line = format!(
            "\r[{}{}] {:3} %  {} of {} MiB",
            "#".repeat(full),
            ".".repeat(rest),
            at / 10,
            done >> 20,
            of >> 20
        );
        // A bar that can't be drawn is no reason to stop.
        let _ = self.err.raw(line.as_bytes());
    }

    /// Takes it away.
    pub(crate) fn clear(&mut self) {
        if self.at.is_some() {
            let _ = self.err.raw(b"\r\x1b[K");
        }
    }
}
