//! The story of one call: authenticate → authorize → open record → approve → act → mask → record → respond
//! → seal.
//!
//! Read it downward; every step takes the proof the step before it made. A call runs in a task of its own
//! that owns its record, so it is sealed however it ends.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use accept::Peer;
use authenticate::{Caller, Live};
use authorize::{Denied, Docket, Object, Permit, Surroundings};
use bytes::Bytes;
use desk::Verb;
use gateway::reply::Reply;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use jiff::Timestamp;
use mask::{Masked, Masker, Part};
use model::{
    AnswerHead, Clock, Code, Decision, ExchangeId, Facts, Identity, Outcome, Question, QuestionParts,
    Refusal, Reveal, Unmasked,
};
use record::{Administering, LedgerError, Record};
use resolve::NormalPath;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

use crate::consent::Doing;
use crate::document::Document;
use crate::input::Query;
use crate::recall::Recall;
use crate::refuse::{self, Turned};
use crate::table::{self, Call, Found, Route};
use crate::{
    Admin, SMALL, agents, approvals, callers, credentials, grants, holds, input, me, openapi, policies,
    resources, sessions,
};

/// How long a caller may read nothing of an answer that waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// When and from where a call came, and which it is.
#[derive(Clone, Copy)]
pub(crate) struct Came {
    pub(crate) exchange: ExchangeId,
    pub(crate) at: Timestamp,
    pub(crate) client: SocketAddr,
    pub(crate) listener: SocketAddr,
    /// The call's name, once it is known.
    pub(crate) call: &'static str,
}

impl Came {
    /// What the record of a known caller's call opens with.
    pub(crate) fn opening<'a>(
        &self,
        route: &'a Route,
        identity: &'a Identity,
        decision: &'a Decision,
        question: &'a Question,
    ) -> Administering<'a> {
        Administering {
            arrived: self.at,
            client: self.client,
            identity,
            area: route.area,
            act: route.act,
            name: route.name,
            decision,
            question,
            bodies: route.keeps_bodies,
        }
    }
}

/// A request that has arrived, nothing yet known of it.
pub(crate) struct Arrival {
    pub(crate) came: Came,
    pub(crate) head: Parts,
    pub(crate) body: Incoming,
}

impl Arrival {
    pub(crate) fn new(request: Request<Incoming>, peer: &Peer, clock: &dyn Clock) -> Self {
        let at = clock.now();
        let (head, body) = request.into_parts();
        let (exchange, client, listener) = (ExchangeId::at(at), peer.address, peer.listener);
        Self { came: Came { exchange, at, client, listener, call: "" }, head, body }
    }
}

/// A call of a known caller, as it was made.
pub(crate) struct Asked {
    pub(crate) route: &'static Route,
    /// What stands in the path's `{…}`.
    pub(crate) segments: Vec<String>,
    pub(crate) query: Query,
    pub(crate) body: Bytes,
    /// The share of memory that a large body takes.
    _room: Option<OwnedSemaphorePermit>,
}

impl Asked {
    /// What stands in the path's only `{…}`.
    pub(crate) fn segment(&self) -> &str {
        self.segments.first().map(String::as_str).unwrap_or_default()
    }
}

/// What a call is on, and what was looked up to know it.
pub(crate) struct Ready {
    pub(crate) object: Object,
    pub(crate) recalled: Recall,
    pub(crate) asks: Asks,
}

/// How a call is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// As an act on its object.
    Act,
    /// As a look at what waits for consent.
    Docket,
    /// As a word on what waits.
    Word(Verb),
}

impl Ready {
    pub(crate) fn on(object: Object) -> Self {
        Self { object, recalled: Recall::Nothing, asks: Asks::Act }
    }
}

/// Who acts, and what it may see: what outlives the permit.
pub(crate) struct Sight {
    pub(crate) identity: Arc<Identity>,
    pub(crate) viewer: Arc<dyn Reveal>,
    pub(crate) client: IpAddr,
    /// The call.
    pub(crate) exchange: ExchangeId,
    /// Whether policy shows it everything that waits for consent.
    pub(crate) all: bool,
}

/// What a call answers, not yet masked.
pub(crate) enum Answer {
    /// One document.
    Json(Value),
    /// Lines, as they come. An error ends them, and cuts the answer.
    Lines(mpsc::Receiver<Result<Bytes, Refusal>>),
}

