//! The step *approve* where consent is needed: the request waits here, in the data path, until people
//! consented to exactly its bytes, and then goes on its way.
//!
//! A stream of events gets its head at once and comments while it waits; whoever asks otherwise waits in
//! silence for as long as the resource says, and is then told to come again: the same request finds its
//! approval again. At the release all is looked at anew: the token, the policies, the bytes.

use std::sync::Arc;
use std::time::Duration;

use adapt_http::Dialect;
use approve::{ApprovalId, Asked, BoundBody, Cleared, Digest, Petition, Release, State, Wanted, Watch};
use authenticate::Live;
use authorize::{Permit, Renewed};
use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use model::{Code, Operation, Outcome, Question, Refusal, ResourceName, Reveal, Understood, Usable};
use record::{LedgerError, Record, Spoken};
use tokio::time::timeout;

use crate::Gateway;
use crate::came::Came;
use crate::reply::Reply;
use crate::said::Wishes;
use crate::seal::{Ending, seal};
use crate::setup::Place;
use crate::{disclose, refuse};

/// How often a stream that waits says so. Proxies close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The header that names the approval in answers.
const APPROVAL: HeaderName = HeaderName::from_static("x-portcullis-approval");

/// A request that needs consent.
pub(crate) struct Held<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) place: &'a Place,
    pub(crate) came: &'a Came,
    pub(crate) permit: Permit,
    pub(crate) operations: &'a [Operation],
    /// As it was heard, before anything in it was masked.
    pub(crate) heard: &'a Question,
    /// As it would be forwarded.
    pub(crate) question: &'a Question,
    pub(crate) wishes: Wishes,
}

/// A request that may go on, by what holds now.
pub(crate) struct Released {
    pub(crate) cleared: Cleared,
    pub(crate) place: Arc<Place>,
    pub(crate) viewer: Arc<dyn Reveal>,
    pub(crate) usable: Arc<dyn Usable>,
}

/// Why a request does not go on.
pub(crate) enum Stopped {
    CallerGone,
    Ledger(LedgerError),
    Refused(Box<Refusal>),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// What a look at the approval led to.
enum Turn {
    Released(Box<Released>),
    /// It waits on.
    Wait,
    /// Another exchange used it: this one needs its own.
    Again,
}

/// Holds a request until it may go on, or says why it does not. Its steps are boxed: while it waits, which is
/// nearly always, it is small.
pub(crate) async fn hold(
    held: Held<'_>,
    record: &mut Record,
    reply: &mut Reply,
    live: &mut Live<'_>,
) -> Result<Box<Released>, Stopped> {
    let book = held.gateway.approvals();
    let digest = held.digest(&held.place.target.name, held.question);
    held.permit.wait();
    let _seat = match held.wishes.respond_async {
        true => None,
        false => Some(book.seat(held.permit.identity(), held.question.body().len())?),
    };
    let patience = tokio::time::sleep(held.patience());
    let token = tokio::time::sleep(held.token_left());
    tokio::pin!(patience, token);
    let petition = held.petition(digest);
    loop {
        let mut watch = match book.ask(&petition).await.map_err(|fault| fault.refusal())? {
            Asked::Open(watch) => watch,
            Asked::Denied(approval) => return Err(book.refusal(&approval).into()),
        };
        loop {
            match Box::pin(held.look(&mut watch, digest, record, live)).await? {
                Turn::Released(released) => return Ok(released),
                Turn::Again => break,
                Turn::Wait => {}
            }
            let id = watch.now().id;
            if held.is_stream() && !reply.is_committed() {
                Box::pin(begin_stream(&held, id, record, reply)).await?;
            }
            let silent = !reply.is_committed();
            tokio::select! {
                biased;
                () = reply.gone() => return Err(Stopped::CallerGone),
                ended = live.until_ended() => return Err(ended.refusal().into()),
                () = &mut token => return Err(held.token_ended().into()),
                () = held.gateway.drain.cancelled() => {
                    return Err(Refusal::new(Code::Draining).retry_after(1).into());
                }
                () = watch.changed() => {}
                () = &mut patience, if silent => return Err(book.refusal(&watch.now()).into()),
                () = tokio::time::sleep(KEEP_ALIVE), if !silent => {
                    Box::pin(say(&held, ": still waiting\n\n", record, reply)).await?;
                }
            }
        }
    }
}

impl Held<'_> {
    fn petition(&self, digest: Digest) -> Petition {
        let mut policies: Vec<_> = self.permit.decision().reasons().cloned().collect();
        policies.dedup();
        Petition {
            exchange: Some(self.came.exchange),
            requester: Arc::clone(self.permit.identity()),
            wanted: Wanted::Request {
                resource: self.place.target.name.clone(),
                kind: self.place.target.kind.to_owned(),
                operations: self.operations.to_vec(),
            },
            digest,
            needed: self.permit.approvals_needed(),
            policies,
        }
    }

    /// What is bound: the request as it would be forwarded.
    fn digest(&self, resource: &ResourceName, question: &Question) -> Digest {
        let parts = adapt_http::form_parts(question.headers(), question.body());
        let body = parts.as_deref().map_or(BoundBody::Whole, BoundBody::Parts);
        Digest::of_request(self.permit.identity(), resource, question, body)
    }

    /// Whether the answer would be a stream of events, which can be begun before there is one.
    fn is_stream(&self) -> bool {
        !self.wishes.respond_async
            && matches!(self.came.dialect, Dialect::OpenAi | Dialect::Anthropic)
            && self.operations.iter().any(|operation| operation.facts.stream)
    }

