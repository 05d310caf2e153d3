//! Signatures of webhooks by the Standard Webhooks specification: HMAC-SHA256 over `id.timestamp.body`,
//! one for each secret, so that a secret can be replaced while both ends run.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::TellError;

/// The header with the notice's id: the same however often it is sent.
pub(crate) const ID: HeaderName = HeaderName::from_static("webhook-id");
/// The header with the time of this sending, in seconds since 1970.
pub(crate) const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// The header with the signatures.
pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// How a signing secret begins.
const PREFIX: &str = "whsec_";
/// How long a secret is, in bytes.
const LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs.
pub(crate) struct Key(hmac::Key);

impl Key {
    /// The key in a secret as operators write it: `whsec_` and 24 to 64 bytes in base64.
    ///
    /// # Errors
    /// [`TellError::NotASigningSecret`] for anything else.
    pub(crate) fn of(secret: &SecretString) -> Result<Self, TellError> {
        let encoded = secret.expose_secret().strip_prefix(PREFIX).ok_or(TellError::NotASigningSecret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| TellError::NotASigningSecret)?;
        let bytes = Zeroizing::new(bytes);
        if !LENGTH.contains(&bytes.len()) {
            return Err(TellError::NotASigningSecret);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    fn signature(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

/// What stands in the header: the signature of each key, in their order. `id` holds no dot, or it would
/// not be clear where it ends.
pub(crate) fn signatures(keys: &[Key], id: &str, timestamp: i64, body: &[u8]) -> String {
    let each: Vec<String> = keys.iter().map(|key| key.signature(id, timestamp, body)).collect();
    each.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(bytes: &[u8]) -> SecretString {
        format!("{PREFIX}{}", STANDARD.encode(bytes)).into()
    }

    /// As a receiver does it: any signature under its own secret will do.
    fn verifies(secret: &SecretString, id: &str, timestamp: &str, body: &[u8], header: &str) -> bool {
        let bytes = STANDARD.decode(secret.expose_secret().strip_prefix(PREFIX).unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        header.split(' ').any(|one| {
            let given = one.strip_prefix("v1,").and_then(|given| STANDARD.decode(given).ok());
            given.is_some_and(|given| hmac::verify(&key, &signed, &given).is_ok())
        })
    }

    #[test]
    fn it_is_what_the_specification_gives_as_an_example() {
        let secret = [PREFIX, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"].concat().into();
        let key = Key::of(&secret).unwrap();
        let header =
            signatures(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        for text in ["", "whsec_", "hello", "whsec_!!!!", "whsec_c2hvcnQ="] {
            assert!(matches!(Key::of(&text.into()), Err(TellError::NotASigningSecret)), "{text}");
        }
        assert!(Key::of(&secret(&[7; 23])).is_err() && Key::of(&secret(&[7; 65])).is_err());
        assert!(Key::of(&secret(&[7; 24])).is_ok() && Key::of(&secret(&[7; 64])).is_ok());
        let bare: SecretString = STANDARD.encode([7; 32]).into();
        assert!(Key::of(&bare).is_err(), "without the prefix it may be anything");
    }

    proptest! {
        #[test]
        fn either_secret_verifies_and_nothing_else_does(
            old in proptest::collection::vec(any::<u8>(), 24..65),
            new in proptest::collection::vec(any::<u8>(), 24..65),
            stranger in proptest::collection::vec(any::<u8>(), 24..65),
            id in "[a-z0-9_]{1,40}", timestamp in 0i64..4_000_000_000,
            body in proptest::collection::vec(any::<u8>(), 0..600),
            flip in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let keys = [&new, &old].map(|bytes| Key::of(&secret(bytes)).unwrap());
            let header = signatures(&keys, &id, timestamp, &body);
            let at = timestamp.to_string();
            prop_assert!(verifies(&secret(&old), &id, &at, &body, &header));
            prop_assert!(verifies(&secret(&new), &id, &at, &body, &header));
            // Keys shorter than a block are padded with zeros (RFC 2104): two that differ in those alone are one.
            let padded = |bytes: &[u8]| [bytes, &[0; 64][bytes.len()..]].concat();
            if padded(&stranger) != padded(&old) && padded(&stranger) != padded(&new) {
                prop_assert!(!verifies(&secret(&stranger), &id, &at, &body, &header));
            }
            let (other_id, later) = (format!("{id}x"), (timestamp + 1).to_string());
            prop_assert!(!verifies(&secret(&new), &other_id, &at, &body, &header));
            prop_assert!(!verifies(&secret(&new), &id, &later, &body, &header));
            if !body.is_empty() {
                let mut other = body.clone();
                other[flip.index(body.len())] ^= 1 << bit;
                prop_assert!(!verifies(&secret(&new), &id, &at, &other, &header));
            }
        }
    }
}
