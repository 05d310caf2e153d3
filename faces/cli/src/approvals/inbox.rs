//! The inbox as a person at a terminal has it: what waits, what is looked at, what is being written. It does
//! nothing itself: keys and news go in, pictures and wishes come out.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::Value;

use super::describe::{self, operations, short, span, text, time, who};
use super::keys::Key;
use crate::out::{Out, Tone};
use crate::told::Told;

/// How many settled ones are remembered below the list.
const PAST: usize = 6;
/// The longest reason, in letters.
const REASON: usize = 500;

/// What a person wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing but to look.
    Nothing,
    /// To read one whole.
    Show(String),
    /// To decide one.
    Decide {
        /// Which.
        approval: String,
        /// `approve` or `deny`.
        verb: &'static str,
        /// Why.
        reason: String,
    },
    /// To go.
    Quit,
}

/// What waits, and where the person is.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Vec<Value>,
    past: VecDeque<String>,
    /// The id of the one that is marked: news must not move the mark.
    marked: String,
    mode: Mode,
    /// What is to be told once.
    notice: String,
}

#[derive(Debug, Default)]
enum Mode {
    #[default]
    List,
    /// One is read; so many of its lines are above the screen.
    Read { approval: Value, lines: Vec<String>, above: usize },
    /// A reason is written.
    Reason { approval: Value, verb: &'static str, reason: String },
}

impl Inbox {
    /// Takes the news of one approval. What it came to, in a line, if it is settled.
    pub(super) fn hear(&mut self, approval: Value, out: &Out) {
        let id = text(approval.at("id")).to_owned();
        let before = self.waiting.iter().position(|one| text(one.at("id")) == id);
        if approval.at("state") == "waiting" {
            match before.and_then(|at| self.waiting.get_mut(at)) {
                Some(known) => *known = approval,
                None => self.waiting.push(approval),
            }
        } else {
            if let Some(at) = before {
                self.waiting.remove(at);
                if self.marked == id {
                    // The mark stays where it was, on the one that moved up.
                    let next = self.waiting.get(at).or(self.waiting.last());
                    self.marked = next.map(|one| text(one.at("id")).to_owned()).unwrap_or_default();
                }
            }
            self.past.push_front(came_to(&approval, out));
            self.past.truncate(PAST);
            self.leave(&id);
        }
        if self.marked.is_empty() {
            self.marked = self.waiting.first().map(|one| text(one.at("id")).to_owned()).unwrap_or_default();
        }
    }

    /// The connection is new: everything that waits is told again.
    pub(super) fn begin_again(&mut self) {
        self.waiting.clear();
    }

    /// Nobody writes a reason for what is settled.
    fn leave(&mut self, id: &str) {
        if matches!(&self.mode, Mode::Reason { approval, .. } if text(approval.at("id")) == id) {
            self.mode = Mode::List;
            "It is settled: somebody else decided, or its time ran out.".clone_into(&mut self.notice);
        }
    }

    /// One is read whole.
    pub(super) fn read(&mut self, approval: Value, now: Timestamp, out: &Out) {
        let lines = describe::lines(&approval, now, out);
        self.mode = Mode::Read { approval, lines, above: 0 };
    }

    /// Something is to be told.
    pub(super) fn tell(&mut self, notice: String) {
        self.notice = notice;
    }

    /// Takes a key.
    pub(super) fn take(&mut self, key: Key) -> Wish {
        if key == Key::Interrupt && !matches!(self.mode, Mode::Reason { .. }) {
            return Wish::Quit;
        }
        self.notice.clear();
        match &mut self.mode {
            Mode::List => self.in_list(key),
            Mode::Read { approval, above, lines } => {
                match key {
                    Key::Up => *above = above.saturating_sub(1),
                    Key::Down => *above = above.saturating_add(1).min(lines.len().saturating_sub(1)),
                    Key::Letter('a') => self.mode = begin_reason(approval.clone(), "approve"),
                    Key::Letter('d') => self.mode = begin_reason(approval.clone(), "deny"),
                    Key::Letter('q') | Key::Escape | Key::Enter => self.mode = Mode::List,
                    _ => {}
                }
                Wish::Nothing
            }
            Mode::Reason { reason, verb, approval } => match key {
                Key::Letter(letter) if reason.chars().count() < REASON => {
                    reason.push(letter);
                    Wish::Nothing
                }
                Key::Backspace => {
                    reason.pop();
                    Wish::Nothing
                }
                Key::Enter if *verb == "deny" && reason.trim().is_empty() => {
                    "Whoever asked is told why: write a reason.".clone_into(&mut self.notice);
                    Wish::Nothing
                }
                Key::Enter => {
                    let approval = text(approval.at("id")).to_owned();
                    let wish = Wish::Decide { approval, verb, reason: std::mem::take(reason) };
                    self.mode = Mode::List;
                    wish
                }
                Key::Escape | Key::Interrupt => {
                    self.mode = Mode::List;
                    Wish::Nothing
                }
                _ => Wish::Nothing,
            },
        }
    }

