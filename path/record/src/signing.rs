//! The keys that sign checkpoints: made at the first start, kept outside the ledger, and handed over from
//! one to the next when they are rotated.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::LedgerError;
use crate::leaf::Key;
use crate::note::{Checkpoint, Signed, VerifierKey, verifier};

/// What a *key* leaf of a checkpoint key says it is for.
pub(crate) const PURPOSE: &str = "checkpoint";
/// And of which algorithm it is.
pub(crate) const ALGORITHM: &str = "Ed25519";

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// What signs checkpoints.
pub(crate) struct Signer {
    origin: String,
    pair: Ed25519KeyPair,
    /// The key before, until it has signed the first checkpoint of this one.
    former: Option<(Ed25519KeyPair, PathBuf)>,
}

impl Signer {
    /// Reads the key at `path`, or makes one if there is none, for the tree `origin`. Refuses a key inside
    /// `ledger`. Beside it may lie the one before, as [`rotate`] left it; it signs only if it is one of
    /// `known`, the public keys in the record.
    pub(crate) fn load(
        path: &Path,
        ledger: &Path,
        origin: String,
        known: &[Vec<u8>],
    ) -> Result<Self, LedgerError> {
        outside(path, ledger)?;
        let pair = match read(path)? {
            Some(pair) => pair,
            None => make(path)?,
        };
        let before = former(path);
        let is_known = |pair: &Ed25519KeyPair| known.iter().any(|key| key == pair.public_key().as_ref());
        let former = read(&before)?.filter(is_known).map(|pair| (pair, before));
        Ok(Self { origin, pair, former })
    }

    /// The public half.
    pub(crate) fn key(&self) -> VerifierKey {
        verifier(&self.origin, &self.pair)
    }

    /// The leaf that says this key signs from now on.
    pub(crate) fn leaf(&self) -> Key {
        let key = self.key();
        Key {
            purpose: PURPOSE.to_owned(),
            algorithm: ALGORITHM.to_owned(),
            public_key: key.public().to_vec(),
            id: key.id().to_vec(),
        }
    }

    /// Signs what the tree is now; the first time after a rotation with both keys, so that whoever trusts
    /// the old one can trust the new one.
    pub(crate) fn sign(&self, size: u64, root: [u8; 32]) -> io::Result<Signed> {
        let checkpoint = Checkpoint { origin: self.origin.clone(), size, root };
        let former = self.former.as_ref().map(|(pair, _)| pair);
        checkpoint.sign(former.into_iter().chain([&self.pair]))
    }

    /// The checkpoint with both signatures is kept: the key before has done its last.
    pub(crate) fn handed_over(&mut self) {
        let Some((_, path)) = self.former.take() else { return };
        match fs::remove_file(&path) {
            Ok(()) => {
                tracing::info!(file = %path.display(), "the key of the checkpoints was rotated; the old one is removed")
            }
            Err(error) => {
                tracing::warn!(%error, file = %path.display(), "the old key of the checkpoints could not be removed")
            }
        }
    }
}

/// Where the key before the one at `path` waits to hand over.
fn former(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".former");
    path.with_file_name(name)
}

fn fault(path: &Path, problem: &'static str) -> LedgerError {
    LedgerError::SigningKey { path: path.to_owned(), problem }
}

fn outside(path: &Path, ledger: &Path) -> Result<(), LedgerError> {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if real(folder).starts_with(real(ledger)) {
        return Err(fault(
            path,
            "lies inside the ledger: whoever has a copy could sign it; put it elsewhere",
        ));
    }
    Ok(())
}

/// The key at `path`, a PEM file with PKCS #8; `None` if there is no file.
fn read(path: &Path) -> Result<Option<Ed25519KeyPair>, LedgerError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LedgerError::file("read", path, error)),
    };
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).map_err(|error| LedgerError::file("read", path, error))?;
    let wrong = || {
        fault(path, "is no Ed25519 key as PEM (PKCS #8): restore it, or move it away and a new one is made")
    };
    let (_, rest) = text.split_once(BEGIN).ok_or_else(wrong)?;
    let (inner, _) = rest.split_once(END).ok_or_else(wrong)?;
    let inner: String = inner.split_whitespace().collect();
    let der = STANDARD.decode(inner).map_err(|_| wrong())?;
    Ed25519KeyPair::from_pkcs8(&der).map(Some).map_err(|_| wrong())
}

/// Makes a key at `path`, for its owner alone.
fn make(path: &Path) -> Result<Ed25519KeyPair, LedgerError> {
    let unmade = || fault(path, "cannot be made: no randomness");
    let pair = Ed25519KeyPair::generate().map_err(|_| unmade())?;
    let der = pair.to_pkcs8v1().map_err(|_| unmade())?;
    let text = format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der.as_ref()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| LedgerError::file("make", path, error))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        let _ = fs::remove_file(path);
        LedgerError::file("write", path, error)
    })?;
    Ok(pair)
}

/// Puts a new key at `path` and the one there aside. At the next start the new one is recorded and takes
/// over: the first checkpoint is signed by both, then the old one is removed. Says the new public key.
///
/// # Errors
/// [`LedgerError`] when there is no key, or the rotation before has not been taken over yet.
pub fn rotate(path: &Path) -> Result<[u8; 32], LedgerError> {
    let before = former(path);
    if before.exists() {
        return Err(fault(path, "was rotated already; start the gateway once before the next rotation"));
    }
    if read(path)?.is_none() {
        return Err(fault(path, "is not there: the first start of the gateway makes it"));
    }
    fs::rename(path, &before).map_err(|error| LedgerError::file("move", path, error))?;
    match make(path) {
        Ok(pair) => Ok(pair.public_key().as_ref().try_into().unwrap_or([0; 32])),
        Err(error) => {
            let _ = fs::rename(&before, path);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn key_is_made_once_and_never_inside() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("ledger");
        fs::create_dir(&ledger).unwrap();
        let path = dir.path().join("signing.key");
        let load = |path: &Path| Signer::load(path, &ledger, "portcullis/test".into(), &[]);
        let one = load(&path).unwrap().key();
        assert_eq!(load(&path).unwrap().key(), one);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(load(&ledger.join("k")), Err(LedgerError::SigningKey { .. })));
        fs::write(&path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
        assert!(matches!(load(&path), Err(LedgerError::SigningKey { .. })));
    }

    #[test]
    fn a_rotation_hands_over_once() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("ledger");
        let path = dir.path().join("signing.key");
        assert!(rotate(&path).is_err());
        let load = |known: &[Vec<u8>]| Signer::load(&path, &ledger, "portcullis/test".into(), known).unwrap();
        let old = load(&[]).key();
        let public = rotate(&path).unwrap();
        assert!(rotate(&path).is_err());
        assert!(!load(&[]).sign(3, [1; 32]).unwrap().is_signed_by(&old), "it is not in the record");
        let mut signer = load(&[old.public().to_vec()]);
        let new = signer.key();
        assert_eq!(*new.public(), public);
        let first = signer.sign(3, [1; 32]).unwrap();
        assert!(first.is_signed_by(&old) && first.is_signed_by(&new));
        signer.handed_over();
        let second = signer.sign(4, [1; 32]).unwrap();
        assert!(!second.is_signed_by(&old) && second.is_signed_by(&new));
        assert!(rotate(&path).is_ok());
    }
}
