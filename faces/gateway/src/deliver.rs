//! Takes the ledger's checkpoints outside, where a witness keeps them. Nothing waits for it: one that cannot
//! be delivered is made up for by the next, which covers all that it covered.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{TrySendError, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use config::Checkpoints;
use dial::Fetcher;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Uri};
use record::Ledger;
use record::note::Signed;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

type Shown = watch::Receiver<Option<Arc<Signed>>>;

/// How long one delivery may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A failed one is tried again after this, then after twice as long, up to the second.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The most bytes of a witness's answer that are read.
const ANSWER: usize = 64 << 10;

/// Starts a task for each place that checkpoints go to. They end when the ledger is closed.
pub(crate) fn begin(config: &Checkpoints, ledger: &Ledger) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if config.stdout {
        tasks.spawn(to_stdout(ledger.checkpoints()));
    }
    for url in &config.urls {
        tasks.spawn(to_url(url.clone(), ledger.checkpoints()));
    }
    tasks
}

/// Waits a moment for the last one to arrive.
pub(crate) async fn finish(mut tasks: JoinSet<()>) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        tracing::warn!(
            "the last checkpoint of the ledger was not delivered everywhere; the next start sends a newer one"
        );
    }
}

/// The next one that was not seen yet; `None` when there will be no more.
async fn next(shown: &mut Shown) -> Option<Arc<Signed>> {
    loop {
        shown.changed().await.ok()?;
        if let Some(signed) = shown.borrow_and_update().clone() {
            return Some(signed);
        }
    }
}

/// By way of a thread of its own: whoever does not read our output holds up that one alone.
async fn to_stdout(mut shown: Shown) {
    let (sender, receiver) = sync_channel::<Arc<Signed>>(1);
    let (end, ended) = oneshot::channel::<()>();
    let thread = std::thread::Builder::new().name("checkpoints".into()).spawn(move || {
        while let Ok(signed) = receiver.recv() {
            let mut out = std::io::stdout().lock();
            let written = write!(out, "{signed}").and_then(|()| out.flush());
            count(written.is_ok());
        }
        drop(end);
    });
    if let Err(fault) = thread {
        return tracing::error!(%fault, "checkpoints cannot be written to standard output");
    }
    while let Some(signed) = next(&mut shown).await {
        match sender.try_send(signed) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => count(false),
            Err(TrySendError::Disconnected(_)) => return,
        }
    }
    drop(sender);
    let _ = ended.await;
}

async fn to_url(url: Uri, mut shown: Shown) {
    let fetcher = Fetcher::choose(url.scheme_str() == Some("http"), None, PATIENCE);
    let fetcher = match fetcher {
        Ok(fetcher) => fetcher,
        Err(fault) => return tracing::error!(%fault, %url, "checkpoints cannot be sent there"),
    };
    let mut current = next(&mut shown).await;
    while let Some(signed) = current.take() {
        let mut pause = AGAIN.0;
        while let Err(why) = send(&fetcher, &url, &signed).await {
            count(false);
            tracing::warn!(%url, why, "a checkpoint of the ledger was not taken; it is tried again");
            tokio::select! {
                newer = next(&mut shown) => {
                    current = newer;
                    break;
                }
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(AGAIN.1),
            }
        }
        if current.is_none() {
            current = next(&mut shown).await;
        }
    }
}

async fn send(fetcher: &Fetcher, url: &Uri, signed: &Signed) -> Result<(), String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let answer = fetcher.post(url, &headers, Bytes::from(signed.to_string()), ANSWER).await;
    match answer {
        Ok(answer) if answer.status.is_success() => {
            count(true);
            Ok(())
        }
        Ok(answer) => Err(format!("it answers {}", answer.status)),
        Err(fault) => Err(fault.to_string()),
    }
}

fn count(delivered: bool) {
    let outcome = if delivered { "delivered" } else { "failed" };
    metrics::counter!("portcullis_checkpoint_deliveries_total", "outcome" => outcome).increment(1);
}
