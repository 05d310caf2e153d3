//! What a look at one thing found.

use serde::Serialize;

use crate::out::{Out, Tone};

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Good,
    /// It works, and should be looked at.
    Caution,
    /// It does not work, or guards nothing.
    Bad,
}

/// What a look at one thing found. No text holds a secret.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// What kind of thing: `config`, `policies`, `clock`, `issuer`, `ledger`, `gateway`, `agents`, `credential`,
    /// `upstream`, `bypass`, `tunnel`.
    pub(crate) check: &'static str,
    /// Which one.
    pub(crate) subject: String,
    /// How it is.
    pub(crate) state: State,
    /// In a sentence.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

impl Finding {
    fn new(check: &'static str, subject: impl ToString, state: State, what: impl ToString) -> Self {
        Self { check, subject: subject.to_string(), state, what: what.to_string(), advice: None }
    }

    pub(crate) fn good(check: &'static str, subject: impl ToString, what: impl ToString) -> Self {
        Self::new(check, subject, State::Good, what)
    }

    pub(crate) fn caution(check: &'static str, subject: impl ToString, what: impl ToString) -> Self {
        Self::new(check, subject, State::Caution, what)
    }

    pub(crate) fn bad(check: &'static str, subject: impl ToString, what: impl ToString) -> Self {
        Self::new(check, subject, State::Bad, what)
    }

    pub(crate) fn advice(self, advice: impl ToString) -> Self {
        Self { advice: Some(advice.to_string()), ..self }
    }

    /// Writes it for people.
    pub(crate) fn tell(&self, out: &mut Out) -> std::io::Result<()> {
        let (tone, word) = match self.state {
            State::Good => (Tone::Good, "ok  "),
            State::Caution => (Tone::Caution, "look"),
            State::Bad => (Tone::Bad, "BAD "),
        };
        let word = out.tone(tone, word);
        out.line(format_args!("{word}  {:<10} {}: {}", self.check, self.subject, self.what))?;
        for line in self.advice.iter().flat_map(|advice| advice.lines()) {
            out.line(format_args!("      {line}"))?;
        }
        Ok(())
    }
}
