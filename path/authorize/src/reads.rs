//! What a policy reads of the context. It can't depend on anything else of it.
//!
//! Cedar is a pure language: what a policy says follows from the caller's and the resource's entities,
//! the action, and the fields of the context it names. So Cedar is given those fields alone, and what it
//! said is remembered for as long as they are the same.

use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::pst::{Expr, Template, Var};
use cedar_policy::{Context, EntityUid, RestrictedExpression};
use model::PolicySetHash;

use crate::facts::Value;
use crate::lint::body;

/// A field of the context, or with `part` a field of a record in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Field {
    name: String,
    part: Option<String>,
}

impl Field {
    /// Whether this is the field `name`, or a part of it.
    pub(crate) fn is_in(&self, name: &str) -> bool {
        self.name == name
    }
}

/// The fields a policy reads, in order. `None` if it uses the context as a whole, or in a way that is
/// not understood here.
pub(crate) fn reads(policy: &Template) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    let understood = policy.clauses().iter().all(|clause| visit(body(clause), &mut fields));
    fields.sort();
    fields.dedup();
    // A record read whole holds its parts.
    let whole: Vec<String> = fields.iter().filter(|f| f.part.is_none()).map(|f| f.name.clone()).collect();
    fields.retain(|field| field.part.is_none() || !whole.contains(&field.name));
    understood.then_some(fields)
}

/// Notes what `expr` reads; whether it is understood.
fn visit(expr: &Expr, fields: &mut Vec<Field>) -> bool {
    let is_context = |expr: &Expr| matches!(expr, Expr::Var(Var::Context));
    match expr {
        Expr::Var(Var::Context) => false,
        Expr::Var(_) | Expr::Literal(_) => true,
        Expr::GetAttr { expr, attr } if is_context(expr) => {
            fields.push(Field { name: attr.to_string(), part: None });
            true
        }
        Expr::GetAttr { expr, attr: part } => match &**expr {
            Expr::GetAttr { expr, attr } if is_context(expr) => {
                fields.push(Field { name: attr.to_string(), part: Some(part.to_string()) });
                true
            }
            _ => visit(expr, fields),
        },
        Expr::HasAttr { expr, attrs } if is_context(expr) => {
            fields.push(Field { name: attrs.head.to_string(), part: None });
            true
        }
        Expr::HasAttr { expr, .. } | Expr::UnaryOp { expr, .. } | Expr::Like { expr, .. } => {
            visit(expr, fields)
        }
        Expr::BinaryOp { left, right, .. } => visit(left, fields) && visit(right, fields),
        Expr::Is { expr, in_expr, .. } => {
            visit(expr, fields) && in_expr.as_ref().is_none_or(|inside| visit(inside, fields))
        }
        Expr::IfThenElse { cond, then_expr, else_expr } => {
            visit(cond, fields) && visit(then_expr, fields) && visit(else_expr, fields)
        }
        Expr::Set(members) => members.iter().all(|member| visit(member, fields)),
        Expr::Record(members) => members.values().all(|member| visit(member, fields)),
        // Whatever a later version of Cedar adds.
        _ => false,
    }
}

/// What a policy sees of a context: the fields it reads.
#[derive(Clone, Copy)]
pub(crate) struct Sees<'a> {
    pub(crate) fields: &'a [Field],
    pub(crate) context: &'a [(&'static str, Value)],
}

impl<'a> Sees<'a> {
    fn values(self) -> impl Iterator<Item = Option<&'a Value>> {
        self.fields.iter().map(move |field| find(field, self.context))
    }

    /// A context of nothing else.
    pub(crate) fn alone(self) -> Result<Context, String> {
        let mut pairs = Vec::with_capacity(self.fields.len());
        let mut given = self.fields.iter().zip(self.values()).peekable();
        while let Some((field, value)) = given.next() {
            let Some(value) = value else { continue };
            let Some(part) = &field.part else {
                pairs.push((field.name.clone(), value.clone().expression()?));
                continue;
            };
            let mut parts = vec![(part.clone(), value.clone().expression()?)];
            while let Some((next, value)) = given.next_if(|(next, _)| next.name == field.name) {
                if let (Some(part), Some(value)) = (&next.part, value) {
                    parts.push((part.clone(), value.clone().expression()?));
                }
            }
            let record = RestrictedExpression::new_record(parts).map_err(|e| e.to_string())?;
            pairs.push((field.name.clone(), record));
        }
        Context::from_pairs(pairs).map_err(|e| e.to_string())
    }
}

