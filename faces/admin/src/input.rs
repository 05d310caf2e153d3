//! What a call brings: a query by its route's table, a body of strict JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use jiff::Timestamp;
use model::{Code, Refusal};
use serde::de::DeserializeOwned;

use crate::table::{Param, Route, Shape};

/// The longest text of a parameter, in bytes.
const LONGEST: usize = 512;

/// A query, checked: only known names, each once, each in its shape.
#[derive(Debug, Default)]
pub(crate) struct Query(BTreeMap<&'static str, String>);

fn wrong(reason: String) -> Refusal {
    Refusal::new(Code::RequestMalformed).because(reason)
}

impl Query {
    /// Reads what stands after `?`.
    pub(crate) fn read(route: &Route, raw: Option<&str>) -> Result<Self, Refusal> {
        let mut query = BTreeMap::new();
        for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(param) = route.query.iter().find(|param| param.name == name) else {
                // Not repeated: it may be a token.
                return Err(wrong("The query holds a parameter that this call does not take.".to_owned()));
            };
            let value = decoded(value)
                .ok_or_else(|| wrong(format!("The parameter `{name}` is not percent-encoded UTF-8.")))?;
            check(param, &value)?;
            if query.insert(param.name, value).is_some() {
                return Err(wrong(format!("The parameter `{name}` is there twice.")));
            }
        }
        Ok(Self(query))
    }

    /// The text at `name`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The time at `name`.
    pub(crate) fn time(&self, name: &str) -> Option<Timestamp> {
        self.text(name)?.parse().ok()
    }

    /// The number at `param`, or its default.
    pub(crate) fn count(&self, param: &Param) -> u32 {
        let default = if let Shape::Count(_, _, default) = param.shape { default } else { 0 };
        self.text(param.name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }
}

fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let bytes = percent_encoding::percent_decode_str(&spaced);
    // A `%` that begins no escape stays as it is, and is refused by whoever reads the value.
    bytes.decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn check(param: &Param, value: &str) -> Result<(), Refusal> {
    let name = param.name;
    let odd = |wanted: String| Err(wrong(format!("The parameter `{name}` must be {wanted}.")));
    if value.is_empty() || value.len() > LONGEST || value.chars().any(char::is_control) {
        return odd(format!("1 to {LONGEST} bytes of text"));
    }
    match param.shape {
        Shape::Text => Ok(()),
        Shape::Word(words) if words.contains(&value) => Ok(()),
        Shape::Word(words) => odd(format!("one of {}", words.join(", "))),
        Shape::Count(least, most, _) => match value.parse::<u32>() {
            Ok(count) if (least..=most).contains(&count) => Ok(()),
            _ => odd(format!("a whole number between {least} and {most}")),
        },
        Shape::Time if value.parse::<Timestamp>().is_ok() => Ok(()),
        Shape::Time => odd("a time, as 2026-01-31T12:00:00Z".to_owned()),
    }
}

/// Reads a body to its limit. A call that takes none must bring none.
pub(crate) async fn body(
    route: &Route,
    headers: &HeaderMap,
    body: Incoming,
    patience: Duration,
) -> Result<Bytes, Refusal> {
    let limit = route.body.as_ref().map_or(0, |payload| payload.limit);
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    #[expect(clippy::disallowed_methods, reason = "it is limited")]
    let read = tokio::time::timeout(patience, Limited::new(body, limit).collect());
    let bytes = match read.await {
        Ok(Ok(whole)) => whole.to_bytes(),
        Ok(Err(fault)) if fault.is::<LengthLimitError>() && limit == 0 => {
            return Err(wrong("This call takes no body.".to_owned()));
        }
        Ok(Err(fault)) if fault.is::<LengthLimitError>() => {
            let reason = format!("The request body is larger than the {limit} bytes this call takes.");
            return Err(Refusal::new(Code::RequestTooLarge).because(reason));
        }
        Ok(Err(fault)) => return Err(wrong("The request body broke off.".to_owned()).detail(fault)),
        Err(_) => return Err(Refusal::new(Code::RequestTimeout)),
    };
    if !bytes.is_empty() {
        is_json(headers)?;
    }
    Ok(bytes)
}

fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") && !headers.contains_key("content-encoding") {
        return Ok(());
    }
    Err(Refusal::new(Code::EncodingUnsupported))
}

/// A body's value: JSON that can be read in one way, with no member that is not known.
pub(crate) fn json<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Refusal> {
    adapt_http::strict_json(bytes).map_err(|fault| wrong(format!("The body is no strict JSON: {fault}.")))?;
    serde_json::from_slice(bytes).map_err(|fault| wrong(format!("The body does not fit this call: {fault}.")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::routes;

    fn list() -> &'static Route {
        routes().find(|route| route.name == "sessions.list").unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let query =
            Query::read(list(), Some("caller=a%2Bb%40c.d&limit=7&since=2026-01-31T12:00:00Z")).unwrap();
        assert_eq!(query.text("caller"), Some("a+b@c.d"));
        assert_eq!(query.count(&crate::table::LIMIT), 7);
        assert_eq!(query.time("since"), "2026-01-31T12:00:00Z".parse().ok());
        assert_eq!(Query::read(list(), None).unwrap().count(&crate::table::LIMIT), 100);
    }

    #[test]
    fn a_parameter_that_is_not_known_is_not_repeated() {
        let refusal = Query::read(list(), Some("access_token=secret")).unwrap_err();
        assert!(!refusal.reason.contains("secret") && !refusal.reason.contains("access_token"));
    }

    proptest! {
        #[test]
        fn any_query_is_read_in_its_shape_or_refused(raw in "\\PC{0,80}") {
            if let Ok(query) = Query::read(list(), Some(&raw)) {
                let limit = query.count(&crate::table::LIMIT);
                prop_assert!((1..=1000).contains(&limit));
            }
        }

        #[test]
        fn any_value_is_read_back(value in "\\PC{1,80}") {
            let escaped = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
            let raw = format!("model={escaped}");
            match Query::read(list(), Some(&raw)) {
                Ok(query) => prop_assert_eq!(query.text("model"), Some(value.as_str())),
                Err(_) => prop_assert!(value.len() > LONGEST || value.chars().any(char::is_control)),
            }
        }

        #[test]
        fn any_limit_lies_within_its_bounds(limit in any::<u64>()) {
            let read = Query::read(list(), Some(&format!("limit={limit}")));
            prop_assert_eq!(read.is_ok(), (1..=1000).contains(&limit));
        }
    }
}
