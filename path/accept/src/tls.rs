//! The certificate a door shows, and how it changes while the door is open.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::aws_lc_rs::digest;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use model::Clock;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;

use crate::AcceptError;
use crate::local::Authority;

/// How often the certificate is looked at again.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The certificate to show to the next caller.
pub(crate) struct Shown(ArcSwap<CertifiedKey>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Where certificates come from.
pub(crate) enum Source {
    /// Files, and the digest of what was last tried.
    Files { certificate: PathBuf, key: PathBuf, tried: [u8; 32] },
    /// The local authority, and when its certificate is to be renewed.
    Local { authority: Authority, renew: Timestamp },
}

/// Shows certificates from a source.
pub(crate) struct Certificates {
    shown: Arc<Shown>,
    source: Source,
    provider: Arc<CryptoProvider>,
}

impl Certificates {
    /// Opens the listener's source; none for a plain listener.
    pub(crate) fn open(tls: &config::Tls, clock: &dyn Clock) -> Result<Option<Self>, AcceptError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (first, source) = match tls {
            config::Tls::Plain => return Ok(None),
            config::Tls::Files { certificate, key } => {
                let pair = Pair::read(certificate, key)?;
                let (certificate, key, tried) = (certificate.clone(), key.clone(), pair.digest());
                (pair.certified(&certificate, &provider)?, Source::Files { certificate, key, tried })
            }
            config::Tls::Local { dir, names } => {
                let authority = Authority::open(dir, names, clock)?;
                let (pair, renew) = authority.issue(clock)?;
                (pair.certified(dir, &provider)?, Source::Local { authority, renew })
            }
        };
        let shown = Arc::new(Shown(ArcSwap::from_pointee(first)));
        Ok(Some(Self { shown, source, provider }))
    }

    /// The authority callers must trust, when it is this gateway's own.
    pub(crate) fn authority(&self) -> Option<&Path> {
        match &self.source {
            Source::Files { .. } => None,
            Source::Local { authority, .. } => Some(authority.certificate()),
        }
    }

    /// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1 (RFC 7301), no client certificates.
    pub(crate) fn server(&self) -> Result<Arc<ServerConfig>, AcceptError> {
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|why| AcceptError::Certificate { path: PathBuf::new(), why: why.to_string() })?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.shown) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(server))
    }

    /// Looks at the source again and shows what is new. Reads files: call it where blocking is allowed.
    /// What can't be used is said once and changes nothing.
    pub(crate) fn look_again(&mut self, clock: &dyn Clock) {
        match self.renewed(clock) {
            Ok(None) => {}
            Ok(Some(new)) => {
                self.shown.0.store(Arc::new(new));
                tracing::info!("the certificate was renewed");
            }
            Err(fault) => tracing::warn!(%fault, "kept the certificate: the new one cannot be used"),
        }
    }

    fn renewed(&mut self, clock: &dyn Clock) -> Result<Option<CertifiedKey>, AcceptError> {
        match &mut self.source {
            Source::Files { certificate, key, tried } => {
                // Missing for a moment is how some tools replace files.
                let Ok(pair) = Pair::read(certificate, key) else { return Ok(None) };
                let digest = pair.digest();
                if *tried == digest {
                    return Ok(None);
                }
                *tried = digest;
                pair.certified(certificate, &self.provider).map(Some)
            }
            Source::Local { authority, renew } => {
                if clock.now() < *renew {
                    return Ok(None);
                }
                let (pair, next) = authority.issue(clock)?;
                *renew = next;
                pair.certified(authority.certificate(), &self.provider).map(Some)
            }
        }
    }
}

/// A certificate chain with its key, in PEM.
pub(crate) struct Pair {
    /// The chain, leaf first.
    pub(crate) chain: Vec<u8>,
    /// The key.
    pub(crate) key: zeroize::Zeroizing<Vec<u8>>,
}

impl Pair {
    fn read(certificate: &Path, key: &Path) -> Result<Self, AcceptError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|cause| AcceptError::File {
                what: "read",
                path: path.to_owned(),
                cause,
            })
        };
        Ok(Self { chain: read(certificate)?, key: read(key)?.into() })
    }

    fn digest(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&(self.chain.len() as u64).to_be_bytes());
        context.update(&self.chain);
        context.update(&self.key);
        context.finish().as_ref().try_into().unwrap_or_default()
    }

    /// Ready to be shown. Certificate and key must belong together.
    fn certified(&self, path: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, AcceptError> {
        let fault = |why: String| AcceptError::Certificate { path: path.to_owned(), why };
        let chain = CertificateDer::pem_slice_iter(&self.chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| fault(format!("it is no PEM: {e}")))?;
        if chain.is_empty() {
            return Err(fault("it holds no `BEGIN CERTIFICATE`".to_owned()));
        }
        let key =
            PrivateKeyDer::from_pem_slice(&self.key).map_err(|e| fault(format!("its key is no PEM: {e}")))?;
        CertifiedKey::from_der(chain, key, provider).map_err(|e| fault(e.to_string()))
    }
}
