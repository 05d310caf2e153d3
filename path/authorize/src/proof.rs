//! What a decision leaves behind: a permit that only a decision can make, or a refusal.

use std::fmt;
use std::sync::Arc;

use authenticate::Caller;
use model::{
    Code, Decision, ExchangeId, Identity, Judgement, Operation, Refusal, ResourceName, Reveal, Ruling, Usable,
};

use crate::authorizer::{Authorizer, Surroundings, Target};
use crate::explain;
use crate::set::PolicySet;
use crate::viewer::{Chooser, Question, Viewer};

/// The longest sentence of a policy that a caller is told, in characters.
const SENTENCE: usize = 300;

/// The proof that policy allows an exchange's operations, or allows them with consent. Only
/// [`Authorizer::decide`] makes one. Not `Clone`: one permit, one exchange.
pub struct Permit {
    caller: Caller,
    decision: Decision,
    grounds: Grounds,
}

/// Who asked for what, and by which policies it was judged.
#[derive(Clone)]
pub(crate) struct Grounds {
    pub(crate) authorizer: Arc<Authorizer>,
    pub(crate) set: Arc<PolicySet>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) resource: ResourceName,
    pub(crate) kind: String,
    pub(crate) surroundings: Surroundings,
}

impl Grounds {
    pub(crate) fn viewer(&self) -> Arc<dyn Reveal> {
        Arc::new(Viewer::new(
            Question::Reveal,
            Arc::clone(&self.authorizer),
            Arc::clone(&self.set),
            Arc::clone(&self.identity),
            self.resource.clone(),
            self.kind.clone(),
        ))
    }

    pub(crate) fn usable(&self) -> Arc<dyn Usable> {
        let scene = self.authorizer.scene(&self.identity, self.surroundings.client);
        Arc::new(Chooser::new(
            Arc::clone(&self.set),
            Arc::clone(&self.identity),
            self.resource.clone(),
            self.kind.clone(),
            scene,
        ))
    }
}

impl Permit {
    pub(crate) fn new(
        authorizer: Arc<Authorizer>,
        set: Arc<PolicySet>,
        caller: Caller,
        target: &Target<'_>,
        surroundings: Surroundings,
        decision: Decision,
    ) -> Self {
        let (resource, kind) = (target.name.clone(), target.kind.to_owned());
        let identity = Arc::clone(caller.identity());
        Self {
            caller,
            decision,
            grounds: Grounds { authorizer, set, identity, resource, kind, surroundings },
        }
    }

    pub(crate) fn grounds(&self) -> &Grounds {
        &self.grounds
    }

    /// The exchange it is for.
    pub fn exchange(&self) -> ExchangeId {
        self.caller.exchange()
    }

    /// Who asked.
    pub fn identity(&self) -> &Arc<Identity> {
        self.caller.identity()
    }

    /// The resource it is for.
    pub fn resource(&self) -> &ResourceName {
        &self.grounds.resource
    }

    /// The whole decision.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// How many humans must consent before the exchange goes on: 0 to 3.
    pub fn approvals_needed(&self) -> u8 {
        match self.decision.ruling {
            Ruling::Allowed => 0,
            Ruling::NeedsApprovals(n) => n,
            // No permit is made of a denial; were one, nobody could satisfy it.
            Ruling::Denied => u8::MAX,
        }
    }

    /// Says which data classes the caller may see in answers of this resource, by the policies that
    /// made this permit.
    pub fn viewer(&self) -> Arc<dyn Reveal> {
        self.grounds.viewer()
    }

    /// Says which models of this resource the caller may use, by the policies that made this permit.
    pub fn usable(&self) -> Arc<dyn Usable> {
        self.grounds.usable()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({}, {:?})", self.exchange(), self.decision.ruling)
    }
}

/// A decision that allows nothing, for the record and for the caller.
pub struct Denied(Box<Parts>);

struct Parts {
    caller: Caller,
    decision: Decision,
    refusal: Refusal,
}

impl Denied {
    pub(crate) fn new(
        set: &PolicySet,
        caller: Caller,
        resource: ResourceName,
        operations: &[Operation],
        decision: Decision,
        faults: Vec<String>,
    ) -> Self {
        let refusal = refusal(set, &resource, operations, &decision, &faults);
        Self(Box::new(Parts { caller, decision, refusal }))
    }

