//! A credential as an upstream is shown it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use config::CredentialScheme;
use dial::Identity;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::error::CredentialError;
use crate::needles::spellings;

/// A credential, ready to go with a request. `Debug` tells nothing of it.
pub struct Shown {
    way: Way,
    mark: u64,
    spellings: Vec<Zeroizing<Vec<u8>>>,
}

/// Where a credential goes.
pub enum Way {
    /// Into this header, in place of whatever stands there. The value is marked sensitive, so that nothing
    /// prints it and HTTP/2 keeps it out of its tables (RFC 7541, section 7.1.3).
    Header(HeaderName, HeaderValue),
    /// To the end of the query.
    Query {
        /// The parameter. No request may bring one of that name.
        name: String,
        /// Name and value as a URL has them, without `&`.
        pair: Zeroizing<String>,
    },
    /// Into the TLS handshake.
    Certificate(Arc<Identity>),
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shown({})", self.mark)
    }
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header(..) => "Header",
            Self::Query { .. } => "Query",
            Self::Certificate(_) => "Certificate",
        })
    }
}

impl Shown {
    /// Where it goes.
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// Tells it from every other of its keeper. The same secret read again has the same mark.
    pub fn mark(&self) -> u64 {
        self.mark
    }

    pub(crate) fn spellings(&self) -> impl Iterator<Item = &[u8]> {
        self.spellings.iter().map(|spelling| spelling.as_slice())
    }

    /// Makes it of a secret: the one that lies somewhere, or the token that was granted for it.
    pub(crate) fn of(
        scheme: &CredentialScheme,
        secret: &SecretString,
        mark: u64,
        source: impl Fn() -> String,
    ) -> Result<Self, CredentialError> {
        let unfit = |why| CredentialError::Unfit { whence: source(), why };
        let secret = secret.expose_secret();
        let mut spelt = spellings(secret);
        let way = match scheme {
            CredentialScheme::Header { name, word } => {
                let text = match word {
                    Some(word) => format!("{word} {secret}"),
                    None => secret.to_owned(),
                };
                Way::Header(name.clone(), header(text).ok_or_else(|| unfit("does not fit a header"))?)
            }
            CredentialScheme::OAuth2(_) => {
                let value = header(format!("Bearer {secret}"));
                Way::Header(AUTHORIZATION, value.ok_or_else(|| unfit("does not fit a header"))?)
            }
            CredentialScheme::Basic { user } => {
                let pair =
                    Zeroizing::new(STANDARD.encode(Zeroizing::new(format!("{user}:{secret}")).as_bytes()));
                spelt.extend(spellings(&pair));
                let value = header(format!("Basic {}", *pair));
                Way::Header(AUTHORIZATION, value.ok_or_else(|| unfit("does not fit a header"))?)
            }
            CredentialScheme::Query { name } => {
                let pair = Zeroizing::new(format!("{name}={}", *Zeroizing::new(dial::form_encoded(secret))));
                Way::Query { name: name.clone(), pair }
            }
            CredentialScheme::Certificate => {
                // Its key is never sent, so nothing of it can come back.
                spelt.clear();
                let identity = Identity::from_pem(secret.as_bytes());
                let why = "holds no certificate chain with its private key, in PEM";
                Way::Certificate(Arc::new(identity.ok_or_else(|| unfit(why))?))
            }
        };
        Ok(Self { way, mark, spellings: spelt })
    }
}

/// A header's value that overwrites its text when the last use of it is over.
fn header(text: String) -> Option<HeaderValue> {
    let bytes = Bytes::from_owner(Zeroizing::new(text.into_bytes()));
    let mut value = HeaderValue::from_maybe_shared(bytes).ok()?;
    value.set_sensitive(true);
    Some(value)
}
