//! A stream of events lies the same however it is cut, and no byte of it is lost or made up.
#![no_main]

use std::sync::{Arc, OnceLock};

use adapt_http::{AdapterSpec, HttpAdapter, ServerKind};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use libfuzzer_sys::fuzz_target;
use model::{
    Adapter, AnswerHead, DataClass, Encoding, ExchangeId, Lane, LayoutFault, MaySee, Piece, Question,
    QuestionParts, Reveal, Usable,
};

fuzz_target!(|input: (Vec<u8>, bool, &[u8])| {
    let (cuts, anthropic, stream) = input;
    let path = if anthropic { "/v1/messages" } else { "/v1/chat/completions" };
    let whole = laid(path, stream, &[]);
    if let Ok(pieces) = &whole {
        assert_eq!(raw(pieces), stream, "bytes were lost or made up");
    }
    for cuts in [&cuts[..], &[0]] {
        let cut = laid(path, stream, cuts);
        assert_eq!(whole.is_ok(), cut.is_ok(), "cut by {cuts:?}: {whole:?} but {cut:?}");
        if let (Ok(whole), Ok(cut)) = (&whole, &cut) {
            assert_eq!(joined(whole), joined(cut), "cut by {cuts:?}");
        }
    }
});

fn adapter() -> &'static HttpAdapter {
    static ADAPTER: OnceLock<HttpAdapter> = OnceLock::new();
    ADAPTER.get_or_init(|| HttpAdapter::build(AdapterSpec::new(ServerKind::OpenAi)).expect("an adapter"))
}

fn laid(path: &str, stream: &[u8], cuts: &[u8]) -> Result<Vec<Piece>, LayoutFault> {
    let question = Question::new(QuestionParts {
        exchange: ExchangeId::from_bytes([7; 16]),
        method: Method::POST,
        path: path.to_owned(),
        query: None,
        headers: HeaderMap::new(),
        body: Bytes::from_static(
            br#"{"model":"m","max_tokens":1,"stream":true,"messages":[{"role":"user","content":"a"}]}"#,
        ),
    });
    let kind = HeaderValue::from_static("text/event-stream");
    let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, kind)]);
    let sees = MaySee { usable: Arc::new(All), viewer: Arc::new(All) };
    let mut layout = adapter().layout(&question, &AnswerHead { status: StatusCode::OK, headers }, sees);
    let mut pieces = Vec::new();
    let mut rest = stream;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let length = cuts.next().map_or(rest.len(), |cut| usize::from(*cut) + 1).min(rest.len());
        let (chunk, behind) = rest.split_at(length);
        rest = behind;
        layout.push(Bytes::copy_from_slice(chunk), &mut pieces)?;
    }
    layout.finish(&mut pieces)?;
    Ok(pieces)
}

/// The answer's own bytes, in order.
fn raw(pieces: &[Piece]) -> Vec<u8> {
    let runs = pieces.iter().filter_map(|piece| match piece {
        Piece::Syntax(raw)
        | Piece::Text { raw, .. }
        | Piece::Whole { raw, .. }
        | Piece::SoFar { raw, .. }
        | Piece::Dropped { raw, .. }
        | Piece::Classed { raw, .. } => Some(raw),
        // What stands here is for text that would be held, and is not the answer's.
        Piece::End { .. } | Piece::Forget { .. } => None,
    });
    runs.flatten().copied().collect()
}

#[derive(Debug, PartialEq)]
enum Run {
    Syntax(BytesMut),
    Text(Lane, Encoding, BytesMut),
    Other(Piece),
}

/// Pieces with neighbours of a kind put together: where they are cut is free.
fn joined(pieces: &[Piece]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for piece in pieces {
        match (piece, runs.last_mut()) {
            (Piece::Syntax(raw), Some(Run::Syntax(run))) => run.extend_from_slice(raw),
            (Piece::Text { lane, encoding, raw }, Some(Run::Text(same, alike, run)))
                if lane == same && encoding == alike =>
            {
                run.extend_from_slice(raw);
            }
            (Piece::Syntax(raw), _) => runs.push(Run::Syntax(BytesMut::from(&raw[..]))),
            (Piece::Text { lane, encoding, raw }, _) => {
                runs.push(Run::Text(*lane, *encoding, BytesMut::from(&raw[..])))
            }
            (piece, _) => runs.push(Run::Other(piece.clone())),
        }
    }
    runs
}

/// May use everything.
struct All;

impl Reveal for All {
    fn reveals(&self, _: &DataClass) -> bool {
        true
    }
}

impl Usable for All {
    fn may_use(&self, _: &str) -> bool {
        true
    }
}
