//! What people and machines read: text with colour on a terminal only, or JSON.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

/// Where a verb writes.
pub(crate) struct Out {
    to: Box<dyn Write + Send>,
    colour: bool,
}

/// What a piece of text means, so that colour follows meaning.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    /// A heading.
    Title,
    /// Good news.
    Good,
    /// Bad news.
    Bad,
    /// To be looked at.
    Caution,
    /// Beside the point.
    Faint,
}

impl Out {
    pub(crate) fn stdout() -> Self {
        let colour = io::stdout().is_terminal();
        Self { to: Box::new(io::BufWriter::new(io::stdout())), colour }
    }

    pub(crate) fn stderr() -> Self {
        Self { to: Box::new(io::stderr()), colour: io::stderr().is_terminal() }
    }

    /// One that writes to `to`, for tests.
    #[cfg(test)]
    pub(crate) fn into(to: Box<dyn Write + Send>, colour: bool) -> Self {
        Self { to, colour }
    }

    /// Whether colour may be used.
    pub(crate) fn colour(&self) -> bool {
        self.colour
    }

    /// The same meaning without colour, and nowhere to write.
    pub(crate) fn without_colour(&self) -> Self {
        Self { to: Box::new(io::sink()), colour: false }
    }

    pub(crate) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.to, "{text}")?;
        self.to.flush()
    }

    /// Without a line's end.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)?;
        self.to.flush()
    }

    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.line(text)
    }

    /// `text` in the colour of its meaning, where colour may be used.
    pub(crate) fn tone(&self, tone: Tone, text: impl Display) -> String {
        if !self.colour {
            return text.to_string();
        }
        let style = match tone {
            Tone::Title => Style::new().bold(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Caution => AnsiColor::Yellow.on_default(),
            Tone::Faint => Style::new().dimmed(),
        };
        format!("{style}{text}{style:#}")
    }

    pub(crate) fn error(&mut self, failure: &impl Display) {
        let label = self.tone(Tone::Bad, "error:");
        // Nobody can be told that the error can't be told.
        let _ = self.line(format_args!("{label} {failure}"));
    }
}
