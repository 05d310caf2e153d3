//! What was asked, from the ledger: the request as it was recorded before anybody was asked to consent.

use std::collections::BTreeMap;

use approve::Approval;
use bytes::BytesMut;
use model::{ExchangeId, Refusal};
use record::body::{Direction, Kind};
use record::opened::RequestHead;
use record::{Exchange, Frames, LedgerError, Reader};
use serde::Serialize;

use crate::desk::Desk;
use crate::prompt::Prompt;
use crate::reading::Reading;

/// The most bytes of a request that are read to be shown.
const LARGEST: usize = 16 << 20;

/// What was asked, as one looker may see it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Prompted {
    /// Its parts.
    pub parts: Vec<ShownPart>,
    /// How many characters of all are not shown, because there are too many.
    pub hidden: usize,
    /// What was masked for this looker: by data class, how often.
    pub masked: BTreeMap<String, u64>,
    /// Why nothing is shown, if nothing is.
    pub absent: Option<String>,
}

/// A part, under names that the interface masks once more.
#[derive(Clone, Debug, Serialize)]
pub struct ShownPart {
    /// What it is.
    pub label: String,
    /// Its text, or the beginning of it.
    pub said: String,
    /// How many characters are not shown after that.
    pub hidden: usize,
    /// Its end, if it is not shown whole.
    pub ending: String,
}

/// The request of an approval, with the way it was made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Whether a client waits for it now.
    pub(crate) held: bool,
    pub(crate) prompted: Prompted,
}

impl Prompted {
    pub(crate) fn absent(why: &str) -> Self {
        Self { absent: Some(why.to_owned()), ..Self::default() }
    }
}

impl Desk {
    /// The request that an approval is for, masked by `reading`; without one, only how it was made.
    pub(crate) async fn asked(&self, approval: &Approval, reading: Option<Reading>) -> Request {
        match self.recorded(approval, reading).await {
            Ok(request) => request,
            Err(refusal) => {
                tracing::warn!(approval = %approval.id, fault = refusal.detail, "what was asked cannot be read");
                let prompted = Prompted::absent("What was asked cannot be read from the record just now.");
                Request { prompted, ..Request::default() }
            }
        }
    }

    async fn recorded(&self, approval: &Approval, reading: Option<Reading>) -> Result<Request, Refusal> {
        let reader = Reader::open(self.ledger_dir()).await.map_err(|fault| unreadable(&fault))?;
        let mut request = Request::default();
        // All of them asked the same, byte for byte. The latest are the ones that are still there.
        for (at, id) in approval.exchanges.iter().rev().enumerate() {
            let exchange = match reader.show(*id).await {
                Ok(exchange) => exchange,
                Err(LedgerError::NotFound { .. }) => continue,
                Err(fault) => return Err(unreadable(&fault)),
            };
            if at == 0 {
                request.held = exchange.opened.is_some() && exchange.sealed.is_none();
            }
            let head = exchange.opened.as_ref().and_then(|opened| opened.request.clone()).unwrap_or_default();
            (request.method, request.path) = (head.method.clone(), path(&head));
            let Some(reading) = &reading else { return Ok(request) };
            if exchange.is_encrypted() {
                request.prompted =
                    Prompted::absent("What was asked is sealed to auditors, and cannot be shown here.");
                return Ok(request);
            }
            let gone = reader.gone(&exchange).await.map_err(|fault| unreadable(&fault))?;
            if !gone.is_empty() {
                continue;
            }
            let frames = reader.frames(*id, &exchange);
            request.prompted = read(frames, *id, (head, exchange), reading.clone()).await?;
            return Ok(request);
        }
        request.prompted = Prompted::absent("What was asked is not in the record any more.");
        Ok(request)
    }
}

/// Reads and masks, off the threads that carry requests.
async fn read(
    frames: Frames,
    id: ExchangeId,
    (head, exchange): (RequestHead, Exchange),
    reading: Reading,
) -> Result<Prompted, Refusal> {
    let stated = exchange.opened.as_ref().and_then(|opened| opened.request_body.as_ref());
    let count = stated.map_or(0, |digest| digest.frames);
    let read = tokio::task::spawn_blocking(move || {
        let (mut body, mut seen, mut opaque) = (BytesMut::new(), 0_u64, 0_u64);
        // Behind the request's own frames lie those of everybody else.
        for frame in frames {
            if seen >= count {
                break;
            }
            let frame = frame.map_err(|damage| damaged(&damage))?;
            if frame.direction() != Direction::Request {
                continue;
            }
            seen = seen.saturating_add(1);
            match (frame.kind(), &frame.opaque) {
                (_, Some(part)) => opaque = opaque.saturating_add(part.length),
                (Kind::Data, None) => body.extend_from_slice(&frame.data),
                _ => {}
            }
            if body.len() > LARGEST {
                return Ok(Prompted::absent("What was asked is too long to be shown here."));
            }
        }
        if opaque > 0 {
            let why = format!("{opaque} bytes of what was asked are kept as a digest, and cannot be shown.");
            return Ok(Prompted::absent(&why));
        }
        let (masked, findings) = reading.request(id, &head, body.freeze());
        let Some(masked) = masked else {
            return Ok(Prompted::absent("What was asked cannot be read, so nothing of it is shown."));
        };
        let Prompt { parts, hidden } = Prompt::read(&masked);
        let parts = parts.into_iter().map(|part| ShownPart {
            label: part.label,
            said: part.text,
            hidden: part.hidden,
            ending: part.end,
        });
        let masked = findings.masked.iter().map(|(class, count)| (class.to_string(), *count)).collect();
        Ok(Prompted { parts: parts.collect(), hidden, masked, absent: None })
    });
    read.await.map_err(|fault| Refusal::new(model::Code::Internal).detail(fault))?
}

fn path(head: &RequestHead) -> String {
    match &head.query {
        Some(query) => format!("{}?{query}", head.path),
        None => head.path.clone(),
    }
}

fn unreadable(fault: &LedgerError) -> Refusal {
    Refusal::new(model::Code::Internal).because("The record cannot be read.").detail(fault)
}

fn damaged(damage: &record::Damage) -> Refusal {
    Refusal::new(model::Code::Internal).because("The record is damaged.").detail(damage)
}