fn find<'v>(field: &Field, context: &'v [(&'static str, Value)]) -> Option<&'v Value> {
    let named = |fields: &'v [(&'static str, Value)], name: &str| {
        fields.iter().find(|(given, _)| *given == name).map(|(_, value)| value)
    };
    let value = named(context, &field.name)?;
    match (&field.part, value) {
        (None, _) => Some(value),
        (Some(part), Value::Record(parts)) => named(parts, part),
        (Some(_), _) => None,
    }
}

/// How many policies are remembered for one caller at one place.
const MOST: usize = 64;

/// What policies said of the same players before, each with what it saw then.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Said>);

#[derive(Default)]
struct Said {
    /// The set that the places are of.
    set: Option<PolicySetHash>,
    /// The places of those that may have a say, by action.
    candidates: Vec<(EntityUid, Arc<[usize]>)>,
    policies: Vec<Remembered>,
}

impl Said {
    /// What was said by `set`; of another, nothing is known.
    fn by(&mut self, set: PolicySetHash) -> &mut Self {
        if self.set != Some(set) {
            *self = Self { set: Some(set), ..Self::default() };
        }
        self
    }
}

struct Remembered {
    place: usize,
    action: EntityUid,
    saw: Vec<Option<Value>>,
    holds: bool,
}

