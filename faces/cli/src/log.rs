//! The log: text on a terminal, JSON lines otherwise, always on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Begins to log at `level` (`error`, `warn`, `info`, `debug`) or by a filter of tracing's own.
pub(crate) fn start(level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, as in a demo within a process, keeps the first.
    let _ = if std::io::stderr().is_terminal() {
        lines.with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(false).try_init()
    };
}
