//! What can go wrong between a person and a token.

use std::path::PathBuf;
use std::time::Duration;

/// Why there is no token. Its text is for the person who logs in: what happened, why, and what to do. It
/// never holds a token.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Nobody is logged in under this name.
    #[error("you are not logged in{}: run `portcullis login`", told(.0.as_deref()))]
    LoggedOut(Option<String>),
    /// The login has ended, and cannot be refreshed.
    #[error("your login `{name}` has ended ({why}): run `portcullis login --profile {name}`")]
    Ended {
        /// The profile.
        name: String,
        /// Why.
        why: String,
    },
    /// No login, or several, fit what was asked for.
    #[error("{0}")]
    Choice(String),
    /// A file or folder of the logins.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Another process holds the lock for too long.
    #[error(
        "another process has held {} for {after:?}: it may hang on the provider; end it and try again",
        path.display()
    )]
    Locked {
        /// The lock.
        path: PathBuf,
        /// How long was waited.
        after: Duration,
    },
    /// There is no place for logins.
    #[error("there is no folder for logins: set HOME, or XDG_CONFIG_HOME to an absolute path")]
    NoFolder,
    /// A URL that was given cannot be used.
    #[error("`{url}` cannot be used: {why}")]
    Url {
        /// The URL.
        url: String,
        /// Why not.
        why: String,
    },
    /// Somebody could not be reached.
    #[error("cannot reach {what}: {source}")]
    Dial {
        /// Whom.
        what: String,
        /// What happened.
        #[source]
        source: dial::DialError,
    },
    /// Somebody answered what cannot be read.
    #[error("{what} answered what cannot be used: {why}")]
    Answer {
        /// Who.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The provider refuses, with the code of its protocol (RFC 6749, section 5.2).
    #[error("the provider refuses: {code}{}", described(.description.as_deref()))]
    Refused {
        /// Its code, such as `invalid_grant`.
        code: String,
        /// Its own words, if it has any.
        description: Option<String>,
    },
    /// The provider does not offer what was asked for.
    #[error("the provider {issuer} does not offer {what}: {advice}")]
    NotOffered {
        /// The provider.
        issuer: String,
        /// What.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The answer that came back to the browser is not one to this login.
    #[error("the answer that came back by the browser is refused: {0}; start the login again")]
    Mixed(&'static str),
    /// The ID token does not say what it must.
    #[error("the provider's ID token is refused: {0}")]
    IdToken(String),
    /// The person took too long.
    #[error("nobody finished the login in time: start it again")]
    Expired,
    /// The person, or somebody for them, said no.
    #[error("the login was denied at the provider{}", described(.0.as_deref()))]
    Denied(Option<String>),
    /// A token from the environment or another source cannot be had.
    #[error(transparent)]
    Secret(#[from] config::SecretError),
    /// The machine fails.
    #[error("{what}: {source}")]
    Machine {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl LoginError {
    /// Whether only logging in again helps: the provider will never accept what is kept.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "invalid_grant")
    }
}

fn told(name: Option<&str>) -> String {
    name.map_or(String::new(), |name| format!(" as `{name}`"))
}

fn described(description: Option<&str>) -> String {
    description.map_or(String::new(), |text| format!(" ({text})"))
}
