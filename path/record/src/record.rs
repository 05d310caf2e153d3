//! One open exchange: what goes out is appended here first, and at the end it is sealed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use mask::{Masked, Part};
use model::{
    Decision, ExchangeId, Fault, Findings, Identity, Operation, Outcome, Question, Refusal, ResourceName,
    Usage,
};
use prost::Message;

use crate::LedgerError;
use crate::body::{self, Body, Direction, Kind};
use crate::describe::{self, nanoseconds};
use crate::digest::{Chain, sha256};
use crate::envelope::{Envelope, counted};
use crate::group::fits;
use crate::leaf::{Leaf, Sealed, What};
use crate::ledger::{Inner, Ledger};
use crate::opened::Opened;
use crate::recorded::{Recorded, Spoken};
use crate::table::{Entry, Live};
use crate::work::{Frames, Work};

/// Bytes that a box may add to a frame.
const BOX: usize = 512;
/// The largest run of body bytes in one frame.
const PIECE: usize = 1 << 20;
/// Answer bytes after which a *part* leaf is written,
const PART_BYTES: u64 = 8 << 20;
/// or time.
const PART_TIME: Duration = Duration::from_secs(300);

/// What is known of an exchange when it is opened.
#[derive(Debug)]
pub struct Opening<'a> {
    /// Its name.
    pub exchange: ExchangeId,
    /// When the request arrived.
    pub arrived: Timestamp,
    /// From where.
    pub client: SocketAddr,
    /// Who asks.
    pub identity: &'a Identity,
    /// For what.
    pub resource: &'a ResourceName,
    /// What the request would do.
    pub operations: &'a [Operation],
    /// What policy said of it.
    pub decision: &'a Decision,
    /// The request as it was judged.
    pub question: &'a Question,
    /// What was found in the request, and masked where it may not go.
    pub disclosed: &'a Findings,
    /// Whether bodies are kept. If not, their lengths and keyed digests are.
    pub bodies: bool,
    /// As the client calls the session it belongs to; empty if it says nothing.
    pub session: &'a str,
}

/// How an exchange ended.
#[derive(Debug)]
pub struct Sealing<'a> {
    /// How.
    pub outcome: Outcome,
    /// What was refused, if something was.
    pub refusal: Option<&'a Refusal>,
    /// Tokens, if the answer told.
    pub usage: Option<Usage>,
    /// What was masked and revealed.
    pub findings: &'a Findings,
}

/// An open exchange. Whoever owns it seals it; if it is dropped instead, by a panic or an aborted task,
/// the ledger's thread seals it as cut.
#[must_use = "an open exchange must be sealed"]
pub struct Record {
    exchange: ExchangeId,
    ledger: Arc<Inner>,
    live: Arc<Live>,
    frames: Framer,
    /// Answer bytes since the last *part* leaf, and when that was.
    since: (u64, Duration),
    unmasked: Option<(hmac::Context, u64)>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens an exchange: its request is in the ledger, with all that was judged, when this returns.
    ///
    /// # Errors
    /// [`LedgerError`] when it is not: the exchange must be refused.
    pub async fn open_exchange(&self, opening: Opening<'_>) -> Result<Record, LedgerError> {
        let (question, arrived, bodies) = (opening.question, opening.arrived, opening.bodies);
        self.open_described(question, arrived, bodies, |request| describe_opening(&opening, request)).await
    }

