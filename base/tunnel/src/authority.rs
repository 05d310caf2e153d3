//! The gateway's own certificate authority for agents: made on first start, kept in a folder.
//!
//! It certifies two kinds of key: the gateway's, by one name that is the same wherever the gateway is
//! dialled, and an agent's, by the URIs of its [`AgentIdentity`]. Nothing else trusts it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use model::{Clock, hex};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SignatureAlgorithm,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::TunnelError;
use crate::identity::AgentIdentity;
use crate::token::{Digest, sha256};

/// What a gateway's certificate is for, whatever its address. `.internal` is for names like this one.
pub(crate) const GATEWAY: &str = "gateway.portcullis.internal";
/// How long an agent's certificate lasts.
pub const LASTS: Duration = Duration::from_secs(24 * 3600);
/// When an agent asks for the next: at two thirds.
pub const RENEWED_AFTER: Duration = Duration::from_secs(16 * 3600);
/// How long a gateway's lasts, and when it makes the next.
const GATEWAY_LASTS: Duration = Duration::from_secs(30 * 24 * 3600);
const GATEWAY_RENEWED_AFTER: Duration = Duration::from_secs(10 * 24 * 3600);
/// How long the authority lasts.
const AUTHORITY_LASTS: Duration = Duration::from_secs(3650 * 24 * 3600);
/// How far a clock may be behind the gateway's: certificates hold from so long ago.
const SKEW: Duration = Duration::from_secs(3600);

/// The authority, its key in memory.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// A gateway's certificate with its key, and when to make the next.
pub(crate) struct GatewayPair {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) renew: Timestamp,
}

/// An agent's certificate.
pub(crate) struct AgentCertificate {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) expires: Timestamp,
}

/// A public key of P-256, as an agent sends it.
struct Point<'a>(&'a [u8]);

impl PublicKeyData for Point<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn fault(cause: rcgen::Error) -> TunnelError {
    TunnelError::Certificate(cause.to_string())
}

impl Authority {
    /// Takes the authority kept in `dir`, or makes it.
    ///
    /// # Errors
    /// [`TunnelError`] when the folder cannot be used, or holds a certificate that is not of its key.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, TunnelError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(file("create", dir))?;
        let (key_path, path) = (dir.join("agents-ca-key.pem"), dir.join("agents-ca.pem"));
        let key = match fs::read_to_string(&key_path) {
            Ok(pem) => {
                fs::set_permissions(&key_path, fs::Permissions::from_mode(0o600))
                    .map_err(file("protect", &key_path))?;
                KeyPair::from_pem(&zeroize::Zeroizing::new(pem)).map_err(fault)?
            }
            Err(missing) if missing.kind() == ErrorKind::NotFound => {
                let key = KeyPair::generate().map_err(fault)?;
                write(&key_path, &zeroize::Zeroizing::new(key.serialize_pem()), 0o600)?;
                key
            }
            Err(cause) => return Err(file("read", &key_path)(cause)),
        };
        let params = authority_params(&key, &*clock)?;
        let certificate = match fs::read(&path) {
            Ok(pem) => CertificateDer::from_pem_slice(&pem).map_err(|fault| TunnelError::File {
                what: "read",
                path: path.clone(),
                why: fault.to_string(),
            })?,
            Err(missing) if missing.kind() == ErrorKind::NotFound => {
                let signed = params.self_signed(&key).map_err(fault)?;
                write(&path, &signed.pem(), 0o644)?;
                signed.der().clone()
            }
            Err(cause) => return Err(file("read", &path)(cause)),
        };
        let public = key.public_key_raw();
        if !certificate.windows(public.len()).any(|window| window == public) {
            let why = "it does not belong to the key beside it; put back what belongs together, or delete \
                       both and invite every agent again"
                .to_owned();
            return Err(TunnelError::File { what: "use", path, why });
        }
        Ok(Self { issuer: Issuer::new(params, key), certificate, clock })
    }

    /// Its certificate.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The digest of it, which a join token carries.
    pub(crate) fn fingerprint(&self) -> Digest {
        sha256(&self.certificate)
    }

    /// A new certificate for this gateway.
    pub(crate) fn gateway(&self) -> Result<GatewayPair, TunnelError> {
        let key = KeyPair::generate().map_err(fault)?;
        let mut params = CertificateParams::new(vec![GATEWAY.to_owned()]).map_err(fault)?;
        params.distinguished_name = named("Portcullis gateway");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.leaf(&mut params, GATEWAY_LASTS);
        let certificate = params.signed_by(&key, &self.issuer).map_err(fault)?;
        let renew = later(self.clock.now(), GATEWAY_RENEWED_AFTER);
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|why| TunnelError::Certificate(why.to_owned()))?;
        // The authority's own goes along: who joins knows it by its digest alone.
        Ok(GatewayPair { chain: vec![certificate.der().clone(), self.certificate.clone()], key, renew })
    }

    /// A new certificate for the agent that has the private key of `point`.
    pub(crate) fn agent(
        &self,
        identity: &AgentIdentity,
        point: &[u8],
    ) -> Result<AgentCertificate, TunnelError> {
        let mut params = CertificateParams::new(Vec::new()).map_err(fault)?;
        params.distinguished_name = named(&format!("Portcullis agent {}", identity.name));
        for uri in identity.uris() {
            params.subject_alt_names.push(SanType::URI(uri.try_into().map_err(fault)?));
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let expires = self.leaf(&mut params, LASTS);
        let signed = params.signed_by(&Point(point), &self.issuer).map_err(fault)?;
        Ok(AgentCertificate { certificate: signed.der().clone(), expires })
    }

    /// What both kinds have in common. Says when it ends.
    fn leaf(&self, params: &mut CertificateParams, lasts: Duration) -> Timestamp {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        holds(params, self.clock.now(), lasts)
    }
}

fn authority_params(key: &KeyPair, clock: &dyn Clock) -> Result<CertificateParams, TunnelError> {
    let mut params = CertificateParams::new(Vec::new()).map_err(fault)?;
    let id = params.key_identifier(key);
    params.distinguished_name =
        named(&format!("Portcullis agents authority {}", hex(id.get(..4).unwrap_or_default())));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    holds(&mut params, clock.now(), AUTHORITY_LASTS);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Sets from when to when a certificate holds, in whole seconds; says the latter.
fn holds(params: &mut CertificateParams, now: Timestamp, lasts: Duration) -> Timestamp {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let (from, to) = (seconds.saturating_sub(SKEW.as_secs()), seconds.saturating_add(lasts.as_secs()));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from);
    params.not_after = epoch + Duration::from_secs(to);
    Timestamp::from_second(i64::try_from(to).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX)
}

/// Writes a file whole or not at all.
pub(crate) fn write(path: &Path, text: &str, mode: u32) -> Result<(), TunnelError> {
    let part = path.with_extension("part");
    let written = || -> std::io::Result<()> {
        let _ = fs::remove_file(&part);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    written().map_err(file("write", path))
}

pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> TunnelError {
    let path = path.to_owned();
    move |cause| TunnelError::File { what, path, why: cause.to_string() }
}
