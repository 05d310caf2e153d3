//! An answer on its way back: its head, then its body as fast as its reader pulls it.

use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::FutureExt;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use model::{AnswerHead, ExchangeId, Unmasked};
use tokio::time::{Sleep, timeout};

use crate::ForwardError;
use crate::beyond::Carrier;
use crate::decode::Decoder;
use crate::echo::Echo;
use crate::headers::strip;
use crate::incoming::Incoming;
use crate::upstreams::Busy;

/// What an upstream answers. Dropped before its end, it ends the upstream's work at once: the connection
/// is closed (HTTP/1) or the stream reset (HTTP/2).
#[derive(Debug)]
pub struct Answer {
    /// Its head, hop-by-hop headers gone. Not yet masked.
    pub head: AnswerHead,
    /// Its body.
    pub body: AnswerBody,
}

/// How much of what has arrived is taken at once, in bytes.
const ARMFUL: usize = 64 << 10;

/// A piece of an answer.
#[derive(Debug)]
pub enum Arrived {
    /// Bytes of its body, unpacked. Never empty.
    Bytes(Unmasked),
    /// Its trailers. Nothing follows them.
    Trailers(HeaderMap),
}

/// The times an answer must keep.
#[derive(Debug)]
pub(crate) struct Deadline {
    /// Between two pieces.
    pub(crate) idle: Duration,
    /// The whole exchange, for saying so.
    pub(crate) exchange: Duration,
    /// Its end.
    pub(crate) end: Pin<Box<Sleep>>,
}

/// An answer's body. At most one piece is held.
#[derive(Debug)]
pub struct AnswerBody {
    exchange: ExchangeId,
    deadline: Deadline,
    open: Option<Open>,
    /// A stream of a tunnel that was read to its end. Letting it go wakes the connection it is in, and that
    /// is for the time after the caller has their answer.
    spent: Option<(Incoming, Carrier, Busy)>,
    /// What came right behind bytes and is none.
    behind: Option<Result<Arrived, ForwardError>>,
    /// Bytes of it have come.
    begun: bool,
}

/// What is gone once the body has ended. Dropped, it closes.
struct Open {
    incoming: Incoming,
    decoder: Option<Decoder>,
    echo: Option<Echo>,
    /// Trailers that wait until the decoder is empty.
    trailers: Option<HeaderMap>,
    /// Nothing more comes from upstream.
    ended: bool,
    line: Carrier,
    busy: Busy,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Answer {
    /// Reads an answer's head.
    pub(crate) fn begin(
        exchange: ExchangeId,
        response: Response<Incoming>,
        line: Carrier,
        busy: Busy,
        deadline: Deadline,
        echo: Option<Echo>,
    ) -> Result<Self, ForwardError> {
        let (parts, incoming) = response.into_parts();
        let (status, mut headers) = (parts.status, parts.headers);
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(ForwardError::Unreadable("it changes the protocol, unasked".to_owned()));
        }
        strip(&mut headers);
        if let Some(echo) = &echo {
            echo.headers(&mut headers);
        }
        // Answers to HEAD, and those with status 204 and 304, only say how a body would be packed.
        let decoder = if incoming.is_end_stream() { None } else { Decoder::for_answer(&mut headers)? };
        let open = Open { incoming, decoder, echo, trailers: None, ended: false, line, busy };
        let body =
            AnswerBody { exchange, deadline, open: Some(open), spent: None, behind: None, begun: false };
        Ok(Self { head: AnswerHead { status, headers }, body })
    }
}

impl AnswerBody {
    /// The next piece; nothing after the end or after an error. Waits for the upstream, within the
    /// resource's times. May be dropped and called again without losing anything.
    ///
    /// Pieces that are there already come as one, up to 64 KiB and the last of them: what comes fast is
    /// then judged, recorded and written in few steps, and what comes slowly does not wait. The first
    /// comes alone: it is the one that people wait for.
    pub async fn next(&mut self) -> Option<Result<Arrived, ForwardError>> {
        if let Some(behind) = self.behind.take() {
            return Some(behind);
        }
        let next = {
            let open = self.open.as_mut()?;
            let idle = self.deadline.idle;
            tokio::select! {
                biased;
                next = open.next(self.exchange, Some(idle)) => next,
                () = self.deadline.end.as_mut() => {
                    Err(ForwardError::ExchangeTimeout(self.deadline.exchange))
                }
            }
        };
        match self.taken(next)? {
            Ok(Arrived::Bytes(first)) if std::mem::replace(&mut self.begun, true) => {
                Some(Ok(Arrived::Bytes(self.with_what_is_there(first))))
            }
            other => Some(other),
        }
    }