/// Carries one call from its arrival to its seal.
pub(crate) async fn carry(admin: Arc<Admin>, arrival: Arrival, reply: Reply) {
    let Arrival { came, head, body } = arrival;
    let Ok(_room) = Arc::clone(&admin.room).try_acquire_owned() else {
        let turned = Turned::nobody(Refusal::new(Code::Overloaded).retry_after(1));
        return refuse::stranger(&admin, &came, &head, &turned, reply).await;
    };
    match enter(&admin, &came, &head).await {
        Ok(entered) => Box::pin(hear(&admin, entered, came, (head, body), reply)).await,
        Err(turned) => refuse::stranger(&admin, &came, &head, &turned, reply).await,
    }
}

/// A verified caller at a known call.
struct Entered {
    caller: Caller,
    route: &'static Route,
    segments: Vec<String>,
    path: NormalPath,
}

/// Authenticates, and finds the call.
async fn enter(admin: &Admin, came: &Came, head: &Parts) -> Result<Entered, Turned> {
    accept::framing(head).map_err(Turned::nobody)?;
    let caller = admin.gateway.authenticator().caller(came.exchange, &head.headers).await;
    let caller = caller.map_err(|fault| Turned::nobody(fault.refusal()))?;
    let turned =
        |refusal, allowed| Turned { refusal, identity: Some(Arc::clone(caller.identity())), allowed };
    let path = NormalPath::parse(head.uri.path()).map_err(|fault| turned(fault.refusal(), Vec::new()))?;
    match table::find(&head.method, path.as_str()) {
        Found::Route(route, segments) => Ok(Entered { caller, route, segments, path }),
        Found::Methods(allowed) => Err(turned(Refusal::new(Code::MethodRefused), allowed)),
        Found::Nothing => Err(turned(Refusal::new(Code::NotFound), Vec::new())),
    }
}

/// Reads the call to its end, and looks up what it is on.
async fn hear(admin: &Admin, entered: Entered, came: Came, (head, body): (Parts, Incoming), reply: Reply) {
    let Entered { caller, route, segments, path } = entered;
    let came = Came { call: route.name, ..came };
    let Some(_turn) = admin.turns.take(&caller.identity().canonical()) else {
        let refusal = Refusal::new(Code::TooManyRequests).retry_after(1);
        let identity = Some(Arc::clone(caller.identity()));
        let turned = Turned { refusal, identity, allowed: Vec::new() };
        return refuse::stranger(admin, &came, &head, &turned, reply).await;
    };
    let patience = admin.gateway.config().limits.body_timeout;
    let query = Query::read(route, head.uri.query());
    let mut parts = QuestionParts {
        exchange: came.exchange,
        method: head.method,
        path: path.as_str().to_owned(),
        // What could not be read is not kept: it may be a token.
        query: head.uri.query().filter(|_| query.is_ok()).map(str::to_owned),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    let read = match query {
        Ok(query) => match large(admin, route) {
            Ok(room) => {
                let body = input::body(route, &head.headers, body, patience).await;
                body.map(|body| (query, body, room))
            }
            Err(refusal) => Err(refusal),
        },
        Err(refusal) => Err(refusal),
    };
    let looked = match read {
        Ok((query, body, room)) => {
            parts.body = body.clone();
            let asked = Asked { route, segments, query, body, _room: room };
            look(admin, &asked, caller.identity()).await.map(|ready| (asked, ready))
        }
        Err(refusal) => Err(refusal),
    };
    let question = Question::new(parts);
    match looked {
        Ok((asked, ready)) => Box::pin(call(admin, caller, asked, ready, (&question, &came), reply)).await,
        Err(refusal) => {
            let asked = (&**caller.identity(), &question);
            refuse::unjudged(admin, route, asked, &came, &refusal, reply).await;
        }
    }
}

/// Room for a body that may be large.
fn large(admin: &Admin, route: &Route) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
    if route.body.as_ref().is_none_or(|payload| payload.limit <= SMALL) {
        return Ok(None);
    }
    let room = Arc::clone(&admin.large).try_acquire_owned();
    room.map(Some).map_err(|_| Refusal::new(Code::Overloaded).retry_after(1))
}

