//! What is the same about a form however often it is sent.

use http::header::{CONTENT_TYPE, HeaderMap};

use crate::facts::form_parts as parts;
use crate::media::Media;

/// The parts of a form with files, each as its bytes between two boundaries: the boundary changes with each
/// try, they do not. None when this is no form, or one that can be read in more than one way.
pub fn form_parts<'q>(headers: &HeaderMap, body: &'q [u8]) -> Option<Vec<&'q [u8]>> {
    let media = headers.get(CONTENT_TYPE).and_then(Media::parse)?;
    parts(body, &media)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn taken(kind: &str, body: &str) -> Option<Vec<String>> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
        let parts = form_parts(&headers, body.as_bytes())?;
        Some(parts.into_iter().map(|part| String::from_utf8(part.to_vec()).unwrap()).collect())
    }

    fn form(boundary: &str) -> (String, String) {
        let part = |name: &str, text: &str| {
            format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
        };
        let body = format!("{}{}--{boundary}--\r\n", part("model", "tiny"), part("prompt", "hello"));
        (format!("multipart/form-data; boundary={boundary}"), body)
    }

    #[test]
    fn the_boundary_makes_no_difference() {
        let ((one, first), (two, second)) = (form("abc"), form("x-y-z"));
        let parts = taken(&one, &first).unwrap();
        assert_eq!(parts.len(), 2);
        assert!(parts[0].ends_with("\r\n\r\ntiny"), "{parts:?}");
        assert_eq!(taken(&two, &second).unwrap(), parts);
        let (_, other) = form("abc");
        assert_ne!(taken(&one, &other.replace("hello", "hullo")).unwrap(), parts);
    }

    #[test]
    fn what_is_no_form_has_no_parts() {
        assert_eq!(taken("application/json", "{}"), None);
        let (kind, body) = form("abc");
        assert_eq!(taken(&kind, &format!("preamble{body}")), None);
        assert_eq!(taken(&kind, &body.replace("--abc--", "")), None);
    }
}
