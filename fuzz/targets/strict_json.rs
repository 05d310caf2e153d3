//! Strict JSON: no input breaks the reader, and what it takes, a common reader takes too, to the same
//! members. A difference between the two is a way to have one thing judged and another one done.
#![no_main]

use adapt_http::strict_json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(node) = strict_json(bytes) else { return };
    let other: serde_json::Value = match serde_json::from_slice(bytes) {
        Ok(other) => other,
        // serde_json refuses numbers that no f64 can hold; the strict reader keeps them as text.
        Err(error) => return assert!(error.to_string().contains("number out of range"), "{error}"),
    };
    assert_eq!(node.members().len(), other.as_object().map_or(0, serde_json::Map::len));
    assert_eq!(node.items().len(), other.as_array().map_or(0, Vec::len));
    assert_eq!(node.text(), other.as_str());
});
