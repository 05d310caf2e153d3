//! Join tokens: what an agent shows once to become one.
//!
//! `pcj1.ID.SECRET.FINGERPRINT`, each part in base64url without padding: which invitation it is, the
//! secret that proves it (32 random bytes), and the SHA-256 of the certificate of the gateway's authority,
//! so that the agent knows the right gateway before it shows anything. The gateway keeps the secret's
//! digest alone.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::TunnelError;

const MARK: &str = "pcj1";
/// Bytes of a secret.
const SECRET: usize = 32;
/// Bytes of an invitation's id.
const ID: usize = 9;
/// The longest token, in bytes.
const LONGEST: usize = 256;

/// The SHA-256 of something public, or of a secret of 32 random bytes.
pub(crate) type Digest = [u8; 32];

/// A join token, read.
pub struct JoinToken {
    /// Which invitation.
    pub(crate) id: String,
    secret: Zeroizing<Vec<u8>>,
    /// The authority's certificate.
    pub(crate) authority: Digest,
}

impl std::fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinToken").field("id", &self.id).finish_non_exhaustive()
    }
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], TunnelError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| TunnelError::Unfit("the system has no random numbers".to_owned()))?;
    Ok(bytes)
}

impl JoinToken {
    /// A new token for gateways of this authority.
    pub(crate) fn new(authority: Digest) -> Result<Self, TunnelError> {
        let id = URL_SAFE_NO_PAD.encode(random::<ID>()?);
        Ok(Self { id, secret: Zeroizing::new(random::<SECRET>()?.to_vec()), authority })
    }

    /// Reads a token, with or without a line end.
    ///
    /// # Errors
    /// [`TunnelError::Token`] says what is wrong, and repeats nothing of it.
    pub fn read(text: &SecretString) -> Result<Self, TunnelError> {
        let text = text.expose_secret().trim_end_matches(['\r', '\n']);
        if text.len() > LONGEST {
            return Err(TunnelError::Token("it is too long"));
        }
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(TunnelError::Token("a part of it is missing"));
        if part()? != MARK {
            return Err(TunnelError::Token("it does not begin with `pcj1.`"));
        }
        let (id, secret, authority) = (part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(TunnelError::Token("it has too many parts"));
        }
        let bytes = |text: &str| {
            let read = URL_SAFE_NO_PAD.decode(text);
            read.map_err(|_| TunnelError::Token("a part of it is no base64url"))
        };
        let (raw, secret, authority) = (bytes(id)?, Zeroizing::new(bytes(secret)?), bytes(authority)?);
        let authority =
            Digest::try_from(authority).map_err(|_| TunnelError::Token("its last part is cut"))?;
        if raw.len() != ID || secret.len() != SECRET {
            return Err(TunnelError::Token("a part of it is cut"));
        }
        Ok(Self { id: id.to_owned(), secret, authority })
    }

    /// The token as it is handed over.
    pub fn text(&self) -> SecretString {
        let [secret, authority] =
            [&self.secret[..], &self.authority].map(|part| URL_SAFE_NO_PAD.encode(part));
        SecretString::from(format!("{MARK}.{}.{secret}.{authority}", self.id))
    }

    /// What proves it, on the way to the gateway.
    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// What the gateway keeps of its secret.
    pub(crate) fn kept(&self) -> String {
        model::hex(&sha256(&self.secret))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_handed_over_is_read() {
        let token = JoinToken::new([7; 32]).unwrap();
        let read = JoinToken::read(&format!("{}\n", token.text().expose_secret()).into()).unwrap();
        assert_eq!((&read.id, &read.secret, read.authority), (&token.id, &token.secret, token.authority));
        assert_eq!(read.kept(), token.kept());
        assert!(!format!("{token:?}").contains(token.text().expose_secret()));
    }

    proptest! {
        #[test]
        fn a_token_that_was_changed_is_another_or_none(at in 0usize..110, to in "[A-Za-z0-9._-]") {
            let token = JoinToken::new([7; 32]).unwrap();
            let mut text = token.text().expose_secret().to_owned();
            if at < text.len() && text.get(at..=at) != Some(&to) {
                text.replace_range(at..=at, &to);
                if let Ok(read) = JoinToken::read(&text.into()) {
                    prop_assert!(read.id != token.id || read.secret != token.secret || read.authority != token.authority);
                }
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,300}") {
            let _ = JoinToken::read(&text.into());
        }
    }
}
