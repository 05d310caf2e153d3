//! The request as it was judged, which is the request as it is forwarded.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::ExchangeId;

/// What a [`Question`] is made of.
#[derive(Debug)]
pub struct QuestionParts {
    /// The exchange it opens.
    pub exchange: ExchangeId,
    /// The method.
    pub method: Method,
    /// The normalised path below the resource, with its leading slash.
    pub path: String,
    /// The query without `?`, as sent.
    pub query: Option<String>,
    /// The headers that may go upstream, already from the allow-list.
    pub headers: HeaderMap,
    /// The whole body, identity-encoded.
    pub body: Bytes,
}

/// A request, read whole, that nothing can change any more: policy judges these bytes, the record
/// keeps them, the upstream gets them.
#[derive(Debug)]
pub struct Question(QuestionParts);

impl Question {
    /// Closes the request against change.
    pub fn new(parts: QuestionParts) -> Self {
        Self(parts)
    }

    /// The same request with what may not reach the upstream masked in its query and body: a new question,
    /// which takes the place of this one before anything is recorded.
    #[must_use]
    pub fn disclosing(&self, query: Option<String>, body: Bytes) -> Self {
        let QuestionParts { exchange, method, path, headers, .. } = &self.0;
        let (method, path, headers) = (method.clone(), path.clone(), headers.clone());
        Self(QuestionParts { exchange: *exchange, method, path, query, headers, body })
    }

    /// The exchange it opens.
    pub fn exchange(&self) -> ExchangeId {
        self.0.exchange
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// The normalised path below the resource.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The query without `?`.
    pub fn query(&self) -> Option<&str> {
        self.0.query.as_deref()
    }

    /// Path and query as one target, for the request line.
    pub fn target(&self) -> String {
        match &self.0.query {
            Some(query) => format!("{}?{query}", self.0.path),
            None => self.0.path.clone(),
        }
    }

    /// The headers that go upstream.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }
}

/// The head of what an upstream answered.
#[derive(Debug)]
pub struct AnswerHead {
    /// The status.
    pub status: StatusCode,
    /// The headers, hop-by-hop ones gone. Not yet masked.
    pub headers: HeaderMap,
}
