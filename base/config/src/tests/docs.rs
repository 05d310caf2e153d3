//! What is published is current, and what it shows is true.

use std::path::{Path, PathBuf};

use super::Folder;
use crate::reference::{SMALL, WHOLE};
use crate::table::sections;
use crate::yaml::{Kind, Node};

const HOW: &str = "run `cargo run -p config --example write-reference`";

fn published(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn the_reference_is_current() {
    assert!(published("config.md") == crate::reference_markdown(), "docs/config.md is out of date: {HOW}");
}

#[test]
fn the_schema_is_current() {
    let name = "portcullis.schema.json";
    // Compared as values: the order of members is that of the build's other crates' choosing.
    let published: serde_json::Value = serde_json::from_str(&published(name)).unwrap();
    assert!(published == crate::json_schema(), "docs/{name} is out of date: {HOW}");
}

#[test]
fn every_example_in_the_reference_is_read() {
    let folder = Folder::new();
    let reference = crate::reference_markdown();
    let examples: Vec<&str> =
        reference.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 3);
    // The last is an agent's.
    for example in &examples[..2] {
        if let Err(faults) = folder.parse(example) {
            panic!("{faults}");
        }
    }
    assert!(SMALL.lines().count() <= 10);
}

/// Every key that stands anywhere in a file.
fn keys_of(node: &Node, found: &mut Vec<String>) {
    match &node.kind {
        Kind::Mapping(entries) => entries.iter().for_each(|entry| {
            found.push(entry.key.clone());
            keys_of(&entry.value, found);
        }),
        Kind::Sequence(nodes) => nodes.iter().for_each(|node| keys_of(node, found)),
        _ => {}
    }
}

#[test]
fn the_whole_example_has_every_key() {
    let root = crate::yaml::read(WHOLE, &crate::fault::Gathered::default()).unwrap();
    let mut found = Vec::new();
    keys_of(&root, &mut found);
    for (place, section) in sections() {
        for key in section.keys {
            assert!(found.iter().any(|name| name == key.name), "{place} {} is in no example", key.name);
        }
    }
}

#[test]
fn the_schema_names_every_section_it_refers_to() {
    let schema = crate::json_schema();
    let text = schema.to_string();
    let defs = schema["$defs"].as_object().unwrap();
    let mut count = 0;
    for reference in text.split("#/$defs/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(defs.contains_key(name), "{name}");
        count += 1;
    }
    assert!(count >= defs.len());
    assert_eq!(schema["required"], serde_json::json!(["listeners", "issuers", "resources"]));
    assert_eq!(schema["$defs"]["ledger"]["properties"]["queue"]["default"], 4096);
    assert_eq!(schema["additionalProperties"], false);
}
