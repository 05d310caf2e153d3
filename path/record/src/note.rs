//! Signed checkpoints: what a tree was at some size, in the formats that witnesses of transparency logs
//! read (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), signed with Ed25519.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::digest::Sha256;
use crate::tree::Hash;

/// The signature type of Ed25519 in a signed note.
const ED25519_TYPE: u8 = 1;
/// What a line of a signature begins with.
const DASH: &str = "\u{2014} ";
/// The longest note that is read, in bytes. Ours have a few hundred.
const MAX_NOTE: u64 = 64 << 10;

/// Why a text is no checkpoint, key or proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) &'static str);

/// A public key that signs checkpoints, with its name. Written as `name+id+key`, as witnesses are told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
}

impl VerifierKey {
    /// The Ed25519 key `public` (RFC 8032) under the name of the tree it signs for.
    pub fn new(name: impl Into<String>, public: [u8; 32]) -> Self {
        Self { name: name.into(), public }
    }

    /// Whose key it is: the origin of the tree.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key itself.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The first four bytes of `SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key)`, which name it in a signature.
    pub fn id(&self) -> [u8; 4] {
        let mut hash = Sha256::new();
        hash.update(self.name.as_bytes());
        hash.update(&[b'\n', ED25519_TYPE]);
        hash.update(&self.public);
        hash.finish().first_chunk::<4>().copied().unwrap_or_default()
    }

    fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(text.as_bytes(), signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_TYPE];
        key.extend_from_slice(&self.public);
        write!(f, "{}+{}+{}", self.name, model::hex(&self.id()), STANDARD.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        const WRONG: Malformed = Malformed("this is no key as `NAME+ID+KEY`");
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(WRONG);
        };
        let key = STANDARD.decode(key).map_err(|_| WRONG)?;
        let Some((&ED25519_TYPE, public)) = key.split_first() else {
            return Err(Malformed("this key is not one of Ed25519"));
        };
        let found = Self::new(name, public.try_into().map_err(|_| WRONG)?);
        if !is_name(name) || model::hex(&found.id()) != id {
            return Err(Malformed("this key's id does not fit its name and bytes"));
        }
        Ok(found)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '+')
}

/// What a tree was at some size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which tree: `portcullis/` and the node's 16 bytes in hex.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Signs it with each of `keys`, under its origin's name.
    pub(crate) fn sign<'a>(self, keys: impl IntoIterator<Item = &'a Ed25519KeyPair>) -> io::Result<Signed> {
        let text = self.text();
        let mut signatures = Vec::new();
        for pair in keys {
            let key = verifier(&self.origin, pair);
            let bytes = pair.try_sign(text.as_bytes()).map_err(|_| io::Error::other("cannot sign"))?;
            signatures.push(Signature {
                name: self.origin.clone(),
                id: key.id(),
                bytes: bytes.as_ref().to_vec(),
            });
        }
        Ok(Signed { checkpoint: self, text, signatures })
    }
}

/// The public half of `pair`, under the name of the tree `origin`.
pub(crate) fn verifier(origin: &str, pair: &Ed25519KeyPair) -> VerifierKey {
    VerifierKey::new(origin, pair.public_key().as_ref().try_into().unwrap_or([0; 32]))
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

/// A checkpoint with its signatures, not verified yet. Written as a signed note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    checkpoint: Checkpoint,
    /// What is signed.
    text: String,
    signatures: Vec<Signature>,
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            let bytes: Vec<u8> = signature.id.iter().chain(&signature.bytes).copied().collect();
            writeln!(f, "{DASH}{} {}", signature.name, STANDARD.encode(bytes))?;
        }
        Ok(())
    }
}

impl FromStr for Signed {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (text, signatures) = text
            .rsplit_once("\n\n")
            .ok_or(Malformed("a checkpoint has an empty line before its signatures"))?;
        let text = format!("{text}\n");
        if text.contains(|c: char| c < ' ' && c != '\n') {
            return Err(Malformed("a checkpoint holds a control character"));
        }
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(Malformed("a checkpoint has three lines: origin, size, root"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(Malformed("a checkpoint has an empty line too many"));
        }
        let root: Option<Hash> = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        let checkpoint = Checkpoint {
            origin: origin.to_owned(),
            size: number(size).ok_or(Malformed("the second line of a checkpoint is no size"))?,
            root: root.ok_or(Malformed("the third line of a checkpoint is no root"))?,
        };
        let signatures = signatures
            .strip_suffix('\n')
            .unwrap_or(signatures)
            .split('\n')
            .map(|line| signature(line).ok_or(Malformed("a checkpoint's signature is malformed")))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { checkpoint, text, signatures })
    }
}

