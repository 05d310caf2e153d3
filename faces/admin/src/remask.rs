//! A recorded exchange, masked again for whoever reads it.
//!
//! What is recorded is what its caller was shown; a reader may be allowed to see less. So the recorded
//! answer is laid out as it was when it came, stream or not, and masked by the same rules: a value that
//! was split over the chunks of a stream is found like one that was not.

use std::sync::Arc;

use adapt_http::HttpAdapter;
use bytes::{Bytes, BytesMut};
use desk::{Reading, question};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mask::{Masked, Masker, Part, Rules};
use model::{Adapter, AnswerHead, ExchangeId, Findings, Reveal, Unmasked};
use record::body::{Body, Direction, Kind};
use record::opened::RequestHead;

/// The most of one body that is shown at once, in bytes. A replay has no such bound.
pub(crate) const LONGEST_SHOWN: usize = 16 << 20;

/// A part of a recorded exchange, as its reader may see it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// When it was recorded, in nanoseconds.
    pub(crate) time: i64,
    /// What it is.
    pub(crate) kind: Kind,
    /// The status, of a head.
    pub(crate) status: u32,
    /// The bytes, masked.
    pub(crate) data: Bytes,
    /// The class and length of what is kept as a digest, or can't be shown.
    pub(crate) opaque: Option<(String, u64)>,
}

/// How answers of the exchange are read.
pub(crate) enum Shape {
    /// By the adapter of its resource.
    Of(Arc<dyn Adapter>),
    /// Its resource is not served any more, and nothing is known of it.
    Unknown,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// As it should.
    Whole,
    /// Cut, or not yet: its last value may be the beginning of one that would be masked.
    Cut,
}

/// Masks one exchange's frames as they are read.
pub(crate) struct Remask {
    exchange: ExchangeId,
    rules: Arc<Rules>,
    viewer: Arc<dyn Reveal>,
    plain: Arc<HttpAdapter>,
    shape: Shape,
    ended: Ended,
    head: RequestHead,
    request: BytesMut,
    request_cut: bool,
    answer: Answer,
    /// The last byte that went into the masker: whether a string is open there.
    last: u8,
    findings: Findings,
}

enum Answer {
    /// No head came yet.
    Awaited,
    /// It is masked.
    Masked(Box<Masker>),
    /// It can't be read, so nothing of it is shown.
    Lost,
}

impl Remask {
    /// Begins an exchange, given its recorded request.
    pub(crate) fn begin(
        exchange: ExchangeId,
        head: RequestHead,
        (shape, ended): (Shape, Ended),
        (rules, plain): (Arc<Rules>, Arc<HttpAdapter>),
        viewer: Arc<dyn Reveal>,
    ) -> Self {
        Self {
            exchange,
            rules,
            viewer,
            plain,
            shape,
            ended,
            head,
            request: BytesMut::new(),
            request_cut: false,
            answer: Answer::Awaited,
            last: 0,
            findings: Findings::default(),
        }
    }

    /// Takes the next frame, and gives what of the answer is certain now.
    pub(crate) fn take(&mut self, frame: Body) -> Vec<Seen> {
        if frame.direction() == Direction::Request {
            self.keep_request(&frame);
            return Vec::new();
        }
        let time = frame.time;
        match frame.kind() {
            Kind::Head => self.begin_answer(&frame),
            Kind::Data => self.push(time, frame.data),
            Kind::Opaque => self.opaque(&frame),
            Kind::Trailers => {
                let mut seen = self.end(time);
                seen.push(Seen { time, kind: Kind::Trailers, status: 0, data: Bytes::new(), opaque: None });
                seen
            }
            Kind::Withheld => vec![withheld(&frame, frame.opaque.as_ref().map_or(0, |opaque| opaque.length))],
            // Words of the gateway itself; they may name what was asked.
            Kind::SpokenHead => {
                vec![Seen { status: frame.status, ..seen(time, Kind::SpokenHead, Bytes::new()) }]
            }
            Kind::SpokenData => {
                let mut all = self.end(time);
                let text = String::from_utf8_lossy(&frame.data);
                let (text, findings) = mask::mask_text(&self.rules, &*self.viewer, &text);
                self.findings.add(&findings);
                all.push(seen(time, Kind::SpokenData, Bytes::from(text)));
                all
            }
            Kind::Unspecified => Vec::new(),
        }
    }

    /// It is known by now how the answer ended.
    pub(crate) fn ends(&mut self, ended: Ended) {
        self.ended = ended;
    }

    /// The frames are over: gives what was held.
    pub(crate) fn finish(&mut self, time: i64) -> Vec<Seen> {
        self.end(time)
    }