/// The story, once a call has been heard to the end.
async fn call(
    admin: &Admin,
    caller: Caller,
    asked: Asked,
    ready: Ready,
    (question, came): (&Question, &Came),
    reply: Reply,
) {
    // who was shut out while the call was read is not asked what it wants
    let route = asked.route;
    let mut live = admin.gateway.standing().live(&caller);
    if let Some(ended) = live.ended() {
        let (identity, refusal) = (Arc::clone(caller.identity()), ended.refusal());
        return refuse::unjudged(admin, route, (&*identity, question), came, &refusal, reply).await;
    }

    // authorize
    let bytes = i64::try_from(asked.body.len()).unwrap_or(i64::MAX);
    let facts = Facts { request_bytes: bytes, ..Facts::plain(route.method.as_str(), question.path()) };
    let surroundings = Surroundings { client: came.client.ip() };
    let own = Arc::clone(caller.own());
    let decided = judge(admin, caller, (route, &ready), &facts, surroundings);
    let all = matches!(decided, Ok((_, true)));
    let decided = decided.map(|(permit, _)| permit);

    // open record
    let (identity, decision) = match &decided {
        Ok(permit) => (permit.identity(), permit.decision()),
        Err(denied) => (denied.identity(), denied.decision()),
    };
    let act = came.opening(route, identity, decision, question);
    let mut record = match admin.gateway.ledger().open_act(act).await {
        Ok(record) => record,
        Err(fault) => return refuse::unrecorded(admin, came, &fault, reply).await,
    };
    let permit = match decided {
        Ok(permit) => permit,
        Err(denied) => return refuse::caller(admin, record, came, &denied.refusal(), reply).await,
    };

    // approve
    let (identity, viewer) = (Arc::clone(permit.identity()), permit.viewer());
    let sight = Sight { identity, viewer, client: came.client.ip(), exchange: came.exchange, all };
    let proof = match &ready.recalled {
        // what is itself a wish for consent does not wait for it
        Recall::Wish(_) => approve::asking(permit, &record).map(Proof::Asking),
        _ if permit.approvals_needed() > 0 => {
            let doing = Doing { route, object: &ready.object, facts: &facts, question };
            Box::pin(doing.with_consent(admin, permit, &record)).await.map(Proof::Cleared)
        }
        _ => approve::clear(permit, &record).map(Proof::Cleared),
    };
    let proof = match proof {
        Ok(proof) => proof,
        Err(refusal) => return refuse::caller(admin, record, came, &refusal, reply).await,
    };

    // act
    let answered = match proof {
        Proof::Cleared(cleared) => act_on(admin, &asked, ready, &sight, cleared).await,
        Proof::Asking(asking) => Box::pin(grants::ask(admin, ready.recalled, (&own, &sight), asking)).await,
    };
    let answer = match answered {
        Ok(answer) => answer,
        Err(refusal) => return refuse::caller(admin, record, came, &refusal, reply).await,
    };

    // mask → record → respond; then seal
    let layout = Box::new(Document::default());
    let rules = admin.gateway.rules();
    let mut masker = Masker::begin(came.exchange, rules, Arc::clone(&sight.viewer), layout);
    let mut reply = reply;
    let (outcome, refusal) =
        match respond(&mut masker, &mut record, &mut reply, (came, &mut live), answer).await {
            Ok(()) => match timeout(PATIENCE, reply.end()).await {
                Ok(Ok(())) => (Outcome::Completed, None),
                Ok(Err(_)) | Err(_) => (Outcome::CallerGone, None),
            },
            // Dropped before its end, the answer is aborted: it never looks complete.
            Err(stop) => stop.verdict(),
        };
    refuse::seal(record, came, outcome, refusal.as_ref(), masker.findings()).await;
}

/// What a call may do.
enum Proof {
    /// It may be done.
    Cleared(approve::Cleared),
    /// The consent to it may be asked for.
    Asking(approve::Asking),
}

/// Judges a call; and whether policy shows its caller everything that waits for consent.
fn judge(
    admin: &Admin,
    caller: Caller,
    (route, ready): (&Route, &Ready),
    facts: &Facts,
    surroundings: Surroundings,
) -> Result<(Permit, bool), Denied> {
    let authorizer = admin.gateway.authorizer();
    match (ready.asks, &ready.recalled) {
        (Asks::Word(verb), Recall::Approval(approval)) => {
            admin.desk.judge(caller, approval, verb, surroundings).map(|permit| (permit, false))
        }
        (Asks::Docket, Recall::Approval(approval)) => {
            authorizer.decide_docket(caller, desk::docket(approval), facts, surroundings)
        }
        // What is not there is judged like everything of its kind, so that nobody learns what is.
        (Asks::Docket | Asks::Word(_), _) => {
            authorizer.decide_docket(caller, Docket::All, facts, surroundings)
        }
        (Asks::Act, Recall::Wish(wish)) => {
            authorizer.decide_join(caller, wish.membership(), surroundings).map(|permit| (permit, false))
        }
        (Asks::Act, _) => {
            let decided = authorizer.decide_act(caller, route.act, &ready.object, facts, surroundings);
            decided.map(|permit| (permit, false))
        }
    }
}

