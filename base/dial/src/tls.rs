//! Whom a connection trusts, and who it says we are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use zeroize::Zeroize;

use crate::DialError;

/// Whose certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The system's root certificates.
    System,
    /// The certificates in this PEM file, and no others.
    File(PathBuf),
}

impl Trust {
    /// The certificates in `file` if one is given, else the system's.
    pub fn of(file: Option<&Path>) -> Self {
        file.map_or(Self::System, |file| Self::File(file.to_owned()))
    }
}

/// TLS settings for connections out: TLS 1.2 and 1.3, server names always checked.
///
/// `identity` is a certificate chain and its private key, both PEM files, for servers that ask who we
/// are. `alpn` lists the protocols to offer, best first; empty offers none.
///
/// # Errors
/// [`DialError`] when a file cannot be read or holds nothing of use, when the system has no root
/// certificates, or when certificate and key do not belong together.
pub fn client_tls(
    trust: &Trust,
    identity: Option<(&Path, &Path)>,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, DialError> {
    let settings = settings(trust)?;
    let mut tls = match identity {
        None => settings.with_no_client_auth(),
        Some((chain, key)) => settings
            .with_client_auth_cert(certificates(chain, "a client certificate")?, private_key(key)?)
            .map_err(DialError::Settings)?,
    };
    tls.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(tls))
}

/// A certificate chain with its private key, in memory. `Debug` tells nothing of the key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({} certificates)", self.chain.len())
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl Identity {
    /// Reads the chain, leaf first, and the key out of one PEM text, in any order. None when either is not
    /// there.
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().ok()?;
        let key = PrivateKeyDer::from_pem_slice(pem).ok()?;
        (!chain.is_empty()).then_some(Self { chain, key })
    }
}

/// As [`client_tls`], with an identity that is in memory.
///
/// # Errors
/// As [`client_tls`].
pub fn client_tls_as(
    trust: &Trust,
    identity: &Identity,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, DialError> {
    let mut tls = settings(trust)?
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(DialError::Settings)?;
    tls.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(tls))
}

fn settings(trust: &Trust) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, DialError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(DialError::Settings)?
        .with_root_certificates(roots(trust)?))
}

fn roots(trust: &Trust) -> Result<RootCertStore, DialError> {
    let mut store = RootCertStore::empty();
    match trust {
        Trust::File(path) => {
            let what = "certificates to trust";
            for certificate in certificates(path, what)? {
                store.add(certificate).map_err(|error| pem(path, what, error))?;
            }
        }
        Trust::System => {
            let found = rustls_native_certs::load_native_certs();
            // One odd certificate in a system's store is no reason to trust none of the others.
            let (added, _) = store.add_parsable_certificates(found.certs);
            if added == 0 {
                let why = match found.errors.first() {
                    Some(error) => error.to_string(),
                    None => "none found".to_owned(),
                };
                return Err(DialError::NoRoots { why });
            }
        }
    }
    Ok(store)
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, DialError> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| pem(path, what, error))?;
    if chain.is_empty() { Err(pem(path, what, "it holds no certificate")) } else { Ok(chain) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, DialError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| pem(path, "a private key", error))
}

fn pem(path: &Path, what: &'static str, why: impl std::fmt::Display) -> DialError {
    DialError::Pem { path: path.to_owned(), what, why: why.to_string() }
}
