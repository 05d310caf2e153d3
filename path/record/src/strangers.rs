//! Refusals before there is a caller. Each is recorded, up to a rate; beyond it they are counted, and
//! told only once the count is in the ledger.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::leaf::{Leaf, Refused, Summary, Tally, What};
use crate::work::Job;

/// Leaves a second and listener.
const RATE: f64 = 50.0;
/// Leaves at once.
const BURST: f64 = 200.0;
/// How long a count may wait.
const PERIOD: Duration = Duration::from_secs(1);
/// How many may wait for it.
const WAITING: usize = 1024;
/// How many addresses a summary tells apart.
const CLIENTS: usize = 32;

/// The refusals of all listeners.
#[derive(Default)]
pub(crate) struct Strangers {
    listeners: HashMap<SocketAddr, Listener>,
    waiting: Vec<Job>,
    since: Option<Duration>,
}

struct Listener {
    tokens: f64,
    at: Duration,
    summary: Option<Summary>,
}

impl Strangers {
    /// Whether one more refusal at `listener` gets a leaf of its own now.
    pub(crate) fn admit(&mut self, listener: SocketAddr, now: Duration) -> bool {
        let bucket =
            self.listeners.entry(listener).or_insert(Listener { tokens: BURST, at: now, summary: None });
        let gained = now.saturating_sub(bucket.at).as_secs_f64() * RATE;
        bucket.tokens = (bucket.tokens + gained).min(BURST);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return true;
        }
        false
    }

    /// Counts one that got none; `job` is told with the summary.
    pub(crate) fn count(
        &mut self,
        listener: SocketAddr,
        refused: &Refused,
        time: i64,
        now: Duration,
        mut job: Job,
    ) {
        let bucket =
            self.listeners.entry(listener).or_insert(Listener { tokens: 0.0, at: now, summary: None });
        let summary = bucket.summary.get_or_insert_with(|| Summary {
            listener: listener.to_string(),
            since: time,
            ..Summary::default()
        });
        summary.count += 1;
        summary.until = time;
        let code = refused.refusal.as_ref().map_or("told", |refusal| refusal.code.as_str());
        tally(&mut summary.codes, code, usize::MAX);
        let client = refused.client.parse::<SocketAddr>().map(|c| c.ip().to_string()).unwrap_or_default();
        if !tally(&mut summary.clients, &client, CLIENTS) {
            summary.other_clients += 1;
        }
        self.since.get_or_insert(now);
        // Others may have its place in the queue while it waits here.
        job.room = None;
        self.waiting.push(job);
    }

    /// Whether the counts should be written now.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        self.waiting.len() >= WAITING || self.since.is_some_and(|since| now.saturating_sub(since) >= PERIOD)
    }

    /// The summaries to write, and who waits for them.
    pub(crate) fn take(&mut self, time: i64) -> (Vec<Leaf>, Vec<Job>) {
        self.since = None;
        let leaf = |summary| Leaf { time, bodies: None, what: Some(What::Summary(summary)) };
        let leaves = self.listeners.values_mut().filter_map(|l| l.summary.take()).map(leaf).collect();
        (leaves, std::mem::take(&mut self.waiting))
    }
}

/// Counts `name`, which is added while there are fewer than `most`. Says whether it was counted.
fn tally(tallies: &mut Vec<Tally>, name: &str, most: usize) -> bool {
    if let Some(known) = tallies.iter_mut().find(|tally| tally.name == name) {
        known.count += 1;
        return true;
    }
    if tallies.len() >= most {
        return false;
    }
    tallies.push(Tally { name: name.to_owned(), count: 1 });
    true
}
