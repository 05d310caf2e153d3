//! How an agent becomes one and stays one: it makes a key, proves it in a connection to the gateway, and
//! keeps what it gets in one file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use model::Clock;
use rcgen::{KeyPair, SigningKey};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::TunnelError;
use crate::agree::hello;
use crate::authority::{file, write};
use crate::error::Refused;
use crate::identity::AgentIdentity;
use crate::secure::{self, BINDING, JOIN, TUNNEL};
use crate::token::JoinToken;
use crate::wire::{self, Issued, Join, Joined};

/// Bytes of what binds a proof to its connection.
pub(crate) const LENGTH: usize = 32;
/// What every proof begins with, so that it proves nothing else.
const CONTEXT: &[u8] = b"portcullis agent joins, v1\0";
/// Bytes of an uncompressed point of P-256.
const POINT: usize = 65;
/// The file in the agent's folder.
const FILE_NAME: &str = "agent.json";
/// The largest such file, in bytes.
const LARGEST: u64 = 256 << 10;

/// What is signed to prove a key.
fn proof(key: &[u8], binding: &[u8; LENGTH]) -> Vec<u8> {
    [CONTEXT, binding, key].concat()
}

/// Whether who joins has the private key of the key they send.
pub(crate) fn proves(join: &Join, binding: &[u8; LENGTH]) -> bool {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &join.key);
    join.key.len() == POINT && key.verify(&proof(&join.key, binding), &join.signature).is_ok()
}

/// An agent's membership, as its file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The private key, PKCS #8 in base64.
    key: String,
    /// The certificate, DER in base64.
    certificate: String,
    /// The authority's.
    authority: String,
    renew: Timestamp,
    expires: Timestamp,
}

/// An agent that is one.
pub struct Enrolled {
    identity: Arc<AgentIdentity>,
    key: Zeroizing<Vec<u8>>,
    certificate: CertificateDer<'static>,
    authority: CertificateDer<'static>,
    renew: Timestamp,
    expires: Timestamp,
}

impl std::fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolled").field("identity", &self.identity).finish_non_exhaustive()
    }
}

fn wrong(cause: impl std::fmt::Display) -> TunnelError {
    TunnelError::Certificate(cause.to_string())
}

impl Enrolled {
    /// Who it is.
    pub fn identity(&self) -> &Arc<AgentIdentity> {
        &self.identity
    }

    /// When to ask for the next certificate.
    pub fn renew(&self) -> Timestamp {
        self.renew
    }

