//! Sealed recordings, the writing side: each exchange has a data key of its own, and its *opened* leaf
//! holds that key as an age file (age-encryption.org/v1) which only the recipients' identities open.
//!
//! The key lives in an [`Envelope`] as long as its exchange's record, which can close frames and open
//! none. Both the file key and the data key are overwritten when they are let go; that is why the small
//! age file around them is put together here: age's own writer leaves its plain text in freed memory.

use age::Recipient as _;
use age::secrecy::ExposeSecret;
use age::x25519::Recipient;
use age_core::format::FileKey;
use age_core::primitives::hkdf;
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use prost::Message;
use zeroize::Zeroizing;

use crate::LedgerError;
use crate::body::{Body, Kind};

/// Boxes are as long as if their content were a multiple of this: how long a word was should not be read
/// from the length of its frame.
const GRAIN: usize = 256;
/// Bytes before the content: its length.
const LENGTH: usize = 4;

/// Closes the frames of one exchange.
pub(crate) struct Envelope {
    key: LessSafeKey,
}

impl Envelope {
    /// A fresh data key, and the age file that holds it for `recipients`. `None` when there are no
    /// recipients: then frames are written as they are.
    pub(crate) fn begin(recipients: &[Recipient]) -> Result<Option<(Self, Vec<u8>)>, LedgerError> {
        if recipients.is_empty() {
            return Ok(None);
        }
        let failed = |problem| LedgerError::Envelope { problem };
        let mut data_key = Zeroizing::new([0; 32]);
        rand::fill(&mut *data_key).map_err(|_| failed("there is no randomness"))?;
        let wrapped = wrap(recipients, &data_key).map_err(failed)?;
        let key = chacha(&data_key).ok_or_else(|| failed("its key is not usable"))?;
        Ok(Some((Self { key }, wrapped)))
    }

    #[cfg(test)]
    pub(crate) fn with_key(key: &[u8; 32]) -> Self {
        Self { key: chacha(key).unwrap() }
    }

    /// Puts what was said in `body` into its box, which is bound to the frame's exchange, number, time and
    /// kind. Numbers do not repeat within an exchange, and so no nonce does under its key.
    pub(crate) fn close(&self, body: &mut Body) -> Result<(), LedgerError> {
        let inside = Body {
            data: std::mem::take(&mut body.data),
            headers: std::mem::take(&mut body.headers),
            opaque: body.opaque.take(),
            query: body.query.take(),
            ..Body::default()
        };
        let failed = |problem| LedgerError::Envelope { problem };
        let length = inside.encoded_len();
        let stated = u32::try_from(length).map_err(|_| failed("a frame is too large"))?;
        let whole = LENGTH.saturating_add(length).next_multiple_of(GRAIN);
        let mut plain = Vec::with_capacity(whole.saturating_add(CHACHA20_POLY1305.tag_len()));
        plain.extend_from_slice(&stated.to_le_bytes());
        inside.encode_raw(&mut plain);
        plain.resize(whole, 0);
        let bound = Aad::from(bound(body));
        self.key
            .seal_in_place_append_tag(nonce(body.sequence), bound, &mut plain)
            .map_err(|_| failed("a frame could not be closed"))?;
        body.encrypted = plain.into();
        Ok(())
    }
}

/// How many body bytes an encrypted frame counts for: those of its box. What it holds is not told.
pub(crate) fn counted(body: &Body) -> u64 {
    match body.kind() {
        Kind::Data | Kind::SpokenData | Kind::Opaque | Kind::Withheld => {
            u64::try_from(body.encrypted.len()).unwrap_or(u64::MAX)
        }
        Kind::Unspecified | Kind::Head | Kind::Trailers | Kind::SpokenHead => 0,
    }
}

/// What a box is bound to: everything of its frame that stands outside it.
pub(crate) fn bound(body: &Body) -> Vec<u8> {
    let mut bound = Vec::with_capacity(48);
    bound.extend_from_slice(&body.exchange);
    bound.extend_from_slice(&body.sequence.to_le_bytes());
    bound.extend_from_slice(&body.time.to_le_bytes());
    bound.extend_from_slice(&body.direction.to_le_bytes());
    bound.extend_from_slice(&body.channel.to_le_bytes());
    bound.extend_from_slice(&body.kind.to_le_bytes());
    bound.extend_from_slice(&body.status.to_le_bytes());
    bound
}

/// The nonce of the frame with this number.
pub(crate) fn nonce(sequence: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    for (slot, byte) in nonce.iter_mut().skip(4).zip(sequence.to_le_bytes()) {
        *slot = byte;
    }
    Nonce::assume_unique_for_key(nonce)
}

/// The content of an opened box: its message, without what fills it up. `None` if it is none.
pub(crate) fn content(plain: &[u8]) -> Option<&[u8]> {
    let (length, rest) = plain.split_first_chunk::<LENGTH>()?;
    let (content, filling) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let fits = plain.len().is_multiple_of(GRAIN) && filling.len() < GRAIN;
    (fits && filling.iter().all(|byte| *byte == 0)).then_some(content)
}

pub(crate) fn chacha(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new)
}

/// An age file for `recipients` that holds `data_key` (c2sp.org/age).
fn wrap(recipients: &[Recipient], data_key: &[u8; 32]) -> Result<Vec<u8>, &'static str> {
    let file_key = FileKey::try_init_with_mut(|key| rand::fill(key).map_err(|_| "there is no randomness"))?;
    let mut header = String::from("age-encryption.org/v1\n");
    for recipient in recipients {
        let (stanzas, _) =
            recipient.wrap_file_key(&file_key).map_err(|_| "it cannot be wrapped for a recipient")?;
        for stanza in stanzas {
            header.push_str("-> ");
            header.push_str(&stanza.tag);
            for argument in &stanza.args {
                header.push(' ');
                header.push_str(argument);
            }
            header.push('\n');
            // 32 bytes, 43 letters: less than the 64 of a line, so this is the last one.
            header.push_str(&STANDARD_NO_PAD.encode(&stanza.body));
            header.push('\n');
        }
    }
    header.push_str("---");
    let key = Zeroizing::new(hkdf(&[], b"header", file_key.expose_secret()));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*key), header.as_bytes());
    header.push(' ');
    header.push_str(&STANDARD_NO_PAD.encode(mac.as_ref()));
    header.push('\n');
    let mut salt = [0; 16];
    rand::fill(&mut salt).map_err(|_| "there is no randomness")?;
    let key = Zeroizing::new(hkdf(&salt, b"payload", file_key.expose_secret()));
    let key = chacha(&key).ok_or("its key is not usable")?;
    let mut file = header.into_bytes();
    file.extend_from_slice(&salt);
    // The payload's first chunk, and its last.
    let mut nonce = [0; NONCE_LEN];
    nonce.iter_mut().skip(NONCE_LEN.saturating_sub(1)).for_each(|last| *last = 1);
    let mut chunk = Zeroizing::new(*data_key);
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut *chunk)
        .map_err(|_| "it cannot be closed")?;
    file.extend_from_slice(&*chunk);
    file.extend_from_slice(tag.as_ref());
    Ok(file)
}