    /// Opens an exchange with the *opened* leaf that `describe` makes of its request's digest.
    pub(crate) async fn open_described(
        &self,
        question: &Question,
        arrived: Timestamp,
        bodies: bool,
        describe: impl FnOnce(&Chain) -> Opened,
    ) -> Result<Record, LedgerError> {
        let inner = &self.0;
        let exchange = question.exchange();
        let (now, at) = (inner.clock.now(), inner.clock.elapsed());
        let (envelope, wrapped) = Envelope::begin(&inner.seal_to)?.unzip();
        let mut frames = Framer { exchange, next: 0, withhold: !bodies, envelope };
        let mut bodies = Frames::default();
        frames.request_head(inner, question, &mut bodies)?;
        frames.data(inner, Direction::Request, Kind::Data, question.body().clone(), &mut bodies)?;
        let live = Arc::new(Live::default());
        let opened_after = nanoseconds(now).saturating_sub(nanoseconds(arrived)).max(0);
        let mut entry = Entry {
            live: Some(live.clone()),
            opened: at,
            opened_after: Some(opened_after),
            ..Entry::default()
        };
        for mark in &bodies.marks {
            entry.take(mark, Some(at));
        }
        let mut opened = describe(&entry.request);
        entry.class = inner.classes.get(&opened.resource).cloned();
        if let Some(wrapped) = wrapped {
            conceal(&mut opened, wrapped);
        }
        let leaf = Leaf { time: nanoseconds(now), bodies: None, what: Some(What::Opened(opened)) };
        let leaf = leaf.encode_to_vec();
        fits(leaf.len().saturating_add(128))?;
        // Made before it is handed over: if this future is dropped midway, so is the record, and what
        // was written is sealed.
        let record = Record { exchange, ledger: inner.clone(), live, frames, since: (0, at), unmasked: None };
        inner.hand_over(Some(exchange), Work::Open { leaf, bodies, entry: Box::new(entry) }).await?;
        Ok(record)
    }
}

/// Leaves out of the leaf what its exchange's first frame holds for the recipients alone.
fn conceal(opened: &mut Opened, wrapped: Vec<u8>) {
    opened.wrapped_keys = vec![wrapped];
    if let Some(head) = &mut opened.request {
        head.query = None;
        head.headers.clear();
    }
}

fn describe_opening(opening: &Opening<'_>, request: &Chain) -> Opened {
    Opened {
        exchange: opening.exchange.as_bytes().to_vec(),
        arrived: nanoseconds(opening.arrived),
        client: opening.client.to_string(),
        caller: Some(describe::caller(opening.identity)),
        resource: opening.resource.as_str().to_owned(),
        operations: opening.operations.iter().map(describe::operation).collect(),
        decision: Some(describe::decision(opening.decision)),
        request: Some(describe::request(opening.question)),
        request_body: Some(request.message()),
        session: describe::session(opening.session),
        wrapped_keys: Vec::new(),
        disclosed: describe::findings(opening.disclosed),
        session_name: opening.session.to_owned(),
    }
}

impl Record {
    /// The exchange it records.
    pub fn exchange(&self) -> ExchangeId {
        self.exchange
    }

    /// Records a masked part of the answer, which may then be written to the caller.
    ///
    /// # Errors
    /// [`LedgerError`] when it could not be recorded: the exchange must be cut.
    pub async fn append(&mut self, masked: Masked) -> Result<Recorded, LedgerError> {
        if masked.exchange() != self.exchange {
            return Err(LedgerError::Misfit { problem: "it belongs to another exchange" });
        }
        self.append_part(masked.into_part(), false).await
    }

    /// Records two parts that follow each other at once, such as a head and a short body.
    ///
    /// # Errors
    /// [`LedgerError`] when they could not be recorded, neither of them then: the exchange must be cut.
    pub async fn append_both(
        &mut self,
        first: Masked,
        second: Masked,
    ) -> Result<(Recorded, Recorded), LedgerError> {
        let exchange = self.exchange;
        if [&first, &second].into_iter().any(|masked| masked.exchange() != exchange) {
            return Err(LedgerError::Misfit { problem: "it belongs to another exchange" });
        }
        let (first, second) = (first.into_part(), second.into_part());
        let mut bodies = Frames::default();
        self.frames.part(&self.ledger, &first, false, &mut bodies)?;
        self.frames.part(&self.ledger, &second, false, &mut bodies)?;
        self.write(bodies).await?;
        Ok((Recorded { exchange, part: first }, Recorded { exchange, part: second }))
    }