/// A number as it is written in checkpoints and proofs: digits without leading zeros.
pub(crate) fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn signature(line: &str) -> Option<Signature> {
    let (name, bytes) = line.strip_prefix(DASH)?.split_once(' ')?;
    let bytes = STANDARD.decode(bytes).ok()?;
    let (id, bytes) = bytes.split_first_chunk::<4>()?;
    is_name(name).then(|| Signature { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
}

impl Signed {
    /// What it says. To be believed only after [`Signed::is_signed_by`].
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Whether `key` has signed it, for the tree of that name.
    pub fn is_signed_by(&self, key: &VerifierKey) -> bool {
        let mut by_it = self.by(key).peekable();
        let is_there = by_it.peek().is_some();
        key.name == self.checkpoint.origin
            && is_there
            && by_it.all(|signature| key.verifies(&self.text, &signature.bytes))
    }

    /// Whether every signature is a good one of one of `keys`.
    pub(crate) fn is_signed_by_none_but(&self, keys: &[VerifierKey]) -> bool {
        let known = |signature: &Signature| {
            keys.iter().any(|key| {
                key.name == signature.name
                    && key.id() == signature.id
                    && key.verifies(&self.text, &signature.bytes)
            })
        };
        self.signatures.iter().all(known)
    }

    fn by<'a>(&'a self, key: &'a VerifierKey) -> impl Iterator<Item = &'a Signature> {
        let id = key.id();
        self.signatures.iter().filter(move |signature| signature.name == key.name && signature.id == id)
    }
}

/// Reads checkpoints one after another from a file that holds any number of them.
pub struct Notes<R> {
    from: R,
    /// Where the next one begins.
    offset: u64,
    /// A line that was read and belongs to the next one.
    ahead: String,
    ended: bool,
}

/// What went wrong while checkpoints were read, and where the one at fault begins.
#[derive(Debug, thiserror::Error)]
#[error("byte {offset}: {why}")]
pub struct NoteFault {
    /// The byte.
    pub offset: u64,
    /// What is wrong.
    pub why: String,
}

impl<R: BufRead> Notes<R> {
    /// Reads from `from`.
    pub fn new(from: R) -> Self {
        Self { from, offset: 0, ahead: String::new(), ended: false }
    }

    fn read(&mut self) -> Result<Option<(u64, Signed)>, String> {
        let mut text = std::mem::take(&mut self.ahead);
        let mut signed = false;
        loop {
            let mut line = Vec::new();
            let room = MAX_NOTE.saturating_sub(u64::try_from(text.len()).unwrap_or(MAX_NOTE));
            self.from.by_ref().take(room).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
            let line = String::from_utf8(line).map_err(|_| "is not UTF-8".to_owned())?;
            let of_signature = line.starts_with(DASH);
            if line.is_empty() || (signed && !of_signature) {
                if text.is_empty() {
                    return Ok(None);
                }
                if room == 0 {
                    return Err("is too long for a checkpoint".to_owned());
                }
                if !text.ends_with('\n') {
                    return Err("ends inside a checkpoint".to_owned());
                }
                let note = text.parse().map_err(|fault: Malformed| fault.to_string())?;
                let at = self.offset;
                self.offset = at.saturating_add(u64::try_from(text.len()).unwrap_or(0));
                self.ahead = line;
                return Ok(Some((at, note)));
            }
            signed |= of_signature;
            text.push_str(&line);
        }
    }
}

impl<R: BufRead> Iterator for Notes<R> {
    type Item = Result<(u64, Signed), NoteFault>;

    /// The next one with its place; ends at the first fault.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.read() {
            Ok(found) => found.map(Ok),
            Err(why) => {
                self.ended = true;
                Some(Err(NoteFault { offset: self.offset, why }))
            }
        }
    }
}

#[cfg(test)]
mod tests;
