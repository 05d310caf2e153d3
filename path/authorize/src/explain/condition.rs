//! Says in words why a condition holds or not, with the values on both sides.

use cedar_policy::pst::{BinaryOp, Expr, Literal, PatternElem, UnaryOp, Var};
use cedar_policy::{Entities, EvalResult, Expression, Request, eval_expression};

use crate::lint::walk;

/// Evaluates parts of a policy on one request.
pub(super) struct Witness<'a> {
    pub(super) request: &'a Request,
    pub(super) entities: &'a Entities,
}

/// The parts of `expr` joined by `op`, each of which matters by itself.
pub(super) fn parts(expr: &Expr, op: BinaryOp) -> Vec<&Expr> {
    match expr {
        Expr::BinaryOp { op: found, left, right } if *found == op => {
            let mut all = parts(left, op);
            all.extend(parts(right, op));
            all
        }
        other => vec![other],
    }
}

/// Whether a condition speaks of nothing but facts of the request and the caller's own token, and
/// numbers: it may be told to the caller it refused.
pub(super) fn is_plain(expr: &Expr) -> bool {
    let mut plain = true;
    walk(expr, &mut |part| {
        plain &= match part {
            Expr::Literal(literal) => matches!(literal, Literal::Bool(_) | Literal::Long(_)),
            Expr::Var(var) => *var == Var::Context,
            Expr::GetAttr { .. } | Expr::BinaryOp { .. } => true,
            Expr::UnaryOp { op, .. } => matches!(op, UnaryOp::Not | UnaryOp::Neg | UnaryOp::IsEmpty),
            _ => false,
        }
    });
    plain
}

