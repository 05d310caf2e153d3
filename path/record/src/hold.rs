//! Legal holds: bodies that are kept past their retention, for as long as somebody says so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use jiff::Timestamp;
use model::ExchangeId;
use prost::Message;

use crate::bookmark::Bookmark;
use crate::describe::nanoseconds;
use crate::frame::Damage;
use crate::leaf::{self, Leaf, Span, What};
use crate::opened::Opened;
use crate::recover::exchange;
use crate::retention::Standing;
use crate::segment::{Position, Series};
use crate::{Ledger, LedgerError};

/// How many holds there may be at once.
const MOST: usize = 1000;
/// The longest reason, in bytes.
const REASON: usize = 2000;

/// Which exchanges are held: those that fit everything that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldFilter {
    /// The caller's subject, e-mail address, or `issuer#subject`.
    pub caller: Option<String>,
    /// The resource.
    pub resource: Option<String>,
    /// Arrived at or after.
    pub since: Option<Timestamp>,
    /// Arrived before.
    pub until: Option<Timestamp>,
    /// The one exchange.
    pub exchange: Option<ExchangeId>,
}

impl std::fmt::Display for HoldFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |name: &str, value: Option<String>| value.map(|value| format!("{name} {value}"));
        let parts = [
            text("caller", self.caller.clone()),
            text("resource", self.resource.clone()),
            text("since", self.since.map(|at| at.to_string())),
            text("until", self.until.map(|at| at.to_string())),
            text("exchange", self.exchange.map(|id| id.to_string())),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its name: a UUID.
    pub id: ExchangeId,
    /// What it holds.
    pub filter: HoldFilter,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Held {
    fn read(hold: &leaf::Hold) -> Option<Self> {
        let time = |at: i64| Timestamp::from_nanosecond(i128::from(at)).ok();
        let text = |text: &String| (!text.is_empty()).then(|| text.clone());
        Some(Self {
            id: exchange(&hold.id)?,
            filter: HoldFilter {
                caller: text(&hold.caller),
                resource: text(&hold.resource),
                since: hold.since.and_then(time),
                until: hold.until.and_then(time),
                exchange: exchange(&hold.exchange),
            },
            reason: hold.reason.clone(),
            by: hold.by.clone(),
            at: time(hold.at)?,
        })
    }
}

impl leaf::Hold {
    /// Whether it holds the bodies of this exchange.
    pub(crate) fn holds(&self, opened: &Opened) -> bool {
        let caller = opened.caller.as_ref();
        let is_caller = |wanted: &str| {
            caller.is_some_and(|caller| {
                caller.subject == wanted
                    || caller.email.as_deref() == Some(wanted)
                    || wanted.strip_prefix(&caller.issuer).and_then(|rest| rest.strip_prefix('#'))
                        == Some(&caller.subject)
            })
        };
        (self.caller.is_empty() || is_caller(&self.caller))
            && (self.resource.is_empty() || self.resource == opened.resource)
            && self.since.is_none_or(|since| opened.arrived >= since)
            && self.until.is_none_or(|until| opened.arrived < until)
            && (self.exchange.is_empty() || self.exchange == opened.exchange)
    }
}

impl Ledger {
    /// Holds what fits `filter`, recorded and past or yet to come, until it is released. In the ledger when
    /// this returns: nothing that fits is dropped from then on.
    ///
    /// # Errors
    /// [`LedgerError::Hold`] when nothing is given, the reason is empty or too long, or there are too many;
    /// else when it could not be recorded.
    pub async fn hold(&self, filter: &HoldFilter, reason: &str, by: &str) -> Result<Held, LedgerError> {
        let now = self.0.clock.now();
        let hold = leaf::Hold {
            id: ExchangeId::at(now).as_bytes().to_vec(),
            released: false,
            caller: filter.caller.clone().unwrap_or_default(),
            resource: filter.resource.clone().unwrap_or_default(),
            since: filter.since.map(nanoseconds),
            until: filter.until.map(nanoseconds),
            exchange: filter.exchange.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
            reason: explained(reason)?,
            by: by.to_owned(),
            at: nanoseconds(now),
        };
        if *filter == HoldFilter::default() {
            return Err(LedgerError::Hold { problem: "it says of nothing what it holds; name at least one" });
        }
        // Whoever is about to drop a segment ends first, or sees this.
        let _gate = self.0.gate.lock().await;
        if self.holds().len() >= MOST {
            return Err(LedgerError::Hold { problem: "there are a thousand already; release one first" });
        }
        self.leaf(What::Hold(hold.clone())).await?;
        Held::read(&hold).ok_or(LedgerError::Hold { problem: "it can't be read back" })
    }

    /// Ends the hold `id`. What it held is dropped when it is due.
    ///
    /// # Errors
    /// [`LedgerError::NotFound`] when there is none, or the error of recording it.
    pub async fn release(&self, id: ExchangeId, reason: &str, by: &str) -> Result<Held, LedgerError> {
        let _gate = self.0.gate.lock().await;
        let held = self.holds().into_iter().find(|held| held.id == id);
        let held = held.ok_or_else(|| LedgerError::NotFound { id: id.to_string() })?;
        let hold = leaf::Hold {
            id: id.as_bytes().to_vec(),
            released: true,
            reason: explained(reason)?,
            by: by.to_owned(),
            at: nanoseconds(self.0.clock.now()),
            ..leaf::Hold::default()
        };
        self.leaf(What::Hold(hold)).await?;
        Ok(held)
    }

    /// What is held, in the order it was.
    pub fn holds(&self) -> Vec<Held> {
        holds_of(&self.0.standing())
    }
}

fn explained(reason: &str) -> Result<String, LedgerError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > REASON {
        return Err(LedgerError::Hold { problem: "it needs a reason, of at most 2000 bytes" });
    }
    Ok(reason.to_owned())
}

