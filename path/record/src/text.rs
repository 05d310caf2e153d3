//! Words that were said, for the full-text index: gathered from the bodies beside the leaves, read once in
//! their order, with everything masked in them that any rule finds.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mask::Rules;
use model::{DataClass, Reveal};
use prost::Message;
use serde_json::Value;

use crate::body::{Body, Direction, Kind};
use crate::leaf::Span;
use crate::segment::{Position, Series, SeriesReader};

/// The most bytes of one direction of an exchange that are indexed.
const LONGEST: usize = 256 << 10;
/// The most bytes kept of exchanges that are not sealed yet, and the most of them. Beyond, all are dropped and
/// read again when they are sealed.
const MOST_BYTES: usize = 64 << 20;
const MOST: usize = 8192;
/// How deep JSON is looked into.
const DEEPEST: usize = 32;
/// Members that say how an answer is made, not what is said in it.
const MACHINERY: [&str; 11] = [
    "id",
    "object",
    "model",
    "type",
    "role",
    "created",
    "created_at",
    "finish_reason",
    "stop_reason",
    "system_fingerprint",
    "logprobs",
];

type Id = [u8; 16];

/// Nobody: whoever looks for words may see less than whoever said them.
struct Nobody;

impl Reveal for Nobody {
    fn reveals(&self, _class: &DataClass) -> bool {
        false
    }
}

/// What was said in one exchange so far.
#[derive(Default)]
struct Heard {
    /// Whether it was heard from its first frame on.
    whole: bool,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Heard {
    fn take(&mut self, body: &Body) {
        let into = if body.direction() == Direction::Request { &mut self.request } else { &mut self.answer };
        let said = matches!(body.kind(), Kind::Data | Kind::SpokenData) && body.encrypted.is_empty();
        let room = if said { LONGEST.saturating_sub(into.len()) } else { 0 };
        into.extend_from_slice(body.data.get(..room).unwrap_or(&body.data));
    }

    fn len(&self) -> usize {
        self.request.len().saturating_add(self.answer.len())
    }
}

/// Gathers what was said, exchange by exchange.
pub(crate) struct Ear {
    dir: PathBuf,
    rules: Arc<Rules>,
    readers: HashMap<String, SeriesReader>,
    heard: HashMap<Id, Heard>,
    bytes: usize,
}

impl Ear {
    /// Works the rules out, once and for all: that takes a while, and is not for when others wait.
    pub(crate) fn get_ready() {
        // Whoever begins to listen learns what is wrong with them.
        let _ = Rules::standard();
    }

    /// Begins to listen; none if the rules can't be had, since nothing may be indexed unmasked.
    pub(crate) fn new(dir: &Path) -> Option<Self> {
        let rules = Rules::standard().ok()?;
        let (dir, readers, heard) = (dir.to_owned(), HashMap::new(), HashMap::new());
        Some(Self { dir, rules, readers, heard, bytes: 0 })
    }

    /// Reads on to the end of what a leaf covers.
    pub(crate) fn reach(&mut self, span: &Span) {
        if !self.readers.contains_key(&span.class) {
            let from = Position { segment: span.first_segment, offset: span.first_offset };
            self.readers.insert(span.class.clone(), Series::bodies(&self.dir, &span.class).read(from));
        }
        let Some(reader) = self.readers.get_mut(&span.class) else { return };
        let end = Position { segment: span.end_segment, offset: span.end_offset };
        reader.again();
        while reader.position() < end {
            match reader.next() {
                Ok(Some((_, frame))) => {
                    let Ok(body) = Body::decode(bytes::Bytes::from(frame.payload)) else { continue };
                    let Ok(id) = Id::try_from(body.exchange.as_ref()) else { continue };
                    let heard = self
                        .heard
                        .entry(id)
                        .or_insert_with(|| Heard { whole: body.sequence == 0, ..Heard::default() });
                    let before = heard.len();
                    heard.take(&body);
                    self.bytes = self.bytes.saturating_add(heard.len().saturating_sub(before));
                }
                Ok(None) => break,
                // What is damaged is told by whoever verifies.
                Err(damage) => tracing::debug!(%damage, "words are not indexed"),
            }
        }
        if self.bytes > MOST_BYTES || self.heard.len() > MOST {
            self.heard.clear();
            self.bytes = 0;
        }
    }

    /// What was said in an exchange that was sealed with this span, masked. Empty if nothing was.
    pub(crate) fn said(&mut self, exchange: &[u8], span: &Span) -> String {
        let Ok(id) = Id::try_from(exchange) else { return String::new() };
        self.reach(span);
        let heard = self.heard.remove(&id);
        self.bytes = self.bytes.saturating_sub(heard.as_ref().map_or(0, Heard::len));
        let heard = heard.filter(|heard| heard.whole).unwrap_or_else(|| self.again(id, span));
        let text = [words(&heard.request), words(&heard.answer)].join("\n");
        if text.len() < 2 { String::new() } else { mask::mask_text(&self.rules, &Nobody, &text).0 }
    }