    /// Records what the gateway itself says, which may then be written to the caller.
    ///
    /// # Errors
    /// [`LedgerError`] when it could not be recorded: the exchange must be cut.
    pub async fn say(&mut self, spoken: Spoken) -> Result<Recorded, LedgerError> {
        let (part, own) = match spoken {
            Spoken::Head { status, headers } => (Part::Head { status, headers }, true),
            Spoken::Body(bytes) => (Part::Body { bytes, opaque: Vec::new() }, true),
            Spoken::Page(bytes) => (Part::Body { bytes, opaque: Vec::new() }, false),
        };
        self.append_part(part, own).await
    }

    pub(crate) async fn append_part(&mut self, part: Part, spoken: bool) -> Result<Recorded, LedgerError> {
        let mut bodies = Frames::default();
        self.frames.part(&self.ledger, &part, spoken, &mut bodies)?;
        self.write(bodies).await?;
        Ok(Recorded { exchange: self.exchange, part })
    }

    async fn write(&mut self, bodies: Frames) -> Result<(), LedgerError> {
        let at = self.ledger.clock.elapsed();
        let bytes = bodies.marks.iter().fold(0u64, |sum, mark| sum.saturating_add(mark.bytes));
        let since = self.since.0.saturating_add(bytes);
        let due = since >= PART_BYTES || at.saturating_sub(self.since.1) >= PART_TIME;
        self.since = if due { (0, at) } else { (since, self.since.1) };
        if bodies.marks.is_empty() {
            return Ok(());
        }
        self.ledger.hand_over(Some(self.exchange), Work::Append { bodies, part: due, at }).await
    }

    /// Takes the next bytes of the answer as the upstream sent them. Only a keyed digest over all of
    /// them is kept.
    pub fn unmasked(&mut self, bytes: &[u8]) {
        let (digest, count) = self.unmasked.get_or_insert_with(|| (self.ledger.key.begin(), 0));
        digest.update(bytes);
        *count = count.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    /// Ends the exchange. Nothing can follow. While much is written, the seal goes with what is written next,
    /// within a few milliseconds.
    ///
    /// # Errors
    /// [`LedgerError`] when the seal could not be written. It is not lost: the ledger's thread writes
    /// it as soon as it can, with the same words.
    pub async fn seal(mut self, sealing: Sealing<'_>) -> Result<(), LedgerError> {
        let unmasked = self.unmasked.take().map(|(digest, bytes)| (digest.sign(), bytes));
        let words = Sealed {
            outcome: sealing.outcome.as_str().to_owned(),
            refusal: sealing.refusal.map(|refusal| self.frames.refusal(refusal)),
            usage: sealing.usage.map(|usage| crate::leaf::Usage { input: usage.input, output: usage.output }),
            findings: describe::findings(sealing.findings),
            unmasked_bytes: unmasked.as_ref().map_or(0, |(_, bytes)| *bytes),
            digest_key: unmasked.as_ref().map_or_else(Vec::new, |_| self.ledger.key.id().to_vec()),
            unmasked_digest: unmasked.map_or_else(Vec::new, |(digest, _)| digest.as_ref().to_vec()),
            ..Sealed::default()
        };
        self.live.leave(words);
        self.ledger.seal(self.exchange).await
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.live.vanish() {
            self.ledger.note_vanished();
        }
    }
}

/// Makes body frames, numbered.
struct Framer {
    exchange: ExchangeId,
    next: u64,
    withhold: bool,
    /// What closes them, if they are encrypted.
    envelope: Option<Envelope>,
}

impl Framer {
    fn body(&mut self, ledger: &Inner, direction: Direction, kind: Kind) -> Body {
        let sequence = self.next;
        self.next = self.next.saturating_add(1);
        Body {
            exchange: self.exchange.as_bytes().to_vec(),
            sequence,
            time: nanoseconds(ledger.clock.now()),
            direction: direction.into(),
            kind: kind.into(),
            ..Body::default()
        }
    }

