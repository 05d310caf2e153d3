//! The outer loop, once per request for HTTP: accept → greet → authenticate → resolve.
//!
//! What comes out is an [`Entered`]: a verified caller at a known resource. What fails is a refusal to
//! a stranger, recorded without a body.

use std::sync::Arc;
use std::time::Duration;

use accept::Peer;
use adapt_http::Dialect;
use authenticate::Caller;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use model::{Code, ExchangeId, Identity, Question, QuestionParts, Refusal};
use resolve::NormalPath;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::came::Came;
use crate::said::{self, Wishes};
use crate::setup::{Place, Setup};

/// A request that has arrived, nothing yet known of it.
pub(crate) struct Arrival {
    pub(crate) came: Came,
    pub(crate) head: Parts,
    pub(crate) body: Incoming,
}

impl Arrival {
    pub(crate) fn new(request: http::Request<Incoming>, peer: &Peer, clock: &dyn model::Clock) -> Self {
        let at = clock.now();
        let (head, body) = request.into_parts();
        let dialect = Dialect::of(head.uri.path(), &head.headers);
        let came = Came {
            exchange: ExchangeId::at(at),
            at,
            began: clock.elapsed(),
            client: peer.address,
            listener: peer.listener,
            secure: peer.secure,
            dialect,
        };
        Self { came, head, body }
    }
}

/// A verified caller at a known resource.
pub(crate) struct Entered {
    pub(crate) caller: Caller,
    pub(crate) place: Arc<Place>,
    /// The normalised path below the resource.
    pub(crate) path: String,
}

/// Somebody turned away at the door, and who it is if the token was good.
pub(crate) struct Turned {
    pub(crate) refusal: Refusal,
    pub(crate) identity: Option<Arc<Identity>>,
}

/// Greets, authenticates and resolves.
///
/// # Errors
/// A refusal to a stranger: nothing of the request is trusted yet.
pub(crate) async fn enter(setup: &Setup, arrival: &Arrival) -> Result<Entered, Turned> {
    let nobody = |refusal| Turned { refusal, identity: None };
    accept::framing(&arrival.head).map_err(nobody)?;
    let caller = setup.authenticator.caller(arrival.came.exchange, &arrival.head.headers).await;
    let caller = caller.map_err(|fault| nobody(fault.refusal()))?;
    match resolve(setup, &arrival.head) {
        Ok((place, path)) => Ok(Entered { caller, place, path }),
        Err(refusal) => Err(Turned { refusal, identity: Some(Arc::clone(caller.identity())) }),
    }
}

/// The resource a request names, and the normalised path below it.
fn resolve(setup: &Setup, head: &Parts) -> Result<(Arc<Place>, String), Refusal> {
    no_token_in_query(head)?;
    let path = NormalPath::parse(head.uri.path()).map_err(|fault| fault.refusal())?;
    let found = setup.table.find(host(head), &path).ok_or_else(|| Refusal::new(Code::ResourceUnknown))?;
    Ok((Arc::clone(found.target), found.rest))
}

/// A token in the address (RFC 6750, section 2.3) would go upstream and into the record with it.
fn no_token_in_query(head: &Parts) -> Result<(), Refusal> {
    let query = head.uri.query().unwrap_or_default();
    let named = query.split('&').any(|pair| pair.starts_with("access_token="));
    let names = [http::header::AUTHORIZATION.as_str(), "x-api-key", "api-key"];
    let tokens =
        names.into_iter().filter_map(|name| head.headers.get(name)?.to_str().ok()?.split(' ').next_back());
    if !query.is_empty() && (named || tokens.into_iter().any(|token| query.contains(token))) {
        return Err(Refusal::new(Code::HeaderRefused)
            .because("The address holds a token. A token belongs in the header `authorization` only."));
    }
    Ok(())
}

/// The host a request names: the authority of HTTP/2, or the `Host` header.
pub(crate) fn host(head: &Parts) -> Option<&str> {
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    authority.or_else(|| head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()))
}

