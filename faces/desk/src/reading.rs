//! A recorded request, masked for whoever reads it.

use std::sync::Arc;

use adapt_http::HttpAdapter;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use mask::{Masker, Part, Rules};
use model::{
    Adapter, AnswerHead, ExchangeId, Findings, MaySee, Question, QuestionParts, Reveal, Unmasked, Usable,
};
use record::opened::RequestHead;

/// What a reading needs: the rules, how JSON of no particular server lies, and who looks.
#[derive(Clone)]
pub struct Reading {
    /// What is masked.
    pub rules: Arc<Rules>,
    /// Reads JSON of no particular server.
    pub plain: Arc<HttpAdapter>,
    /// What the reader may see.
    pub viewer: Arc<dyn Reveal>,
}

/// A recorded list holds what its caller was shown already: nothing more is taken out of it.
#[derive(Clone, Copy, Debug)]
pub struct Everything;

impl Usable for Everything {
    fn may_use(&self, _model: &str) -> bool {
        true
    }
}

impl Reading {
    /// What a layout may show.
    pub fn sees(&self) -> MaySee {
        MaySee { usable: Arc::new(Everything), viewer: Arc::clone(&self.viewer) }
    }

    /// A request's body as the reader may see it: masked where JSON has strings, or all of it as text. None
    /// when it cannot be read, as JSON that was cut.
    pub fn request(
        &self,
        exchange: ExchangeId,
        head: &RequestHead,
        body: Bytes,
    ) -> (Option<Bytes>, Findings) {
        let mut headers = HeaderMap::new();
        let kind = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-type"));
        if let Some(kind) = kind.and_then(|kind| HeaderValue::from_bytes(&kind.value).ok()) {
            headers.insert(CONTENT_TYPE, kind);
        }
        // As an answer to POST: HEAD's have no body, whatever the request's method was.
        let question = question(exchange, &RequestHead { method: "POST".into(), ..head.clone() });
        let head = AnswerHead { status: StatusCode::OK, headers };
        let layout = self.plain.layout(&question, &head, self.sees());
        let mut masker = Masker::begin(exchange, Arc::clone(&self.rules), Arc::clone(&self.viewer), layout);
        let pushed = masker.push(Unmasked { exchange, bytes: body });
        let whole = pushed.and_then(|first| Ok([first, masker.finish()?]));
        let findings = masker.findings().clone();
        let Ok(parts) = whole else { return (None, findings) };
        let mut bytes = BytesMut::new();
        for part in parts {
            if let Part::Body { bytes: some, .. } = part.into_part() {
                bytes.extend_from_slice(&some);
            }
        }
        (Some(bytes.freeze()), findings)
    }
}

/// A recorded request, as an adapter takes it.
pub fn question(exchange: ExchangeId, head: &RequestHead) -> Question {
    Question::new(QuestionParts {
        exchange,
        method: head.method.parse().unwrap_or(Method::POST),
        path: head.path.clone(),
        query: head.query.clone(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    })
}
