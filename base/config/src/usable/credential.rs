//! Credentials: where a resource's secret comes from, how it is shown to the upstream, and how it is
//! replaced.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, Uri};

use super::ClientAuth;
use crate::SecretRef;

/// What opens an upstream. Callers never see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Where the secret comes from.
    pub source: SecretSource,
    /// How it is shown to the upstream.
    pub scheme: CredentialScheme,
    /// How long what a command or a vault gave is used before it is asked again. Variables and files are
    /// read at each use.
    pub cache: Duration,
    /// How long the last value is used while its source gives none. Zero: not at all.
    pub stale: Duration,
    /// How it is replaced on request, if the gateway is told how.
    pub rotate: Option<Rotation>,
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable or a file.
    Place(SecretRef),
    /// The standard output of a program.
    Command(SecretCommand),
    /// A key-value engine of HashiCorp Vault or OpenBao.
    Vault(VaultSecret),
}

/// A program to run, without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretCommand {
    /// The program and its arguments. Never empty. A program with a slash in its name is a whole path.
    pub run: Vec<String>,
    /// How long it may run; then it is killed.
    pub timeout: Duration,
    /// The variables it gets besides `PATH`, `HOME`, `LANG` and those that say what it is run for.
    pub environment: Vec<String>,
}

/// Which version of the key-value engine a mount has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultEngine {
    /// Without versions.
    V1,
    /// With versions.
    V2,
}

/// A secret in HashiCorp Vault or OpenBao.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultSecret {
    /// The server, without path. `https`, or `http` on this machine.
    pub url: Uri,
    /// Which key-value engine is mounted.
    pub engine: VaultEngine,
    /// Where it is mounted, without slashes at its ends.
    pub mount: String,
    /// The secret's path below the mount.
    pub path: String,
    /// The field of the secret that is used.
    pub field: String,
    /// Where the token lies that Vault is asked with.
    pub token: SecretRef,
    /// The namespace, if the server has them.
    pub namespace: Option<String>,
    /// Certificates to trust instead of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// How long one answer may take.
    pub timeout: Duration,
}

/// How a secret is shown to the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialScheme {
    /// In a header, after a word, as `Bearer`, if there is one.
    Header {
        /// The header.
        name: HeaderName,
        /// The word.
        word: Option<String>,
    },
    /// As the password of this user (RFC 7617).
    Basic {
        /// The user. Holds no colon.
        user: String,
    },
    /// In a parameter of the query.
    Query {
        /// Its name: letters, digits, `-`, `_`, `.`.
        name: String,
    },
    /// The secret is a certificate chain with its private key, shown in the TLS handshake.
    Certificate,
    /// The secret is that of an OAuth client; what it is given for it is the bearer token.
    OAuth2(Box<TokenGrant>),
}

/// Where an OAuth client's token is fetched (RFC 6749, section 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenGrant {
    /// The token endpoint. `https`, or `http` on this machine.
    pub url: Uri,
    /// As whom.
    pub client_id: String,
    /// How the client proves itself.
    pub client_auth: ClientAuth,
    /// The scopes that are asked for.
    pub scopes: Vec<String>,
    /// The resource it is for (RFC 8707).
    pub resource: Option<String>,
    /// The audience it is for, for issuers that ask for it in their own way.
    pub audience: Option<String>,
    /// Certificates to trust instead of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// How long one answer may take.
    pub timeout: Duration,
}

/// How a credential is replaced on request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// What makes the new secret, and puts it where the source reads it.
    pub command: SecretCommand,
    /// The path below each upstream's base URL that shows whether a secret is taken. None: as the kind of
    /// server says.
    pub probe: Option<String>,
}

impl Credential {
    /// A bearer token in `authorization`, everything else as by default.
    pub fn bearer(value: SecretRef) -> Self {
        let scheme =
            CredentialScheme::Header { name: http::header::AUTHORIZATION, word: Some("Bearer".to_owned()) };
        Self::of(SecretSource::Place(value), scheme)
    }

    /// A secret of `source`, shown as `scheme` says, everything else as by default.
    pub fn of(source: SecretSource, scheme: CredentialScheme) -> Self {
        Self { source, scheme, cache: Duration::from_secs(10), stale: Duration::from_secs(300), rotate: None }
    }

    /// The header it is shown in, if it is.
    pub fn header(&self) -> Option<&HeaderName> {
        match &self.scheme {
            CredentialScheme::Header { name, .. } => Some(name),
            CredentialScheme::Basic { .. } | CredentialScheme::OAuth2(_) => {
                Some(&http::header::AUTHORIZATION)
            }
            CredentialScheme::Query { .. } | CredentialScheme::Certificate => None,
        }
    }
}

impl std::fmt::Display for SecretSource {
    /// Says where it lies, nothing of what it is. Of a command only the program: arguments are the
    /// operator's own.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Place(place) => place.fmt(f),
            Self::Command(command) => {
                write!(f, "command:{}", command.run.first().map_or("", String::as_str))
            }
            Self::Vault(vault) => write!(f, "vault:{}/{}#{}", vault.mount, vault.path, vault.field),
        }
    }
}
