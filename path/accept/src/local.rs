//! A certificate authority of this gateway's own, for `tls: local`: made on first start, kept in a folder,
//! trusted by callers through one file.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use model::{Clock, hex};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData,
};

use crate::AcceptError;
use crate::tls::Pair;

/// The authority lasts this many days.
const AUTHORITY_DAYS: i64 = 3650;
/// A certificate lasts this many days.
const LEAF_DAYS: i64 = 30;
/// And is renewed after this many.
const RENEW_DAYS: i64 = 10;

/// The authority. The certificates it issues live in memory alone: a new one is made at each start, so
/// changed names need no care.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: PathBuf,
    names: Vec<String>,
}

impl Authority {
    /// Takes the authority kept in `dir`, or makes it. Its certificates are for `names`.
    pub(crate) fn open(dir: &Path, names: &[String], clock: &dyn Clock) -> Result<Self, AcceptError> {
        fs::create_dir_all(dir).map_err(file("create", dir))?;
        let (key_path, certificate) = (dir.join("ca-key.pem"), dir.join("ca.pem"));
        let key = match fs::read_to_string(&key_path) {
            Ok(pem) => {
                let key = KeyPair::from_pem(&pem).map_err(fault(&key_path))?;
                fs::set_permissions(&key_path, Permissions::from_mode(0o600))
                    .map_err(file("protect", &key_path))?;
                key
            }
            Err(missing) if missing.kind() == ErrorKind::NotFound => {
                let key = KeyPair::generate().map_err(fault(dir))?;
                write(&key_path, &key.serialize_pem(), 0o600)?;
                key
            }
            Err(cause) => return Err(file("read", &key_path)(cause)),
        };
        let params = authority_params(&key, clock).map_err(fault(dir))?;
        if !belongs(&certificate, &key)? {
            let signed = params.self_signed(&key).map_err(fault(dir))?;
            write(&certificate, &signed.pem(), 0o644)?;
        }
        Ok(Self { issuer: Issuer::new(params, key), certificate, names: names.to_vec() })
    }

    /// The file callers trust.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// A new certificate, and when to ask for the next.
    pub(crate) fn issue(&self, clock: &dyn Clock) -> Result<(Pair, Timestamp), AcceptError> {
        let leaf = || -> Result<Pair, rcgen::Error> {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(self.names.clone())?;
            params.distinguished_name = named("Portcullis gateway");
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            holds(&mut params, clock, LEAF_DAYS);
            let chain = params.signed_by(&key, &self.issuer)?.pem().into_bytes();
            Ok(Pair { chain, key: key.serialize_pem().into_bytes().into() })
        };
        let pair = leaf().map_err(fault(&self.certificate))?;
        let hours = Span::new().hours(24 * RENEW_DAYS);
        Ok((pair, clock.now().checked_add(hours).unwrap_or(Timestamp::MAX)))
    }
}

/// What the authority's certificate says. Its name carries part of its key, so that two authorities in one
/// trust store are told apart, and is the same at each start.
fn authority_params(key: &KeyPair, clock: &dyn Clock) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    let id = params.key_identifier(key);
    let id = hex(id.get(..4).unwrap_or_default());
    params.distinguished_name = named(&format!("Portcullis local authority {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    holds(&mut params, clock, AUTHORITY_DAYS);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

/// The year, month and day so many days from now.
fn day(clock: &dyn Clock, days: i64) -> (i32, u8, u8) {
    let now = clock.now();
    let date = now.checked_add(Span::new().hours(24 * days)).unwrap_or(now).to_zoned(TimeZone::UTC).date();
    let part = |number: i8| u8::try_from(number).unwrap_or(1);
    (i32::from(date.year()), part(date.month()), part(date.day()))
}

/// Sets from which day (included) to which day (excluded) a certificate holds.
fn holds(params: &mut CertificateParams, clock: &dyn Clock, days: i64) {
    // A day back, for callers whose clock is behind.
    let ((y, m, d), (to_y, to_m, to_d)) = (day(clock, -1), day(clock, days));
    params.not_before = rcgen::date_time_ymd(y, m, d);
    params.not_after = rcgen::date_time_ymd(to_y, to_m, to_d);
}

/// Whether the certificate is there and for this key.
fn belongs(certificate: &Path, key: &KeyPair) -> Result<bool, AcceptError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    let pem = match fs::read(certificate) {
        Ok(pem) => pem,
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(file("read", certificate)(cause)),
    };
    let public = key.der_bytes();
    let ours = CertificateDer::from_pem_slice(&pem)
        .is_ok_and(|der| der.windows(public.len()).any(|window| window == public));
    if ours {
        return Ok(true);
    }
    let why = "it does not belong to the key `ca-key.pem` beside it; put back what belongs together, or \
               delete both to make a new authority"
        .to_owned();
    Err(AcceptError::Certificate { path: certificate.to_owned(), why })
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), AcceptError> {
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

fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> AcceptError {
    let path = path.to_owned();
    move |cause| AcceptError::File { what, path, cause }
}

fn fault(path: &Path) -> impl FnOnce(rcgen::Error) -> AcceptError {
    let path = path.to_owned();
    move |cause| AcceptError::Certificate { path, why: cause.to_string() }
}
