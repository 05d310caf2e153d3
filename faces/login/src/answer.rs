//! Small JSON documents from providers and gateways, read within bounds.

use bytes::Bytes;
use dial::{Fetched, Fetcher};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::LoginError;

/// The largest document, in bytes.
const LIMIT: usize = 256 << 10;
/// The longest piece of a stranger's text that a person is shown, in characters.
const SHOWN: usize = 200;

/// An object, and what it was answered with.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) object: Map<String, Value>,
}

/// Fetches the JSON object at `uri`. `what` is who answers, for errors.
pub(crate) async fn fetch(fetcher: &Fetcher, uri: &Uri, what: &str) -> Result<Answered, LoginError> {
    let fetched = fetcher.get(uri, &accept_json(), LIMIT).await;
    read(fetched.map_err(|source| LoginError::Dial { what: what.to_owned(), source })?, what)
}

/// Posts a form and reads the object that is answered.
pub(crate) async fn post(
    fetcher: &Fetcher,
    uri: &Uri,
    mut headers: HeaderMap,
    form: &[(&str, &str)],
    what: &str,
) -> Result<Answered, LoginError> {
    read(post_unread(fetcher, uri, &mut headers, form, what).await?, what)
}

/// Posts a form whose answer may be anything.
pub(crate) async fn post_unread(
    fetcher: &Fetcher,
    uri: &Uri,
    headers: &mut HeaderMap,
    form: &[(&str, &str)],
    what: &str,
) -> Result<Fetched, LoginError> {
    headers.extend(accept_json());
    let form = Bytes::from(encoded(form));
    let fetched = fetcher.post_form(uri, headers, form, LIMIT).await;
    fetched.map_err(|source| LoginError::Dial { what: what.to_owned(), source })
}

/// `application/x-www-form-urlencoded`.
pub(crate) fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn accept_json() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))])
}

fn read(fetched: Fetched, what: &str) -> Result<Answered, LoginError> {
    let wrong = |why: String| LoginError::Answer { what: what.to_owned(), why };
    match serde_json::from_slice(&fetched.body) {
        Ok(Value::Object(object)) => Ok(Answered { status: fetched.status, object }),
        Ok(_) => Err(wrong(format!("status {} with JSON that is no object", fetched.status))),
        Err(_) => Err(wrong(format!("status {} with something that is no JSON", fetched.status))),
    }
}

impl Answered {
    /// The text at `name`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.object.get(name).and_then(Value::as_str)
    }

    /// A secret at `name`: not empty, and nothing that would break a header.
    pub(crate) fn secret(&self, name: &str) -> Option<SecretString> {
        let text = self.text(name)?;
        (!text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())).then(|| text.into())
    }

    /// A number of seconds at `name`. Some providers write it as text.
    pub(crate) fn seconds(&self, name: &str) -> Option<u64> {
        match self.object.get(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The words in the list at `name`.
    pub(crate) fn words(&self, name: &str) -> Vec<String> {
        let list = self.object.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// What the provider refuses with (RFC 6749, section 5.2), if it does.
    pub(crate) fn refusal(&self) -> Option<LoginError> {
        let code = self.text("error")?;
        let description = self.text("error_description").map(shown);
        Some(LoginError::Refused { code: shown(code), description })
    }
}

/// A stranger's text as a person may be shown it: a terminal obeys control characters.
pub(crate) fn shown(text: &str) -> String {
    let clipped: String = text.chars().take(SHOWN).collect();
    clipped.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
