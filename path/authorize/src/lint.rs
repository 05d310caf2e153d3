//! What is valid Cedar and still can't mean what its writer meant.

use cedar_policy::pst::{BinaryOp, Clause, EntityOrSlot, Expr, Literal, ResourceConstraint, Template, Var};
use cedar_policy::{ActionConstraint, Effect, PrincipalConstraint};
use model::{DataClass, ResourceName};

/// A complaint about one policy.
#[derive(Debug)]
pub(crate) struct Complaint {
    pub(crate) message: String,
    pub(crate) advice: String,
}

/// Everything wrong with a policy that the validator does not know of.
pub(crate) fn faults(policy: &Template) -> Vec<Complaint> {
    let mut out = Vec::new();
    if let ResourceConstraint::Eq(EntityOrSlot::Entity(uid)) = &policy.resource {
        equals_resource(&uid.ty.to_string(), &uid.eid, &mut out);
    }
    for uid in scope_entities(policy) {
        entity(&uid.ty.to_string(), &uid.eid, &mut out);
    }
    for clause in policy.clauses() {
        walk(body(clause), &mut |expr| conditions(expr, &mut out));
    }
    out
}

/// A clause's expression.
pub(crate) fn body(clause: &Clause) -> &Expr {
    match clause {
        Clause::When(expr) | Clause::Unless(expr) => expr,
    }
}

/// Whether the policy's scope names `Action::"unknown"` itself, not a group it is in.
pub(crate) fn names_unknown(policy: &cedar_policy::Policy) -> bool {
    let unknown = |uid: &cedar_policy::EntityUid| uid.id().unescaped() == "unknown";
    match policy.action_constraint() {
        ActionConstraint::Any => false,
        ActionConstraint::Eq(uid) => unknown(&uid),
        ActionConstraint::In(uids) => uids.iter().any(unknown),
    }
}

/// Whether the policy's scope names an action, or a group of them.
pub(crate) fn names_action(policy: &cedar_policy::Policy) -> bool {
    !matches!(policy.action_constraint(), ActionConstraint::Any)
}

/// Whether the policy permits anyone anything.
pub(crate) fn permits_everything(policy: &cedar_policy::Policy) -> bool {
    policy.effect() == Effect::Permit
        && matches!(policy.principal_constraint(), PrincipalConstraint::Any | PrincipalConstraint::Is(_))
        && matches!(policy.action_constraint(), ActionConstraint::Any)
        && !policy.has_non_scope_constraint()
}

fn scope_entities(policy: &Template) -> Vec<&cedar_policy::pst::EntityUID> {
    use cedar_policy::pst::PrincipalConstraint as P;
    let mut uids = Vec::new();
    if let P::Eq(EntityOrSlot::Entity(uid))
    | P::In(EntityOrSlot::Entity(uid))
    | P::IsIn(_, EntityOrSlot::Entity(uid)) = &policy.principal
    {
        uids.push(uid);
    }
    if let ResourceConstraint::Eq(EntityOrSlot::Entity(uid))
    | ResourceConstraint::In(EntityOrSlot::Entity(uid))
    | ResourceConstraint::IsIn(_, EntityOrSlot::Entity(uid)) = &policy.resource
    {
        uids.push(uid);
    }
    uids
}

fn conditions(expr: &Expr, out: &mut Vec<Complaint>) {
    let resource = |expr: &Expr| matches!(expr, Expr::Var(Var::Resource));
    match expr {
        Expr::Literal(Literal::EntityUID(uid)) => entity(&uid.ty.to_string(), &uid.eid, out),
        Expr::BinaryOp { op: BinaryOp::Eq | BinaryOp::NotEq, left, right } => {
            let other = if resource(left) {
                right
            } else if resource(right) {
                left
            } else {
                return;
            };
            if let Expr::Literal(Literal::EntityUID(uid)) = &**other {
                equals_resource(&uid.ty.to_string(), &uid.eid, out);
            }
        }
        Expr::BinaryOp { op: BinaryOp::Contains, left, right } if resource(right) => {
            walk(left, &mut |expr| {
                if let Expr::Literal(Literal::EntityUID(uid)) = expr {
                    equals_resource(&uid.ty.to_string(), &uid.eid, out);
                }
            });
        }
        _ => {}
    }
}

/// An operation that names a model is judged on the model, which is *in* the resource and never equal
/// to it; one that names none is *in* the resource too.
fn equals_resource(kind: &str, id: &str, out: &mut Vec<Complaint>) {
    if kind == "Resource" {
        out.push(Complaint {
            message: format!("`resource == Resource::\"{id}\"` never matches the models of `{id}`"),
            advice: format!(
                "Write `resource in Resource::\"{id}\"`: it holds for the resource and all its models."
            ),
        });
    }
}

/// Ids that no request can have.
fn entity(kind: &str, id: &str, out: &mut Vec<Complaint>) {
    let never = |why: String| Complaint {
        message: format!("`{kind}::\"{id}\"` is never the id of anything"),
        advice: why,
    };
    match kind {
        "Resource" => {
            if let Err(why) = ResourceName::new(id) {
                out.push(never(format!("{why}.")));
            }
        }
        "DataClass" => {
            if let Err(why) = DataClass::new(id) {
                out.push(never(format!("{why}. `resource in` holds for every class inside.")));
            }
        }
        "Model" => {
            let name = id
                .split_once('/')
                .filter(|(resource, model)| ResourceName::new(resource).is_ok() && !model.is_empty());
            if name.is_none() {
                out.push(never("Write `Model::\"resource/model\"`.".to_owned()));
            }
        }
        "Caller" if !id.contains('#') => {
            out.push(never("Write `Caller::\"issuer#subject\"` with the issuer's URL.".to_owned()));
        }
        _ => {}
    }
}

/// Calls `see` with every expression in `expr`, itself first.
pub(crate) fn walk(expr: &Expr, see: &mut dyn FnMut(&Expr)) {
    see(expr);
    match expr {
        Expr::UnaryOp { expr, .. }
        | Expr::GetAttr { expr, .. }
        | Expr::HasAttr { expr, .. }
        | Expr::Like { expr, .. } => walk(expr, see),
        Expr::BinaryOp { left, right, .. } => {
            walk(left, see);
            walk(right, see);
        }
        Expr::Is { expr, in_expr, .. } => {
            walk(expr, see);
            if let Some(inside) = in_expr {
                walk(inside, see);
            }
        }
        Expr::IfThenElse { cond, then_expr, else_expr } => {
            walk(cond, see);
            walk(then_expr, see);
            walk(else_expr, see);
        }
        Expr::Set(members) => members.iter().for_each(|member| walk(member, see)),
        Expr::Record(fields) => fields.values().for_each(|field| walk(field, see)),
        // Leaves. What a later version of Cedar may add here is not in any of today's policies.
        _ => {}
    }
}
