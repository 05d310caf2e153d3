//! What waits for one receiver, in memory: of each approval the oldest notice, when it is due. The spool
//! in the store is what counts; this is the leader's picture of it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use store::Version;
use tokio::sync::Notify;

use crate::notice::Notice;

/// The longest that anything waits for its next try. What claims to be due later was put off by a clock
/// that has stepped back since, and is due now.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A notice, and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Spooled {
    pub(crate) key: String,
    pub(crate) version: Version,
    pub(crate) notice: Notice,
}

impl Spooled {
    fn approval(&self) -> &str {
        &self.notice.matter.approval
    }
}

/// What waits for one receiver.
#[derive(Default)]
pub(crate) struct Line {
    waiting: Mutex<Waiting>,
    /// Something came that may be due.
    pub(crate) changed: Notify,
}

#[derive(Default)]
struct Waiting {
    /// By approval, the oldest first.
    notices: HashMap<String, VecDeque<Spooled>>,
    /// Approvals whose oldest notice waits, by when it is due.
    due: BTreeSet<(Timestamp, String)>,
    /// Approvals of which one is being sent.
    out: HashSet<String>,
    /// The receiver asked for quiet until then.
    quiet: Option<Timestamp>,
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a notice behind the others of its approval.
    pub(crate) fn push(&self, spooled: Spooled) {
        let mut waiting = self.lock();
        let approval = spooled.approval().to_owned();
        let next = spooled.notice.next;
        let queue = waiting.notices.entry(approval.clone()).or_default();
        let first = queue.is_empty();
        queue.push_back(spooled);
        if first && !waiting.out.contains(&approval) {
            waiting.due.insert((next, approval));
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// A notice to send now. Until it is given back or done, no other of its approval comes.
    pub(crate) fn take(&self, now: Timestamp) -> Option<Spooled> {
        let mut waiting = self.lock();
        if waiting.quiet.is_some_and(|until| !is_due(until, now)) {
            return None;
        }
        let (_, approval) = waiting.due.iter().find(|(next, _)| is_due(*next, now)).cloned()?;
        let spooled = waiting.notices.get_mut(&approval)?.pop_front()?;
        waiting.due.remove(&(spooled.notice.next, approval.clone()));
        waiting.out.insert(approval);
        Some(spooled)
    }

    /// Gives a notice back that was not taken by its receiver, to be due when it says.
    pub(crate) fn give_back(&self, spooled: Spooled) {
        let mut waiting = self.lock();
        let approval = spooled.approval().to_owned();
        waiting.out.remove(&approval);
        waiting.due.insert((spooled.notice.next, approval.clone()));
        waiting.notices.entry(approval).or_default().push_front(spooled);
    }

    /// Says that the notice of `approval` that was out needs no more sending.
    pub(crate) fn done(&self, approval: &str) {
        let mut waiting = self.lock();
        waiting.out.remove(approval);
        match waiting.notices.get(approval).and_then(VecDeque::front).map(|next| next.notice.next) {
            Some(next) => {
                waiting.due.insert((next, approval.to_owned()));
            }
            None => {
                waiting.notices.remove(approval);
            }
        }
    }

    /// Sends nothing before `until`.
    pub(crate) fn quiet_until(&self, until: Timestamp) {
        self.lock().quiet = Some(until);
    }

    /// How long nothing will be due; none when nothing waits.
    pub(crate) fn idle_for(&self, now: Timestamp) -> Option<Duration> {
        let waiting = self.lock();
        let (next, _) = waiting.due.first()?;
        let from = waiting.quiet.filter(|until| !is_due(*until, now)).map_or(*next, |until| until.max(*next));
        Some(Duration::try_from(from.duration_since(now)).unwrap_or_default().min(LONGEST_WAIT))
    }

    /// How many approvals have something that waits.
    #[cfg(test)]
    pub(crate) fn approvals(&self) -> usize {
        self.lock().notices.len()
    }
}

fn is_due(next: Timestamp, now: Timestamp) -> bool {
    next <= now || Duration::try_from(next.duration_since(now)).is_ok_and(|wait| wait > LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use config::TellEvent;

    use super::*;
    use crate::matter::Stage;
    use crate::matter::tests::matter;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn spooled(approval: &str, event: TellEvent, second: i64) -> Spooled {
        let notice = Notice::new(event, &matter(approval, Stage::Waiting, 0), at(second));
        Spooled { key: format!("{approval}/{second}"), version: version(), notice }
    }

    fn version() -> Version {
        serde_json::from_str("1").unwrap()
    }

    #[test]
    fn the_order_of_an_approval_holds_through_failures() {
        let line = Line::default();
        line.push(spooled("a", TellEvent::Requested, 0));
        line.push(spooled("a", TellEvent::Approved, 1));
        line.push(spooled("b", TellEvent::Requested, 2));
        let mut first = line.take(at(5)).unwrap();
        assert_eq!(first.key, "a/0");
        assert_eq!(line.take(at(5)).unwrap().key, "b/2", "another approval need not wait");
        assert!(line.take(at(5)).is_none(), "the next of `a` must not overtake");
        first.notice.next = at(9);
        line.give_back(first);
        assert!(line.take(at(8)).is_none());
        assert_eq!(line.idle_for(at(8)), Some(Duration::from_secs(1)));
        assert_eq!(line.take(at(9)).unwrap().key, "a/0");
        line.done("a");
        assert_eq!(line.take(at(9)).unwrap().key, "a/1");
        line.done("a");
        line.done("b");
        assert_eq!((line.approvals(), line.idle_for(at(9))), (0, None));
    }

    #[test]
    fn what_came_while_one_was_out_is_sent_after_it() {
        let line = Line::default();
        line.push(spooled("a", TellEvent::Requested, 0));
        assert!(line.take(at(0)).is_some());
        line.push(spooled("a", TellEvent::Denied, 0));
        assert!(line.take(at(0)).is_none());
        line.done("a");
        assert_eq!(line.take(at(0)).unwrap().notice.event, TellEvent::Denied);
    }

    #[test]
    fn a_receiver_that_asks_for_quiet_gets_it() {
        let line = Line::default();
        line.push(spooled("a", TellEvent::Requested, 0));
        line.quiet_until(at(30));
        assert!(line.take(at(29)).is_none());
        assert_eq!(line.idle_for(at(20)), Some(Duration::from_secs(10)));
        assert!(line.take(at(30)).is_some());
    }

    #[test]
    fn a_clock_that_stepped_back_puts_nothing_off_for_long() {
        let line = Line::default();
        line.push(spooled("a", TellEvent::Requested, 100_000));
        assert!(line.take(at(100_000 - 3600)).is_none());
        assert!(line.take(at(0)).is_some());
    }
}