    /// Ends the upstream's work at once, if it has not ended. Nothing more comes.
    pub fn abandon(&mut self) {
        self.behind = None;
        self.let_go();
    }

    fn let_go(&mut self) {
        // A body whose last byte has been read need not have been asked for its end.
        if let Some(Open { incoming, line, busy, ended, .. }) = self.open.take()
            && (ended || incoming.is_end_stream())
        {
            busy.give_back(line);
        }
    }

    /// Whether it is known that nothing more comes, so that it need not be asked.
    pub fn is_over(&self) -> bool {
        self.behind.is_none() && self.open.as_ref().is_none_or(Open::is_over)
    }

    /// Adds to `first` the pieces that came with it.
    fn with_what_is_there(&mut self, first: Unmasked) -> Unmasked {
        let exchange = first.exchange;
        let (mut one, mut several) = (first.bytes, BytesMut::new());
        while one.len().saturating_add(several.len()) < ARMFUL {
            let Some(next) = self.open.as_mut().filter(|open| !open.incoming.is_end_stream()) else { break };
            let Some(next) = next.next(exchange, None).now_or_never() else { break };
            match self.taken(next) {
                Some(Ok(Arrived::Bytes(more))) => {
                    several.extend_from_slice(&std::mem::replace(&mut one, more.bytes));
                }
                other => {
                    self.behind = other;
                    break;
                }
            }
        }
        if several.is_empty() {
            return Unmasked { exchange, bytes: one };
        }
        several.extend_from_slice(&one);
        Unmasked { exchange, bytes: several.freeze() }
    }

    /// What came, after which the body may be over.
    fn taken(
        &mut self,
        next: Result<Option<Arrived>, ForwardError>,
    ) -> Option<Result<Arrived, ForwardError>> {
        match next {
            Ok(Some(arrived)) => Some(Ok(arrived)),
            Ok(None) => {
                if let Some(Open { incoming, line, busy, .. }) = self.open.take() {
                    match line {
                        Carrier::Line(..) => busy.give_back(line),
                        Carrier::Lease { .. } => self.spent = Some((incoming, line, busy)),
                    }
                }
                None
            }
            Err(error) => {
                // Closes the line.
                self.open = None;
                metrics::counter!("portcullis_upstream_broken_answers_total").increment(1);
                Some(Err(error))
            }
        }
    }
}

impl Open {
    /// The next piece. Each frame has to come within `idle`; without it nobody is going to wait.
    async fn next(
        &mut self,
        exchange: ExchangeId,
        idle: Option<Duration>,
    ) -> Result<Option<Arrived>, ForwardError> {
        let bytes = |bytes: Bytes| Ok(Some(Arrived::Bytes(Unmasked { exchange, bytes })));
        loop {
            if let Some(decoder) = &mut self.decoder
                && let Some(piece) = decoder.next()?
            {
                match self.without_echo(piece) {
                    piece if piece.is_empty() => continue,
                    piece => return bytes(piece),
                }
            }
            if self.ended {
                if let Some(rest) = self.echo.as_mut().and_then(Echo::finish) {
                    return bytes(rest);
                }
                return Ok(self.trailers.take().map(Arrived::Trailers));
            }
            let frame = self.line.during(self.incoming.frame());
            let frame = match idle {
                Some(idle) => timeout(idle, frame).await.map_err(|_| ForwardError::IdleTimeout(idle))?,
                None => frame.await,
            };
            let Some(frame) = frame else {
                self.end();
                continue;
            };
            let frame = frame.map_err(|cause| ForwardError::Lost(cause.to_string()))?;
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => match &mut self.decoder {
                    Some(decoder) => decoder.feed(data),
                    None => match self.without_echo(data) {
                        data if data.is_empty() => {}
                        data => return bytes(data),
                    },
                },
                Err(frame) => {
                    self.trailers = frame.into_trailers().ok().map(|mut trailers| {
                        strip(&mut trailers);
                        if let Some(echo) = &self.echo {
                            echo.headers(&mut trailers);
                        }
                        trailers
                    });
                    self.end();
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        let held = self.trailers.is_some() || self.echo.as_ref().is_some_and(Echo::holds);
        !held && self.decoder.is_none() && (self.ended || self.incoming.is_end_stream())
    }

    fn without_echo(&mut self, bytes: Bytes) -> Bytes {
        match &mut self.echo {
            Some(echo) => echo.push(bytes),
            None => bytes,
        }
    }

    fn end(&mut self) {
        self.ended = true;
        if let Some(decoder) = &mut self.decoder {
            decoder.end();
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.let_go();
    }
}