    /// How long it waits in silence: less than its client does.
    fn patience(&self) -> Duration {
        if self.wishes.respond_async {
            return Duration::ZERO;
        }
        let hold = self.place.hold();
        self.wishes.read_timeout.map_or(hold, |theirs| hold.min(theirs.saturating_sub(theirs / 10)))
    }

    fn token_left(&self) -> Duration {
        let ends = self.permit.identity().token.expires_at;
        Duration::try_from(ends.duration_since(self.gateway.clock.now())).unwrap_or(Duration::ZERO)
    }

    fn token_ended(&self) -> Refusal {
        Refusal::new(Code::TokenExpired).because(
            "The token expired while the request waited for its approval, which stays: send it again with a fresh token.",
        )
    }

    /// Looks how the approval stands, and goes on if it may.
    async fn look(
        &self,
        watch: &mut Watch,
        digest: Digest,
        record: &mut Record,
        live: &mut Live<'_>,
    ) -> Result<Turn, Stopped> {
        let approval = watch.now();
        match &approval.state {
            State::Waiting => Ok(Turn::Wait),
            State::Released { .. } => Ok(Turn::Again),
            State::Denied { .. } | State::Expired => Err(self.gateway.approvals().refusal(&approval).into()),
            State::Approved => {
                if let Some(ended) = live.ended() {
                    return Err(ended.refusal().into());
                }
                if self.token_left().is_zero() {
                    return Err(self.token_ended().into());
                }
                let given = approval.given(&self.gateway.approvals().settings().people);
                self.release(approval.id, given, digest, record).await
            }
        }
    }

    /// Everything anew: the resource, what the request would do, the policies, what may be sent.
    async fn release(
        &self,
        id: ApprovalId,
        given: u8,
        digest: Digest,
        record: &mut Record,
    ) -> Result<Turn, Stopped> {
        let (gateway, name) = (self.gateway, &self.place.target.name);
        let book = gateway.approvals();
        let place = gateway.setup().find(name).ok_or_else(|| Refusal::new(Code::ResourceUnknown))?;
        let Understood { operations, texts } = place.adapter.read(self.heard)?;
        let renewal = match self.permit.renew(&place.target, &operations, given) {
            Renewed::Permitted(renewal) => renewal,
            Renewed::Denied(refusal) => return Err(Stopped::Refused(refusal)),
            Renewed::Needs(more) => {
                // It may be closed by now, which the next look shows.
                let needed = book.need(id, more).await;
                return match needed {
                    Ok(_) | Err(approve::ApproveError::Refused(..)) => Ok(Turn::Wait),
                    Err(fault) => Err(fault.refusal().into()),
                };
            }
        };
        let disclosed = disclose::disclose(gateway, &place, self.permit.identity(), self.heard, texts);
        let refused = disclosed.as_ref().and_then(|disclosed| disclosed.refusal.clone());
        let question = disclosed.as_ref().map_or(self.heard, |disclosed| &disclosed.question);
        if refused.is_some() || self.digest(name, question) != digest {
            self.permit.wait();
            return Err(refused.unwrap_or_else(|| Refusal::new(Code::ApprovalVoid)).into());
        }
        let (viewer, usable) = (renewal.viewer(), renewal.usable());
        match book.release(id, *renewal, &digest, record).await.map_err(|fault| fault.refusal())? {
            Release::Cleared(cleared) => {
                Ok(Turn::Released(Box::new(Released { cleared, place, viewer, usable })))
            }
            Release::NotNow(approval) => {
                self.permit.wait();
                Ok(if approval.state.is_open() { Turn::Wait } else { Turn::Again })
            }
        }
    }
}

/// Answers a stream with its head: from now on only its own error event can say no.
async fn begin_stream(
    held: &Held<'_>,
    id: ApprovalId,
    record: &mut Record,
    reply: &mut Reply,
) -> Result<(), Stopped> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather an answer before they pass it on would swallow the comments.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    for (name, text) in [
        (HeaderName::from_static("x-request-id"), held.came.exchange.to_string()),
        (APPROVAL, id.to_string()),
    ] {
        headers.extend(HeaderValue::try_from(text).ok().map(|value| (name, value)));
    }
    let head = Spoken::Head { status: StatusCode::OK, headers };
    let recorded = record.say(head).await.map_err(Stopped::Ledger)?;
    reply.write(recorded).await.map_err(|_| Stopped::CallerGone)?;
    reply.flush().map_err(|_| Stopped::CallerGone)?;
    say(held, &format!(": waiting for approval {id}\n\n"), record, reply).await
}

/// Says a comment, which clients pass over.
async fn say(held: &Held<'_>, text: &str, record: &mut Record, reply: &mut Reply) -> Result<(), Stopped> {
    let comment = Spoken::Body(Bytes::copy_from_slice(text.as_bytes()));
    let recorded = record.say(comment).await.map_err(Stopped::Ledger)?;
    match timeout(held.place.patience(), reply.write(recorded)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Stopped::CallerGone),
    }
}

/// Tells the caller why its request does not go on, and seals it.
pub(crate) async fn over(gateway: &Gateway, mut record: Record, came: &Came, stopped: Stopped, reply: Reply) {
    let ending = match stopped {
        Stopped::CallerGone => Ending::of(Outcome::CallerGone),
        Stopped::Ledger(fault) => {
            let refusal = refuse::ledger_unavailable(&fault);
            refuse::unrecorded(gateway, came, &fault, reply).await;
            Ending::refused(Outcome::Refused, &refusal)
        }
        Stopped::Refused(refusal) => {
            refuse::say(gateway, &mut record, came, &refusal, reply).await;
            Ending::refused(Outcome::Refused, &refusal)
        }
    };
    seal(gateway, record, came, ending).await;
}