    fn in_list(&mut self, key: Key) -> Wish {
        let marked = self.waiting.iter().position(|one| text(one.at("id")) == self.marked);
        let step =
            |at: usize| self.waiting.get(at).or(self.waiting.last()).map(|one| text(one.at("id")).to_owned());
        let this = marked.and_then(|at| self.waiting.get(at));
        match (key, this) {
            (Key::Letter('q'), _) => return Wish::Quit,
            (Key::Up | Key::Letter('k'), _) => {
                self.marked = step(marked.unwrap_or(0).saturating_sub(1)).unwrap_or_default();
            }
            (Key::Down | Key::Letter('j'), _) => {
                self.marked = step(marked.map_or(0, |at| at.saturating_add(1))).unwrap_or_default();
            }
            (Key::Enter, Some(this)) => return Wish::Show(text(this.at("id")).to_owned()),
            (Key::Letter('a'), Some(this)) => self.mode = begin_reason(this.clone(), "approve"),
            (Key::Letter('d'), Some(this)) => self.mode = begin_reason(this.clone(), "deny"),
            _ => {}
        }
        Wish::Nothing
    }

    /// The picture, in lines, for a screen so wide and so high.
    pub(super) fn draw(&self, (width, height): (usize, usize), now: Timestamp, out: &Out) -> Vec<String> {
        let mut lines = match &self.mode {
            Mode::Read { lines, above, .. } => {
                let room = height.saturating_sub(3);
                let shown = lines.iter().flat_map(|line| wrapped(line, width)).skip(*above).take(room);
                shown.collect()
            }
            _ => self.list(width, height, now, out),
        };
        lines.push(String::new());
        if !self.notice.is_empty() {
            lines.push(out.tone(Tone::Caution, cut(&self.notice, width)));
        }
        let keys = match &self.mode {
            Mode::List => "↑ ↓ choose   enter reads   a approves   d denies   q ends",
            Mode::Read { .. } => "↑ ↓ move   a approves   d denies   esc goes back",
            Mode::Reason { approval, verb, reason } => {
                let what = format!("{verb} {}", one_line(approval));
                lines.push(out.tone(Tone::Title, cut(&what, width)));
                lines.push(cut_front(&format!("reason: {reason}▏"), width));
                "enter sends   esc leaves it"
            }
        };
        lines.push(out.tone(Tone::Faint, cut(keys, width)));
        lines
    }

    fn list(&self, width: usize, height: usize, now: Timestamp, out: &Out) -> Vec<String> {
        let title = match self.waiting.len() {
            0 => "Nothing waits for you.".to_owned(),
            1 => "1 request waits for consent".to_owned(),
            many => format!("{many} requests wait for consent"),
        };
        let mut lines = vec![out.tone(Tone::Title, cut(&title, width)), String::new()];
        // Room for what is around the list; at least the marked one is shown.
        let room = height.saturating_sub(self.past.len().saturating_add(9)).max(1);
        let marked = self.waiting.iter().position(|one| text(one.at("id")) == self.marked).unwrap_or(0);
        let from = marked.saturating_sub(room.saturating_sub(1));
        for approval in self.waiting.iter().skip(from).take(room) {
            let here = text(approval.at("id")) == self.marked;
            let waits = time(approval.at("asked_at")).map(|at| span(at, now)).unwrap_or_default();
            let consents = format!("{} of {}", approval.at("given"), approval.at("needed"));
            let line =
                format!("{} {waits:>8}  {consents}  {}", if here { '›' } else { ' ' }, one_line(approval));
            let line = cut(&line, width);
            lines.push(if here { out.tone(Tone::Title, line) } else { line });
        }
        let more = self.waiting.len().saturating_sub(from.saturating_add(room));
        if more > 0 {
            lines.push(out.tone(Tone::Faint, format_args!("  and {more} more")));
        }
        if !self.past.is_empty() {
            lines.push(String::new());
            lines.extend(self.past.iter().map(|line| format!("  {line}")));
        }
        lines
    }
}

fn begin_reason(approval: Value, verb: &'static str) -> Mode {
    Mode::Reason { approval, verb, reason: String::new() }
}

/// One approval in a line: who wants what.
fn one_line(approval: &Value) -> String {
    format!("{} on {}, for {}", operations(approval), describe::on(approval), who(approval.at("requester")))
}

/// What became of one, in a line.
pub(super) fn came_to(approval: &Value, out: &Out) -> String {
    let state = text(approval.at("state"));
    let last = approval.list("decisions").last();
    let by = last.map(|last| format!(" by {}", who(last.at("by")))).filter(|_| state != "expired");
    let reason = last.and_then(|last| last.at("reason").as_str()).map(|why| format!(": {why}"));
    format!(
        "{} {} {}{}{}",
        out.tone(describe::tone(approval), state),
        short(text(approval.at("id"))),
        one_line(approval),
        by.unwrap_or_default(),
        reason.unwrap_or_default()
    )
}

/// The beginning of a line without colours, as much as fits.
fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// The end of a line that is being written.
fn cut_front(line: &str, width: usize) -> String {
    let over = line.chars().count().saturating_sub(width);
    line.chars().skip(over).collect()
}

/// A line of a text, in as many as it needs. Lines with colours are short and stay.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    if line.contains('\x1b') || width == 0 {
        return vec![line.to_owned()];
    }
    let letters: Vec<char> = line.chars().collect();
    if letters.is_empty() {
        return vec![String::new()];
    }
    letters.chunks(width).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod picture;
#[cfg(test)]
mod tests;
