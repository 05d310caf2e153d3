//! Every way the gateway says no. What it says is recorded like any answer, but for one case: when the
//! record itself can't be written, it says just that.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use model::{Code, Decision, Outcome, Question, Refusal, Ruling};
use record::{LedgerError, Opening, Record, Spoken, Stranger, Words};

use crate::Gateway;
use crate::came::Came;
use crate::reply::Reply;
use crate::seal::{Ending, seal};
use crate::session::{self, Turned};
use crate::setup::Place;
use crate::{disclose, stream};

/// Refuses somebody at the door: one sealed record without a body.
pub(crate) async fn stranger(gateway: &Gateway, came: &Came, head: &Parts, turned: &Turned, reply: Reply) {
    let refusal = &turned.refusal;
    tracing::info!(
        request = %came.exchange, client = %came.client, code = refusal.code.name(),
        detail = refusal.detail.as_deref(), "refused before there was a caller"
    );
    metrics::counter!("portcullis_refused_strangers_total", "code" => refusal.code.name()).increment(1);
    let (status, mut headers, body) = words(came, refusal);
    if let Some(logins) = &gateway.setup().logins {
        logins.challenge(came, head, &mut headers);
    }
    at_the_door(gateway, came, head, Some(turned), (status, headers, body), reply).await;
}

/// An answer's status, headers and body.
pub(crate) type Said = (StatusCode, HeaderMap, Bytes);

/// Tells somebody at the door what anybody may know. Recorded as a refusal is.
pub(crate) async fn tell(gateway: &Gateway, came: &Came, head: &Parts, said: Said, reply: Reply) {
    at_the_door(gateway, came, head, None, said, reply).await;
}

async fn at_the_door(
    gateway: &Gateway,
    came: &Came,
    head: &Parts,
    turned: Option<&Turned>,
    said: Said,
    reply: Reply,
) {
    let (status, headers, body) = said;
    let stranger = Stranger {
        exchange: came.exchange,
        arrived: came.at,
        client: came.client,
        listener: came.listener,
        caller: turned.and_then(|turned| turned.identity.as_deref()),
        method: head.method.as_str(),
        path: head.uri.path(),
        host: session::host(head).unwrap_or_default(),
        refusal: turned.map(|turned| &turned.refusal),
        status,
        headers,
        body,
    };
    match gateway.ledger.refuse_stranger(stranger).await {
        Ok(words) => utter(words, reply).await,
        Err(fault) => unrecorded(gateway, came, &fault, reply).await,
    }
}

/// A request of a known caller that policy never judged.
pub(crate) struct Unjudged<'a> {
    pub(crate) place: &'a Place,
    pub(crate) caller: &'a authenticate::Caller,
    /// As far as it was heard.
    pub(crate) question: &'a Question,
}

/// The decision on what policy did not judge, or judged by what may not be recorded.
pub(crate) fn no_judgement(gateway: &Gateway) -> Decision {
    let policy_set = gateway.authorizer.current().hash();
    Decision { ruling: Ruling::Denied, judgements: Vec::new(), policy_set }
}

/// Refuses a known caller whose request policy never judged: it could not be read in one way.
pub(crate) async fn unjudged(
    gateway: &Gateway,
    asked: Unjudged<'_>,
    came: &Came,
    refusal: &Refusal,
    reply: Reply,
) {
    let Unjudged { place, caller, question } = asked;
    let masked = disclose::as_text(gateway, place, caller, question);
    let question = masked.as_ref().unwrap_or(question);
    let decision = no_judgement(gateway);
    let opening = Opening {
        exchange: came.exchange,
        arrived: came.at,
        client: came.client,
        identity: caller.identity(),
        resource: &place.target.name,
        operations: &[],
        decision: &decision,
        question,
        disclosed: &disclose::NOTHING,
        bodies: place.record_bodies,
        session: "",
    };
    match gateway.ledger.open_exchange(opening).await {
        Ok(record) => self::caller(gateway, record, came, refusal, reply).await,
        Err(fault) => unrecorded(gateway, came, &fault, reply).await,
    }
}

