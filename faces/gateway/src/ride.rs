//! An exchange rides along with the connection it came by, until it needs a life of its own.
//!
//! Most answers are short: one task does all of it, and nobody has to be woken in between. An exchange
//! that goes on after its head is out, and one whose caller leaves (hyper drops a service's future then),
//! moves to a task of its own: it must be sealed however it ends, and its deadlines must pass though
//! nobody reads. So does one that steps aside when all is said: its caller need not wait for the seal.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::CatchUnwind;
use http::Response;
use tokio::sync::oneshot::error::TryRecvError;

use crate::reply::{Answered, ReplyBody};

/// Resolves with the exchange's answer; `None` when it was lost before it said anything.
pub(crate) struct Ride<F: Future<Output = ()> + Send + 'static> {
    /// Until it has ended or moved.
    exchange: Option<Pin<Box<CatchUnwind<AssertUnwindSafe<F>>>>>,
    answered: Answered,
}

impl<F: Future<Output = ()> + Send + 'static> Ride<F> {
    pub(crate) fn begin(exchange: F, answered: Answered) -> Self {
        Self { exchange: Some(Box::pin(AssertUnwindSafe(exchange).catch_unwind())), answered }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Future for Ride<F> {
    type Output = Option<Response<ReplyBody>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(exchange) = &mut self.exchange
            && exchange.as_mut().poll(context).is_ready()
        {
            self.exchange = None;
        }
        // Only the exchange fills it, and that was just polled: nothing else need wake this.
        match self.answered.try_recv() {
            Ok(response) => Poll::Ready(Some(response)),
            Err(TryRecvError::Empty) if self.exchange.is_some() => Poll::Pending,
            Err(_) => Poll::Ready(None),
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Drop for Ride<F> {
    fn drop(&mut self) {
        let Some(exchange) = self.exchange.take() else { return };
        // Without a runtime the process ends, and the next start seals what was open.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(eager::eagerly(exchange));
        }
    }
}

/// Gives way once, so that what was said leaves before the exchange goes on.
pub(crate) async fn step_aside() {
    let mut aside = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut aside, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::oneshot;

    use super::*;
    use crate::reply;

    #[tokio::test]
    async fn an_exchange_whose_caller_leaves_goes_on_to_its_end() {
        let (mut reply, answered) = reply::channel();
        let sealed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&sealed);
        let (done, ended) = oneshot::channel::<()>();
        let exchange = async move {
            reply.gone().await;
            told.store(true, Ordering::SeqCst);
            let _ = done.send(());
        };
        let mut ride = Box::pin(Ride::begin(exchange, answered));
        assert!(ride.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
        drop(ride);
        ended.await.unwrap();
        assert!(sealed.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn an_exchange_that_is_lost_answers_nothing() {
        let (reply, answered) = reply::channel();
        let exchange = async move {
            let _reply = reply;
            panic!("lost");
        };
        assert!(Ride::begin(exchange, answered).await.is_none());
    }
}
