//! A permit that allows one denied operation and as little else as possible.

use cedar_policy::{EntityUid, Expression};
use model::{Class, Facts, Judgement, Ruling};
use serde::Serialize;

use super::nearest::Nearest;
use crate::judge::Inquiry;
use crate::set::PolicySet;

/// A permit to paste, or why none is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paste {
    /// It was not denied.
    NotNeeded,
    /// A whole policy, with its sentence.
    Permit(String),
    /// Why none is offered.
    Withheld(String),
}

/// Offers a permit for a default deny of an ordinary operation. One who pastes without thinking must
/// not open what is high-risk or unknown.
pub(super) fn offer(inquiry: &Inquiry, judgement: &Judgement, nearest: Option<&Nearest>) -> Paste {
    if judgement.ruling != Ruling::Denied {
        return Paste::NotNeeded;
    }
    let withheld = |why: String| Paste::Withheld(why);
    if !judgement.errors.is_empty() {
        return withheld("A policy fails on this request. Mend it; no permit overrides an error.".to_owned());
    }
    if let Some(forbid) = judgement.reasons.first() {
        return withheld(format!("`{}` forbids it, and no permit overrides a forbid.", forbid.policy));
    }
    let Some(class) = Class::from_name(inquiry.action.id().unescaped()) else {
        return withheld(format!(
            "{} is no operation. The policy cookbook has permits for the administration.",
            inquiry.action
        ));
    };
    if class == Class::Unknown {
        return withheld(
            "‼ What this request does is not known, so no permit is offered. Find out what its path does \
             before you write one that names Action::\"unknown\"."
                .to_owned(),
        );
    }
    if class.is_high_risk() {
        return withheld(format!(
            "‼ `{class}` is high-risk: write the permit yourself, as narrow as you can, and consider \
             `context.approvals >= 1`."
        ));
    }
    match permit(inquiry, judgement, nearest, class) {
        // A name in two scripts or with control characters makes no policy that would load.
        Some(text) => match PolicySet::parse(vec![("permit".to_owned(), text.clone())]) {
            Ok(_) => Paste::Permit(text),
            Err(faults) => withheld(format!("The names in this request fit no policy: {faults}")),
        },
        None => withheld("The request matches a deny-list, or its facts cannot be read.".to_owned()),
    }
}

fn permit(
    inquiry: &Inquiry,
    judgement: &Judgement,
    nearest: Option<&Nearest>,
    class: Class,
) -> Option<String> {
    let facts: serde_json::Value = serde_json::from_str(judgement.context.get()).ok()?;
    let long = |name: &str| facts.get(name).and_then(serde_json::Value::as_i64);
    let text = |name: &str| facts.get(name).and_then(serde_json::Value::as_str);
    if !facts.get("matches")?.as_array()?.is_empty() {
        return None;
    }
    let groups = inquiry.players.principals.get(1..).unwrap_or(&[]);
    let near = nearest.and_then(|near| near.group.as_ref()).filter(|group| groups.contains(group));
    let mut sorted: Vec<&EntityUid> = groups.iter().collect();
    sorted.sort();
    let me = inquiry.players.principals.first()?;
    let (principal, who) = match near.or(sorted.first().copied()) {
        Some(group) => (format!("principal in {group}"), format!("Group {:?}", group.id().unescaped())),
        None => (format!("principal == {me}"), format!("Caller {:?}", me.id().unescaped())),
    };
    let target = inquiry.players.resources.first()?;
    let is_model = target.type_name().basename() == "Model";
    let resource =
        if is_model { format!("resource == {target}") } else { format!("resource is Resource in {target}") };
    let mut conditions = vec![format!("context.batch <= {}", long("batch")?)];
    let tokens = long("max_tokens")?;
    if (1..Facts::BOUND).contains(&tokens) {
        conditions.push(format!("context.max_tokens <= {tokens}"));
    }
    if !is_model {
        for name in ["method", "path"] {
            let value = Expression::new_string(text(name)?.to_owned());
            conditions.push(format!("context.{name} == {value}"));
        }
    }
    conditions.push("context.matches.isEmpty()".to_owned());
    let conditions = conditions.join(" &&\n  ");
    let on = format!("{:?}", target.id().unescaped());
    Some(format!(
        "// {who} may {class} on {on}, in requests like this one.\npermit (\n  {principal},\n  \
         action == Action::\"{class}\",\n  {resource}\n)\nwhen {{\n  {conditions}\n}};\n"
    ))
}
