//! What is wrong with a policy set, all at once and each with its place.

use std::fmt;

use serde::Serialize;

/// A place in a policy file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

/// One thing that keeps a policy set from being loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyFault {
    /// The file's name, or the folder when the fault is of no one file.
    pub file: String,
    /// Where in the file, when that is known.
    pub place: Option<Place>,
    /// The line at that place, cut to 200 characters.
    pub text: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: Option<String>,
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(place) = self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}", self.message)?;
        if let (Some(text), Some(place)) = (&self.text, self.place) {
            let width = place.line.to_string().len();
            // Tabs are kept so that the caret stands under what it points to.
            let pad: String =
                text.chars().take(place.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "\n  {} | {text}\n  {:width$} | {pad}^", place.line, "")?;
        }
        if let Some(advice) = &self.advice {
            write!(f, "\n  {advice}")?;
        }
        Ok(())
    }
}

/// Everything that keeps a policy set from being loaded. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct PolicyFaults(Vec<PolicyFault>);

impl PolicyFaults {
    pub(crate) fn new(faults: Vec<PolicyFault>) -> Self {
        Self(faults)
    }

    pub(crate) fn of(file: &str, message: impl Into<String>, advice: Option<&str>) -> Self {
        Self(vec![PolicyFault {
            file: file.to_owned(),
            place: None,
            text: None,
            message: message.into(),
            advice: advice.map(str::to_owned),
        }])
    }

    /// The faults, by file and place.
    pub fn iter(&self) -> impl Iterator<Item = &PolicyFault> {
        self.0.iter()
    }
}

impl fmt::Display for PolicyFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

/// Why no authorizer could be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizeError {
    /// The policies can't be used.
    #[error(transparent)]
    Policies(#[from] PolicyFaults),
    /// The time zone is not known here.
    #[error(
        "`{name}` is no time zone this machine knows: {cause}. Write an IANA name such as `Europe/Berlin`, or `UTC`"
    )]
    TimeZone {
        /// As configured.
        name: String,
        /// Why not.
        cause: jiff::Error,
    },
}
