//! What waits to be told, in the store: it survives a restart, and any replica can go on with it.
//!
//! `tell/told/APPROVAL` says what was told of an approval; its version is what two replicas that both
//! believe to be the teller would fall out over. `tell/spool/RECEIVER/APPROVAL/COUNT` is one notice. Both
//! are written in one commit, so nothing is told twice or never because a process died in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use model::Clock;
use store::{Commit, Entry, Expect, MAX_PAGE, Store, Until, Write};

use crate::TellError;
use crate::line::{Line, Spooled};
use crate::matter::{Matter, Told, between};
use crate::notice::Notice;
use crate::outlet::Outlet;

/// The most notices that wait, all receivers together. More are given up.
pub(crate) const MOST: usize = 10_000;
const SPOOL: &str = "tell/spool/";
const TOLD: &str = "tell/told/";
/// How long it is remembered what was told of an approval: longer than approvals themselves.
const REMEMBERED: Duration = Duration::from_secs(180 * 24 * 3600);

/// The teller's own hold on what waits.
pub(crate) struct Spool {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    lines: BTreeMap<String, Arc<Line>>,
    waiting: AtomicUsize,
    give_up: Duration,
}

/// Why a notice is given up, as the metric has it.
pub(crate) enum Lost {
    /// It could not be delivered in the time that was given.
    Late,
    /// Too many wait.
    Full,
    /// The receiver refused it for good.
    Refused,
    /// Nobody of that name is told any more.
    Unknown,
}

