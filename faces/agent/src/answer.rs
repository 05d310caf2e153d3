//! One request out of a tunnel: read whole, sent to the upstream under the credential, and its answer
//! passed back as it comes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use forward::{AnswerBody, Arrived, ForwardError, rotation_told};
use futures_util::stream::{self, Stream};
use http::header::CONTENT_LENGTH;
use http::{Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::Incoming;
use model::{Question, QuestionParts};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tunnel::{Asked, Delegated, Fault, Order, drop_ours};

use crate::desk::{Desk, Place};

/// How long a gateway may take to send a body it has read already.
const BODY: Duration = Duration::from_secs(60);

/// An answer's body. An error resets the stream: it never looks complete.
pub(crate) type Body = UnsyncBoxBody<Bytes, ForwardError>;

/// Why there is no answer of the upstream.
type Refused = (Fault, String);

/// Answers one request.
pub(crate) async fn answer(
    desk: Arc<Desk>,
    delegated: Delegated,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let (exchange, resource) = (delegated.exchange(), delegated.resource().clone());
    let answered = match (delegated.order(), Asked::of(&mut request)) {
        (Some(Order::Rotate), _) => Box::pin(rotated(&desk, &delegated)).await,
        (Some(Order::Look), _) => Box::pin(looked(&desk, &delegated)).await,
        // No protocol of bytes is served yet.
        (None, Some(asked)) => {
            Err((Fault::NotServed, format!("the agent does not speak `{}`", asked.protocol())))
        }
        (None, None) => Box::pin(upstreams_answer(&desk, delegated, request)).await,
    };
    let outcome = if answered.is_ok() { "answered" } else { "failed" };
    metrics::counter!("portcullis_agent_requests_total", "resource" => resource.to_string(), "outcome" => outcome)
        .increment(1);
    answered.unwrap_or_else(|(fault, detail)| {
        tracing::warn!(request = %exchange, %resource, ?fault, detail, "no answer");
        fault.answer(&detail).map(|empty| empty.map_err(|never| match never {}).boxed_unsync())
    })
}

/// Replaces the credential of a resource, and says what came of it.
async fn rotated(desk: &Desk, delegated: &Delegated) -> Result<Response<Body>, Refused> {
    let place = place(desk, delegated)?;
    let rotated = place.upstreams.rotate_delegated(delegated).await;
    let resource = delegated.resource();
    match &rotated {
        Ok(_) => tracing::info!(request = %delegated.exchange(), %resource, "the credential was replaced"),
        Err(why) => {
            tracing::warn!(request = %delegated.exchange(), %resource, %why, "the credential was not replaced")
        }
    }
    Ok(done(Order::Rotate, rotation_told(&rotated)))
}

/// Looks at the upstreams of a resource, and says how they do.
async fn looked(desk: &Desk, delegated: &Delegated) -> Result<Response<Body>, Refused> {
    Ok(done(Order::Look, place(desk, delegated)?.upstreams.looked().await))
}

/// What came of an order.
fn done(order: Order, told: Bytes) -> Response<Body> {
    let whole = Full::new(told).map_err(|never| match never {});
    let mut response = Response::new(whole.boxed_unsync());
    order.write(response.headers_mut());
    response
}

fn place<'d>(desk: &'d Desk, delegated: &Delegated) -> Result<&'d Place, Refused> {
    desk.place(delegated.resource()).ok_or_else(|| {
        (Fault::NotServed, "the agent's file does not say where the resource stands".to_owned())
    })
}

async fn upstreams_answer(
    desk: &Desk,
    delegated: Delegated,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refused> {
    let place = place(desk, &delegated)?;
    let room = desk.room().ok_or_else(|| (Fault::Busy, "the agent is full".to_owned()))?;
    let (question, _memory) = read(desk, place, &delegated, request).await?;
    let sent = place.upstreams.send_delegated(&delegated, &question).await;
    let answer = sent.map_err(|fault| (fault.fault(), fault.to_string()))?;
    let mut response = Response::new(passed_on(answer.body, room));
    *response.status_mut() = answer.head.status;
    *response.headers_mut() = answer.head.headers;
    // What only an agent may say, no upstream says.
    drop_ours(response.headers_mut());
    if matches!(answer.head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        // It speaks of a body that does not come, which HTTP/2 counts.
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    Ok(response)
}

/// Reads a request whole, within the resource's limit and the agent's memory.
async fn read(
    desk: &Desk,
    place: &Place,
    delegated: &Delegated,
    request: Request<Incoming>,
) -> Result<(Question, OwnedSemaphorePermit), Refused> {
    let (head, body) = request.into_parts();
    let most = place.max_request_bytes();
    let large = || (Fault::Unfit, format!("the request is larger than the {most} bytes the agent takes"));
    let told = body.size_hint().upper().map_or(most, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if told > most {
        return Err(large());
    }
    let memory = desk.memory(told).ok_or_else(|| (Fault::Busy, "the agent's memory is full".to_owned()))?;
    #[expect(clippy::disallowed_methods, reason = "it is limited")]
    let read = timeout(BODY, Limited::new(body, told).collect()).await;
    let body = match read {
        Ok(Ok(whole)) => whole.to_bytes(),
        Ok(Err(fault)) if fault.is::<LengthLimitError>() => return Err(large()),
        Ok(Err(fault)) => return Err((Fault::Unfit, format!("the request broke off: {fault}"))),
        Err(_) => return Err((Fault::Unfit, format!("the request did not arrive within {BODY:?}"))),
    };
    let question = Question::new(QuestionParts {
        exchange: delegated.exchange(),
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body,
    });
    Ok((question, memory))
}

/// What is left of an answer, and the room it takes.
type Rest = Option<(Box<AnswerBody>, OwnedSemaphorePermit)>;

/// Passes pieces on as they come. Dropped, it ends the upstream's work.
fn passed_on(body: AnswerBody, room: OwnedSemaphorePermit) -> Body {
    let over = Arc::<AtomicBool>::default();
    let told = Arc::clone(&over);
    let pieces = stream::unfold(Some((Box::new(body), room)), move |rest: Rest| {
        let told = Arc::clone(&told);
        async move {
            let (mut body, room) = rest?;
            let arrived = body.next().await?;
            told.store(body.is_over(), Ordering::Relaxed);
            match arrived {
                Ok(Arrived::Bytes(unmasked)) => Some((Ok(Frame::data(unmasked.bytes)), Some((body, room)))),
                Ok(Arrived::Trailers(mut trailers)) => {
                    drop_ours(&mut trailers);
                    Some((Ok(Frame::trailers(trailers)), None))
                }
                Err(fault) => Some((Err(fault), None)),
            }
        }
    });
    PassedOn { pieces: StreamBody::new(Box::pin(pieces)), over }.boxed_unsync()
}

/// Pieces, and whether the last of them has come: then its end travels with it, and not behind it.
struct PassedOn<S> {
    pieces: StreamBody<S>,
    over: Arc<AtomicBool>,
}

impl<S: Stream<Item = Result<Frame<Bytes>, ForwardError>> + Unpin> http_body::Body for PassedOn<S> {
    type Data = Bytes;
    type Error = ForwardError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardError>>> {
        Pin::new(&mut self.get_mut().pieces).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