impl Witness<'_> {
    fn value(&self, expr: &Expr) -> Result<EvalResult, String> {
        let expression: Expression = expr.to_string().parse().map_err(|_| "cannot be read".to_owned())?;
        eval_expression(self.request, self.entities, &expression).map_err(|e| e.to_string())
    }

    /// Whether a condition holds.
    pub(super) fn holds(&self, expr: &Expr) -> Result<bool, String> {
        match self.value(expr)? {
            EvalResult::Bool(holds) => Ok(holds),
            other => Err(format!("gives {other}, not true or false")),
        }
    }

    /// In words, why `expr` is `truth`.
    pub(super) fn finding(&self, expr: &Expr, truth: bool) -> String {
        match expr {
            Expr::UnaryOp { op: UnaryOp::Not, expr } => self.finding(expr, !truth),
            Expr::UnaryOp { op: UnaryOp::IsEmpty, expr } => {
                format!("{} is {}empty", self.operand(expr), not(truth))
            }
            Expr::UnaryOp { op, expr: argument } if !matches!(op, UnaryOp::Neg) => {
                format!("{op}({}) is {truth}", self.operand(argument))
            }
            Expr::BinaryOp { op: op @ (BinaryOp::And | BinaryOp::Or), left, right } => {
                self.several(*op, left, right, truth)
            }
            Expr::BinaryOp { op, left, right } => self.relation(*op, left, right, truth),
            Expr::Like { expr: text, pattern } => {
                let pattern: String = pattern
                    .iter()
                    .map(|elem| match elem {
                        PatternElem::Char(c) => *c,
                        PatternElem::Wildcard => '*',
                    })
                    .collect();
                format!("{} is {}like {pattern:?}", self.operand(text), not(truth))
            }
            Expr::Is { expr: who, entity_type, in_expr } => {
                let inside = in_expr.as_ref().map(|e| format!(" in {e}")).unwrap_or_default();
                format!("{} is {}a {entity_type}{inside}", self.operand(who), not(truth))
            }
            Expr::GetAttr { .. } => format!("{} is {truth}", name(expr)),
            Expr::Literal(_) => format!("the policy says {truth}"),
            other => self.fallback(other, truth),
        }
    }

    /// Of parts joined by `op`, those that make it `truth`.
    fn several(&self, op: BinaryOp, left: &Expr, right: &Expr, truth: bool) -> String {
        let decisive = |expr: &&Expr| self.holds(expr).unwrap_or(truth) == truth;
        let found: Vec<String> =
            [left, right].into_iter().filter(decisive).map(|part| self.finding(part, truth)).collect();
        // One false part falsifies `&&`, one true part verifies `||`; otherwise it takes both.
        let either = (op == BinaryOp::Or) == truth;
        match found.first() {
            Some(first) if either => first.clone(),
            _ => found.join(" and "),
        }
    }

    fn relation(&self, op: BinaryOp, left: &Expr, right: &Expr, truth: bool) -> String {
        let sign = match (op, truth) {
            (BinaryOp::Eq, true) | (BinaryOp::NotEq, false) => "==",
            (BinaryOp::Eq, false) | (BinaryOp::NotEq, true) => "!=",
            (BinaryOp::Less, true) | (BinaryOp::GreaterEq, false) => "<",
            (BinaryOp::LessEq, true) | (BinaryOp::Greater, false) => "<=",
            (BinaryOp::Greater, true) | (BinaryOp::LessEq, false) => ">",
            (BinaryOp::GreaterEq, true) | (BinaryOp::Less, false) => ">=",
            (BinaryOp::In, true) => "is in",
            (BinaryOp::In, false) => "is not in",
            (BinaryOp::Contains, true) => "contains",
            (BinaryOp::Contains, false) => "does not contain",
            (BinaryOp::ContainsAll, true) => "contains all of",
            (BinaryOp::ContainsAll, false) => "does not contain all of",
            (BinaryOp::ContainsAny, true) => "contains one of",
            (BinaryOp::ContainsAny, false) => "contains none of",
            (BinaryOp::HasTag, true) => "has the claim",
            (BinaryOp::HasTag, false) => "has no claim",
            (BinaryOp::IsInRange, true) => "is in the range",
            (BinaryOp::IsInRange, false) => "is not in the range",
            _ => return format!("{} {op} {} is {truth}", self.operand(left), self.operand(right)),
        };
        format!("{} {sign} {}", self.operand(left), self.operand(right))
    }

    /// One side of a relation: a literal as it is, a fact with its name and value.
    fn operand(&self, expr: &Expr) -> String {
        match expr {
            Expr::Literal(literal) => match literal {
                Literal::String(text) => format!("{text:?}"),
                _ => expr.to_string(),
            },
            Expr::Var(Var::Principal) => "the caller".to_owned(),
            Expr::Var(Var::Resource) => "the resource".to_owned(),
            Expr::Var(Var::Action) => "the action".to_owned(),
            Expr::Set(_) | Expr::Record(_) => expr.to_string(),
            Expr::UnaryOp {
                op: UnaryOp::Ip | UnaryOp::Datetime | UnaryOp::Duration | UnaryOp::Decimal,
                ..
            } => expr.to_string(),
            _ => match self.value(expr) {
                Ok(value) => format!("{} {value}", name(expr)),
                Err(e) => format!("{} ({e})", name(expr)),
            },
        }
    }

    fn fallback(&self, expr: &Expr, truth: bool) -> String {
        let mut reads: Vec<String> = Vec::new();
        walk(expr, &mut |part| {
            if let Expr::GetAttr { expr: whole, attr } = part
                && let Expr::Var(Var::Context) = **whole
                && let Ok(value) = self.value(part)
            {
                reads.push(format!("{attr} {value}"));
            }
        });
        reads.dedup();
        format!("`{expr}` is {truth} with {}", reads.join(", "))
    }
}

/// A fact's name without the context it lies in.
fn name(expr: &Expr) -> String {
    let text = expr.to_string();
    text.strip_prefix("context.").map_or(text.clone(), str::to_owned)
}

fn not(truth: bool) -> &'static str {
    if truth { "" } else { "not " }
}
