//! One visit: what is recorded of it, and that it is recorded before anything leaves.

use std::net::SocketAddr;
use std::time::Duration;

use accept::Peer;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use mask::Part;
use model::{
    Act, Area, Clock, Decision, ExchangeId, Findings, Identity, Outcome, Question, QuestionParts, Refusal,
};
use record::{Administering, Ledger, LedgerError, Record, Recorded, Sealing, Spoken, Stranger};

use crate::reply::{self, Answer};

/// The longest path that is recorded of a visit, in bytes.
const PATH: usize = 256;

/// A request that has arrived.
pub(crate) struct Visit {
    pub(crate) exchange: ExchangeId,
    pub(crate) at: Timestamp,
    began: Duration,
    pub(crate) client: SocketAddr,
    listener: SocketAddr,
    method: Method,
    path: String,
    host: String,
}

/// What somebody known does here.
pub(crate) struct Deed<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) act: Act,
    pub(crate) area: Area,
    /// Its stable name, such as `console.overview`.
    pub(crate) name: &'static str,
    pub(crate) decision: &'a Decision,
    pub(crate) outcome: Outcome,
    pub(crate) refusal: Option<&'a Refusal>,
}

/// What is to be said: status, headers that hold no secret, and the body.
pub(crate) struct Said {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Visit {
    pub(crate) fn new(head: &Parts, peer: &Peer, clock: &dyn Clock) -> Self {
        let at = clock.now();
        let path = head.uri.path();
        let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        Self {
            exchange: ExchangeId::at(at),
            at,
            began: clock.elapsed(),
            client: peer.address,
            listener: peer.listener,
            method: head.method.clone(),
            path: path.get(..path.floor_char_boundary(PATH)).unwrap_or_default().to_owned(),
            host: head.uri.host().or(host).unwrap_or_default().to_owned(),
        }
    }

    /// The request as it is recorded. The query is left out: a code and a state stand there.
    fn question(&self) -> Question {
        Question::new(QuestionParts {
            exchange: self.exchange,
            method: self.method.clone(),
            path: self.path.clone(),
            query: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        })
    }

    /// Records what somebody known does and what is said to it, then gives what was said.
    ///
    /// # Errors
    /// [`LedgerError`] when it is not recorded: then nothing of it may leave.
    pub(crate) async fn say(
        &self,
        ledger: &Ledger,
        deed: Deed<'_>,
        said: Said,
    ) -> Result<Answer, LedgerError> {
        let mut record = self.open(ledger, &deed).await?;
        let answer = self.give(&mut record, said).await?;
        let findings = Findings::default();
        let sealing =
            Sealing { outcome: deed.outcome, refusal: deed.refusal, usage: None, findings: &findings };
        record.seal(sealing).await?;
        Ok(answer)
    }

    /// Opens the record of what somebody known is about to do.
    ///
    /// # Errors
    /// [`LedgerError`] when it is not opened: then it must not be done.
    pub(crate) async fn open(&self, ledger: &Ledger, deed: &Deed<'_>) -> Result<Record, LedgerError> {
        let question = self.question();
        let act = Administering {
            arrived: self.at,
            client: self.client,
            identity: deed.identity,
            area: deed.area,
            act: deed.act,
            name: deed.name,
            decision: deed.decision,
            question: &question,
            bodies: false,
        };
        ledger.open_act(act).await
    }

    /// Records what is said, then gives it. The record is to be sealed.
    ///
    /// # Errors
    /// As [`Visit::say`].
    pub(crate) async fn give(&self, record: &mut Record, said: Said) -> Result<Answer, LedgerError> {
        let head =
            record.say(Spoken::Head { status: said.status, headers: self.named(said.headers) }).await?;
        let body = record.say(Spoken::Page(said.body)).await?;
        Ok(uttered(head, body))
    }

    /// Records that somebody who is not known was refused, then gives what was said. `caller` is who it
    /// is, if that is known and did not help.
    ///
    /// # Errors
    /// [`LedgerError`] when it is not recorded.
    pub(crate) async fn refuse(
        &self,
        ledger: &Ledger,
        caller: Option<&Identity>,
        refusal: &Refusal,
        said: Said,
    ) -> Result<Answer, LedgerError> {
        tracing::info!(
            request = %self.exchange, client = %self.client, code = refusal.code.name(),
            detail = refusal.detail.as_deref(), "the console refused"
        );
        metrics::counter!("portcullis_console_refused_total", "code" => refusal.code.name()).increment(1);
        let stranger = Stranger {
            exchange: self.exchange,
            arrived: self.at,
            client: self.client,
            listener: self.listener,
            caller,
            method: self.method.as_str(),
            path: &self.path,
            host: &self.host,
            refusal: Some(refusal),
            status: said.status,
            headers: self.named(said.headers),
            body: said.body,
        };
        let words = ledger.refuse_stranger(stranger).await?;
        Ok(uttered(words.head, words.body))
    }

    /// The one answer without a record: that there can be none.
    pub(crate) fn unrecorded(&self, ledger: &Ledger, fault: &LedgerError) -> Answer {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let body =
            Bytes::from_static(b"The record cannot be written, so nothing can be shown. Try again later.\n");
        let mut headers = reply::headers();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        let words = ledger.unrecorded(fault, self.exchange, status, self.named(headers), body);
        words.map_or_else(|| reply::bare(status), |words| uttered(words.head, words.body))
    }

    /// How long it has taken so far.
    pub(crate) fn took(&self, clock: &dyn Clock) -> Duration {
        clock.elapsed().saturating_sub(self.began)
    }

    /// Every answer names its request, so that a person can tell the operator which.
    fn named(&self, mut headers: HeaderMap) -> HeaderMap {
        if let Ok(name) = HeaderValue::from_str(&self.exchange.to_string()) {
            headers.insert("x-request-id", name);
        }
        headers
    }
}

/// What is in the ledger, as an answer.
fn uttered(head: Recorded, body: Recorded) -> Answer {
    match (head.into_part(), body.into_part()) {
        (Part::Head { status, headers }, Part::Body { bytes, .. }) => reply::answer(status, headers, bytes),
        _ => reply::bare(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