    /// A denial whose refusal is worded already.
    pub(crate) fn worded(caller: Caller, decision: Decision, refusal: Refusal) -> Self {
        Self(Box::new(Parts { caller, decision, refusal }))
    }

    /// The exchange that is refused.
    pub fn exchange(&self) -> ExchangeId {
        self.0.caller.exchange()
    }

    /// Who asked.
    pub fn identity(&self) -> &Arc<Identity> {
        self.0.caller.identity()
    }

    /// The whole decision. Its judgements are fewer than the operations if some could not be judged.
    pub fn decision(&self) -> &Decision {
        &self.0.decision
    }

    /// What the caller is told, and the operator.
    pub fn refusal(&self) -> Refusal {
        self.0.refusal.clone()
    }
}

impl fmt::Debug for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Denied({}, {})", self.0.caller.exchange(), self.0.refusal)
    }
}

/// The refusal for a denied decision: what could not be judged, else the first operation denied.
pub(crate) fn refusal(
    set: &PolicySet,
    resource: &ResourceName,
    operations: &[Operation],
    decision: &Decision,
    faults: &[String],
) -> Refusal {
    let refusal = Refusal::new(Code::PolicyDenied);
    if !faults.is_empty() {
        return refusal
            .because("The operation cannot be judged by policy, so it is refused.")
            .detail(faults.join("; "));
    }
    let denied = decision.judgements.iter().zip(operations).find(|(j, _)| j.ruling == Ruling::Denied);
    let Some((judgement, operation)) = denied else { return refusal };
    if let Some(refusal) = by_policy(judgement, "the operation") {
        return refusal;
    }
    let on = match operation.facts.model.as_str() {
        "" => format!("resource `{resource}`"),
        model => format!("model `{}` of resource `{resource}`", short(model)),
    };
    let refusal = refusal.because(format!("No policy permits you to `{}` on {on}.", operation.class));
    match explain::nearest(set, judgement) {
        Some(nearest) if nearest.plain => {
            let reason =
                format!("{} The nearest permit does not cover it: {}.", refusal.reason, nearest.findings());
            refusal.because(reason).detail(nearest)
        }
        Some(nearest) => refusal.detail(nearest),
        None => refusal.detail("no permit is near: none names this action"),
    }
}

/// The refusal for one question that was denied: `asked` says what is refused, and `what` what no policy permits.
pub(crate) fn denial(set: &PolicySet, judgement: &Judgement, asked: &str, what: &str) -> Refusal {
    if let Some(refusal) = by_policy(judgement, asked) {
        return refusal;
    }
    let refusal = Refusal::new(Code::PolicyDenied).because(format!("No policy permits you to {what}."));
    match explain::nearest(set, judgement) {
        Some(nearest) => refusal.detail(nearest),
        None => refusal.detail("no permit is near: none names this action"),
    }
}

/// The refusal for a question that could not be put to policy.
pub(crate) fn unjudged(fault: String) -> Refusal {
    Refusal::new(Code::PolicyDenied)
        .because("This cannot be judged by policy, so it is refused.")
        .detail(fault)
}

/// The refusal of what policies themselves refuse, by an error or a forbid. None where nothing permits it.
fn by_policy(judgement: &Judgement, asked: &str) -> Option<Refusal> {
    let refusal = Refusal::new(Code::PolicyDenied);
    let policies = judgement.policies();
    if !judgement.errors.is_empty() {
        let why = format!("A policy could not be evaluated, so {asked} is refused.");
        return Some(refusal.because(why).by_policies(policies).detail(judgement.errors.join("; ")));
    }
    // What is not denied names its permits there.
    let forbids = !policies.is_empty() && judgement.ruling == Ruling::Denied;
    forbids.then(|| refusal.because(forbidden(judgement)).by_policies(policies))
}

/// What the forbids that decided say to people.
fn forbidden(judgement: &Judgement) -> String {
    let say = |reason: &model::PolicyReason| match &reason.sentence {
        Some(sentence) => short(sentence),
        None => format!("Policy `{}` forbids this operation.", reason.policy),
    };
    judgement.reasons.iter().take(3).map(say).collect::<Vec<_>>().join(" ")
}

/// Text that one line of an answer can hold.
fn short(text: &str) -> String {
    let mut out: String = text.chars().filter(|c| !c.is_control()).take(SENTENCE).collect();
    if text.chars().nth(SENTENCE).is_some() {
        out.push('…');
    }
    out
}