/// The request read whole, and the share of the gateway's memory it takes until it is dropped.
pub(crate) struct Heard {
    pub(crate) question: Question,
    /// The session its client says it belongs to; empty if it says none.
    pub(crate) session: String,
    /// How its client would like to wait.
    pub(crate) wishes: Wishes,
    pub(crate) memory: Option<OwnedSemaphorePermit>,
}

/// A request that could not be heard to the end, as far as it was.
pub(crate) struct Unheard {
    pub(crate) refusal: Refusal,
    pub(crate) question: Question,
}

/// Reads the body to the resource's limit and closes the request against change.
///
/// # Errors
/// A refusal when it is too large, too slow, or holds headers that make it ambiguous.
pub(crate) async fn hear(
    setup: &Setup,
    memory: &Arc<Semaphore>,
    place: &Place,
    path: String,
    arrival: Arrival,
) -> Result<Heard, Box<Unheard>> {
    let Arrival { came, head, body } = arrival;
    let wishes = Wishes::of(&head.headers);
    let mut parts = QuestionParts {
        exchange: came.exchange,
        method: head.method,
        path,
        query: head.uri.query().map(str::to_owned),
        headers: http::HeaderMap::new(),
        body: Bytes::new(),
    };
    let read = async {
        parts.headers = adapt_http::request_headers(&head.headers, &place.forward_headers)?;
        let session = said::session(&head.headers)?;
        let read = read_body(body, place.max_request_bytes, memory, setup.config.limits.body_timeout).await;
        read.map(|read| (read, session))
    };
    match read.await {
        Ok(((bytes, permit), session)) => {
            parts.body = bytes;
            Ok(Heard { question: Question::new(parts), session, wishes, memory: permit })
        }
        Err(refusal) => Err(Box::new(Unheard { refusal, question: Question::new(parts) })),
    }
}

/// One permit of the memory semaphore stands for this many bytes.
pub(crate) const MEMORY_UNIT: usize = 1024;
/// What every body is charged at once, in bytes.
const FIRST_CHARGE: usize = 64 << 10;

async fn read_body(
    mut body: Incoming,
    limit: usize,
    memory: &Arc<Semaphore>,
    patience: Duration,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), None));
    }
    let too_large = || {
        Refusal::new(Code::RequestTooLarge)
            .because(format!("The request body is larger than the {limit} bytes this resource allows."))
    };
    let stated = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if stated.is_some_and(|bytes| bytes > limit) {
        return Err(too_large());
    }
    // Charged as it arrives: what is only announced holds no memory, and must take none from others.
    let mut charged = FIRST_CHARGE.min(limit);
    let mut permit = reserve(memory, charged)?;
    let mut whole = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    let all = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|fault| {
                Refusal::new(Code::RequestMalformed).because("The request body broke off.").detail(fault)
            })?;
            let Ok(data) = frame.into_data() else { continue };
            let have = rest.as_ref().map_or(whole.len(), BytesMut::len);
            if have.saturating_add(data.len()) > limit {
                return Err(too_large());
            }
            let needed = have.saturating_add(data.len());
            if needed > charged {
                // Twice as much each time, as the buffer below grows.
                let next = needed.max(charged.saturating_mul(2)).min(limit);
                permit.merge(reserve(memory, next - charged)?);
                charged = next;
            }
            if have == 0 {
                whole = data;
            } else {
                rest.get_or_insert_with(|| BytesMut::from(&whole[..])).extend_from_slice(&data);
            }
        }
        Ok(())
    };
    match tokio::time::timeout(patience, all).await {
        Ok(read) => read?,
        Err(_) => return Err(Refusal::new(Code::RequestTimeout)),
    }
    Ok((rest.map_or(whole, BytesMut::freeze), Some(permit)))
}

fn reserve(memory: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
    let units = u32::try_from(bytes.div_ceil(MEMORY_UNIT)).unwrap_or(u32::MAX);
    Arc::clone(memory).try_acquire_many_owned(units).map_err(|_| {
        Refusal::new(Code::Overloaded)
            .because("The gateway holds as many request bytes as it may.")
            .retry_after(1)
    })
}
