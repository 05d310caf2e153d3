//! The file's JSON schema (draft 2020-12), for editors, from the tables.

use serde_json::{Map, Value, json};

use crate::fault::Gathered;
use crate::keys::FILE;
use crate::table::{Absent, Section, Shape, Word, sections};
use crate::yaml;

/// The JSON schema of the file. It says what can be said of each value alone; [`crate::load`] says the
/// rest.
pub fn json_schema() -> Value {
    let defs: Map<String, Value> = sections()
        .into_iter()
        .filter(|(_, section)| section.name != FILE.name)
        .map(|(_, section)| (section.name.to_owned(), section_schema(section)))
        .collect();
    let mut schema = section_schema(&FILE);
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".to_owned(), json!("Portcullis configuration"));
        object.insert("$defs".to_owned(), Value::Object(defs));
    }
    schema
}

fn section_schema(section: &Section) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in section.keys {
        let mut schema = shape_schema(&key.shape);
        if let Some(object) = schema.as_object_mut() {
            object.insert("description".to_owned(), json!(key.doc));
            match key.absent {
                Absent::Fault => required.push(key.name),
                Absent::Is(text) => {
                    if let Some(node) = yaml::read(text, &Gathered::default()) {
                        object.insert("default".to_owned(), yaml::json(&node));
                    }
                }
                Absent::Nothing(_) => {}
            }
        }
        properties.insert(key.name.to_owned(), schema);
    }
    json!({
        "type": "object",
        "description": section.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn shape_schema(shape: &Shape) -> Value {
    match shape {
        Shape::One(kind) => match kind.regex() {
            Some(pattern) => json!({ "type": "string", "pattern": pattern }),
            None => json!({ "type": "string" }),
        },
        Shape::Choice(words) => choice(words),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Duration(..) => json!({ "type": "string", "pattern": "^[0-9]+ ?(ms|s|m|h|d)$" }),
        Shape::Size(..) => json!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB|TiB)?$" },
        ] }),
        Shape::Count(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::Many(least, shape) => {
            let list = json!({ "type": "array", "minItems": least, "items": shape_schema(shape) });
            match alone(shape) {
                Some(one) => json!({ "anyOf": [one, list] }),
                None => list,
            }
        }
        Shape::Named(names, shape) => {
            let names = match names.regex() {
                Some(pattern) => json!({ "pattern": pattern }),
                None => json!({}),
            };
            json!({ "type": "object", "propertyNames": names, "additionalProperties": shape_schema(shape) })
        }
        Shape::Section(section) => reference(section),
        Shape::Short(key, section) => {
            let short = section.keys.iter().find(|known| known.name == *key);
            let short = short.map_or_else(|| json!(false), |key| shape_schema(&key.shape));
            json!({ "anyOf": [short, reference(section)] })
        }
        Shape::WordOr(words, section) => json!({ "anyOf": [choice(words), reference(section)] }),
    }
}

/// What one value alone may be, where a list may be written as it.
fn alone(shape: &Shape) -> Option<Value> {
    match shape {
        Shape::Section(_) | Shape::Named(..) | Shape::Many(..) => None,
        Shape::Short(key, section) => {
            let short = section.keys.iter().find(|known| known.name == *key)?;
            Some(shape_schema(&short.shape))
        }
        Shape::WordOr(words, _) => Some(choice(words)),
        _ => Some(shape_schema(shape)),
    }
}

fn choice(words: &[Word]) -> Value {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    json!({ "enum": words })
}

fn reference(section: &Section) -> Value {
    json!({ "$ref": format!("#/$defs/{}", section.name) })
}
