//! Marks on a JSON text: which of its bytes are more than syntax.

use std::ops::Range;

use bytes::Bytes;
use model::{DataClass, Encoding, Lane, Piece};

use crate::json::{Node, Number, Value};

/// One step into a JSON value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step<'n> {
    /// A member's key.
    Key(&'n str),
    /// An item's place.
    At(usize),
}

/// How an event of a lane is made when there is none to carry its last text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    /// The event's name, where events have one.
    pub(crate) event: Option<String>,
    /// JSON before the text, its opening quote included.
    pub(crate) before: String,
    /// And after it.
    pub(crate) after: String,
}

/// A string that continues a lane.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LaneUse {
    /// What tells the lane from others of the answer.
    pub(crate) key: String,
    /// What it ends together with.
    pub(crate) group: String,
    /// How an event of it is made; none where every event is at hand.
    pub(crate) template: Option<Template>,
}

/// What becomes of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Treat {
    /// A string or long number: a text of its own. A container: its values are asked about one by one.
    Whole,
    /// Passes as it is. A container: its numbers do, its strings are asked about.
    Syntax,
    /// A string: it continues a lane.
    Lane(LaneUse),
    /// Its class is known by its place.
    Classed(&'static str),
}

/// What a marked range is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// To be given a lane.
    Use(LaneUse),
    /// Text of a lane, which may end here.
    Text { lane: Lane, ends: bool },
    /// A text of its own.
    Whole(Encoding),
    /// A text of its own, as far as it has come.
    SoFar,
    /// A value of a known class.
    Classed(&'static str, Encoding),
    /// A value of a class that is hidden.
    Hidden(DataClass, Encoding),
    /// Bytes of a class that is hidden, left out altogether.
    Dropped(DataClass),
}

/// A range that is more than syntax.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
}

/// Integers of twelve digits and more may be numbers of cards or accounts; shorter ones are counts.
const LONG: u64 = 100_000_000_000;

/// Keys of the protocols themselves. Any other key may be someone's data, and is looked into.
const KEYS: &[&str] = &[
    "annotations",
    "arguments",
    "audio",
    "audio_tokens",
    "cache_n",
    "cached_tokens",
    "capabilities",
    "choices",
    "code",
    "completion_tokens",
    "completion_tokens_details",
    "content",
    "content_block",
    "content_index",
    "context",
    "created",
    "created_at",
    "data",
    "delta",
    "details",
    "digest",
    "done",
    "done_reason",
    "embedding",
    "error",
    "eval_count",
    "eval_duration",
    "families",
    "family",
    "finish_reason",
    "format",
    "function",
    "function_call",
    "generated_text",
    "generated_tokens",
    "generation_settings",
    "id",
    "index",
    "input",
    "input_tokens",
    "item",
    "item_id",
    "language",
    "load_duration",
    "logprob",
    "logprobs",
    "max_model_len",
    "message",
    "messages",
    "meta_info",
    "model",
    "model_name",
    "model_version",
    "models",
    "modified_at",
    "name",
    "obfuscation",
    "object",
    "output",
    "output_ids",
    "output_index",
    "output_text",
    "output_tokens",
    "owned_by",
    "param",
    "parameter_size",
    "parameters",
    "parent",
    "part",
    "partial_json",
    "permission",
    "predicted_ms",
    "predicted_n",
    "predicted_per_second",
    "predicted_per_token_ms",
    "prefill",
    "prompt",
    "prompt_eval_count",
    "prompt_eval_duration",
    "prompt_ms",
    "prompt_n",
    "prompt_per_second",
    "prompt_per_token_ms",
    "prompt_token_ids",
    "prompt_tokens",
    "prompt_tokens_details",
    "quantization_level",
    "reasoning",
    "reasoning_content",
    "reasoning_tokens",
    "refusal",
    "response",
    "role",
    "root",
    "seed",
    "sequence_end",
    "sequence_id",
    "sequence_number",
    "sequence_start",
    "service_tier",
    "signature",
    "size",
    "special",
    "status",
    "stop",
    "stop_reason",
    "stop_sequence",
    "summary",
    "summary_index",
    "system",
    "system_fingerprint",
    "text",
    "text_output",
    "thinking",
    "timings",
    "title",
    "token",
    "token_ids",
    "tokens",
    "tokens_evaluated",
    "tokens_predicted",
    "tool_calls",
    "top_tokens",
    "total_duration",
    "total_tokens",
    "transcript",
    "type",
    "usage",
];

/// What a walk asks about every string, container and long number.
pub(crate) type Ask<'a, 'n> = dyn FnMut(&[Step<'n>], &'n Node<'n>) -> Treat + 'a;

/// Marks a JSON value, in the order of its bytes.
pub(crate) fn walk<'n>(root: &'n Node<'n>, ask: &mut Ask<'_, 'n>, marks: &mut Vec<Mark>) {
    Walk { ask, marks, path: Vec::new() }.visit(root, false);
}

/// The same around what is hidden, whose marks take their places among the others.
pub(crate) fn walk_around<'n>(
    root: &'n Node<'n>,
    mut hidden: Vec<Mark>,
    ask: &mut Ask<'_, 'n>,
    marks: &mut Vec<Mark>,
) {
    walk(root, ask, marks);
    if hidden.is_empty() {
        return;
    }
    enclose(&mut hidden, marks);
    let lies_in = |mark: &Mark| {
        let count = hidden.partition_point(|part| part.range.start <= mark.range.start);
        count
            .checked_sub(1)
            .and_then(|at| hidden.get(at))
            .is_some_and(|part| mark.range.start < part.range.end || part.range == mark.range)
    };
    marks.retain(|mark| !lies_in(mark));
    marks.extend(hidden);
    marks.sort_by_key(|mark| mark.range.start);
}

