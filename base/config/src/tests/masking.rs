//! What a team says of masking, read and refused.

use super::Folder;
use crate::*;

fn file(masking: &str) -> String {
    format!(
        "listeners: [127.0.0.1:8080]\nissuers:\n  corp: {{issuer: https://login.example.test, audiences: a}}\nresources:\n  \
         llama:\n    server: vllm\n    upstreams: http://127.0.0.1:8081\nmasking:\n{masking}"
    )
}

#[test]
fn placeholders_arrive_by_class() {
    let config = Folder::new().parse(&file("  placeholders: {pii: partial, pii.email: class}\n")).unwrap();
    let told: Vec<_> =
        config.masking.placeholders.iter().map(|(class, how)| (class.as_str(), *how)).collect();
    assert_eq!(told, [("pii", Placeholder::Partial), ("pii.email", Placeholder::Class)]);
    assert!(Folder::new().parse(&file("  rules: {}\n")).unwrap().masking.placeholders.is_empty());
}

#[test]
fn mistakes_in_placeholders_are_told_with_their_place_and_reason() {
    for (masking, place, why) in [
        ("  placeholders: {credential: partial}\n", "9:", "would read all of it from the ends"),
        ("  placeholders:\n    credential.aws: partial\n", "10:", "would read all of it from the ends"),
        ("  placeholders:\n    opaque.image: partial\n", "10:", "no last characters"),
        ("  placeholders:\n    pii: last4\n", "10:", "not known here"),
        ("  placeholders:\n    PII Card: partial\n", "10:", "a data class, as `pii.email`"),
        ("  placeholders: partial\n", "9:", "names, each with"),
    ] {
        let told = Folder::new().faults(&file(masking));
        assert!(told.contains(&format!("portcullis.yaml:{place}")), "{masking}: {told}");
        assert!(told.contains(why), "{masking}: {told}");
    }
    // What is said of a credential's class need not be wrong.
    assert!(Folder::new().parse(&file("  placeholders: {credential: class}\n")).is_ok());
}

#[test]
fn mistakes_in_rules_and_words_are_told_with_their_place() {
    let long = format!("  rules: {{mine: {{pattern: {}, class: a}}}}\n", "x".repeat(2_001));
    for (masking, why) in [
        ("  rules: {mine: {class: pii.x}}\n", "`pattern` is missing"),
        ("  rules: {mine: {pattern: abc, class: Bad Class}}\n", "is no data class"),
        ("  rules: {mine: {pattern: abc, class: a, validator: crc}}\n", "not known here"),
        (&long, "1 to 2000 bytes"),
        ("  words: {mine: {class: a, words: []}}\n", "at least 1"),
    ] {
        let told = Folder::new().faults(&file(masking));
        assert!(told.contains("portcullis.yaml:9:"), "{masking}: {told}");
        assert!(told.contains(why), "{masking}: {told}");
    }
}
