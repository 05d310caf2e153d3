//! How a client proves to an issuer who it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

/// What a form escapes (WHATWG URL, section 5.2). No more: not every issuer reads back what need not have
/// been escaped in a client's name. A space is `%20`, which those read too who take `+` for itself.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// `text` as a form has it.
pub fn form_encoded(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string()
}

/// The `authorization` header of the client `id` with its `secret`: both are encoded as in a form before
/// they are put together (RFC 6749, section 2.3.1). None when no header can hold it.
pub fn basic(id: &str, secret: &SecretString) -> Option<HeaderValue> {
    let pair = format!("{}:{}", form_encoded(id), form_encoded(secret.expose_secret()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_encoded_before_they_are_joined() {
        let value = basic("a:b c", &"p+%&*-._ä".into()).unwrap();
        let pair = STANDARD.decode(value.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(pair).unwrap(), "a%3Ab%20c:p%2B%25%26*-._%C3%A4");
        assert!(value.is_sensitive());
    }
}