/// What is held, as the leaves say.
pub(crate) fn holds_of(standing: &Standing) -> Vec<Held> {
    standing.holds.iter().filter_map(Held::read).collect()
}

/// What is held in the ledger at `dir`, which may be a copy.
///
/// # Errors
/// [`LedgerError`] when the leaves are damaged.
pub fn holds(dir: &Path) -> Result<Vec<Held>, LedgerError> {
    let start = Bookmark::read(&dir.join("bookmark")).unwrap_or_default();
    let mut standing: Standing = start.standing;
    let mut reader = Series::leaves(dir).read(start.leaves);
    while let Some((_, frame)) = reader.next()? {
        if let Ok(Leaf { what: Some(what), .. }) = Leaf::decode(frame.payload.as_slice()) {
            standing.take(&what);
        }
    }
    Ok(holds_of(&standing))
}

/// Which segments hold what is held. Reads leaves once, in order; grows with segments and open exchanges,
/// never with leaves.
pub(crate) struct Survey {
    holds: Vec<leaf::Hold>,
    /// Exchanges that are held and not sealed yet, with the numbers of the holds.
    open: HashMap<ExchangeId, Vec<usize>>,
    held: BTreeMap<(String, u64), BTreeSet<usize>>,
    at: Position,
}

impl Survey {
    pub(crate) fn new(holds: Vec<leaf::Hold>) -> Self {
        Self { holds, open: HashMap::new(), held: BTreeMap::new(), at: Position::default() }
    }

    pub(crate) fn holds(&self) -> &[leaf::Hold] {
        &self.holds
    }

    /// The next leaf. An exchange that fits holds every segment its leaves say it spans.
    pub(crate) fn take(&mut self, leaf: &Leaf) {
        match &leaf.what {
            Some(What::Opened(opened)) => {
                let Some(id) = exchange(&opened.exchange) else { return };
                let fits: Vec<usize> = self
                    .holds
                    .iter()
                    .enumerate()
                    .filter(|(_, hold)| hold.holds(opened))
                    .map(|(n, _)| n)
                    .collect();
                if !fits.is_empty() {
                    self.mark(&fits, leaf.bodies.as_ref());
                    self.open.insert(id, fits);
                }
            }
            Some(What::Part(part)) => {
                let fits = exchange(&part.exchange).and_then(|id| self.open.get(&id)).cloned();
                self.mark(&fits.unwrap_or_default(), leaf.bodies.as_ref());
            }
            Some(What::Sealed(sealed)) => {
                let fits = exchange(&sealed.exchange).and_then(|id| self.open.remove(&id));
                self.mark(&fits.unwrap_or_default(), leaf.bodies.as_ref());
            }
            _ => {}
        }
    }

    fn mark(&mut self, fits: &[usize], span: Option<&Span>) {
        // What a damaged leaf states is not believed beyond this.
        const SPAN: u64 = 1 << 20;
        let Some(span) = span.filter(|_| !fits.is_empty()) else { return };
        let last = span.end_segment.min(span.first_segment.saturating_add(SPAN));
        for segment in span.first_segment..=last {
            self.held.entry((span.class.clone(), segment)).or_default().extend(fits);
        }
    }

    /// Reads the leaves that came since. `pace` is told of the bytes, and may stop it.
    pub(crate) fn catch_up(
        &mut self,
        dir: &Path,
        pace: &mut dyn FnMut(u64) -> std::io::Result<()>,
    ) -> Result<(), LedgerError> {
        let mut reader = Series::leaves(dir).read(self.at);
        loop {
            let next: Result<_, Damage> = reader.next();
            let Some((_, frame)) = next? else { break };
            let bytes = u64::try_from(frame.payload.len()).unwrap_or(u64::MAX);
            if let Ok(leaf) = Leaf::decode(frame.payload.as_slice()) {
                self.take(&leaf);
            }
            pace(bytes).map_err(|error| LedgerError::file("read", dir, error))?;
        }
        self.at = reader.position();
        Ok(())
    }

    /// The holds on a segment.
    pub(crate) fn on(&self, class: &str, segment: u64) -> impl Iterator<Item = &leaf::Hold> {
        let numbers = self.held.get(&(class.to_owned(), segment));
        numbers.into_iter().flatten().filter_map(|number| self.holds.get(*number))
    }
}
