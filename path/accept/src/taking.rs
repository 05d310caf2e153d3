//! The loop of a door: takes connections while there is room, then lets them end.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::serve::Signals;

/// How long the door rests when the system gives it no connection, as when descriptors run out.
const REST: Duration = Duration::from_millis(50);

/// Takes connections until the drain, each served by what `admit` makes of it in a task of its own; then
/// drops `take`, waits for those that are left, and cuts what has not ended within
/// [`config::Limits::drain`]. Cuts all at once when it is dropped itself.
pub(crate) async fn take_until_drained<S, F>(
    limits: &config::Limits,
    signals: Signals,
    mut take: impl FnMut(&mut Context<'_>) -> Poll<io::Result<S>>,
    admit: impl Fn(S) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let Signals { drain, cut } = signals;
    let _cut_with_me = cut.clone().drop_guard();
    let places = Arc::new(Semaphore::new(limits.connections));
    let tracker = TaskTracker::new();
    loop {
        let taken = tokio::select! {
            biased;
            () = drain.cancelled() => break,
            taken = poll_fn(&mut take) => taken,
        };
        let connection = match taken {
            Ok(connection) => connection,
            Err(cause) => {
                tracing::warn!(%cause, "no connection could be taken");
                sleep(REST).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            metrics::counter!("portcullis_accept_refused_total", "cause" => "full").increment(1);
            continue;
        };
        metrics::counter!("portcullis_accept_connections_total").increment(1);
        // Boxed: a task would have room for it twice, as what it is given and as what it waits for.
        let served = Box::pin(admit(connection));
        tracker.spawn(async move {
            served.await;
            drop(place);
        });
    }
    drop(take);
    tracker.close();
    if timeout(limits.drain, tracker.wait()).await.is_err() {
        tracing::warn!(connections = tracker.len(), "cut what had not ended within the drain time");
        cut.cancel();
        tracker.wait().await;
    }
}
