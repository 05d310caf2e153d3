//! Why a credential can't be had.

use config::{SecretError, SecretRef};
use dial::DialError;

/// Why a credential can't be had. Never holds any part of a secret, nor of what a source answered; names
/// hosts, files and programs, so it is for operators.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The variable or the file gives none.
    #[error(transparent)]
    Place(#[from] SecretError),
    /// Reading a file took too long, or was broken off.
    #[error("reading {0} {1}")]
    Unread(SecretRef, &'static str),
    /// The program could not be begun.
    #[error("cannot run `{program}`: {cause}")]
    Run {
        /// The program.
        program: String,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The program ended in another way than with success, or not in time.
    #[error("`{program}` {how}; what it wrote to standard error is not kept, as it may hold secrets")]
    Ended {
        /// The program.
        program: String,
        /// How it ended.
        how: String,
    },
    /// What was given is nothing that can be shown.
    #[error("what {whence} gives {why}")]
    Unfit {
        /// Where it comes from.
        whence: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The vault, or who grants tokens, can't be asked.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It answered no.
    #[error("{who} answered {status}: {why}")]
    Refused {
        /// Who.
        who: String,
        /// The status.
        status: u16,
        /// What that means there, and what to do.
        why: &'static str,
    },
    /// Its answer can't be read.
    #[error("the answer of {who} cannot be used: {why}")]
    Answer {
        /// Who.
        who: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It failed a moment ago, and is not asked again yet.
    #[error("{0}")]
    Lately(String),
}
