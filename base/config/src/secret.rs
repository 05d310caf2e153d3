//! Secrets by reference: the file says where one lies, never what it is.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

/// The largest secret, in bytes.
pub const MAX_SECRET_BYTES: u64 = 64 << 10;

/// Where a secret lies. Written `env:NAME` or `file:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// An environment variable of the gateway's process.
    Env(String),
    /// A file, its path resolved already. Read at each use, so that it may be replaced while the gateway
    /// runs.
    File(PathBuf),
}

/// Why a secret can't be had. Never holds any part of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("the environment variable `{0}` is not set; set it for the gateway's process")]
    Unset(String),
    /// The file can't be read.
    #[error("cannot read the secret in {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Nothing is there.
    #[error("the secret in {0} is empty")]
    Empty(SecretRef),
    /// It is too large to be one.
    #[error("the secret in {0} is larger than {MAX_SECRET_BYTES} bytes")]
    TooLarge(SecretRef),
    /// It is no text that a header could carry.
    #[error("the secret in {0} is not one line of UTF-8 text without control characters")]
    NotText(SecretRef),
    /// It is no text at all.
    #[error("the secret in {0} is not UTF-8 text")]
    NotLines(SecretRef),
}

impl SecretRef {
    /// Reads the secret as it is now, without the newline editors leave at its end.
    ///
    /// # Errors
    /// [`SecretError`] when it is not set, not readable, empty, larger than [`MAX_SECRET_BYTES`], or not
    /// one line of text. A secret with a line break inside would split a header.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        let text = self.text()?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.chars().any(char::is_control) {
            return Err(SecretError::NotText(self.clone()));
        }
        self.bounded(line)
    }

    /// Reads a secret of several lines, as a private key in PEM is.
    ///
    /// # Errors
    /// [`SecretError`] when it is not set, not readable, empty, larger than [`MAX_SECRET_BYTES`], or no text.
    pub fn read_lines(&self) -> Result<SecretString, SecretError> {
        let text = self.text()?;
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(SecretError::NotLines(self.clone()));
        }
        self.bounded(text.trim())
    }

    fn bounded(&self, text: &str) -> Result<SecretString, SecretError> {
        if text.is_empty() {
            Err(SecretError::Empty(self.clone()))
        } else if text.len() as u64 > MAX_SECRET_BYTES {
            Err(SecretError::TooLarge(self.clone()))
        } else {
            Ok(SecretString::from(text))
        }
    }

    fn text(&self) -> Result<Zeroizing<String>, SecretError> {
        match self {
            Self::Env(name) => from_env(name).ok_or_else(|| SecretError::Unset(name.clone())),
            Self::File(path) => {
                let bytes =
                    from_file(path).map_err(|cause| SecretError::Unreadable { path: path.clone(), cause })?;
                if bytes.len() as u64 > MAX_SECRET_BYTES {
                    return Err(SecretError::TooLarge(self.clone()));
                }
                let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NotText(self.clone()))?;
                Ok(Zeroizing::new(text.to_owned()))
            }
        }
    }
}

impl std::fmt::Display for SecretRef {
    /// As the file writes it. Says where the secret lies, nothing of what it is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// A variable of this process, for a program that is run with a few of them: none when it is not set, or
/// no text.
pub fn variable(name: &str) -> Option<Zeroizing<String>> {
    from_env(name)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn from_env(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name).ok().map(Zeroizing::new)
}

/// Reads one byte more than a secret may have, so that a larger one shows.
fn from_file(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    File::open(path)?.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(bytes: &[u8]) -> Result<String, SecretError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, bytes).unwrap();
        SecretRef::File(path).read().map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn the_newline_at_the_end_is_no_part_of_it() {
        for written in ["open sesame", "open sesame\n", "open sesame\r\n"] {
            assert_eq!(read(written.as_bytes()).unwrap(), "open sesame");
        }
        assert_eq!(read(b" a ").unwrap(), " a ");
    }

    #[test]
    fn what_could_not_be_sent_is_refused() {
        assert!(matches!(read(b""), Err(SecretError::Empty(_))));
        assert!(matches!(read(b"\n"), Err(SecretError::Empty(_))));
        assert!(matches!(read(b"a\nb"), Err(SecretError::NotText(_))));
        assert!(matches!(read(b"a\n\n"), Err(SecretError::NotText(_))));
        assert!(matches!(read(b"a\0"), Err(SecretError::NotText(_))));
        assert!(matches!(read(b"\xff"), Err(SecretError::NotText(_))));
        assert!(matches!(read(&[b'a'; 65_537]), Err(SecretError::TooLarge(_))));
        assert_eq!(read(&[b'a'; 65_536]).unwrap().len(), 65_536);
    }

    #[test]
    fn it_is_read_at_each_use() {
        let dir = tempfile::tempdir().unwrap();
        let secret = SecretRef::File(dir.path().join("secret"));
        assert!(matches!(secret.read(), Err(SecretError::Unreadable { .. })));
        for value in ["first", "second"] {
            std::fs::write(dir.path().join("secret"), value).unwrap();
            assert_eq!(secret.read().unwrap().expose_secret(), value);
        }
    }

    #[test]
    fn a_variable_is_read_and_a_missing_one_is_told_by_name() {
        let path = SecretRef::Env("PATH".to_owned()).read().unwrap();
        assert!(path.expose_secret().contains('/'));
        let error = SecretRef::Env("PORTCULLIS_NO_SUCH_KEY".to_owned()).read().unwrap_err();
        assert!(error.to_string().contains("`PORTCULLIS_NO_SUCH_KEY` is not set"));
    }
}
