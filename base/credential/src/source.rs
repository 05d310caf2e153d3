//! Where secrets come from: asked once, without any memory of earlier answers.

use std::time::Duration;

use config::{SecretCommand, SecretRef, SecretSource, VaultSecret};
use dial::Fetcher;
use secrecy::SecretString;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::error::CredentialError;
use crate::{command, vault};

/// How long reading a file may take, so that a hanging file system refuses requests instead of holding them.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// What shape a secret has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One line, which a header could carry.
    Line,
    /// Several: a certificate with its key.
    Lines,
}

/// A source, ready to be asked.
pub(crate) enum Source {
    Place(SecretRef),
    Command(SecretCommand),
    Vault(Box<VaultSecret>, Fetcher),
}

impl Source {
    pub(crate) fn build(source: &SecretSource) -> Result<Self, CredentialError> {
        Ok(match source {
            SecretSource::Place(place) => Self::Place(place.clone()),
            SecretSource::Command(command) => Self::Command(command.clone()),
            SecretSource::Vault(vault) => {
                let plain = vault.url.scheme_str() == Some("http");
                let fetcher = Fetcher::choose(plain, vault.ca_file.as_deref(), vault.timeout)?;
                Self::Vault(Box::new(vault.clone()), fetcher)
            }
        })
    }

    /// Whether it is so near that it is asked at each use.
    pub(crate) fn is_near(&self) -> bool {
        matches!(self, Self::Place(_))
    }

    /// Asks it. `resource` is what a program is told it is run for.
    pub(crate) async fn read(&self, form: Form, resource: &str) -> Result<SecretString, CredentialError> {
        match self {
            Self::Place(place) => read_place(place, form).await,
            Self::Command(command) => command::output(command, form, resource).await,
            Self::Vault(vault, fetcher) => vault::read(vault, fetcher, form).await,
        }
    }
}

/// Reads a variable at once, and a file on a thread that may wait.
pub(crate) async fn read_place(place: &SecretRef, form: Form) -> Result<SecretString, CredentialError> {
    let read = |place: &SecretRef| match form {
        Form::Line => place.read(),
        Form::Lines => place.read_lines(),
    };
    match place {
        SecretRef::Env(_) => Ok(read(place)?),
        SecretRef::File(_) => {
            let file = place.clone();
            let unread = |why| CredentialError::Unread(place.clone(), why);
            let reading = spawn_blocking(move || match form {
                Form::Line => file.read(),
                Form::Lines => file.read_lines(),
            });
            let read = timeout(READ_TIMEOUT, reading).await.map_err(|_| unread("took too long"))?;
            Ok(read.map_err(|_| unread("was broken off"))??)
        }
    }
}

/// A text from a program or a vault as a secret, by the same rules as a file's.
pub(crate) fn fit(
    text: &str,
    form: Form,
    source: impl FnOnce() -> String,
) -> Result<SecretString, CredentialError> {
    let text = text.trim();
    let why = if text.is_empty() {
        "is empty"
    } else if text.len() as u64 > config::MAX_SECRET_BYTES {
        "is larger than a secret may be"
    } else if form == Form::Line && text.chars().any(char::is_control) {
        "is not one line of text without control characters"
    } else {
        return Ok(SecretString::from(text));
    };
    Err(CredentialError::Unfit { whence: source(), why })
}
