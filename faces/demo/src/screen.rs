//! What the demo shows: colour and live columns on a terminal, plain lines elsewhere.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

const WIDTH: usize = 38;

/// Where the demo writes.
pub(crate) struct Screen<'a> {
    to: &'a mut (dyn Write + Send),
    terminal: bool,
    /// Lines of the columns drawn last, to be drawn over.
    drawn: usize,
}

impl<'a> Screen<'a> {
    pub(crate) fn new(to: &'a mut (dyn Write + Send), terminal: bool) -> Self {
        Self { to, terminal, drawn: 0 }
    }

    fn styled(&mut self, style: Style, text: &str) -> io::Result<()> {
        if self.terminal {
            writeln!(self.to, "{style}{text}{style:#}")?;
        } else {
            writeln!(self.to, "{text}")?;
        }
        self.to.flush()
    }

    pub(crate) fn title(&mut self, text: &str) -> io::Result<()> {
        self.styled(Style::new().bold(), text)
    }

    pub(crate) fn plain(&mut self, text: &str) -> io::Result<()> {
        self.styled(Style::new(), text)
    }

    pub(crate) fn faint(&mut self, text: &str) -> io::Result<()> {
        self.styled(Style::new().dimmed(), text)
    }

    pub(crate) fn good(&mut self, text: &str) -> io::Result<()> {
        self.styled(AnsiColor::Green.on_default(), &format!("✓ {text}"))
    }

    pub(crate) fn gap(&mut self) -> io::Result<()> {
        self.plain("")
    }

    pub(crate) fn scene(&mut self, number: usize, title: &str, explains: &str) -> io::Result<()> {
        self.gap()?;
        self.title(&format!("{number}. {title}"))?;
        self.faint(explains)
    }

    /// Two texts side by side. On a terminal a second call draws over the first; elsewhere only
    /// `last` is written.
    pub(crate) fn columns(&mut self, left: (&str, &str), right: (&str, &str), last: bool) -> io::Result<()> {
        if !self.terminal {
            return if last {
                writeln!(self.to, "{}:\n  {}\n{}:\n  {}", left.0, left.1, right.0, right.1)
            } else {
                Ok(())
            };
        }
        if self.drawn > 0 {
            write!(self.to, "\x1b[{}A", self.drawn)?;
        }
        let (one, two) = (wrap(left.1), wrap(right.1));
        let height = one.len().max(two.len()).max(self.drawn.saturating_sub(1));
        let bold = Style::new().bold();
        writeln!(self.to, "\x1b[2K{bold}{:<WIDTH$}{bold:#}  │ {bold}{}{bold:#}", left.0, right.0)?;
        for row in 0..height {
            let cell = |column: &[String]| column.get(row).cloned().unwrap_or_default();
            let (left, right) = (cell(&one), cell(&two));
            let pad = WIDTH.saturating_sub(left.chars().count());
            writeln!(self.to, "\x1b[2K{left}{}  │ {right}", " ".repeat(pad))?;
        }
        self.drawn = if last { 0 } else { height + 1 };
        self.to.flush()
    }
}

/// Cuts `text` into lines of at most [`WIDTH`] characters, at spaces where there are any.
fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive([' ', '\n']) {
        let have = lines.last().map_or(0, |line| line.chars().count());
        if have > 0 && have + word.trim_end().chars().count() > WIDTH {
            lines.push(String::new());
        }
        for letter in word.chars() {
            let full = lines.last().is_none_or(|line| line.chars().count() >= WIDTH);
            if full && letter == ' ' {
                // A line's end is space enough.
                continue;
            }
            if full || letter == '\n' {
                lines.push(String::new());
            }
            if let (Some(line), false) = (lines.last_mut(), letter == '\n') {
                line.push(letter);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_keeps_every_word_and_no_line_is_too_wide() {
        let text = "one two three ".repeat(12) + &"x".repeat(100);
        let lines = wrap(&text);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(lines.iter().all(|line| !line.starts_with(' ')), "{lines:?}");
        let bare = |text: &str| text.replace(' ', "");
        assert_eq!(bare(&lines.concat()), bare(&text));
    }

    #[test]
    fn elsewhere_than_on_a_terminal_nothing_is_drawn_twice_and_nothing_has_colour() {
        let mut bytes = Vec::new();
        let mut screen = Screen::new(&mut bytes, false);
        screen.columns(("a", "x"), ("b", "y"), false).unwrap();
        screen.columns(("a", "x"), ("b", "y"), true).unwrap();
        screen.good("done").unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), "a:\n  x\nb:\n  y\n✓ done\n");
    }
}
