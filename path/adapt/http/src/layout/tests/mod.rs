//! Layouts against answers as servers write them.
//!
//! Pieces are written so: text of lane 0 `‹0:…›`, its end `‹/0›` with what would go around a held text
//! as `‹/0 before|after›`, a text of its own `«…»`, a value of a known class `⟦class:…⟧`; syntax as it is.

mod bodies;
mod disguises;
mod fields;
mod properties;
mod shapes;
mod streams;
mod whole;

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use model::{
    Adapter, AnswerHead, DataClass, ExchangeId, Layout, LayoutFault, MaySee, Piece, Question, QuestionParts,
    Reveal, Usable,
};

use crate::{AdapterSpec, HttpAdapter, ServerKind, UnknownStreams};

/// Lets a caller use models that begin with `ok`.
struct OnlyOk;

impl Usable for OnlyOk {
    fn may_use(&self, model: &str) -> bool {
        model.starts_with("ok")
    }
}

/// Nothing is revealed.
struct Blind;

impl Reveal for Blind {
    fn reveals(&self, _class: &DataClass) -> bool {
        false
    }
}

fn sees() -> MaySee {
    MaySee { usable: Arc::new(OnlyOk), viewer: Arc::new(Blind) }
}

pub(super) fn spec(server: ServerKind) -> AdapterSpec {
    AdapterSpec { max_held_answer_bytes: 64 << 10, max_event_bytes: 16 << 10, ..AdapterSpec::new(server) }
}

pub(super) fn layout_with(
    spec: AdapterSpec,
    target: (&str, &str),
    status: u16,
    content_type: Option<&str>,
) -> Box<dyn Layout> {
    let question = Question::new(QuestionParts {
        exchange: ExchangeId::from_bytes([0; 16]),
        method: Method::from_bytes(target.0.as_bytes()).unwrap(),
        path: target.1.to_owned(),
        query: None,
        headers: HeaderMap::new(),
        body: Bytes::new(),
    });
    let mut headers = HeaderMap::new();
    if let Some(kind) = content_type {
        headers.insert("content-type", HeaderValue::from_str(kind).unwrap());
    }
    let head = AnswerHead { status: StatusCode::from_u16(status).unwrap(), headers };
    HttpAdapter::build(spec).unwrap().layout(&question, &head, sees())
}

pub(super) fn layout(server: ServerKind, path: &str, content_type: &str) -> Box<dyn Layout> {
    let method = if path.ends_with("models") || path.ends_with("tags") { "GET" } else { "POST" };
    layout_with(spec(server), (method, path), 200, Some(content_type))
}

/// All pieces of an answer that arrives in the given chunks.
pub(super) fn pieces(layout: &mut dyn Layout, chunks: &[&[u8]]) -> Result<Vec<Piece>, LayoutFault> {
    let mut out = Vec::new();
    for chunk in chunks {
        layout.push(Bytes::copy_from_slice(chunk), &mut out)?;
    }
    layout.finish(&mut out)?;
    Ok(out)
}

fn show(bytes: &Bytes) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Pieces in the notation above.
pub(super) fn written(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Syntax(raw) => text.push_str(&show(raw)),
            Piece::Text { lane, raw, .. } => write!(text, "‹{}:{}›", lane.0, show(raw)).unwrap(),
            Piece::End { lane, before, after } if before.is_empty() && after.is_empty() => {
                write!(text, "‹/{}›", lane.0).unwrap();
            }
            Piece::End { lane, before, after } => {
                write!(text, "‹/{} {}|{}›", lane.0, show(before), show(after)).unwrap();
            }
            Piece::Whole { raw, .. } => write!(text, "«{}»", show(raw)).unwrap(),
            Piece::Classed { class, raw, .. } => write!(text, "⟦{class}:{}⟧", show(raw)).unwrap(),
            Piece::SoFar { raw, .. } => write!(text, "«{}…»", show(raw)).unwrap(),
            Piece::Forget { lane } => write!(text, "‹0/{}›", lane.0).unwrap(),
            Piece::Dropped { class, raw } => write!(text, "⟦-{class}:{}⟧", show(raw)).unwrap(),
        }
    }
    text
}

/// The layout of a whole answer, written.
pub(super) fn laid(server: ServerKind, path: &str, content_type: &str, answer: &str) -> String {
    written(&pieces(&mut *layout(server, path, content_type), &[answer.as_bytes()]).unwrap())
}

/// The bytes an answer keeps when nothing is masked and nothing held.
pub(super) fn identity(pieces: &[Piece]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Syntax(raw)
            | Piece::Text { raw, .. }
            | Piece::Whole { raw, .. }
            | Piece::SoFar { raw, .. }
            | Piece::Dropped { raw, .. }
            | Piece::Classed { raw, .. } => {
                bytes.extend_from_slice(raw);
            }
            Piece::End { .. } | Piece::Forget { .. } => {}
        }
    }
    bytes
}

pub(super) fn refusing(server: ServerKind) -> AdapterSpec {
    AdapterSpec { unknown_streams: UnknownStreams::Refuse, ..spec(server) }
}
