//! Content types (RFC 9110, section 8.3), as far as they decide how a body is read.

use http::header::HeaderValue;

/// A content type taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    /// Type and subtype, in lower case.
    pub(crate) essence: String,
    /// Parameters: names in lower case, values without quotes.
    pub(crate) parameters: Vec<(String, String)>,
}

impl Media {
    /// Takes a header apart. None when it is not a content type.
    pub(crate) fn parse(value: &HeaderValue) -> Option<Self> {
        let mut parts = value.to_str().ok()?.split(';');
        let essence = parts.next()?.trim().to_ascii_lowercase();
        let word = |w: &str| {
            !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&b))
        };
        let (kind, subtype) = essence.split_once('/')?;
        if !word(kind) || !word(subtype) {
            return None;
        }
        let mut parameters = Vec::new();
        for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            let value = match value.strip_prefix('"') {
                Some(quoted) => quoted.strip_suffix('"').filter(|text| !text.contains(['"', '\\']))?,
                None => value,
            };
            parameters.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        Some(Self { essence, parameters })
    }

    /// The parameter called `name`; none if it is missing or stands twice.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut found =
            self.parameters.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        found.next().filter(|_| found.next().is_none())
    }

    /// Whether it is JSON in UTF-8 and says nothing else.
    pub(crate) fn is_plain_json(&self) -> bool {
        let utf8 =
            |(name, value): &(String, String)| name == "charset" && value.eq_ignore_ascii_case("utf-8");
        self.essence == "application/json" && self.parameters.len() <= 1 && self.parameters.iter().all(utf8)
    }

    /// Whether ASCII in it is ASCII: what is masked as text must be text to the reader too.
    pub(crate) fn is_ascii_compatible(&self) -> bool {
        const CHARSETS: &[&str] =
            &["utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "latin1", "windows-1252"];
        self.parameters
            .iter()
            .filter(|(name, _)| name == "charset")
            .all(|(_, value)| CHARSETS.contains(&value.to_ascii_lowercase().as_str()))
    }
}

/// Type and subtype of a header, in lower case.
pub(crate) fn essence(value: Option<&HeaderValue>) -> Option<String> {
    Media::parse(value?).map(|media| media.essence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(text: &'static str) -> Option<Media> {
        Media::parse(&HeaderValue::from_static(text))
    }

    #[test]
    fn only_utf8_json_is_plain_json() {
        for good in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/json;",
        ] {
            assert!(media(good).unwrap().is_plain_json(), "{good}");
        }
        for bad in [
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; charset=utf-7",
            "application/json; profile=x",
            "text/json",
            "application/json-patch+json",
            "application/jsonx",
        ] {
            assert!(!media(bad).unwrap().is_plain_json(), "{bad}");
        }
        for none in ["", "json", "application/", "application/json, text/plain", "a/b; charset"] {
            assert_eq!(media(none), None, "{none}");
        }
    }

    #[test]
    fn foreign_charsets_are_told_apart() {
        assert!(media("text/plain").unwrap().is_ascii_compatible());
        assert!(media("text/plain; charset=Latin1").unwrap().is_ascii_compatible());
        assert!(!media("text/plain; charset=utf-16le").unwrap().is_ascii_compatible());
        assert!(!media("text/plain; charset=utf-8; charset=utf-7").unwrap().is_ascii_compatible());
    }
}
