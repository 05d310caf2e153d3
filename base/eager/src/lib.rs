//! Polls a future again at once when a part of it woke another part of it.
//!
//! What serves a connection is many small futures in one task: the reader, the exchange, the line to the
//! upstream. They wake each other all the time. For the runtime every such wake is news: the task goes
//! to the end of a queue, and a sleeping thread is woken to look whether it can help. That costs more
//! than the work itself. Here the wake is noted, and the future is polled again before its task returns.
//!
//! [`eagerly`] is for a future that is awaited, [`Eager`] for one that is polled by hand.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// How often a future is polled before other tasks have their turn.
const TURNS: usize = 32;

/// Runs `future` to its end, polling it again at once when it wakes itself.
pub async fn eagerly<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let eager = Eager::default();
    std::future::poll_fn(move |outer| eager.poll(future.as_mut(), outer)).await
}

/// Stands between a future and the runtime's waker.
#[derive(Debug)]
pub struct Eager {
    signal: Arc<Signal>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Signal {
    /// Whether the future is being polled: then whoever wakes it need not tell the runtime.
    polling: AtomicBool,
    woken: AtomicBool,
    outer: AtomicWaker,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.polling.load(Ordering::SeqCst) {
            self.outer.wake();
        }
    }
}

impl Default for Eager {
    fn default() -> Self {
        let signal = Arc::<Signal>::default();
        let waker = Waker::from(Arc::clone(&signal));
        Self { signal, waker }
    }
}

impl Eager {
    /// Polls `future`, always the same one, until it is ready or waits for something outside of it.
    pub fn poll<F: Future>(&self, mut future: Pin<&mut F>, outer: &Context<'_>) -> Poll<F::Output> {
        let Self { signal, waker } = self;
        signal.outer.register(outer.waker());
        let mut inner = Context::from_waker(waker);
        for _ in 0..TURNS {
            signal.polling.store(true, Ordering::SeqCst);
            signal.woken.store(false, Ordering::SeqCst);
            let polled = future.as_mut().poll(&mut inner);
            signal.polling.store(false, Ordering::SeqCst);
            // Looked at after the line above: a wake in between saw `polling` and told nobody.
            if polled.is_ready() || !signal.woken.load(Ordering::SeqCst) {
                return polled;
            }
        }
        outer.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::mpsc;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn polled<F: Future>(eager: &Eager, future: Pin<&mut F>) -> (Poll<F::Output>, usize) {
        let counter = Arc::<Counter>::default();
        let waker = Waker::from(Arc::clone(&counter));
        let polled = eager.poll(future, &Context::from_waker(&waker));
        (polled, counter.0.load(Ordering::SeqCst))
    }

    #[test]
    fn what_wakes_itself_is_polled_again_and_nobody_is_told() {
        let (ask, mut asked) = mpsc::channel::<u8>(1);
        let (answer, mut answered) = mpsc::channel::<u8>(1);
        let talk = async {
            let asks = async {
                ask.send(1).await.unwrap();
                answered.recv().await
            };
            let answers = async {
                let heard = asked.recv().await.unwrap();
                answer.send(heard + 1).await.unwrap();
            };
            // The answering half is polled first, so that each wakes the other.
            tokio::join!(biased; answers, asks).1
        };
        let (result, wakes) = polled(&Eager::default(), pin!(talk));
        assert_eq!((result, wakes), (Poll::Ready(Some(2)), 0));
    }

    #[test]
    fn what_waits_for_others_is_woken_by_them() {
        let (tell, told) = tokio::sync::oneshot::channel::<u8>();
        let mut told = pin!(told);
        let eager = Eager::default();
        let counter = Arc::<Counter>::default();
        let waker = Waker::from(Arc::clone(&counter));
        assert!(eager.poll(told.as_mut(), &Context::from_waker(&waker)).is_pending());
        tell.send(3).unwrap();
        assert_eq!(counter.0.load(Ordering::SeqCst), 1);
        assert_eq!(polled(&eager, told), (Poll::Ready(Ok(3)), 0));
    }

    #[test]
    fn what_never_rests_lets_others_have_their_turn() {
        let restless = std::future::poll_fn(|context: &mut Context<'_>| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!(polled(&Eager::default(), pin!(restless)), (Poll::Pending, 1));
    }
}