/// A part that is judged as one, and of which something is hidden, is hidden with it.
fn enclose(hidden: &mut Vec<Mark>, marks: &mut [Mark]) {
    let mut wholes: Vec<Range<usize>> = Vec::new();
    for mark in marks {
        let first = hidden.partition_point(|part| part.range.start < mark.range.start);
        let Some(part) = hidden.get(first).filter(|part| part.range.end <= mark.range.end) else { continue };
        if let Kind::Hidden(class, _) | Kind::Dropped(class) = &part.kind
            && part.range != mark.range
        {
            mark.kind = Kind::Hidden(class.clone(), Encoding::JsonValue);
            wholes.push(mark.range.clone());
        }
    }
    hidden.retain(|part| {
        let count = wholes.partition_point(|whole| whole.start <= part.range.start);
        let around = count.checked_sub(1).and_then(|at| wholes.get(at));
        around.is_none_or(|whole| part.range.end > whole.end)
    });
}

struct Walk<'w, 'a, 'n> {
    ask: &'w mut Ask<'a, 'n>,
    marks: &'w mut Vec<Mark>,
    path: Vec<Step<'n>>,
}

impl<'n> Walk<'_, '_, 'n> {
    fn mark(&mut self, range: Range<usize>, kind: Kind) {
        self.marks.push(Mark { range, kind });
    }

    fn visit(&mut self, node: &'n Node<'n>, counts: bool) {
        match &node.value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => {
                if !counts && is_long(*number) && (self.ask)(&self.path, node) != Treat::Syntax {
                    self.mark(node.span(), Kind::Whole(Encoding::JsonNumber));
                }
            }
            Value::String(_) => match (self.ask)(&self.path, node) {
                Treat::Syntax => {}
                Treat::Whole => self.mark(node.inner(), Kind::Whole(Encoding::JsonString)),
                Treat::Lane(lane) => self.mark(node.inner(), Kind::Use(lane)),
                Treat::Classed(class) => self.mark(node.inner(), Kind::Classed(class, Encoding::JsonString)),
            },
            Value::Array(items) if items.is_empty() => {}
            Value::Object(members) if members.is_empty() => {}
            Value::Array(items) => {
                let Some(counts) = self.enter(node, counts) else { return };
                for (at, item) in items.iter().enumerate() {
                    self.path.push(Step::At(at));
                    self.visit(item, counts);
                    self.path.pop();
                }
            }
            Value::Object(members) => {
                let Some(counts) = self.enter(node, counts) else { return };
                for member in members {
                    if KEYS.binary_search(&&*member.key).is_err() && !member.key.is_empty() {
                        self.mark(member.key_inner(), Kind::Whole(Encoding::JsonString));
                    }
                    self.path.push(Step::Key(&member.key));
                    self.visit(&member.node, counts);
                    self.path.pop();
                }
            }
        }
    }

    /// Asks about a container; none if it is marked as a whole, else whether its numbers pass.
    fn enter(&mut self, node: &'n Node<'n>, counts: bool) -> Option<bool> {
        match (self.ask)(&self.path, node) {
            Treat::Classed(class) => {
                self.mark(node.span(), Kind::Classed(class, Encoding::JsonValue));
                None
            }
            Treat::Syntax => Some(true),
            Treat::Whole | Treat::Lane(_) => Some(counts),
        }
    }
}

/// Whether a key is one of the protocols' own.
pub(crate) fn is_protocol_key(key: &str) -> bool {
    KEYS.binary_search(&key).is_ok()
}

/// Whether a number may be one of a card or an account.
pub(crate) fn is_long(number: Number) -> bool {
    match number {
        Number::Unsigned(count) => count >= LONG,
        Number::Signed(count) => count.unsigned_abs() >= LONG,
        Number::Float(value) => value.abs() >= LONG as f64,
        Number::Other => true,
    }
}

/// Turns marked bytes into pieces. Marks lie in order and do not overlap.
pub(crate) fn emit(raw: &Bytes, marks: Vec<Mark>, out: &mut Vec<Piece>) {
    let mut at = 0;
    let piece =
        |from: usize, to: usize| raw.slice(from.min(raw.len())..to.clamp(from, raw.len()).min(raw.len()));
    for Mark { range, kind } in marks {
        if range.start > at {
            out.push(Piece::Syntax(piece(at, range.start)));
        }
        at = range.end;
        let raw = piece(range.start, range.end);
        match kind {
            Kind::Text { lane, ends } => {
                out.push(Piece::Text { lane, encoding: Encoding::JsonString, raw });
                if ends {
                    out.push(Piece::End { lane, before: Bytes::new(), after: Bytes::new() });
                }
            }
            Kind::Use(_) | Kind::Whole(Encoding::JsonString) if raw.is_empty() => {}
            // A use that was given no lane is still a text.
            Kind::Use(_) => out.push(Piece::Whole { encoding: Encoding::JsonString, raw }),
            Kind::Whole(encoding) => out.push(Piece::Whole { encoding, raw }),
            Kind::SoFar => out.push(Piece::SoFar { encoding: Encoding::JsonString, raw }),
            Kind::Hidden(class, encoding) => out.push(Piece::Classed { class, encoding, raw }),
            Kind::Dropped(class) => out.push(Piece::Dropped { class, raw }),
            Kind::Classed(class, encoding) => match DataClass::new(class) {
                Ok(class) => out.push(Piece::Classed { class, encoding, raw }),
                Err(_) => out.push(Piece::Whole { encoding, raw }),
            },
        }
    }
    if at < raw.len() {
        out.push(Piece::Syntax(piece(at, raw.len())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_keys_can_be_searched() {
        assert!(KEYS.is_sorted());
    }
}
