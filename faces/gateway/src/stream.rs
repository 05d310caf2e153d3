//! The inner loop of the spine: mask → append → write, chunk by chunk, until the answer ends or must be
//! cut.

use std::sync::Arc;
use std::time::Duration;

use authenticate::{AuthenticateError, Live};
use forward::{Answer, Arrived, ForwardError};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use mask::{Masked, Masker, Part};
use model::{Code, Identity, LayoutFault, MaySee, Outcome, Question, Refusal, Reveal, Usable};
use record::{LedgerError, Record, Recorded, Spoken};
use tokio::time::timeout;

use crate::Gateway;
use crate::came::Came;
use crate::refuse;
use crate::reply::{CallerGone, Reply};
use crate::seal::Ending;
use crate::setup::Place;

/// How long a caller that reads slowly has to take the reason why its answer is cut.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What outlives the permit: what the caller may see, and until when.
pub(crate) struct Sight<'g> {
    /// Says when the caller is shut out.
    pub(crate) live: Live<'g>,
    identity: Arc<Identity>,
    viewer: Arc<dyn Reveal>,
    usable: Arc<dyn Usable>,
    /// Set where the resource cuts a live answer when its token ends.
    token_ends: Option<jiff::Timestamp>,
}

impl<'g> Sight<'g> {
    pub(crate) fn of(permit: &authorize::Permit, place: &Place, live: Live<'g>) -> Self {
        let identity = Arc::clone(permit.identity());
        let token_ends = place.cut_on_token_expiry.then_some(identity.token.expires_at);
        Self { live, viewer: permit.viewer(), usable: permit.usable(), identity, token_ends }
    }

    /// What holds after a request waited for consent.
    pub(crate) fn renew(&mut self, viewer: Arc<dyn Reveal>, usable: Arc<dyn Usable>, place: &Place) {
        self.viewer = viewer;
        self.usable = usable;
        self.token_ends = place.cut_on_token_expiry.then_some(self.identity.token.expires_at);
    }
}

/// Why an answer stops before its end.
enum Stop {
    CallerGone,
    Ledger(LedgerError),
    Layout(LayoutFault),
    Upstream(ForwardError),
    /// What was begun as a stream of events is answered otherwise.
    Unlike(StatusCode),
    TokenEnded,
    ShutOut(Box<AuthenticateError>),
}

/// Carries the answer to the caller, and says how it ended.
#[expect(
    clippy::too_many_arguments,
    reason = "the spine's inner loop joins every step; a struct would only rename them"
)]
pub(crate) async fn carry(
    gateway: &Gateway,
    place: &Place,
    question: &Question,
    sight: &mut Sight<'_>,
    answer: &mut Answer,
    record: &mut Record,
    came: &Came,
    reply: Reply,
) -> Ending {
    answer.head.headers = returned_headers(&answer.head.headers, place, came);
    let kind = answer.head.headers.get(header::CONTENT_TYPE).cloned();
    let sees = MaySee { usable: Arc::clone(&sight.usable), viewer: Arc::clone(&sight.viewer) };
    let layout = place.adapter.layout(question, &answer.head, sees);
    let masker = Masker::begin(came.exchange, gateway.rules(), Arc::clone(&sight.viewer), layout);
    let mut carrier = Carrier { gateway, record: &mut *record, masker, reply, place, head: None };

    let kind = if carrier.reply.is_committed() { Some(refuse::EVENTS.clone()) } else { kind };
    let result = carrier.run(sight, answer).await;
    if result.is_err() {
        answer.body.abandon();
    }
    let usage = carrier.masker.usage();
    gateway.authorizer.spent(&sight.identity, usage.unwrap_or_default());
    let Carrier { masker, reply, .. } = carrier;
    let (outcome, refusal) = match result {
        Ok(()) => match timeout(place.patience(), reply.end()).await {
            Ok(Ok(())) => (Outcome::Completed, None),
            Ok(Err(CallerGone)) | Err(_) => (Outcome::CallerGone, None),
        },
        Err(stop) => {
            let (outcome, refusal) = stop.verdict();
            if let Some(refusal) = &refusal {
                Box::pin(cut(gateway, record, came, kind.as_ref(), refusal, reply)).await;
            }
            (outcome, refusal)
        }
    };
    Ending { outcome, refusal, usage, findings: masker.findings().clone() }
}

struct Carrier<'a> {
    gateway: &'a Gateway,
    record: &'a mut Record,
    masker: Masker,
    reply: Reply,
    place: &'a Place,
    /// The answer's head, while a refusal could still take its place.
    head: Option<Masked>,
}