/// Looks up what a call is on: nothing of it is told to anybody yet.
async fn look(admin: &Admin, asked: &Asked, identity: &Identity) -> Result<Ready, Refusal> {
    match asked.route.call {
        Call::Me => Ok(me::look(identity)),
        Call::Document => Ok(openapi::look()),
        Call::Sessions(call) => sessions::look(admin, call, asked, identity).await,
        Call::Resources(call) => Ok(resources::look(admin, call, asked)),
        Call::RotateCredential => Ok(credentials::look(admin, asked)),
        Call::Policies(_) => Ok(policies::look()),
        Call::Callers(call) => callers::look(admin, call, asked, identity).await,
        Call::Holds(_) => Ok(holds::look()),
        Call::Grants(call) => grants::look(admin, call, asked, identity).await,
        Call::Approvals(call) => approvals::look(admin, call, asked).await,
        Call::Agents(_) => Ok(agents::look()),
    }
}

/// Does what was asked. It takes the proof that it may be done.
async fn act_on(
    admin: &Admin,
    asked: &Asked,
    ready: Ready,
    sight: &Sight,
    cleared: approve::Cleared,
) -> Result<Answer, Refusal> {
    tracing::debug!(request = %cleared.exchange(), call = asked.route.name, "acting");
    match asked.route.call {
        Call::Me => Ok(me::act(admin, sight)),
        Call::Document => Ok(Answer::Json(openapi::document())),
        Call::Sessions(call) => sessions::act(admin, call, asked, ready, sight).await,
        Call::Resources(call) => resources::act(admin, call, asked),
        Call::RotateCredential => credentials::act(admin, asked, &cleared).await,
        Call::Policies(call) => policies::act(admin, call, asked, sight).await,
        Call::Callers(call) => callers::act(admin, call, asked, sight).await,
        Call::Holds(call) => holds::act(admin, call, asked, sight).await,
        Call::Grants(call) => grants::act(admin, call, asked, ready.recalled, sight).await,
        Call::Approvals(call) => approvals::act(admin, call, asked, (ready, sight), &cleared).await,
        Call::Agents(call) => agents::act(admin, call, asked, sight).await,
    }
}

/// Why an answer stops before its end.
enum Stop {
    CallerGone,
    Ledger(LedgerError),
    Layout(model::LayoutFault),
    Refused(Refusal),
}

impl Stop {
    fn verdict(self) -> (Outcome, Option<Refusal>) {
        match self {
            Self::CallerGone => (Outcome::CallerGone, None),
            Self::Ledger(fault) => (Outcome::Cut, Some(Refusal::new(Code::LedgerUnavailable).detail(fault))),
            Self::Layout(fault) => (Outcome::Cut, Some(Refusal::new(Code::Internal).detail(fault))),
            Self::Refused(refusal) => (Outcome::Cut, Some(refusal)),
        }
    }
}

async fn respond(
    masker: &mut Masker,
    record: &mut Record,
    reply: &mut Reply,
    (came, live): (&Came, &mut Live<'_>),
    answer: Answer,
) -> Result<(), Stop> {
    let kind = match &answer {
        Answer::Json(_) => "application/json",
        Answer::Lines(_) => "application/x-ndjson",
    };
    let head = masker.head(&AnswerHead { status: StatusCode::OK, headers: headers(kind, came) });
    write(record, reply, head).await?;
    let exchange = came.exchange;
    let push = |masker: &mut Masker, bytes| masker.push(Unmasked { exchange, bytes }).map_err(Stop::Layout);
    match answer {
        Answer::Json(value) => {
            let masked = push(masker, Bytes::from(value.to_string()))?;
            write(record, reply, masked).await?;
        }
        Answer::Lines(mut lines) => {
            reply.flush().map_err(|_| Stop::CallerGone)?;
            loop {
                let line = tokio::select! {
                    biased;
                    () = reply.gone() => return Err(Stop::CallerGone),
                    ended = live.until_ended() => return Err(Stop::Refused(ended.refusal())),
                    line = lines.recv() => line,
                };
                let Some(line) = line else { break };
                let masked = push(masker, line.map_err(Stop::Refused)?)?;
                write(record, reply, masked).await?;
            }
        }
    }
    let rest = masker.finish().map_err(Stop::Layout)?;
    write(record, reply, rest).await
}

/// Into the ledger, then to the caller; never the other way round.
async fn write(record: &mut Record, reply: &mut Reply, masked: Masked) -> Result<(), Stop> {
    if matches!(masked.part(), Part::Body { bytes, .. } if bytes.is_empty()) {
        return Ok(());
    }
    let recorded = record.append(masked).await.map_err(Stop::Ledger)?;
    match timeout(PATIENCE, reply.write(recorded)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Stop::CallerGone),
    }
}

fn headers(kind: &'static str, came: &Came) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::try_from(came.exchange.to_string()) {
        headers.insert("x-request-id", id);
    }
    headers
}
