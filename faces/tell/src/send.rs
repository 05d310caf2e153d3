//! Sends what is due to one receiver, a few notices at once, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use model::Clock;
use store::Store;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::TellError;
use crate::line::{Line, Spooled};
use crate::outlet::{Outlet, Sent};
use crate::pause;
use crate::spool::Spool;

/// How long a look at what is due may be put off, whatever the clocks say.
const LOOKED_EVERY: Duration = Duration::from_secs(5);

/// One receiver, and what waits for it.
pub(crate) struct Sender {
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) line: Arc<Line>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Sender {
    /// Sends until `stop`, then waits for what is out.
    ///
    /// # Errors
    /// [`TellError`] when the spool cannot be kept: what was sent may be sent again then.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), TellError> {
        let mut out: JoinSet<(Spooled, Sent)> = JoinSet::new();
        loop {
            let (now, ending) = (self.clock.now(), stop.is_cancelled());
            while out.len() < self.outlet.abreast() && !ending {
                let Some(spooled) = self.line.take(now) else { break };
                out.spawn(send(Arc::clone(&self.outlet), Arc::clone(&self.store), spooled, now));
            }
            if out.is_empty() && ending {
                return Ok(());
            }
            let wait = self.line.idle_for(now).map_or(LOOKED_EVERY, |idle| idle.min(LOOKED_EVERY));
            // Nothing more is taken while all is out that may be, and before the end: only what is out counts.
            let full = out.len() >= self.outlet.abreast() || ending;
            tokio::select! {
                Some(sent) = out.join_next() => {
                    let (spooled, sent) = sent.map_err(|_| TellError::BrokenOff)?;
                    self.settle(spooled, sent).await?;
                }
                () = self.line.changed.notified(), if !full => {}
                () = tokio::time::sleep(wait.max(Duration::from_millis(1))), if !full => {}
                () = stop.cancelled(), if !ending => {}
            }
        }
    }

    async fn settle(&self, spooled: Spooled, sent: Sent) -> Result<(), TellError> {
        let name = self.outlet.name();
        match sent {
            Sent::Taken(also) => self.spool.taken(&self.line, name, spooled, also).await,
            Sent::Never(why) => self.spool.refused(&self.line, name, spooled, &why).await,
            Sent::Later { why, quiet } => {
                let failures = spooled.notice.tries.saturating_add(1);
                let wait = pause::after(failures, pause::random()).max(quiet.unwrap_or_default());
                if let Some(quiet) = quiet {
                    let until = self.clock.now().checked_add(quiet).unwrap_or(Timestamp::MAX);
                    self.line.quiet_until(until);
                }
                self.spool.later(&self.line, name, spooled, (&why, wait)).await
            }
        }
    }
}

async fn send(
    outlet: Arc<Outlet>,
    store: Arc<dyn Store>,
    spooled: Spooled,
    now: Timestamp,
) -> (Spooled, Sent) {
    let sent = outlet.send(&spooled.notice, now, &*store).await;
    (spooled, sent)
}
