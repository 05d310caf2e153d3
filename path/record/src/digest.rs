//! The digests a leaf carries: the chain over body frames, and the keyed digest of what was masked.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::{digest, hmac, rand};

use crate::LedgerError;
use crate::leaf;

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    to_array(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// SHA-256 over bytes that come in pieces.
pub(crate) struct Sha256(digest::Context);

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        to_array(self.0.finish().as_ref())
    }
}

fn to_array(bytes: &[u8]) -> [u8; 32] {
    bytes.first_chunk::<32>().copied().unwrap_or([0; 32])
}

/// One direction's body frames so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// How many frames.
    pub frames: u64,
    /// Body bytes they stand for.
    pub bytes: u64,
    /// The last link: `SHA-256(previous ‖ SHA-256(payload))`, from 32 zero bytes.
    pub link: [u8; 32],
}

impl Chain {
    /// Adds the frame whose stored payload has SHA-256 `payload` and stands for `bytes` body bytes.
    pub fn push(&mut self, payload: &[u8; 32], bytes: u64) {
        let mut both = [0; 64];
        for (slot, byte) in both.iter_mut().zip(self.link.iter().chain(payload)) {
            *slot = *byte;
        }
        self.link = sha256(&both);
        self.frames = self.frames.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(crate) fn message(&self) -> leaf::Digest {
        leaf::Digest { frames: self.frames, bytes: self.bytes, chain: self.link.to_vec() }
    }

    pub(crate) fn from_message(message: &leaf::Digest) -> Self {
        Self { frames: message.frames, bytes: message.bytes, link: to_array(&message.chain) }
    }
}

/// The key of the keyed digests. Lies outside the ledger.
pub(crate) struct DigestKey {
    key: hmac::Key,
    id: [u8; 8],
}

impl DigestKey {
    /// Reads the key at `path`, or makes one if there is none. Refuses a key inside `ledger`.
    pub(crate) fn load(path: &Path, ledger: &Path) -> Result<Self, LedgerError> {
        let fault = |problem| LedgerError::DigestKey { path: path.to_owned(), problem };
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if real(folder).starts_with(real(ledger)) {
            return Err(fault(
                "lies inside the ledger: a copy of the ledger would hold it too; put it elsewhere",
            ));
        }
        let mut secret = [0; 32];
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match created {
            Ok(mut file) => {
                rand::fill(&mut secret).map_err(|_| fault("cannot be made: no randomness"))?;
                file.write_all(&secret).and_then(|()| file.sync_all()).map_err(|error| {
                    let _ = fs::remove_file(path);
                    LedgerError::file("write", path, error)
                })?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let mut bytes = Vec::new();
                let file = fs::File::open(path).map_err(|error| LedgerError::file("read", path, error))?;
                file.take(33)
                    .read_to_end(&mut bytes)
                    .map_err(|error| LedgerError::file("read", path, error))?;
                secret = <[u8; 32]>::try_from(bytes)
                    .map_err(|_| fault("is not 32 bytes: restore it, or remove it and a new one is made"))?;
            }
            Err(error) => return Err(LedgerError::file("make", path, error)),
        }
        Ok(Self::from_secret(&secret))
    }

    pub(crate) fn from_secret(secret: &[u8; 32]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let named = to_array(hmac::sign(&key, b"portcullis digest key").as_ref());
        let id = named.first_chunk::<8>().copied().unwrap_or([0; 8]);
        Self { key, id }
    }

    /// Names the key without telling it.
    pub(crate) fn id(&self) -> [u8; 8] {
        self.id
    }

    /// Begins a digest over bytes that come in pieces.
    pub(crate) fn begin(&self) -> hmac::Context {
        hmac::Context::with_key(&self.key)
    }

    /// The digest of `bytes`.
    pub(crate) fn of(&self, bytes: &[u8]) -> [u8; 32] {
        to_array(hmac::sign(&self.key, bytes).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_depends_on_order_and_cut() {
        let (a, b) = (sha256(b"a"), sha256(b"b"));
        let (mut ab, mut ba, mut joined) = (Chain::default(), Chain::default(), Chain::default());
        ab.push(&a, 1);
        ab.push(&b, 1);
        ba.push(&b, 1);
        ba.push(&a, 1);
        joined.push(&sha256(b"ab"), 2);
        assert_ne!(ab, ba);
        assert_ne!(ab.link, joined.link);
        assert_eq!(Chain::from_message(&ab.message()), ab);
    }

    #[test]
    fn key_is_made_once_and_never_inside() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("ledger");
        fs::create_dir(&ledger).unwrap();
        let path = dir.path().join("digest.key");
        let one = DigestKey::load(&path, &ledger).unwrap();
        let two = DigestKey::load(&path, &ledger).unwrap();
        assert_eq!(one.id(), two.id());
        assert_eq!(one.of(b"x"), two.of(b"x"));
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(DigestKey::load(&ledger.join("k"), &ledger), Err(LedgerError::DigestKey { .. })));
        fs::write(&path, b"short").unwrap();
        assert!(matches!(DigestKey::load(&path, &ledger), Err(LedgerError::DigestKey { .. })));
    }
}
