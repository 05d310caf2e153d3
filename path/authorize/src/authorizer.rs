//! Decides exchanges by the policies of the moment.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arc_swap::ArcSwap;
use authenticate::Caller;
use jiff::tz::TimeZone;
use model::{Clock, Decision, Identity, Operation, People, ResourceName, Reveal, Ruling, Usage};

use crate::facts::{Moment, Scene};
use crate::fault::AuthorizeError;
use crate::judge::{self, Cast};
use crate::players::Known;
use crate::proof::{Denied, Permit};
use crate::recent::{self, Slots, Tallies};
use crate::set::PolicySet;
use crate::viewer::{Question, Sights, Viewer};

/// The most operations one exchange may hold; more are refused unjudged.
pub const MAX_OPERATIONS: usize = 64;

/// How many reveal decisions are remembered.
const SIGHTS: NonZeroUsize = match NonZeroUsize::new(16_384) {
    Some(n) => n,
    None => NonZeroUsize::MIN,
};

/// What a request is addressed to.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The resource.
    pub name: ResourceName,
    /// Its kind as configured, such as `model` or `http`: `resource.kind` in policies.
    pub kind: &'a str,
}

/// What is known of a request beside its content.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// The address it came from, an IPv4 one also when it is written as IPv6.
    pub client: IpAddr,
}

/// Decides by the current policy set, which can be replaced while requests are decided. Share it in an
/// [`Arc`].
///
/// A panic inside Cedar unwinds through [`Authorizer::decide`], and no permit comes of it: whoever
/// calls must answer a panic with a refusal. All it leaves behind is one request counted too many.
pub struct Authorizer {
    set: ArcSwap<PolicySet>,
    zone: TimeZone,
    clock: Arc<dyn Clock>,
    tallies: Tallies,
    pub(crate) sights: Sights,
    known: Known,
    people: ArcSwap<People>,
}

impl Authorizer {
    /// An authorizer that begins with `set`. `timezone` is the IANA name by which `context.time` tells
    /// the weekday and the minute of the day.
    ///
    /// # Errors
    /// [`AuthorizeError::TimeZone`] when this machine does not know the zone.
    pub fn new(set: PolicySet, timezone: &str, clock: Arc<dyn Clock>) -> Result<Arc<Self>, AuthorizeError> {
        let zone = if timezone == "UTC" {
            TimeZone::UTC
        } else {
            TimeZone::get(timezone)
                .map_err(|cause| AuthorizeError::TimeZone { name: timezone.to_owned(), cause })?
        };
        Ok(Arc::new(Self {
            set: ArcSwap::from_pointee(set),
            zone,
            clock,
            tallies: Tallies::new(recent::CALLERS),
            sights: Sights::new(SIGHTS),
            known: Known::new(),
            people: ArcSwap::default(),
        }))
    }

    /// Decides by `set` from now on. Decisions under way, and permits they give, keep the set they
    /// began with.
    pub fn replace(&self, set: PolicySet) {
        self.set.store(Arc::new(set));
    }

    /// The set that decides now.
    pub fn current(&self) -> Arc<PolicySet> {
        self.set.load_full()
    }

    /// Decides an exchange: every operation must be permitted, and the strictest ruling counts.
    ///
    /// # Errors
    /// [`Denied`], with the caller's exchange and the whole decision, when an operation is not
    /// permitted even with consent, a policy can't be evaluated, or there is no operation.
    pub fn decide(
        self: &Arc<Self>,
        caller: Caller,
        resource: &Target<'_>,
        operations: &[Operation],
        surroundings: Surroundings,
    ) -> Result<Permit, Denied> {
        let set = self.current();
        let (decision, faults) =
            self.decide_identity(&set, caller.identity(), resource, operations, surroundings);
        if decision.ruling == Ruling::Denied {
            let resource = resource.name.clone();
            return Err(Denied::new(&set, caller, resource, operations, decision, faults));
        }
        Ok(Permit::new(Arc::clone(self), set, caller, resource, surroundings, decision))
    }