impl Memory {
    /// The places of the policies of `set` that may have a say about `action`. There are no more actions
    /// than the schema names.
    pub(crate) fn candidates(
        &self,
        set: PolicySetHash,
        action: &EntityUid,
        find: impl FnOnce() -> Vec<usize>,
    ) -> Arc<[usize]> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = said.by(set);
        if let Some((_, known)) = said.candidates.iter().find(|(known, _)| known == action) {
            return Arc::clone(known);
        }
        let found: Arc<[usize]> = find().into();
        said.candidates.push((action.clone(), Arc::clone(&found)));
        found
    }

    /// Whether the policy at `place` of `set` holds, if it saw the same when it was last asked.
    pub(crate) fn recall(
        &self,
        set: PolicySetHash,
        place: usize,
        action: &EntityUid,
        sees: Sees<'_>,
    ) -> Option<bool> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.set != Some(set) {
            return None;
        }
        let same = |known: &&Remembered| known.place == place && known.action == *action;
        let known = said.policies.iter().find(same)?;
        known.saw.iter().map(Option::as_ref).eq(sees.values()).then_some(known.holds)
    }

    /// Remembers what a policy said without error.
    pub(crate) fn keep(
        &self,
        set: PolicySetHash,
        place: usize,
        action: &EntityUid,
        sees: Sees<'_>,
        holds: bool,
    ) {
        let saw = sees.values().map(Option::<&Value>::cloned).collect();
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = said.by(set);
        let room = said.policies.len() < MOST;
        let known = said.policies.iter_mut().find(|known| known.place == place && known.action == *action);
        match known {
            Some(known) => (known.saw, known.holds) = (saw, holds),
            None if room => {
                said.policies.push(Remembered { place, action: action.clone(), saw, holds });
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn fields(condition: &str) -> Option<Vec<String>> {
        let set = sample::set(&format!(
            "permit(principal, action in Action::\"operation\", resource) when {{ {condition} }};"
        ));
        let text = |f: &Field| f.part.as_ref().map_or(f.name.clone(), |part| format!("{}.{part}", f.name));
        set.policies[0].reads.as_ref().map(|fields| fields.iter().map(text).collect())
    }

    fn these(fields: &[&str]) -> Option<Vec<String>> {
        Some(fields.iter().map(|field| (*field).to_owned()).collect())
    }

    #[test]
    fn fields_are_found_wherever_they_stand() {
        assert_eq!(fields("principal.kind == \"human\""), these(&[]));
        assert_eq!(fields("context.batch < 3 && context.batch < 4"), these(&["batch"]));
        assert_eq!(
            fields("context.token.mfa || context.token.scopes.contains(\"a\")"),
            these(&["token.mfa", "token.scopes"])
        );
        assert_eq!(fields("context.client.isInRange(ip(\"10.0.0.0/8\"))"), these(&["client"]));
        assert_eq!(
            fields("if context.stream then context.batch == 1 else context.tools"),
            these(&["batch", "stream", "tools"])
        );
        assert_eq!(fields("[context.batch, context.images].contains(3)"), these(&["batch", "images"]));
        assert_eq!(fields("context.model like \"a*\""), these(&["model"]));
        assert_eq!(fields("{ a: context.images }.a == context.audio"), these(&["audio", "images"]));
        assert_eq!(fields("context has batch && context.batch < 3"), these(&["batch"]));
    }

    #[test]
    fn a_record_read_whole_is_read_whole() {
        assert_eq!(fields("context.token.mfa && context.token == context.token"), these(&["token"]));
        assert_eq!(fields("context == context"), None);
    }

    #[test]
    fn candidates_are_those_of_the_action_and_the_set() {
        let memory = Memory::default();
        let action = |name: &str| format!("Action::\"{name}\"").parse::<EntityUid>().unwrap();
        let (one, two) = (PolicySetHash([1; 32]), PolicySetHash([2; 32]));
        let found = |set, name, places: &[usize]| memory.candidates(set, &action(name), || places.to_vec());
        assert_eq!(found(one, "infer", &[1, 2])[..], [1, 2]);
        assert_eq!(found(one, "infer", &[3])[..], [1, 2]);
        assert_eq!(found(one, "train", &[3])[..], [3]);
        assert_eq!(found(two, "infer", &[4])[..], [4]);
    }

    #[test]
    fn who_may_read_approvals_is_asked_with_them() {
        for (condition, reads) in [
            ("context.approvals >= 1", true),
            ("context has approvals", true),
            ("principal.kind == \"human\" && (context.stream || 0 < context.approvals)", true),
            ("context == context", true),
            ("context.batch < 3 && context has stream", false),
            ("principal.kind == \"human\"", false),
        ] {
            let policy = format!(
                "permit(principal, action in Action::\"operation\", resource) when {{ {condition} }};"
            );
            assert_eq!(sample::set(&policy).policies[0].reads_approvals(), reads, "{condition}");
        }
    }

    #[test]
    fn what_was_said_counts_for_what_was_seen() {
        let memory = Memory::default();
        let action: EntityUid = "Action::\"infer\"".parse().unwrap();
        let (one, two) = (PolicySetHash([1; 32]), PolicySetHash([2; 32]));
        let fields = [Field { name: "batch".to_owned(), part: None }];
        let (three, four) = ([("batch", Value::Long(3))], [("batch", Value::Long(4))]);
        let saw = |context| Sees { fields: &fields, context };
        memory.keep(one, 0, &action, saw(&three), true);
        assert_eq!(memory.recall(one, 0, &action, saw(&three)), Some(true));
        assert_eq!(memory.recall(one, 0, &action, saw(&four)), None);
        assert_eq!(memory.recall(one, 1, &action, saw(&three)), None);
        assert_eq!(memory.recall(one, 0, &"Action::\"train\"".parse().unwrap(), saw(&three)), None);
        assert_eq!(memory.recall(two, 0, &action, saw(&three)), None);
        memory.keep(two, 0, &action, saw(&three), false);
        assert_eq!(memory.recall(two, 0, &action, saw(&three)), Some(false));
        assert_eq!(memory.recall(one, 0, &action, saw(&three)), None);
    }
}