impl Lost {
    fn word(&self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Full => "full",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

impl Spool {
    /// Reads what waits for `outlets`. What waits for others is given up: nobody can send it.
    pub(crate) async fn load(
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        outlets: &[Arc<Outlet>],
        give_up: Duration,
    ) -> Result<Self, TellError> {
        let lines = outlets.iter().map(|outlet| (outlet.name().to_owned(), Arc::default())).collect();
        let spool = Self {
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            lines,
            waiting: AtomicUsize::new(0),
            give_up,
        };
        let mut after = None;
        loop {
            let page = store.list(SPOOL, after.as_deref(), MAX_PAGE).await?;
            for entry in page.entries {
                spool.take_in(entry).await?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        spool.gauge();
        Ok(spool)
    }

    async fn take_in(&self, entry: Entry) -> Result<(), TellError> {
        let receiver =
            entry.key.strip_prefix(SPOOL).and_then(|rest| rest.split_once('/')).map(|(name, _)| name);
        let line = receiver.and_then(|name| self.lines.get(name));
        match (line, entry.read::<Notice>()) {
            (Some(line), Ok(notice)) => {
                self.waiting.fetch_add(1, Ordering::Relaxed);
                line.push(Spooled { version: entry.version, key: entry.key, notice });
            }
            (_, notice) => {
                let approval = notice.map(|notice| notice.matter.approval).unwrap_or_default();
                lose(receiver.unwrap_or_default(), &approval, &Lost::Unknown, "nobody of that name is told");
                self.store.commit(vec![Write::remove(entry.key)]).await?;
            }
        }
        Ok(())
    }

    /// What waits for the receiver of this name.
    pub(crate) fn line(&self, receiver: &str) -> Option<Arc<Line>> {
        self.lines.get(receiver).cloned()
    }

    /// Puts into the spool what happened to `matter` since it was told last. Without `first`, an approval
    /// that nothing was told of, and that is decided already, is passed over.
    ///
    /// # Errors
    /// [`TellError::TakenOver`] when another replica told of it meanwhile.
    pub(crate) async fn put(
        &self,
        outlets: &[Arc<Outlet>],
        matter: &Matter,
        first: bool,
    ) -> Result<(), TellError> {
        let key = format!("{TOLD}{}", matter.approval);
        let found = self.store.get(&key).await?;
        let told: Option<Told> = found.as_ref().map(Entry::read).transpose()?;
        if told.is_none() && !first {
            return Ok(());
        }
        let events = between(told.as_ref(), matter);
        if events.is_empty() {
            return Ok(());
        }
        let mut count = told.map_or(0, |told| told.count);
        let now = self.clock.now();
        let (mut writes, mut spooled) = (Vec::new(), Vec::new());
        for event in events {
            for outlet in outlets.iter().filter(|outlet| outlet.wants(event)) {
                if !self.has_room(spooled.len(), outlet, matter) {
                    continue;
                }
                let notice = Notice::new(event, matter, now);
                let key = format!("{SPOOL}{}/{}/{count:010}", outlet.name(), matter.approval);
                writes.push(Write::put(key.as_str(), &notice)?.expecting(Expect::Nothing));
                spooled.push((outlet.name().to_owned(), key, notice));
            }
            count = count.saturating_add(1);
        }
        let expect = found.map_or(Expect::Nothing, |entry| Expect::Version(entry.version));
        let told = Told { stage: matter.stage, given: matter.given, count };
        writes.push(Write::put(key, &told)?.expecting(expect).lasting(Until::After(REMEMBERED)));
        let versions = match self.store.commit(writes).await? {
            Commit::Done(versions) => versions,
            Commit::Conflict { .. } => return Err(TellError::TakenOver),
        };
        self.waiting.fetch_add(spooled.len(), Ordering::Relaxed);
        for ((receiver, key, notice), version) in spooled.into_iter().zip(versions) {
            if let Some(line) = self.lines.get(&receiver) {
                line.push(Spooled { key, version, notice });
            }
        }
        self.gauge();
        Ok(())
    }

    fn has_room(&self, more: usize, outlet: &Outlet, matter: &Matter) -> bool {
        let room = self.waiting.load(Ordering::Relaxed).saturating_add(more) < MOST;
        if !room {
            lose(outlet.name(), &matter.approval, &Lost::Full, "as many wait as may");
        }
        room
    }

    /// Notes that the receiver has a notice, and with it what `also` says.
    pub(crate) async fn taken(
        &self,
        line: &Line,
        receiver: &str,
        spooled: Spooled,
        also: Option<Write>,
    ) -> Result<(), TellError> {
        let event = spooled.notice.event;
        metrics::counter!("portcullis_told_total", "to" => receiver.to_owned(), "event" => event.as_str())
            .increment(1);
        self.remove(line, spooled, also).await
    }

    /// Notes that a notice was not taken, and when it is sent again, if it is.
    pub(crate) async fn later(
        &self,
        line: &Line,
        receiver: &str,
        mut spooled: Spooled,
        (why, wait): (&str, Duration),
    ) -> Result<(), TellError> {
        metrics::counter!("portcullis_tell_failures_total", "to" => receiver.to_owned()).increment(1);
        let now = self.clock.now();
        let notice = &mut spooled.notice;
        let waited = Duration::try_from(now.duration_since(notice.at)).unwrap_or_default();
        if waited >= self.give_up {
            lose(receiver, &notice.matter.approval, &Lost::Late, why);
            return self.remove(line, spooled, None).await;
        }
        if notice.tries == 0 {
            tracing::warn!(to = receiver, approval = %notice.matter.approval, why, "a notice was not taken; it is sent again");
        }
        notice.tries = notice.tries.saturating_add(1);
        notice.next = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        let write = Write::put(spooled.key.as_str(), notice)?.expecting(Expect::Version(spooled.version));
        match self.store.commit(vec![write]).await? {
            Commit::Done(versions) => spooled.version = versions.first().copied().unwrap_or(spooled.version),
            Commit::Conflict { .. } => return Err(TellError::TakenOver),
        }
        line.give_back(spooled);
        Ok(())
    }

    /// Gives a notice up that the receiver will never take.
    pub(crate) async fn refused(
        &self,
        line: &Line,
        receiver: &str,
        spooled: Spooled,
        why: &str,
    ) -> Result<(), TellError> {
        lose(receiver, &spooled.notice.matter.approval, &Lost::Refused, why);
        self.remove(line, spooled, None).await
    }

    async fn remove(&self, line: &Line, spooled: Spooled, also: Option<Write>) -> Result<(), TellError> {
        let remove = Write::remove(spooled.key).expecting(Expect::Version(spooled.version));
        let writes = std::iter::once(remove).chain(also).collect();
        if !self.store.commit(writes).await?.is_done() {
            return Err(TellError::TakenOver);
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.gauge();
        line.done(&spooled.notice.matter.approval);
        Ok(())
    }

    fn gauge(&self) {
        let waiting = u32::try_from(self.waiting.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        metrics::gauge!("portcullis_tell_waiting").set(waiting);
    }
}

/// Says that somebody will not be told. The approval itself stands, and the ledger has all of it.
fn lose(receiver: &str, approval: &str, lost: &Lost, why: &str) {
    let word = lost.word();
    metrics::counter!("portcullis_tell_given_up_total", "to" => receiver.to_owned(), "why" => word)
        .increment(1);
    tracing::error!(
        to = receiver,
        approval,
        lost = word,
        why,
        "a notice was given up: this receiver is not told"
    );
}
