//! The structs and the published `proto/ledger.proto` say the same.

use std::collections::BTreeMap;

/// Message and field to number and type, as `label type`.
type Fields = BTreeMap<(String, String), (u32, String)>;

fn published() -> (Fields, BTreeMap<String, i32>) {
    let (mut fields, mut values) = (Fields::new(), BTreeMap::new());
    let (mut message, mut listing) = (String::new(), String::new());
    for line in include_str!("../../proto/ledger.proto").lines().map(str::trim) {
        let words: Vec<&str> = line.trim_end_matches(';').split_whitespace().collect();
        match words.as_slice() {
            ["message", name, "{"] => (message, listing) = ((*name).to_owned(), String::new()),
            ["enum", name, "{"] => listing = (*name).to_owned(),
            ["//", ..] | ["oneof", ..] | ["syntax", ..] => {}
            [rest @ .., name, "=", number] if listing.is_empty() => {
                let kind = rest.join(" ").replace("map<string, string>", "map");
                fields.insert((message.clone(), (*name).to_owned()), (number.parse().unwrap(), kind));
            }
            [name, "=", number] => {
                values.insert((*name).to_owned(), number.parse().unwrap());
            }
            _ => {}
        }
    }
    (fields, values)
}

/// The same, read from the attributes that the encoding is derived from.
fn derived() -> Fields {
    let mut fields = Fields::new();
    let mut message = String::new();
    let mut attribute = String::new();
    let sources = [
        include_str!("../leaf.rs"),
        include_str!("../opened.rs"),
        include_str!("../body.rs"),
        include_str!("../consent.rs"),
    ];
    for line in sources.iter().flat_map(|source| source.lines()).map(str::trim) {
        if let Some(name) = line.strip_prefix("pub struct ").and_then(|l| l.strip_suffix(" {")) {
            message = name.to_owned();
        } else if line == "pub enum What {" {
            message = "Leaf".to_owned();
        } else if let Some(inside) = line.strip_prefix("#[prost(").and_then(|l| l.strip_suffix(")]")) {
            attribute = inside.to_owned();
        } else if !attribute.is_empty() {
            let attribute = std::mem::take(&mut attribute);
            if attribute.starts_with("oneof") {
                continue;
            }
            let (name, rust) = match line.strip_prefix("pub ") {
                Some(field) => field.split_once(": ").unwrap(),
                None => line.split_once('(').unwrap(),
            };
            let rust = rust.trim_end_matches([',', ')']);
            let inner = rust.split(['<', '>']).rfind(|part| !part.is_empty()).unwrap();
            let number = attribute.split("tag = \"").nth(1).unwrap().trim_end_matches('"').parse().unwrap();
            let first = attribute.split(',').next().unwrap();
            let base = match first {
                "message" => inner.to_owned(),
                _ if first.starts_with("enumeration") => first.split('"').nth(1).unwrap().to_owned(),
                _ if first.starts_with("btree_map") => "map".to_owned(),
                _ => first.split(" = ").next().unwrap().to_owned(),
            };
            let label = match () {
                () if attribute.contains("repeated") => "repeated ",
                () if attribute.contains("optional") && first != "message" => "optional ",
                () => "",
            };
            let mut name = name.to_owned();
            if message == "Leaf" && name.starts_with(char::is_uppercase) {
                name = if name == "PolicySet" { "policy_set".into() } else { name.to_lowercase() };
            }
            fields.insert((message.clone(), name), (number, format!("{label}{base}")));
        }
    }
    fields
}

#[test]
fn structs_and_published_file_agree() {
    let (published, _) = published();
    assert!(published.len() > 130, "only {} fields were read", published.len());
    assert_eq!(derived(), published);
}

#[test]
fn enums_and_published_file_agree() {
    use crate::body::{Direction, Kind};
    let (_, values) = published();
    assert_eq!(values.len(), 3 + 8);
    for (name, number) in values {
        let known = match name.strip_prefix("DIRECTION_") {
            Some(word) => Direction::try_from(number).map(|d| (format!("{d:?}"), word.to_owned())),
            None => Kind::try_from(number)
                .map(|k| (format!("{k:?}"), name.strip_prefix("KIND_").unwrap().to_owned())),
        };
        let (known, word) = known.unwrap();
        assert_eq!(known.to_uppercase(), word.replace('_', ""));
    }
}
