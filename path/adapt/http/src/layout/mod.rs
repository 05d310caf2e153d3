//! How answers lie: which bytes are syntax, which are text, and of which lane.
//!
//! What the answer's content type and the operation say chooses the layout; what neither knows is held
//! whole or refused, never passed unread.
//!
//! In a stream each text field of each choice, block or output is a lane of its own, joined as the SDKs
//! join it: by field, whatever comes between. A lane ends with its choice or block, not when another
//! lane begins, so a value is found even if two fields take turns; what was held then comes out in a
//! message made in the lane's shape, before the one that ends it.
//!
//! Odds of tokens (`logprobs`) and token numbers say the text again in a form nothing can be found in.
//! They are values of the classes `model.logprobs` and `model.tokens`, and become `null` for a caller to
//! whom these are not revealed.

mod body;
mod fields;
mod form;
mod framing;
mod held;
mod kept;
mod lanes;
mod marks;
mod stream;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, header};
use model::{AnswerHead, DataClass, Encoding, FieldRule, Layout, MaySee, Piece, UnknownStreams};

pub(crate) use marks::{is_long, is_protocol_key};

use crate::catalogue::AnswerShape;
use crate::dialect::is_bodiless;
use crate::media::Media;
use body::BodyLayout;
use fields::{Fields, Headed};
use framing::Framing;
use held::HeldStream;
use stream::{Messages, StreamLayout};
use text::{EmptyLayout, OpaqueLayout, RefusedLayout, TextLayout};

/// What a layout is chosen by.
pub(crate) struct Reading<'a> {
    /// What the operation answers.
    pub(crate) shape: AnswerShape,
    /// The request's method.
    pub(crate) method: &'a Method,
    /// The answer's head.
    pub(crate) head: &'a AnswerHead,
    /// What the caller may get of it.
    pub(crate) sees: MaySee,
    /// The most of a body that is held, in bytes.
    pub(crate) max_held: usize,
    /// The most of one message of a stream, in bytes.
    pub(crate) max_event: usize,
    /// What becomes of streams of unknown shape.
    pub(crate) unknown: UnknownStreams,
    /// Parts whose class is known by their place.
    pub(crate) fields: &'a [FieldRule],
}

/// Begins to read an answer.
pub(crate) fn begin(reading: Reading<'_>) -> Box<dyn Layout> {
    if reading.fields.is_empty() {
        return body(reading);
    }
    let fields = Fields::hidden(reading.fields, &*reading.sees.viewer);
    Box::new(Headed { fields, body: body(reading) })
}

fn body(reading: Reading<'_>) -> Box<dyn Layout> {
    let Reading { shape, method, head, sees, max_held, .. } = &reading;
    let usable = &sees.usable;
    if is_bodiless(method, head.status) {
        return Box::new(EmptyLayout);
    }
    let succeeded = head.status.is_success();
    let fields = || Fields::hidden(reading.fields, &*sees.viewer);
    let body = || -> Box<dyn Layout> {
        Box::new(BodyLayout::new(*shape, Arc::clone(usable), succeeded, *max_held).hiding(fields()))
    };
    let text = || -> Box<dyn Layout> {
        // What is hidden can only be found in JSON.
        if fields().any() { body() } else { Box::new(TextLayout::new(Arc::clone(usable), *max_held)) }
    };
    let mut types = head.headers.get_all(header::CONTENT_TYPE).iter();
    let media = match (types.next().and_then(Media::parse), types.next()) {
        (Some(media), None) => media,
        // None, several or an unreadable one: no more is known than that it is a body.
        _ => return body(),
    };
    if !media.is_ascii_compatible() {
        return Box::new(OpaqueLayout("opaque.binary"));
    }
    let Some((kind, subtype)) = media.essence.split_once('/') else { return body() };
    match (kind, subtype) {
        // An error is short, and not always of the type it was asked in.
        ("text", "event-stream") if !succeeded => body(),
        ("text", "event-stream") => stream(&reading, Framing::Sse, &media.essence),
        ("application", "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" | "jsonlines") => {
            stream(&reading, Framing::Lines, &media.essence)
        }
        ("text", "json") | ("application", "json") => body(),
        _ if subtype.ends_with("+json") => body(),
        _ if kind == "text" || subtype.ends_with("+xml") => text(),
        ("application", "xml" | "yaml" | "x-yaml" | "javascript" | "openmetrics-text") => text(),
        ("audio", _) => Box::new(OpaqueLayout("opaque.audio")),
        ("image", _) => Box::new(OpaqueLayout("opaque.image")),
        ("video" | "font", _) => Box::new(OpaqueLayout("opaque.binary")),
        (
            "application",
            "octet-stream" | "zip" | "gzip" | "x-gzip" | "x-tar" | "pdf" | "zstd" | "x-protobuf" | "wasm",
        ) => Box::new(OpaqueLayout("opaque.binary")),
        _ => body(),
    }
}

fn stream(reading: &Reading<'_>, framing: Framing, essence: &str) -> Box<dyn Layout> {
    let fields = Fields::hidden(reading.fields, &*reading.sees.viewer);
    let known = |messages| StreamLayout::new(framing, messages, reading.max_event);
    match (reading.shape, reading.unknown) {
        (AnswerShape::Events, _) => Box::new(known(Messages::Words).hiding(fields)),
        (AnswerShape::Progress, _) => Box::new(known(Messages::Complete).hiding(fields)),
        (_, UnknownStreams::Hold) => Box::new(HeldStream::new(framing, reading.max_held).hiding(fields)),
        (_, UnknownStreams::Refuse) => Box::new(RefusedLayout(essence.to_owned())),
    }
}

/// A piece of bytes of a class known by their place.
fn opaque(class: &'static str, raw: Bytes) -> Option<Piece> {
    let class = DataClass::new(class).ok()?;
    Some(Piece::Classed { class, encoding: Encoding::Plain, raw })
}
