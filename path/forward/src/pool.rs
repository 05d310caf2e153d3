//! The connections kept open to one upstream.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use dial::DialError;
use http::{HeaderValue, Response, Uri};
use hyper::body::Incoming;
use model::Clock;
use rustls::ClientConfig;
use tokio::time::timeout;

use crate::ForwardError;
use crate::line::{Failed, Line, Outgoing};
use crate::pools::Parts;

/// How long an unused HTTP/1 connection is kept. Under the 5 s after which uvicorn (vLLM) and cpp-httplib
/// (llama.cpp) close theirs: a request that meets a closing connection is lost and must not be repeated.
const KEEP: Duration = Duration::from_secs(4);
/// How many are kept.
const MOST_KEPT: usize = 256;
/// How many kept connections may turn out closed before a request opens one of its own.
const STALE_TRIES: usize = 8;

/// A line that waits to be used, and since when.
#[derive(Debug)]
struct Kept {
    line: Line,
    since: Duration,
}

/// The lines that wait, the last used on top.
#[derive(Debug, Default)]
struct Shelf {
    lines: Vec<Kept>,
    /// Whether somebody comes to clear away what waits too long.
    swept: bool,
}

/// Opens, keeps and shares lines to one upstream.
pub(crate) struct Pool {
    url: Uri,
    host: HeaderValue,
    tls: Option<Arc<ClientConfig>>,
    timeouts: config::Timeouts,
    clock: Arc<dyn Clock>,
    kept: Arc<Mutex<Shelf>>,
    shared: Mutex<Option<Line>>,
    /// Whether the upstream spoke HTTP/2 the last time: then only one request at a time connects.
    many: AtomicBool,
    connecting: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("url", &self.url).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why no answer came, and whether another upstream may be asked.
pub(crate) enum Unanswered {
    /// Nothing was sent.
    NotSent(ForwardError),
    /// Nothing was sent, and no upstream is to blame.
    Unready(ForwardError),
    /// Something may have been sent.
    Sent(ForwardError),
}

impl Pool {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { url, host, tls, timeouts, clock, .. } = parts;
        Self {
            url,
            host,
            tls,
            timeouts,
            clock,
            kept: Arc::default(),
            shared: Mutex::default(),
            many: AtomicBool::new(false),
            connecting: tokio::sync::Mutex::default(),
        }
    }

    /// Sends a request on a kept line, or on a new one, and waits for the head of its answer.
    pub(crate) async fn send(&self, outgoing: &Outgoing) -> Result<(Response<Incoming>, Line), Unanswered> {
        for _ in 0..STALE_TRIES {
            let Some(mut line) = self.kept().await else { break };
            match self.send_on(&mut line, outgoing).await? {
                Ok(response) => return Ok((response, line)),
                // It was closed while it waited. Another line may still be good.
                Err(stale) => tracing::trace!(cause = %stale, "a kept connection was closed"),
            }
        }
        let mut line = self.open().await.map_err(Unanswered::NotSent)?;
        match self.send_on(&mut line, outgoing).await? {
            Ok(response) => Ok((response, line)),
            Err(cause) => Err(Unanswered::NotSent(ForwardError::Unreachable(cause.to_string()))),
        }
    }

    /// The inner error says that nothing was sent.
    async fn send_on(
        &self,
        line: &mut Line,
        outgoing: &Outgoing,
    ) -> Result<Result<Response<Incoming>, hyper::Error>, Unanswered> {
        let limit = self.timeouts.first_byte;
        match timeout(limit, line.send(outgoing, &self.host)).await {
            Err(_) => Err(Unanswered::Sent(ForwardError::FirstByteTimeout(limit))),
            Ok(Ok(response)) => Ok(Ok(response)),
            Ok(Err(failed)) => {
                // Whether the connection or one stream broke is not told apart: the next request opens
                // a new connection, those under way keep the old one.
                *lock(&self.shared) = None;
                match failed {
                    Failed::NotSent(cause) => Ok(Err(cause)),
                    Failed::Lost(cause) => Err(Unanswered::Sent(ForwardError::Lost(cause.to_string()))),
                }
            }
        }
    }

    /// A line that may be used without connecting.
    async fn kept(&self) -> Option<Line> {
        if let Some(line) = self.shared() {
            return Some(line);
        }
        loop {
            let Kept { mut line, since } = lock(&self.kept).lines.pop()?;
            if self.clock.elapsed().saturating_sub(since) > KEEP {
                // The ones below are older still.
                lock(&self.kept).lines.clear();
                return None;
            }
            if line.ready().await {
                return Some(line);
            }
        }
    }

    fn shared(&self) -> Option<Line> {
        let mut shared = lock(&self.shared);
        if shared.as_ref().is_some_and(Line::closed) {
            *shared = None;
        }
        shared.as_ref().and_then(Line::share)
    }

    async fn open(&self) -> Result<Line, ForwardError> {
        let _turn = if self.many.load(Ordering::Relaxed) {
            let turn = self.connecting.lock().await;
            if let Some(line) = self.shared() {
                return Ok(line);
            }
            Some(turn)
        } else {
            None
        };
        let limit = self.timeouts.connect;
        let connection = dial::connect(&self.url, self.tls.as_ref(), limit).await.map_err(|cause| {
            if matches!(cause, DialError::Timeout { .. }) {
                ForwardError::ConnectTimeout(cause.to_string())
            } else {
                ForwardError::Unreachable(cause.to_string())
            }
        })?;
        let line = Line::open(connection).await.map_err(|e| ForwardError::Unreachable(e.to_string()))?;
        metrics::counter!("portcullis_upstream_connections_total").increment(1);
        let share = line.share();
        self.many.store(share.is_some(), Ordering::Relaxed);
        if share.is_some() {
            *lock(&self.shared) = share;
        }
        Ok(line)
    }

    /// Takes back a line whose answer was read to its end.
    pub(crate) fn give_back(&self, line: Line) {
        if line.closed() || matches!(line, Line::Http2 { .. }) {
            return;
        }
        let since = self.clock.elapsed();
        let mut kept = lock(&self.kept);
        if kept.lines.len() < MOST_KEPT {
            kept.lines.push(Kept { line, since });
        }
        if !kept.swept
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            kept.swept = true;
            runtime.spawn(sweep(Arc::downgrade(&self.kept), Arc::clone(&self.clock)));
        }
    }

    /// Whether a line is kept that its upstream has not closed.
    #[cfg(test)]
    pub(crate) fn keeps_open(&self) -> bool {
        lock(&self.kept).lines.iter().any(|kept| !kept.line.closed())
    }
}

/// Closes lines that were not used for as long as they may wait, until none is left.
async fn sweep(shelf: Weak<Mutex<Shelf>>, clock: Arc<dyn Clock>) {
    loop {
        tokio::time::sleep(KEEP).await;
        let Some(shelf) = shelf.upgrade() else { return };
        let now = clock.elapsed();
        let mut kept = lock(&shelf);
        kept.lines.retain(|kept| now.saturating_sub(kept.since) <= KEEP);
        if kept.lines.is_empty() {
            kept.swept = false;
            return;
        }
    }
}
