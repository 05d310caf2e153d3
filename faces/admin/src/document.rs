//! How the administration's own JSON lies: every text in it is masked for its reader, unless it stands at
//! a key that holds words of ours.
//!
//! What was recorded may hold what its first reader was shown and this one may not see. A new field is
//! masked until it is listed here, so that forgetting one hides too much and never too little.

use bytes::Bytes;
use model::{Encoding, Layout, LayoutFault, Piece};

/// Keys whose texts are names, times, digests and words of Portcullis and its operators, or say who
/// somebody is: never what was asked or answered.
const OURS: &[&str] = &[
    "act",
    "address",
    "advice",
    "agent",
    "arrived",
    "asked_at",
    "at",
    "audiences",
    "authority",
    "before",
    "began",
    "blocked",
    "body",
    "by",
    "caller",
    "class",
    "classes",
    "client",
    "code",
    "credential",
    "cursor",
    "data",
    "decision",
    "digest",
    "display",
    "effect",
    "email",
    "ended",
    "exchange",
    "exchanges",
    "expires_at",
    "file",
    "files",
    "first",
    "gone",
    "groups",
    "hash",
    "hosts",
    "id",
    "issued_at",
    "issuer",
    "issuer_name",
    // A join token, which its one reader must get whole.
    "join",
    "joined",
    "key",
    "kind",
    "last",
    "may",
    "method",
    "name",
    "next",
    "operations",
    "outcome",
    "place",
    "policies",
    "policy",
    "policy_set",
    "released_at",
    "resource",
    "ruling",
    "sentence",
    "server",
    "session",
    "since",
    "software",
    "state",
    "subject",
    "text",
    "timezone",
    "token_expires_at",
    "token_issued_at",
    "type",
    "uid",
    "until",
    "url",
    "via",
    "wanted",
    "withheld",
];

/// Where a judgement is told as policy saw it: facts of the request stand there at any key.
const JUDGED: &[&str] = &["judgements", "explanations"];
/// Keys whose texts are words of ours there too: rulings, and policies with their text.
const OURS_JUDGED: &[&str] =
    &["action", "effect", "groups", "place", "policy", "ruling", "sentence", "text", "type"];

/// The layout of JSON that this crate wrote.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// The key at each level of nesting.
    keys: Vec<String>,
    /// The key whose value comes next.
    key: String,
}

impl Layout for Document {
    /// Takes whole JSON values: one document, or one line of several.
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        let mut at = 0;
        let mut plain = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'{' | b'[' => self.keys.push(self.key.clone()),
                b'}' | b']' => self.key = self.keys.pop().unwrap_or_default(),
                b'"' => {
                    let end = string_end(&bytes, at).ok_or_else(odd)?;
                    let inside = bytes.slice(at.saturating_add(1)..end);
                    let after = end.saturating_add(1);
                    if bytes.get(after) == Some(&b':') {
                        self.key = String::from_utf8_lossy(&inside).into_owned();
                    } else if !self.is_ours() {
                        out.push(Piece::Syntax(bytes.slice(plain..at.saturating_add(1))));
                        out.push(Piece::Whole { encoding: Encoding::JsonString, raw: inside });
                        plain = end;
                    }
                    at = end;
                }
                _ => {}
            }
            at = at.saturating_add(1);
        }
        out.push(Piece::Syntax(bytes.slice(plain.min(bytes.len())..)));
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<Piece>) -> Result<(), LayoutFault> {
        if self.keys.is_empty() { Ok(()) } else { Err(odd()) }
    }
}

impl Document {
    /// Whether a text at the present place holds words of ours.
    fn is_ours(&self) -> bool {
        let judged = self.keys.iter().any(|key| JUDGED.contains(&key.as_str()));
        let ours = if judged { OURS_JUDGED } else { OURS };
        ours.contains(&self.key.as_str())
    }
}

fn odd() -> LayoutFault {
    LayoutFault::Malformed("the administration wrote JSON it can't read".to_owned())
}

/// Where the string that begins at `start` ends: the place of its closing quote.
fn string_end(bytes: &Bytes, start: usize) -> Option<usize> {
    let mut at = start.saturating_add(1);
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at = at.saturating_add(2),
            _ => at = at.saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mask::{Masker, Part, Rules};
    use model::{DataClass, ExchangeId, Reveal, Unmasked};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    struct Sees(bool);

    impl Reveal for Sees {
        fn reveals(&self, _class: &DataClass) -> bool {
            self.0
        }
    }

    fn masked(value: &Value, sees: bool) -> Value {
        let exchange = ExchangeId::at(jiff::Timestamp::UNIX_EPOCH);
        let layout = Box::new(Document::default());
        let mut masker = Masker::begin(exchange, Rules::standard().unwrap(), Arc::new(Sees(sees)), layout);
        let mut whole = Vec::new();
        let bytes = Bytes::from(value.to_string());
        for masked in [masker.push(Unmasked { exchange, bytes }).unwrap(), masker.finish().unwrap()] {
            let Part::Body { bytes, .. } = masked.into_part() else { panic!("no body") };
            whole.extend_from_slice(&bytes);
        }
        serde_json::from_slice(&whole).unwrap()
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            "[\\\\\"{}:,\\[\\]\n]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map("[a-z\\\\\"]{0,6}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_shown_whole_to_who_may_see_everything(value in any_json()) {
            prop_assert_eq!(masked(&value, true), value);
        }

        #[test]
        fn a_value_at_a_key_that_is_not_ours_is_masked_wherever_it_stands(value in any_json()) {
            let hidden = json!({ "groups": value, "zzz": [value, "ana@example.com"] });
            let text = masked(&hidden, false).to_string();
            prop_assert!(!text.contains("ana@example"), "{}", text);
        }
    }

    #[test]
    fn what_is_not_known_to_be_ours_is_masked() {
        let mail = "ana@example.com";
        let value = json!({
            "email": mail, "query": format!("q={mail}"), "n": 4111111111111111u64,
            "list": [mail, {"email": mail, "note": format!("say \"{mail}\"\n")}, mail],
            "judgements": [{"resource": format!("Model::\"m/{mail}\""), "policy": mail, "entities": [{"id": mail}]}],
            "resource": mail, "groups": [mail], "nested": {"groups": {"inner": mail}, "more": [[mail]]}, "": mail,
        });
        let all = masked(&value, true);
        assert_eq!(all, value, "who may see everything sees it byte for byte");
        let some = masked(&value, false);
        for open in ["/email", "/list/1/email", "/groups/0", "/judgements/0/policy", "/resource"] {
            assert_eq!(some.pointer(open), value.pointer(open), "{open}");
        }
        assert_eq!(some["n"], value["n"]);
        for hidden in [
            "/query",
            "/list/0",
            "/list/1/note",
            "/list/2",
            "/nested/groups/inner",
            "/nested/more/0/0",
            "/",
            "/judgements/0/resource",
            "/judgements/0/entities/0/id",
        ] {
            let text = some.pointer(hidden).unwrap().as_str().unwrap();
            assert!(!text.contains("ana@") && !text.is_empty(), "{hidden}: {text}");
        }
    }
}
