//! Every way the administration says no. What it says is recorded like any answer, but for one case: when
//! the record itself can't be written, it says just that.

use std::sync::Arc;

use gateway::reply::Reply;
use http::Method;
use http::request::Parts;
use model::{Code, Decision, Findings, Identity, Outcome, Question, Refusal, Ruling};
use record::{LedgerError, Record, Sealing, Spoken, Stranger, Words};

use crate::exchange::Came;
use crate::table::Route;
use crate::{Admin, problem};

/// Somebody turned away before a call was known, and who it is if the token was good.
pub(crate) struct Turned {
    pub(crate) refusal: Refusal,
    pub(crate) identity: Option<Arc<Identity>>,
    /// What the path takes, if only the method was wrong.
    pub(crate) allowed: Vec<Method>,
}

impl Turned {
    pub(crate) fn nobody(refusal: Refusal) -> Self {
        Self { refusal, identity: None, allowed: Vec::new() }
    }
}

/// Refuses at the door: one sealed record without a body.
pub(crate) async fn stranger(admin: &Admin, came: &Came, head: &Parts, turned: &Turned, reply: Reply) {
    let Turned { refusal, identity, allowed } = turned;
    tracing::info!(
        request = %came.exchange, client = %came.client, code = refusal.code.name(),
        detail = refusal.detail.as_deref(), "refused at the administration's door"
    );
    metrics::counter!("portcullis_admin_refused_strangers_total", "code" => refusal.code.name()).increment(1);
    let (status, headers, body) = problem::answer(refusal, came.exchange, allowed);
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let stranger = Stranger {
        exchange: came.exchange,
        arrived: came.at,
        client: came.client,
        listener: came.listener,
        caller: identity.as_deref(),
        method: head.method.as_str(),
        path: head.uri.path(),
        host: authority.or(host).unwrap_or_default(),
        refusal: Some(refusal),
        status,
        headers,
        body,
    };
    match admin.gateway.ledger().refuse_stranger(stranger).await {
        Ok(words) => utter(words, reply).await,
        Err(fault) => unrecorded(admin, came, &fault, reply).await,
    }
}

/// Refuses a known caller whose call policy never judged: it could not be read in one way.
pub(crate) async fn unjudged(
    admin: &Admin,
    route: &Route,
    (identity, question): (&Identity, &Question),
    came: &Came,
    refusal: &Refusal,
    reply: Reply,
) {
    let policy_set = admin.gateway.authorizer().current().hash();
    let decision = Decision { ruling: Ruling::Denied, judgements: Vec::new(), policy_set };
    let act = came.opening(route, identity, &decision, question);
    match admin.gateway.ledger().open_act(act).await {
        Ok(record) => caller(admin, record, came, refusal, reply).await,
        Err(fault) => unrecorded(admin, came, &fault, reply).await,
    }
}

/// Refuses a known caller whose record is open.
pub(crate) async fn caller(
    admin: &Admin,
    mut record: Record,
    came: &Came,
    refusal: &Refusal,
    mut reply: Reply,
) {
    let (status, headers, body) = problem::answer(refusal, came.exchange, &[]);
    for words in [Spoken::Head { status, headers }, Spoken::Body(body)] {
        match record.say(words).await {
            // A caller that left is still refused, and the record says so.
            Ok(recorded) => drop(reply.write(recorded).await),
            Err(fault) => {
                unrecorded(admin, came, &fault, reply).await;
                return seal(record, came, Outcome::Refused, Some(refusal), &Findings::default()).await;
            }
        }
    }
    let _ = reply.end().await;
    seal(record, came, Outcome::Refused, Some(refusal), &Findings::default()).await;
}

/// Says that nothing can be recorded, and so nothing may be done.
pub(crate) async fn unrecorded(admin: &Admin, came: &Came, fault: &LedgerError, reply: Reply) {
    if reply.is_committed() {
        return;
    }
    let refusal = Refusal::new(Code::LedgerUnavailable).retry_after(5).detail(fault);
    let (status, headers, body) = problem::answer(&refusal, came.exchange, &[]);
    // Without words the reply is dropped, and the caller gets a bare status.
    if let Some(words) = admin.gateway.ledger().unrecorded(fault, came.exchange, status, headers, body) {
        utter(words, reply).await;
    }
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

/// The last step: how the call ended.
pub(crate) async fn seal(
    record: Record,
    came: &Came,
    outcome: Outcome,
    refusal: Option<&Refusal>,
    findings: &Findings,
) {
    let code = refusal.map(|refusal| refusal.code);
    let detail = refusal.and_then(|refusal| refusal.detail.as_deref());
    tracing::info!(
        request = %came.exchange, call = came.call, outcome = outcome.as_str(), code = code.map(Code::name), detail,
        "administration sealed"
    );
    metrics::counter!(
        "portcullis_admin_calls_total",
        "call" => came.call, "outcome" => outcome.as_str(), "code" => code.map_or("", Code::name)
    )
    .increment(1);
    if let Err(fault) = record.seal(Sealing { outcome, refusal, usage: None, findings }).await {
        tracing::error!(request = %came.exchange, %fault, "the record could not be sealed");
    }
}
