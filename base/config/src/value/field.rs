//! Places in an answer.

use http::HeaderName;

use super::{Wrong, header, pointer};
use crate::fault::shown;
use crate::usable::FieldPlace;

/// The most steps of a pointer.
const MOST_STEPS: usize = 32;

/// A place in an answer: `/choices/*/logprobs` or `header:x-score`.
pub(crate) fn field(text: &str) -> Result<FieldPlace, Wrong> {
    if let Some(name) = text.strip_prefix("header:") {
        return header(name).map(FieldPlace::Header);
    }
    let pointer = pointer(text)?;
    let steps: Vec<Option<String>> = pointer
        .split('/')
        .skip(1)
        .map(|step| (step != "*").then(|| step.replace("~1", "/").replace("~0", "~")))
        .collect();
    if steps.len() > MOST_STEPS {
        return Err(format!("{} has more than {MOST_STEPS} steps", shown(text)));
    }
    Ok(FieldPlace::Body(steps))
}

/// Whether every resource returns this header.
pub(crate) fn returned_always(name: &HeaderName) -> bool {
    // What `adapt-http` always returns of those that say something of the model's work.
    ["openai-model", "openai-processing-ms", "openai-version", "date", "etag", "last-modified"]
        .contains(&name.as_str())
        || name.as_str().starts_with("x-ratelimit-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_pointers_with_any_or_headers() {
        let steps = |text: &str| match field(text).unwrap() {
            FieldPlace::Body(steps) => steps,
            FieldPlace::Header(name) => panic!("{name}"),
        };
        let key = |text: &str| Some(text.to_owned());
        assert_eq!(steps("/choices/*/logprobs"), [key("choices"), None, key("logprobs")]);
        assert_eq!(steps("/a~1b/~0/0"), [key("a/b"), key("~"), key("0")]);
        assert_eq!(field("header:X-Score"), Ok(FieldPlace::Header(HeaderName::from_static("x-score"))));
        for wrong in ["", "choices", "/a~b", "header:", "header:content-length", "header:a_b", "$.a"] {
            assert!(field(wrong).is_err(), "{wrong}");
        }
    }
}