/// Refuses a known caller whose record is open.
pub(crate) async fn caller(
    gateway: &Gateway,
    mut record: Record,
    came: &Came,
    refusal: &Refusal,
    reply: Reply,
) {
    say(gateway, &mut record, came, refusal, reply).await;
    seal(gateway, record, came, Ending::refused(Outcome::Refused, refusal)).await;
}

/// Tells a caller that the upstream failed before it answered anything.
pub(crate) async fn failed(
    gateway: &Gateway,
    mut record: Record,
    came: &Came,
    fault: &forward::ForwardError,
    reply: Reply,
) {
    let refusal = fault.refusal();
    say(gateway, &mut record, came, &refusal, reply).await;
    seal(gateway, record, came, Ending::refused(fault.outcome(), &refusal)).await;
}

/// Ends an exchange whose caller was shut out while the upstream had not answered yet.
pub(crate) async fn shut_out(
    gateway: &Gateway,
    mut record: Record,
    came: &Came,
    fault: &authenticate::AuthenticateError,
    reply: Reply,
) {
    let refusal = fault.refusal();
    say(gateway, &mut record, came, &refusal, reply).await;
    seal(gateway, record, came, Ending::refused(Outcome::Cut, &refusal)).await;
}

/// The type of a stream that is begun before there is an answer.
pub(crate) static EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Says a refusal in the caller's dialect, recorded first.
pub(crate) async fn say(
    gateway: &Gateway,
    record: &mut Record,
    came: &Came,
    refusal: &Refusal,
    mut reply: Reply,
) {
    if reply.is_committed() {
        // A stream that was begun while it waited for consent.
        return Box::pin(stream::cut(gateway, record, came, Some(&EVENTS), refusal, reply)).await;
    }
    let (status, headers, body) = words(came, refusal);
    for words in [Spoken::Head { status, headers }, Spoken::Body(body)] {
        let recorded = match record.say(words).await {
            Ok(recorded) => recorded,
            Err(fault) => return unrecorded(gateway, came, &fault, reply).await,
        };
        if reply.write(recorded).await.is_err() {
            return;
        }
    }
    // A caller that left needs no end.
    let _ = reply.end().await;
}

/// Says that nothing can be recorded, and so nothing may pass. Once a head is out, nothing is left to
/// say: the answer is aborted.
pub(crate) async fn unrecorded(gateway: &Gateway, came: &Came, fault: &LedgerError, reply: Reply) {
    if reply.is_committed() {
        return;
    }
    let (status, headers, body) = words(came, &ledger_unavailable(fault));
    // Without words the reply is dropped, and the caller gets a bare status.
    if let Some(words) = gateway.ledger.unrecorded(fault, came.exchange, status, headers, body) {
        utter(words, reply).await;
    }
}

/// The refusal in the caller's dialect, with its code in a header too: HEAD has no body to say it in.
fn words(came: &Came, refusal: &Refusal) -> (StatusCode, HeaderMap, Bytes) {
    let (status, mut headers, body) = came.dialect.refusal(refusal, came.exchange);
    headers.insert("x-portcullis-code", HeaderValue::from_static(refusal.code.name()));
    (status, headers, body)
}

async fn utter(words: Words, mut reply: Reply) {
    for recorded in [words.head, words.body] {
        if reply.write(recorded).await.is_err() {
            return;
        }
    }
    // A caller that left needs no end.
    let _ = reply.end().await;
}

/// The ledger can't be written.
pub(crate) fn ledger_unavailable(fault: &LedgerError) -> Refusal {
    Refusal::new(Code::LedgerUnavailable).retry_after(5).detail(fault)
}

/// The gateway carries as many requests as it may.
pub(crate) fn overloaded() -> Refusal {
    Refusal::new(Code::Overloaded).retry_after(1)
}
