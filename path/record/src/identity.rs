//! Sealed recordings, the reading side: an auditor's identities open the data key of an exchange, and
//! the key opens its frames. The gateway has none of this at hand.

use std::io::Read;

use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor};
use aws_lc_rs::aead::{Aad, LessSafeKey};
use bytes::Bytes;
use prost::Message;
use zeroize::Zeroizing;

use crate::body::{Body, Direction, Kind};
use crate::envelope::{bound, chacha, content, nonce};
use crate::{Exchange, LedgerError};

/// The most identities one file may hold.
const MOST: usize = 1024;
/// The longest file of identities, in bytes.
pub const MAX_IDENTITY_BYTES: usize = 1 << 20;

/// Whoever may read sealed recordings: the secret keys of an age identity file.
pub struct Identities(Vec<Identity>);

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities").field("count", &self.0.len()).finish()
    }
}

impl Identities {
    /// Reads the text of an identity file: one `AGE-SECRET-KEY-1…` a line, and comments that begin with
    /// `#`.
    ///
    /// # Errors
    /// [`LedgerError::Identity`] says which line is none, never what stands there.
    pub fn parse(file: &[u8]) -> Result<Self, LedgerError> {
        let fault = |problem: String| LedgerError::Identity { problem };
        if [&b"age-encryption.org/"[..], b"-----BEGIN AGE ENCRYPTED FILE"]
            .iter()
            .any(|it| file.starts_with(it))
        {
            return Err(fault(
                "is itself encrypted: open it with `age --decrypt` and hand over what comes out, such as by \
                 `--identity -`"
                    .to_owned(),
            ));
        }
        if file.len() > MAX_IDENTITY_BYTES {
            return Err(fault(format!(
                "is longer than {MAX_IDENTITY_BYTES} bytes, so it is no identity file"
            )));
        }
        let text =
            std::str::from_utf8(file).map_err(|_| fault("is no text, so it is no identity file".into()))?;
        let mut keys = Vec::new();
        for (number, line) in (1u32..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let why = match line {
                _ if line.starts_with("age1") => "a recipient, the public half: the secret one opens",
                _ if line.starts_with("AGE-PLUGIN-") => {
                    "an identity of a plugin: only X25519 identities are read here"
                }
                _ if line.starts_with("AGE-SECRET-KEY-PQ-") => {
                    "a post-quantum identity: only X25519 ones are read here"
                }
                _ if keys.len() >= MOST => "one too many",
                _ => "no age identity",
            };
            let key = line.parse::<Identity>().ok().filter(|_| keys.len() < MOST);
            keys.push(key.ok_or_else(|| fault(format!("holds {why}, on line {number}")))?);
        }
        if keys.is_empty() {
            return Err(fault("holds no identity: `age-keygen` makes one".to_owned()));
        }
        Ok(Self(keys))
    }

    /// The public halves.
    pub fn recipients(&self) -> Vec<Recipient> {
        self.0.iter().map(Identity::to_public).collect()
    }

    /// The key to the frames of a shown exchange; `None` if they are not encrypted.
    ///
    /// # Errors
    /// [`LedgerError::Identity`] when none of the identities opens it, or what wraps it is broken.
    pub fn key(&self, shown: &Exchange) -> Result<Option<DataKey>, LedgerError> {
        let wrapped = shown.opened.as_ref().map(|opened| opened.wrapped_keys.as_slice()).unwrap_or_default();
        if wrapped.is_empty() {
            return Ok(None);
        }
        let mut problem = None;
        for file in wrapped {
            match self.unwrap(file) {
                Ok(key) => return Ok(Some(key)),
                Err(fault) => problem = problem.or(Some(fault)),
            }
        }
        let problem = problem.unwrap_or("does not open this recording").to_owned();
        Err(LedgerError::Identity { problem })
    }

    fn unwrap(&self, file: &[u8]) -> Result<DataKey, &'static str> {
        const BROKEN: &str = "cannot be tried: what wraps this recording's key is broken";
        let decryptor = Decryptor::new_buffered(file).map_err(|_| BROKEN)?;
        let identities = self.0.iter().map(|identity| identity as &dyn age::Identity);
        let plain = decryptor.decrypt(identities).map_err(|fault| match fault {
            DecryptError::NoMatchingKeys => {
                "does not open this recording: it was sealed to other recipients; use the identity of one of \
                 those that `ledger.seal_to` named then"
            }
            _ => BROKEN,
        })?;
        let mut key = Zeroizing::new(Vec::with_capacity(64));
        plain.take(33).read_to_end(&mut key).map_err(|_| BROKEN)?;
        let key = <&[u8; 32]>::try_from(key.as_slice()).map_err(|_| BROKEN)?;
        chacha(key).map(DataKey).ok_or(BROKEN)
    }
}

/// Opens the frames of one exchange.
pub struct DataKey(LessSafeKey);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey")
    }
}

impl DataKey {
    /// The frame with what was said in it. `None` if the box is not the one that was written into this
    /// frame, or something stands beside it.
    pub fn open(&self, mut body: Body) -> Option<Body> {
        let beside = !body.data.is_empty() || !body.headers.is_empty();
        if beside || body.opaque.is_some() || body.query.is_some() {
            return None;
        }
        let mut sealed = Zeroizing::new(Vec::from(std::mem::take(&mut body.encrypted)));
        let plain = self.0.open_in_place(nonce(body.sequence), Aad::from(bound(&body)), &mut sealed).ok()?;
        let inside = Body::decode(Bytes::copy_from_slice(content(plain)?)).ok()?;
        Some(Body {
            data: inside.data,
            headers: inside.headers,
            opaque: inside.opaque,
            query: inside.query,
            ..body
        })
    }
}

impl Exchange {
    /// Whether its frames are encrypted: what was said can be read with an identity alone.
    pub fn is_encrypted(&self) -> bool {
        self.opened.as_ref().is_some_and(|opened| !opened.wrapped_keys.is_empty())
    }

    /// Puts back what of the request's head was kept in `frame`, an opened one.
    pub fn restore_head(&mut self, frame: &Body) {
        if frame.direction() != Direction::Request || frame.kind() != Kind::Head {
            return;
        }
        if let Some(head) = self.opened.as_mut().and_then(|opened| opened.request.as_mut()) {
            head.query.clone_from(&frame.query);
            head.headers.clone_from(&frame.headers);
        }
    }
}