impl Carrier<'_> {
    async fn run(&mut self, sight: &mut Sight<'_>, answer: &mut Answer) -> Result<(), Stop> {
        let Answer { head, body, .. } = answer;
        let head_now = is_stream(&head.headers);
        let masked = self.masker.head(head);
        if self.reply.is_committed() {
            // The caller has its head since it began to wait.
            let events = head
                .headers
                .get(header::CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(refuse::EVENTS.as_bytes()));
            if head.status != StatusCode::OK || !events {
                return Err(Stop::Unlike(head.status));
            }
        } else {
            self.head = Some(masked);
        }
        if head_now {
            self.write_head(&mut sight.live).await?;
            self.reply.flush().map_err(|CallerGone| Stop::CallerGone)?;
        }
        let mut trailers = None;
        let deadline = self.token_deadline(sight);
        tokio::pin!(deadline);
        loop {
            // An answer that always has more would never come to wait below.
            if let Some(ended) = sight.live.ended() {
                return Err(Stop::ShutOut(ended));
            }
            let arrived = tokio::select! {
                biased;
                () = self.reply.gone() => return Err(Stop::CallerGone),
                () = &mut deadline => return Err(Stop::TokenEnded),
                arrived = body.next() => arrived,
                ended = sight.live.until_ended() => return Err(Stop::ShutOut(ended)),
            };
            match arrived {
                Some(Ok(Arrived::Bytes(unmasked))) => {
                    self.record.unmasked(&unmasked.bytes);
                    let masked = self.masker.push(unmasked).map_err(Stop::Layout)?;
                    self.pass(masked, &mut sight.live).await?;
                }
                Some(Ok(Arrived::Trailers(map))) => {
                    trailers = Some(adapt_http::response_headers(&map, &self.place.return_headers));
                }
                Some(Err(fault)) => return Err(Stop::Upstream(fault)),
                None => break,
            }
        }
        let masked = self.masker.finish().map_err(Stop::Layout)?;
        self.pass(masked, &mut sight.live).await?;
        self.write_head(&mut sight.live).await?;
        match trailers {
            Some(trailers) if trailers.is_empty() => Ok(()),
            Some(trailers) => {
                let masked = self.masker.trailers(&trailers);
                self.write(masked, &mut sight.live).await
            }
            None => Ok(()),
        }
    }

    async fn pass(&mut self, masked: Masked, live: &mut Live<'_>) -> Result<(), Stop> {
        if matches!(masked.part(), Part::Body { bytes, .. } if bytes.is_empty()) {
            return Ok(());
        }
        let Some(head) = self.head.take() else { return self.write(masked, live).await };
        let both = self.record.append_both(head, masked).await;
        let (head, body) = both.map_err(Stop::Ledger)?;
        self.say(head, live).await?;
        self.say(body, live).await
    }

    async fn write_head(&mut self, live: &mut Live<'_>) -> Result<(), Stop> {
        match self.head.take() {
            Some(head) => self.write(head, live).await,
            None => Ok(()),
        }
    }

    /// Into the ledger, then to the caller; never the other way round.
    async fn write(&mut self, masked: Masked, live: &mut Live<'_>) -> Result<(), Stop> {
        let recorded = self.record.append(masked).await.map_err(Stop::Ledger)?;
        self.say(recorded, live).await
    }

    /// A caller that stops reading is taken for gone: it would hold the exchange, and its place among the
    /// others, for ever.
    async fn say(&mut self, recorded: Recorded, live: &mut Live<'_>) -> Result<(), Stop> {
        tokio::select! {
            biased;
            written = timeout(self.place.patience(), self.reply.write(recorded)) => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(CallerGone)) | Err(_) => Err(Stop::CallerGone),
            },
            ended = live.until_ended() => Err(Stop::ShutOut(ended)),
        }
    }

    fn token_deadline(&self, sight: &Sight<'_>) -> impl Future<Output = ()> + use<> {
        let left = sight.token_ends.map(|end| {
            Duration::try_from(end.duration_since(self.gateway.clock.now())).unwrap_or(Duration::ZERO)
        });
        async move {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        }
    }
}

impl Stop {
    fn verdict(self) -> (Outcome, Option<Refusal>) {
        match self {
            Self::CallerGone => (Outcome::CallerGone, None),
            Self::Ledger(fault) => (Outcome::Cut, Some(refuse::ledger_unavailable(&fault))),
            Self::Layout(fault) => {
                let refusal = Refusal::new(Code::UpstreamFailed)
                    .because("The server's answer cannot be judged, so it may not pass.")
                    .detail(fault);
                (Outcome::Cut, Some(refusal))
            }
            Self::Upstream(fault) => (fault.outcome(), Some(fault.refusal())),
            Self::Unlike(status) => {
                let refusal = Refusal::new(Code::UpstreamFailed).because(format!(
                    "The server answered with status {} instead of a stream of events.",
                    status.as_u16()
                ));
                (Outcome::Cut, Some(refusal))
            }
            Self::ShutOut(fault) => (Outcome::Cut, Some(fault.refusal())),
            Self::TokenEnded => (
                Outcome::Cut,
                Some(
                    Refusal::new(Code::TokenExpired)
                        .because("The token expired while the answer was streaming."),
                ),
            ),
        }
    }
}

/// Says why the answer stops: as a refusal while the head is not out, else as the SDK's error event
/// and an aborted body.
pub(crate) async fn cut(
    gateway: &Gateway,
    record: &mut Record,
    came: &Came,
    kind: Option<&HeaderValue>,
    refusal: &Refusal,
    mut reply: Reply,
) {
    if !reply.is_committed() {
        return refuse::say(gateway, record, came, refusal, reply).await;
    }
    if reply.flush().is_err() {
        return;
    }
    let Some(event) = came.dialect.cut(kind, refusal, came.exchange) else { return };
    if let Ok(recorded) = record.say(Spoken::Body(event)).await {
        // The body is aborted right after; a caller that left hears neither.
        let _ = timeout(LAST_WORD, reply.write(recorded)).await;
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    ["text/event-stream", "application/x-ndjson", "application/stream+json"]
        .iter()
        .any(|stream| kind.starts_with(stream))
}

fn returned_headers(from: &HeaderMap, place: &Place, came: &Came) -> HeaderMap {
    let mut headers = adapt_http::response_headers(from, &place.return_headers);
    // Masking changes lengths, and framing is always made anew.
    headers.remove(header::CONTENT_LENGTH);
    if let Ok(id) = HeaderValue::try_from(came.exchange.to_string()) {
        headers.insert("x-request-id", id);
    }
    headers
}
