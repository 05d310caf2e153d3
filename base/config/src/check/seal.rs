//! Whom recordings are sealed to.

use age::Identity as _;
use age::x25519::{Identity, Recipient};
use age_core::format::Stanza;
use age_core::primitives::bech32_decode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::fault::shown;
use crate::reader::Mapping;
use crate::value::{Wrong, is_secret_key};

pub(super) fn seal_to(ledger: &Mapping<'_>) -> Vec<Recipient> {
    let recipients = ledger.list("seal_to", recipient);
    let twice =
        recipients.iter().enumerate().find(|(at, one)| recipients.iter().take(*at).any(|it| it == *one));
    if let Some((_, recipient)) = twice {
        ledger.fault(format!("`seal_to` names {recipient} twice"), "each recipient once");
    }
    recipients
}

/// An X25519 recipient of age (c2sp.org/age).
///
/// # Errors
/// What is wrong with it, in words.
pub fn recipient(text: &str) -> Result<Recipient, Wrong> {
    if is_secret_key(text) {
        return Err(
            "this is a secret key: it stays with the auditor, and should now be replaced by a new one; \
                    write its public half, which `age-keygen -y` tells"
                .to_owned(),
        );
    }
    let kind = |kind: &str| Err(format!("{} is {kind}: only X25519 recipients are known here", shown(text)));
    if text.starts_with("ssh-") {
        return kind("an SSH key");
    }
    if text.strip_prefix("age1").is_some_and(|rest| rest.contains('1')) {
        return kind("a recipient of another type");
    }
    let Ok(recipient) = text.parse::<Recipient>() else {
        return Err(format!("{} is no age recipient: letters are missing or wrong", shown(text)));
    };
    if !contributes(text) {
        return Err(format!("{} is a key that anybody can open", shown(text)));
    }
    Ok(recipient)
}

/// Whether what is sealed to this recipient depends on its secret key: points of small order come to the
/// same whoever multiplies them (RFC 7748, section 6.1), and age will not seal to them.
fn contributes(text: &str) -> bool {
    let bytes = bech32_decode(text, |_| (), |_| Ok(()), |_, bytes| Ok(bytes.collect::<Vec<u8>>()));
    let Ok(share) = bytes else { return false };
    // An identity looks at the share of a stanza before it looks whether the stanza is its own.
    let stanza =
        Stanza { tag: "X25519".to_owned(), args: vec![STANDARD_NO_PAD.encode(&share)], body: vec![0; 32] };
    Identity::generate().unwrap_stanza(&stanza).is_none()
}
