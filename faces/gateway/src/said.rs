//! What a client says of its request beside the request: which of its own belong together.

use std::time::Duration;

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

/// How a client would like to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// Not at all (`Prefer: respond-async`, RFC 7240, section 4.1).
    pub(crate) respond_async: bool,
    /// How long it waits for a first byte, if it says.
    pub(crate) read_timeout: Option<Duration>,
}

/// How the official SDKs tell the seconds they wait: those in Python, and those in JavaScript.
const TIMEOUTS: [&str; 2] = ["x-stainless-read-timeout", "x-stainless-timeout"];

impl Wishes {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let mut names = preferences.flat_map(|text| text.split(',')).map(|one| one.split(';').next());
        let respond_async =
            names.any(|name| name.is_some_and(|name| name.trim().eq_ignore_ascii_case("respond-async")));
        let seconds =
            TIMEOUTS.iter().filter_map(|name| headers.get(*name)?.to_str().ok()?.parse::<f64>().ok());
        let read_timeout = seconds
            .filter_map(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .filter(|seconds| *seconds >= Duration::from_secs(1))
            .min();
        Self { respond_async, read_timeout }
    }
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

    #[test]
    fn how_a_client_waits_is_read() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
            Wishes::of(&HeaderMap::from_iter(headers))
        };
        assert_eq!(of(&[]), Wishes::default());
        assert!(of(&[("prefer", "wait=10, Respond-Async; x=1")]).respond_async);
        assert!(!of(&[("prefer", "wait=10")]).respond_async);
        let seconds = |text| of(&[("x-stainless-read-timeout", text)]).read_timeout;
        assert_eq!(seconds("600"), Some(Duration::from_secs(600)));
        assert_eq!(seconds("5.5"), Some(Duration::from_millis(5500)));
        for odd in ["0", "-3", "inf", "NaN", "not given", "1e400"] {
            assert_eq!(seconds(odd), None, "{odd}");
        }
        assert_eq!(of(&[("x-stainless-timeout", "30")]).read_timeout, Some(Duration::from_secs(30)));
    }
}