    /// When the certificate ends. Then the agent must be invited again.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// What the folder holds, if anything.
    ///
    /// # Errors
    /// [`TunnelError::File`] when it cannot be read.
    pub fn kept(dir: &Path) -> Result<Option<Self>, TunnelError> {
        let path = dir.join(FILE_NAME);
        let odd = |why: &str| TunnelError::File { what: "read", path: path.clone(), why: why.to_owned() };
        match std::fs::metadata(&path) {
            Ok(found) if found.len() > LARGEST => return Err(odd("it is too large")),
            Ok(_) => {}
            Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(file("read", &path)(cause)),
        }
        let text = Zeroizing::new(std::fs::read_to_string(&path).map_err(file("read", &path))?);
        // What is wrong inside is not repeated: it holds a key.
        let kept: Kept =
            serde_json::from_str(&text).map_err(|_| odd("it is not what an agent writes there"))?;
        let written = Zeroizing::new(kept.key);
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| odd("a part of it is no base64"));
        let certificate = CertificateDer::from(bytes(&kept.certificate)?);
        Ok(Some(Self {
            identity: Arc::new(AgentIdentity::of(&certificate)?),
            key: Zeroizing::new(bytes(&written)?),
            certificate,
            authority: CertificateDer::from(bytes(&kept.authority)?),
            renew: kept.renew,
            expires: kept.expires,
        }))
    }

    /// Writes it into the folder, whole or not at all, for its owner alone.
    ///
    /// # Errors
    /// [`TunnelError::File`].
    pub fn keep(&self, dir: &Path) -> Result<(), TunnelError> {
        use std::os::unix::fs::DirBuilderExt;

        let path: PathBuf = dir.join(FILE_NAME);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(file("create", dir))?;
        let kept = Kept {
            key: STANDARD.encode(&self.key),
            certificate: STANDARD.encode(&self.certificate),
            authority: STANDARD.encode(&self.authority),
            renew: self.renew,
            expires: self.expires,
        };
        let text = serde_json::to_string(&kept).map(Zeroizing::new);
        drop(Zeroizing::new(kept.key));
        write(&path, &text.map_err(wrong)?, 0o600)
    }

    /// Becomes an agent at the gateway at `HOST:PORT`, by a join token, which is used up by it.
    ///
    /// # Errors
    /// [`TunnelError`]: who refuses says why.
    pub async fn join(at: &str, token: &JoinToken, clock: &Arc<dyn Clock>) -> Result<Self, TunnelError> {
        let tls = secure::joining(token.authority, Arc::clone(clock))?;
        let asked = Join { invitation: token.id.clone(), secret: token.secret().to_vec(), ..Join::default() };
        ask(at, tls, asked, clock).await
    }

    /// Becomes an agent at the gateway at `HOST:PORT`, by a token of this program's own issuer. It is shown
    /// to gateways of this authority alone: `authority` is the SHA-256 of its certificate.
    ///
    /// # Errors
    /// [`TunnelError`]: who refuses says why.
    pub async fn join_as_workload(
        at: &str,
        authority: [u8; 32],
        token: &SecretString,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, TunnelError> {
        let tls = secure::joining(authority, Arc::clone(clock))?;
        let asked = Join { workload: token.expose_secret().trim().to_owned(), ..Join::default() };
        ask(at, tls, asked, clock).await
    }

    /// Gets the next certificate, for a new key.
    ///
    /// # Errors
    /// [`TunnelError`]: who refuses says why.
    pub async fn again(&self, at: &str, clock: &Arc<dyn Clock>) -> Result<Self, TunnelError> {
        ask(at, self.tls(JOIN, clock)?, Join::default(), clock).await
    }

    /// What it dials tunnels with.
    pub(crate) fn tunnel_tls(&self, clock: &Arc<dyn Clock>) -> Result<Arc<ClientConfig>, TunnelError> {
        self.tls(TUNNEL, clock)
    }

    fn tls(&self, alpn: &[u8], clock: &Arc<dyn Clock>) -> Result<Arc<ClientConfig>, TunnelError> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.to_vec()));
        secure::agent(&self.authority, (self.certificate.clone(), key), alpn, Arc::clone(clock))
    }
}

async fn ask(
    at: &str,
    tls: Arc<ClientConfig>,
    mut join: Join,
    clock: &Arc<dyn Clock>,
) -> Result<Enrolled, TunnelError> {
    let broken =
        |cause: std::io::Error| TunnelError::Unreachable { at: at.to_owned(), why: cause.to_string() };
    let mut stream = secure::connect(at, tls).await?;
    let binding = stream.get_ref().1.export_keying_material([0; LENGTH], BINDING, None).map_err(wrong)?;
    let key = KeyPair::generate().map_err(wrong)?;
    join.hello = Some(hello());
    join.key = key.public_key_raw().to_vec();
    join.signature = key.sign(&proof(&join.key, &binding)).map_err(wrong)?;
    wire::say(&mut stream, &join).await.map_err(broken)?;
    let now = clock.now();
    let joined: Joined = wire::hear(&mut stream).await.map_err(broken)?;
    if let Some(refused) = &joined.refused {
        return Err(TunnelError::Refused(Refused::heard(refused)));
    }
    let issued = joined.certificate.ok_or_else(|| wrong("the gateway sent none"))?;
    taken(issued, &key, now)
}

fn taken(issued: Issued, key: &KeyPair, now: Timestamp) -> Result<Enrolled, TunnelError> {
    let Issued { certificate, authority, lasts, renew } = issued;
    let certificate = CertificateDer::from(certificate);
    let after = |seconds| now.checked_add(Duration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
    Ok(Enrolled {
        identity: Arc::new(AgentIdentity::of(&certificate)?),
        key: Zeroizing::new(key.serialize_der()),
        certificate,
        authority: CertificateDer::from(authority),
        renew: after(renew.min(lasts)),
        expires: after(lasts),
    })
}

/// What somebody says who joins with a key that is proved for the connection of `binding`.
#[cfg(test)]
pub(crate) fn tests_join(token: &JoinToken, key: &KeyPair, binding: &[u8; LENGTH]) -> Join {
    let signature = key.sign(&proof(key.public_key_raw(), binding)).unwrap();
    Join {
        hello: Some(hello()),
        invitation: token.id.clone(),
        secret: token.secret().to_vec(),
        key: key.public_key_raw().to_vec(),
        signature,
        ..Join::default()
    }
}
