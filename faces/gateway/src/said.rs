//! What a client says of its request beside the request: which of its own belong together.

use http::HeaderMap;
use model::{Code, Refusal};

/// The header that names a session. It never goes upstream unless `forward_headers` names it.
pub(crate) const SESSION: &str = "x-portcullis-session";
/// The longest name of a session, in bytes.
const LONGEST: usize = 128;

/// The session a client says its request belongs to; empty if it says none.
///
/// # Errors
/// A refusal when the header stands more than once, or is not 1 to 128 bytes of printable ASCII: what is
/// kept of it in part would group what does not belong together.
pub(crate) fn session(headers: &HeaderMap) -> Result<String, Refusal> {
    let mut all = headers.get_all(SESSION).iter();
    let Some(value) = all.next() else { return Ok(String::new()) };
    let text = value.to_str().unwrap_or_default();
    let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if all.next().is_some() || text.is_empty() || text.len() > LONGEST || !printable {
        return Err(Refusal::new(Code::HeaderRefused).because(format!(
            "The header `{SESSION}` may stand once, with 1 to {LONGEST} bytes of printable ASCII."
        )));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_name_is_taken_as_it_is_or_refused() {
        let named = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(SESSION, HeaderValue::from_bytes(value).unwrap());
            }
            session(&headers)
        };
        assert_eq!(named(&[]).unwrap(), "");
        assert_eq!(named(&[b"run 17/a"]).unwrap(), "run 17/a");
        assert_eq!(named(&["a".repeat(LONGEST).as_bytes()]).unwrap().len(), LONGEST);
        let long = "a".repeat(LONGEST + 1);
        for odd in [&[long.as_bytes()][..], &[b"a", b"a"], &[b""], &[b"\xc3\xa9"], &[b"a\tb"]] {
            assert!(named(odd).is_err(), "{odd:?}");
        }
    }
}