    /// The request's body, and whether it was too large to be shown whole. Text of it is masked where JSON
    /// has strings, or all of it as text.
    pub(crate) fn request(&mut self) -> (Bytes, bool) {
        let bytes = self.request.split().freeze();
        let (shown, findings) = self.reading().request(self.exchange, &self.head, bytes);
        self.findings.add(&findings);
        match shown {
            Some(shown) => (shown, self.request_cut),
            // Cut JSON is no JSON; what can't be read is not shown.
            None => (Bytes::new(), true),
        }
    }

    /// What was masked for this reader, and what was revealed to it.
    pub(crate) fn findings(&self) -> &Findings {
        &self.findings
    }

    fn reading(&self) -> Reading {
        let (rules, plain) = (Arc::clone(&self.rules), Arc::clone(&self.plain));
        Reading { rules, plain, viewer: Arc::clone(&self.viewer) }
    }

    fn keep_request(&mut self, frame: &Body) {
        let room = LONGEST_SHOWN.saturating_sub(self.request.len());
        let taken = frame.data.get(..room).unwrap_or(&frame.data);
        self.request_cut |= taken.len() < frame.data.len() || frame.opaque.is_some();
        self.request.extend_from_slice(taken);
    }

    fn begin_answer(&mut self, frame: &Body) -> Vec<Seen> {
        let status = u16::try_from(frame.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let head = AnswerHead { status: status.unwrap_or(StatusCode::OK), headers: headers(frame) };
        if let Shape::Of(adapter) = &self.shape {
            let question = question(self.exchange, &self.head);
            let layout = adapter.layout(&question, &head, self.reading().sees());
            let (rules, viewer) = (Arc::clone(&self.rules), Arc::clone(&self.viewer));
            self.answer = Answer::Masked(Box::new(Masker::begin(self.exchange, rules, viewer, layout)));
        } else {
            self.answer = Answer::Lost;
        }
        vec![Seen { status: frame.status, ..seen(frame.time, Kind::Head, Bytes::new()) }]
    }

    fn push(&mut self, time: i64, bytes: Bytes) -> Vec<Seen> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.last = bytes.last().copied().unwrap_or(self.last);
        let Answer::Masked(masker) = &mut self.answer else { return vec![hidden(time, length)] };
        match masker.push(Unmasked { exchange: self.exchange, bytes }) {
            Ok(masked) => some(time, joined([masked])),
            Err(_) => {
                self.findings.add(masker.findings());
                self.answer = Answer::Lost;
                vec![hidden(time, length)]
            }
        }
    }

    /// Of what is kept as a digest its place is held, so that what is around it stays readable: by a note
    /// inside a string, by `null` elsewhere in JSON, by nothing where it is the whole body.
    fn opaque(&mut self, frame: &Body) -> Vec<Seen> {
        let Some(opaque) = &frame.opaque else { return Vec::new() };
        let told = Seen {
            opaque: Some((opaque.class.clone(), opaque.length)),
            ..seen(frame.time, Kind::Opaque, Bytes::new())
        };
        let mut all = match self.last {
            b'"' => self.push(frame.time, Bytes::from_static(b"[kept as a digest]")),
            b':' | b',' | b'[' | b' ' => self.push(frame.time, Bytes::from_static(b"null")),
            _ => Vec::new(),
        };
        all.push(told);
        all
    }

    fn end(&mut self, time: i64) -> Vec<Seen> {
        let Answer::Masked(masker) = &mut self.answer else { return Vec::new() };
        // What was held of an answer that was cut stays held, as it did when it was cut.
        let rest = match (self.ended, masker.finish()) {
            (Ended::Whole, Ok(rest)) => joined([rest]),
            _ => Bytes::new(),
        };
        self.findings.add(masker.findings());
        self.answer = Answer::Lost;
        some(time, rest)
    }
}

fn seen(time: i64, kind: Kind, data: Bytes) -> Seen {
    Seen { time, kind, status: 0, data, opaque: None }
}

fn some(time: i64, data: Bytes) -> Vec<Seen> {
    if data.is_empty() { Vec::new() } else { vec![seen(time, Kind::Data, data)] }
}

fn withheld(frame: &Body, length: u64) -> Seen {
    Seen { opaque: Some((String::new(), length)), ..seen(frame.time, Kind::Withheld, Bytes::new()) }
}

fn hidden(time: i64, length: u64) -> Seen {
    Seen { opaque: Some((String::new(), length)), ..seen(time, Kind::Withheld, Bytes::new()) }
}

fn joined<const N: usize>(parts: [Masked; N]) -> Bytes {
    let mut whole = BytesMut::new();
    for part in parts {
        if let Part::Body { bytes, .. } = part.into_part() {
            whole.extend_from_slice(&bytes);
        }
    }
    whole.freeze()
}

fn headers(frame: &Body) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for header in &frame.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&header.value)) {
            headers.append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests;
