//! The permit that came nearest to permitting.

use cedar_policy::pst::{BinaryOp, Clause};
use cedar_policy::{ActionConstraint, EntityUid, PrincipalConstraint, ResourceConstraint};
use serde::Serialize;

use super::condition::{Witness, is_plain, parts};
use crate::judge::{Inquiry, MAX_APPROVALS};
use crate::schema::vocabulary;
use crate::set::{Policy, PolicySet};

/// The most permits looked at closely for an operator.
pub(super) const PATIENT: usize = 200;
/// The most permits looked at closely on the request path, where refused requests must stay cheap.
pub(crate) const QUICK: usize = 16;

/// A permit that did not hold, and what it lacked.
#[derive(Clone, Debug, Serialize)]
pub struct Nearest {
    /// Its id.
    pub policy: String,
    /// `file:line`.
    pub place: String,
    /// The sentence above it.
    pub sentence: Option<String>,
    /// Each part that failed.
    pub failing: Vec<Failing>,
    /// The group its scope names, if it names one.
    #[serde(skip)]
    pub(crate) group: Option<EntityUid>,
    /// Whether what failed may be told to the caller: the scope matched, and the conditions speak only
    /// of the request's own facts and of numbers.
    #[serde(skip)]
    pub(crate) plain: bool,
}

/// One part of a permit that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failing {
    /// As the policy says it.
    pub condition: String,
    /// As the request has it: `batch 32 > 8`.
    pub finding: String,
}

impl std::fmt::Display for Nearest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "nearest permit `{}` ({}): {}", self.policy, self.place, self.findings())
    }
}

impl Nearest {
    /// What failed, in one line.
    pub(crate) fn findings(&self) -> String {
        self.failing.iter().map(|failing| failing.finding.as_str()).collect::<Vec<_>>().join("; ")
    }
}

/// The permit for this action with the fewest failures. A failing scope weighs more than any number of
/// conditions, and a permit for other callers of other resources is not near. At most `most` permits
/// are looked at closely, those whose scope matches first.
pub(crate) fn find(set: &PolicySet, inquiry: &Inquiry, most: usize) -> Option<Nearest> {
    let words = vocabulary().ok()?;
    let unknown = *inquiry.action.id().unescaped() == *model::Class::Unknown.as_str();
    let office = crate::office::is_administration(&inquiry.action);
    let acts = |policy: &Policy| match policy.cedar.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == inquiry.action,
        ActionConstraint::In(uids) => uids
            .iter()
            .any(|uid| *uid == inquiry.action || words.actions.is_ancestor_of(uid, &inquiry.action)),
    };
    let mut near: Vec<(&Policy, Vec<Failing>)> = set
        .policies
        .iter()
        .filter(|policy| !policy.forbids() && (!unknown || policy.names_unknown) && acts(policy))
        .filter(|policy| !office || policy.names_action)
        .map(|policy| (policy, scope(policy, inquiry)))
        .filter(|(_, strange)| strange.len() <= 1)
        .collect();
    near.sort_by_key(|(_, strange)| strange.len());
    near.into_iter()
        .take(most)
        .filter_map(|(policy, strange)| {
            let strangers = strange.len();
            let near = examine(policy, strange, inquiry)?;
            Some(((strangers, near.failing.len()), near))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, near)| near)
}

/// What of the policy's scope does not match.
fn scope(policy: &Policy, inquiry: &Inquiry) -> Vec<Failing> {
    let mut failing = Vec::new();
    let mut check = |word: &str, who: &str, uids: &[EntityUid], wanted: Wanted| {
        let Some(own) = uids.first() else { return };
        let holds = match &wanted {
            Wanted::Any => true,
            Wanted::Equal(uid) => own == uid,
            Wanted::Inside(uid) => uids.contains(uid),
            Wanted::Kind(kind) => own.type_name() == kind,
            Wanted::KindInside(kind, uid) => own.type_name() == kind && uids.contains(uid),
        };
        if holds {
            return;
        }
        let (condition, finding) = match &wanted {
            Wanted::Any => return,
            Wanted::Equal(uid) => (format!("{word} == {uid}"), format!("{who} is not {uid}")),
            Wanted::Inside(uid) => (format!("{word} in {uid}"), format!("{who} is not in {uid}")),
            Wanted::Kind(kind) => (format!("{word} is {kind}"), format!("{who} is not a {kind}")),
            Wanted::KindInside(kind, uid) => {
                (format!("{word} is {kind} in {uid}"), format!("{who} is not a {kind} in {uid}"))
            }
        };
        failing.push(Failing { condition, finding });
    };
    let principal = match policy.cedar.principal_constraint() {
        PrincipalConstraint::Any => Wanted::Any,
        PrincipalConstraint::Eq(uid) => Wanted::Equal(uid),
        PrincipalConstraint::In(uid) => Wanted::Inside(uid),
        PrincipalConstraint::Is(kind) => Wanted::Kind(kind),
        PrincipalConstraint::IsIn(kind, uid) => Wanted::KindInside(kind, uid),
    };
    let resource = match policy.cedar.resource_constraint() {
        ResourceConstraint::Any => Wanted::Any,
        ResourceConstraint::Eq(uid) => Wanted::Equal(uid),
        ResourceConstraint::In(uid) => Wanted::Inside(uid),
        ResourceConstraint::Is(kind) => Wanted::Kind(kind),
        ResourceConstraint::IsIn(kind, uid) => Wanted::KindInside(kind, uid),
    };
    check("principal", "the caller", &inquiry.players.principals, principal);
    check("resource", "the resource", &inquiry.players.resources, resource);
    failing
}

/// What a scope asks of one side.
enum Wanted {
    Any,
    Equal(EntityUid),
    Inside(EntityUid),
    Kind(cedar_policy::EntityTypeName),
    KindInside(cedar_policy::EntityTypeName, EntityUid),
}

fn examine(policy: &Policy, scope: Vec<Failing>, inquiry: &Inquiry) -> Option<Nearest> {
    // With every consent there could be, only what consent does not mend is left.
    let request = inquiry.request(if policy.reads_approvals() { MAX_APPROVALS } else { 0 }).ok()?;
    let witness = Witness { request: &request, entities: &inquiry.players.entities };
    let mut plain = scope.is_empty();
    let mut failing = scope;
    let body = policy.cedar.to_pst().ok()?;
    for clause in body.body().clauses() {
        let (expr, op, wanted) = match clause {
            Clause::When(expr) => (expr, BinaryOp::And, true),
            Clause::Unless(expr) => (expr, BinaryOp::Or, false),
        };
        for part in parts(expr, op) {
            let finding = match witness.holds(part) {
                Ok(truth) if truth == wanted => continue,
                Ok(truth) => witness.finding(part, truth),
                Err(e) => format!("`{part}` cannot be evaluated: {e}"),
            };
            plain &= is_plain(part);
            let condition = if wanted { part.to_string() } else { format!("unless {part}") };
            failing.push(Failing { condition, finding });
        }
    }
    let group = match policy.cedar.principal_constraint() {
        PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => Some(uid),
        _ => None,
    };
    Some(Nearest {
        policy: policy.id.clone(),
        place: format!("{}:{}", policy.file, policy.place.line),
        sentence: policy.sentence.clone(),
        plain: plain && !failing.is_empty(),
        failing,
        group,
    })
}