    /// Adds a frame that stands for `bytes` body bytes, in its envelope if there is one.
    fn put(&self, mut body: Body, bytes: u64, out: &mut Frames) -> Result<(), LedgerError> {
        let bytes = match &self.envelope {
            Some(envelope) => {
                envelope.close(&mut body)?;
                counted(&body)
            }
            None => bytes,
        };
        out.push(&body, bytes);
        Ok(())
    }

    /// The request's query and headers, if its leaf may not tell them.
    fn request_head(
        &mut self,
        ledger: &Inner,
        question: &Question,
        out: &mut Frames,
    ) -> Result<(), LedgerError> {
        if self.envelope.is_none() {
            return Ok(());
        }
        let mut body = self.body(ledger, Direction::Request, Kind::Head);
        body.headers = describe::headers(question.headers());
        body.query = question.query().map(str::to_owned);
        fits(body.encoded_len().saturating_add(BOX))?;
        self.put(body, 0, out)
    }

    /// The refusal as the leaf tells it. What is wrong with a request may quote it, and is told in an
    /// encrypted frame already.
    fn refusal(&self, refusal: &Refusal) -> crate::leaf::Refusal {
        let mut told = describe::refusal(refusal);
        if self.envelope.is_some() && refusal.code.fault() == Fault::Caller {
            told.reason = refusal.code.meaning().to_owned();
            told.detail = None;
        }
        told
    }

    fn part(
        &mut self,
        ledger: &Inner,
        part: &Part,
        spoken: bool,
        out: &mut Frames,
    ) -> Result<(), LedgerError> {
        let kind = |own, masked| if spoken { own } else { masked };
        match part {
            Part::Head { status, headers } => {
                let mut body = self.body(ledger, Direction::Response, kind(Kind::SpokenHead, Kind::Head));
                body.status = u32::from(status.as_u16());
                self.fields(headers, body, out)
            }
            Part::Trailers(trailers) => {
                let body = self.body(ledger, Direction::Response, Kind::Trailers);
                self.fields(trailers, body, out)
            }
            Part::Body { bytes, opaque } => {
                let outside =
                    || LedgerError::Misfit { problem: "an opaque range lies outside, or out of order" };
                let data = kind(Kind::SpokenData, Kind::Data);
                let mut from = 0;
                for range in opaque {
                    let (start, end) = (range.range.start, range.range.end);
                    if start < from || end < start || end > bytes.len() {
                        return Err(outside());
                    }
                    self.data(ledger, Direction::Response, data, bytes.slice(from..start), out)?;
                    self.opaque(ledger, range.class.as_str(), &bytes.slice(start..end), out)?;
                    from = end;
                }
                self.data(ledger, Direction::Response, data, bytes.slice(from..), out)
            }
        }
    }

    fn fields(&mut self, headers: &HeaderMap, mut body: Body, out: &mut Frames) -> Result<(), LedgerError> {
        body.headers = describe::headers(headers);
        fits(body.encoded_len().saturating_add(BOX))?;
        self.put(body, 0, out)
    }

    fn data(
        &mut self,
        ledger: &Inner,
        direction: Direction,
        kind: Kind,
        bytes: Bytes,
        out: &mut Frames,
    ) -> Result<(), LedgerError> {
        for piece in describe::pieces(bytes, PIECE) {
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            let withheld = self.withhold && kind == Kind::Data;
            let mut body = self.body(ledger, direction, if withheld { Kind::Withheld } else { kind });
            if withheld {
                let digest = ledger.key.of(&piece).to_vec();
                body.opaque = Some(body::Opaque { class: String::new(), length, digest });
            } else {
                body.data = piece;
            }
            self.put(body, length, out)?;
        }
        Ok(())
    }

    fn opaque(
        &mut self,
        ledger: &Inner,
        class: &str,
        bytes: &Bytes,
        out: &mut Frames,
    ) -> Result<(), LedgerError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let mut body = self.body(ledger, Direction::Response, Kind::Opaque);
        let digest = sha256(bytes).to_vec();
        body.opaque = Some(body::Opaque { class: class.to_owned(), length, digest });
        self.put(body, length, out)
    }
}