    /// The decision on an identity, with what kept operations from being judged at all.
    pub(crate) fn decide_identity(
        &self,
        set: &PolicySet,
        identity: &Identity,
        resource: &Target<'_>,
        operations: &[Operation],
        surroundings: Surroundings,
    ) -> (Decision, Vec<String>) {
        let mut decision =
            Decision { ruling: Ruling::Denied, judgements: Vec::new(), policy_set: set.hash() };
        if operations.is_empty() || operations.len() > MAX_OPERATIONS {
            let count = operations.len();
            return (decision, vec![format!("{count} operations; an exchange holds 1 to {MAX_OPERATIONS}")]);
        }
        let slots = Slots::of(self.clock.elapsed());
        let scene = Scene {
            client: surroundings.client,
            moment: self.moment(),
            recent: self.tallies.take(identity, slots),
            owner: self.owner(identity),
        };
        let mut faults = Vec::new();
        match Cast::new(identity, &resource.name, resource.kind).map(|cast| cast.with_known(&self.known)) {
            Ok(cast) => {
                for operation in operations {
                    match judge::operation(set, &cast, operation, &scene) {
                        Ok(judgement) => decision.judgements.push(judgement),
                        Err(fault) => faults.push(fault),
                    }
                }
            }
            Err(fault) => faults.push(fault),
        }
        if faults.is_empty() {
            decision.ruling = strictest(decision.judgements.iter().map(|j| j.ruling));
        }
        if decision.ruling == Ruling::Denied {
            self.tallies.give_back(identity, slots);
        }
        (decision, faults)
    }

    /// Says which data classes may reach a resource in a caller's requests, by the policies of now.
    pub fn discloser(self: &Arc<Self>, identity: &Arc<Identity>, target: &Target<'_>) -> Arc<dyn Reveal> {
        let (name, kind) = (target.name.clone(), target.kind.to_owned());
        Arc::new(Viewer::new(
            Question::Disclose,
            Arc::clone(self),
            self.current(),
            Arc::clone(identity),
            name,
            kind,
        ))
    }

    /// Counts the tokens an answer used, for `context.recent`.
    pub fn spent(&self, identity: &Identity, usage: Usage) {
        let tokens = usage.input.saturating_add(usage.output);
        self.tallies.spend(identity, tokens, Slots::of(self.clock.elapsed()));
    }

    /// The surroundings of a question that is no request of its own.
    pub(crate) fn scene(&self, identity: &Identity, client: IpAddr) -> Scene {
        let recent = self.tallies.read(identity, Slots::of(self.clock.elapsed()));
        Scene { client, moment: self.moment(), recent, owner: self.owner(identity) }
    }

    /// The surroundings of a request that goes on now, which counts it.
    pub(crate) fn scene_counting(&self, identity: &Identity, client: IpAddr, slots: Slots) -> Scene {
        let recent = self.tallies.take(identity, slots);
        Scene { client, moment: self.moment(), recent, owner: self.owner(identity) }
    }

    pub(crate) fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.clock.elapsed()
    }

    /// Who answers for the program that asks.
    fn owner(&self, identity: &Identity) -> Option<Arc<str>> {
        self.people.load().owner(identity).map(Arc::from)
    }

    /// Says who is who, from now on: who answers for a program, and whom nobody may approve for.
    pub fn introduce(&self, people: Arc<People>) {
        self.people.store(people);
    }

    /// Whether `approver` is `requester`, or answers for it.
    pub(crate) fn is_asked_by(&self, requester: &Identity, approver: &Identity) -> bool {
        let people = self.people.load();
        !people.behind(requester).is_disjoint(&people.of_identity(approver))
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment::new(self.clock.now(), &self.zone)
    }
}

impl std::fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorizer").field("set", &self.current()).finish_non_exhaustive()
    }
}

/// Denied before waiting before allowed, and the most consents any operation needs. Nothing is denied.
fn strictest(rulings: impl Iterator<Item = Ruling>) -> Ruling {
    let rank = |ruling: &Ruling| match ruling {
        Ruling::Allowed => 0,
        Ruling::NeedsApprovals(n) => u16::from(*n).max(1),
        Ruling::Denied => u16::MAX,
    };
    rulings.max_by_key(rank).unwrap_or(Ruling::Denied)
}

#[cfg(test)]
mod tests;
