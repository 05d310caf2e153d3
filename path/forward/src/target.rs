//! What is asked for at an upstream: the judged path below the base URL's, and a credential's parameter.

use credential::{Shown, Way};
use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode;

use crate::ForwardError;

/// What is asked for.
pub(crate) struct Target {
    /// The request line's, for HTTP/1.
    pub(crate) target: PathAndQuery,
    /// The whole URL, for HTTP/2.
    pub(crate) url: Uri,
}

impl Target {
    /// The judged path and query below the base URL's path. What can't be written exactly as it was judged is
    /// not sent: a `#` would silently end the path.
    ///
    /// # Errors
    /// [`ForwardError::Target`], and [`ForwardError::Parameter`] when the request brings the parameter that the
    /// credential goes in.
    pub(crate) fn of(base: (&Uri, &str), judged: &str, shown: Option<&Shown>) -> Result<Self, ForwardError> {
        let (url, below) = base;
        let mut wanted = format!("{below}{judged}");
        if let Some(Way::Query { name, pair }) = shown.map(Shown::way) {
            let query = judged.split_once('?').map(|(_, query)| query);
            if query.is_some_and(|query| brings(query, name)) {
                return Err(ForwardError::Parameter(name.clone()));
            }
            wanted.push(match query {
                None => '?',
                Some(_) => '&',
            });
            wanted.push_str(pair);
        }
        let target: PathAndQuery = wanted.parse().map_err(|_| ForwardError::Target)?;
        if !judged.starts_with('/') || target.as_str() != wanted {
            return Err(ForwardError::Target);
        }
        let mut parts = url.clone().into_parts();
        parts.path_and_query = Some(target.clone());
        let url = Uri::from_parts(parts).map_err(|_| ForwardError::Target)?;
        Ok(Self { target, url })
    }
}

/// Whether a query has a parameter of that name, as any server might read it: `;` parts parameters, too, and
/// some names are the same without regard to case or with an index behind them.
fn brings(query: &str, name: &str) -> bool {
    query.split(['&', ';', '?']).any(|pair| {
        let written = pair.split('=').next().unwrap_or_default().replace('+', " ");
        let read: Vec<u8> = percent_decode(written.as_bytes()).collect();
        let read = String::from_utf8_lossy(&read);
        let read = read.trim();
        let bare = read.split(['[', '\0']).next().unwrap_or_default();
        bare.eq_ignore_ascii_case(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_known_however_it_is_written() {
        for query in [
            "key=1",
            "a=b&key=1",
            "a;key",
            "KEY=1",
            "%6bey=1",
            "k%65y",
            "+key=1",
            "key[]=1",
            "a=b?key=2",
            "key%00x=1",
        ] {
            assert!(brings(query, "key"), "{query}");
        }
        for query in ["", "keys=1", "a=key", "mykey=1", "k%2565y=1"] {
            assert!(!brings(query, "key"), "{query}");
        }
    }

    #[test]
    fn what_cannot_be_written_as_it_was_judged_is_not_sent() {
        let base: Uri = "http://u.test/v0/".parse().unwrap();
        let target = Target::of((&base, "/v0"), "/a?b=c", None).unwrap();
        assert_eq!(
            (target.target.as_str(), target.url.to_string().as_str()),
            ("/v0/a?b=c", "http://u.test/v0/a?b=c")
        );
        for judged in ["a", "/a#b", "/a b"] {
            assert!(Target::of((&base, "/v0"), judged, None).is_err(), "{judged}");
        }
    }
}