    /// Reads the frames of one exchange alone.
    fn again(&self, id: Id, span: &Span) -> Heard {
        let from = Position { segment: span.first_segment, offset: span.first_offset };
        let end = Position { segment: span.end_segment, offset: span.end_offset };
        let mut reader = Series::bodies(&self.dir, &span.class).read(from);
        let mut heard = Heard::default();
        while reader.position() < end {
            match reader.next() {
                Ok(Some((_, frame))) => {
                    let body = Body::decode(bytes::Bytes::from(frame.payload)).ok();
                    if let Some(body) = body.filter(|body| *body.exchange == id) {
                        heard.take(&body);
                    }
                }
                Ok(None) => break,
                Err(damage) => tracing::debug!(%damage, "words are not indexed"),
            }
        }
        heard
    }
}

/// The words in a body: the texts of JSON, those of a stream joined over its events, or all of it.
fn words(body: &[u8]) -> String {
    if body.is_empty() {
        return String::new();
    }
    let mut texts = Texts::default();
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        texts.add(&value, &mut String::new(), 0);
        return texts.joined();
    }
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_prefix(b"data:").unwrap_or(line);
        if let Ok(value) = serde_json::from_slice::<Value>(line) {
            texts.add(&value, &mut String::new(), 0);
        }
    }
    if texts.0.is_empty() { String::from_utf8_lossy(body).into_owned() } else { texts.joined() }
}

/// Texts by where they stand, so that the pieces of a stream come together.
#[derive(Default)]
struct Texts(BTreeMap<String, String>);

impl Texts {
    fn add(&mut self, value: &Value, place: &mut String, depth: usize) {
        match value {
            Value::String(text) => self.0.entry(place.clone()).or_default().push_str(text),
            _ if depth >= DEEPEST => {}
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.below(&at.to_string(), item, place, depth);
                }
            }
            Value::Object(members) => {
                // In a list of events, the choice an event is of is a member.
                let index = members.get("index").map(Value::to_string).unwrap_or_default();
                for (key, item) in members.iter().filter(|(key, _)| !MACHINERY.contains(&key.as_str())) {
                    self.below(&[index.as_str(), ".", key].concat(), item, place, depth);
                }
            }
            _ => {}
        }
    }

    fn below(&mut self, key: &str, item: &Value, place: &mut String, depth: usize) {
        let length = place.len();
        place.push('/');
        place.push_str(key);
        self.add(item, place, depth.saturating_add(1));
        place.truncate(length);
    }

    fn joined(self) -> String {
        self.0.into_values().collect::<Vec<_>>().join("\n")
    }
}

/// What somebody looks for, as FTS5 takes it: every word must be there, and what stands in quotes as a phrase.
/// Empty if there is no word in it. Nothing of it is syntax to the index.
pub(crate) fn query(asked: &str) -> String {
    let mut phrases = Vec::new();
    for (at, part) in asked.split('"').enumerate() {
        let quoted = at % 2 == 1;
        let words: Vec<&str> =
            part.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        if quoted && !words.is_empty() {
            phrases.push(format!("\"{}\"", words.join(" ")));
        } else {
            phrases.extend(words.into_iter().map(|word| format!("\"{word}\"")));
        }
    }
    phrases.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_stream_come_together() {
        let event = |text: &str| {
            format!(
                "data: {{\"id\":\"x\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
            )
        };
        let stream = [event("the qui"), event("ck fox"), "data: [DONE]\n\n".to_owned()].concat();
        assert_eq!(words(stream.as_bytes()), "the quick fox");
        assert_eq!(
            words(br#"{"model":"m","messages":[{"role":"user","content":"hello there"}]}"#),
            "hello there"
        );
        assert_eq!(words(b"plain words"), "plain words");
        assert_eq!(words(b""), "");
    }

    #[test]
    fn words_are_words_and_never_syntax() {
        for (asked, query_text) in [
            ("red fox", "\"red\" \"fox\""),
            ("\"red fox\" den", "\"red fox\" \"den\""),
            ("a OR b* NEAR(c) said:x", "\"a\" \"OR\" \"b\" \"NEAR\" \"c\" \"said\" \"x\""),
            ("ana@example.test", "\"ana\" \"example\" \"test\""),
            ("  \"\" ' ", ""),
        ] {
            assert_eq!(query(asked), query_text);
        }
    }
}
